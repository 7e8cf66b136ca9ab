//! Finding the servers, and which of them has what.

use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, RedisResult, Value};

use crate::cluster::redis::link::{self, Reach};
use crate::cluster::redis::script;
use crate::cluster::redis::settings::Target;

/// The servers that there are, and which slots are whose.
pub(super) struct Discovered {
    pub(super) servers: Vec<(String, ConnectionInfo)>,
    /// The server of each slot of a Redis Cluster, by its place in `servers`.
    pub(super) slots: Option<Box<[u16]>>,
}

/// Asks for the servers: the configuration, the sentinels, or any server of the Redis Cluster.
pub(super) async fn find(
    target: Target,
    known: Vec<ConnectionInfo>,
    reach: &Reach,
) -> RedisResult<Discovered> {
    match target {
        Target::Single(info) => Ok(Discovered {
            servers: vec![(info.addr().to_string(), info)],
            slots: None,
        }),
        Target::Sentinel(sentinels) => {
            let master = link::master_of(&sentinels, reach).await?;
            Ok(Discovered {
                servers: vec![(master.addr().to_string(), master)],
                slots: None,
            })
        }
        Target::Cluster(seeds) => {
            let mut last_error = None;
            for server in known.iter().chain(&seeds) {
                match slots_by(server, reach).await {
                    Ok(found) => return Ok(found),
                    Err(error) => last_error = Some(error),
                }
            }
            Err(last_error.unwrap_or_else(|| unreadable("no server is configured")))
        }
    }
}

/// Asks a server of a Redis Cluster which slots are whose.
async fn slots_by(server: &ConnectionInfo, reach: &Reach) -> RedisResult<Discovered> {
    const SLOTS: usize = 16_384;
    let mut question = redis::cmd("CLUSTER");
    question.arg("SLOTS");
    let answer = link::ask(server.clone(), reach, question).await?;
    if let Value::ServerError(error) = answer {
        return Err(error.into());
    }
    let mut servers: Vec<(String, ConnectionInfo)> = Vec::new();
    let mut slots = vec![u16::MAX; SLOTS].into_boxed_slice();
    let wrong = |_| unreadable("CLUSTER SLOTS gave an answer that cannot be read");
    for range in script::list(answer).map_err(wrong)? {
        let mut range = script::list(range).map_err(wrong)?.into_iter();
        let mut next = || range.next().unwrap_or_default();
        let first = script::number(next()).map_err(wrong)? as usize;
        let last = script::number(next()).map_err(wrong)? as usize;
        let mut master = script::list(next()).map_err(wrong)?.into_iter();
        let host = match master.next().map(script::text) {
            Some(Ok(host)) if !host.is_empty() && host != "?" => host,
            // The server does not know its own name: it is the one that was asked.
            _ => host_of(server.addr()),
        };
        let port = master
            .next()
            .map(script::number)
            .transpose()
            .map_err(wrong)?;
        let port = port.and_then(|port| u16::try_from(port).ok());
        let port = port.ok_or_else(|| unreadable("CLUSTER SLOTS names no port"))?;
        let info = server
            .clone()
            .set_addr(address_like(server.addr(), host, port));
        let name = info.addr().to_string();
        let index = servers.iter().position(|(known, _)| *known == name);
        let index = index.unwrap_or_else(|| {
            servers.push((name, info));
            servers.len() - 1
        });
        if let Some(range) = slots.get_mut(first..=last) {
            range.fill(index as u16);
        }
    }
    if slots.contains(&u16::MAX) {
        Err(unreadable(
            "the Redis Cluster does not serve all slots (yet)",
        ))
    } else {
        Ok(Discovered {
            servers,
            slots: Some(slots),
        })
    }
}

fn host_of(address: &ConnectionAddr) -> String {
    match address {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        _ => "127.0.0.1".to_owned(),
    }
}

/// Another server of the same cluster is spoken to in the same way.
fn address_like(known: &ConnectionAddr, host: String, port: u16) -> ConnectionAddr {
    match known {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        _ => ConnectionAddr::Tcp(host, port),
    }
}

fn unreadable(reason: &'static str) -> RedisError {
    (ErrorKind::UnexpectedReturnType, reason).into()
}
