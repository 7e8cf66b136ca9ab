//! A server of Redis, as long as it can be reached.
//!
//! Two connections: one for calls, one for what is published. A Redis Cluster ends subscriptions of
//! its own accord when a slot moves, with a message that looks like the answer to a command: so
//! commands go where no such message comes.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, Pipeline, ProtocolVersion,
    PushInfo, PushKind, RedisConnectionInfo, RedisResult, TlsCertificates, Value,
};
use tokio::sync::mpsc::UnboundedSender;

use super::script;
use super::settings::Sentinels;

/// How servers are reached.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// A server that does not answer for so long is away.
    pub(super) patience: Duration,
    /// Certificates to trust beside those of the system, in PEM.
    pub(super) root_certificates: Option<Vec<u8>>,
}

/// Which of the connections that there have been; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct LinkId(pub(super) u64);

/// What a server says of its own accord.
#[derive(Debug)]
pub(super) enum Heard {
    /// A message: topic and content.
    Message(Vec<u8>, Vec<u8>),
    /// A topic is listened to.
    Listening(Vec<u8>),
    /// A topic is no longer listened to.
    NotListening(Vec<u8>),
    /// The connection is gone.
    Lost,
}

#[derive(Clone)]
pub(super) struct Link {
    pub(super) id: LinkId,
    calls: MultiplexedConnection,
    topics: MultiplexedConnection,
}

impl Link {
    /// Connects, and makes the scripts known.
    pub(super) async fn connect(
        server: ConnectionInfo,
        reach: Reach,
        id: LinkId,
        heard: UnboundedSender<(LinkId, Heard)>,
    ) -> RedisResult<Self> {
        let protocol = server.redis_settings().clone();
        let protocol = protocol.set_protocol(ProtocolVersion::RESP3);
        let client = client(server.set_redis_settings(protocol), &reach)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(reach.patience))
            .set_response_timeout(Some(reach.patience));
        let push = move |info: PushInfo| match translate(info) {
            Some(event) => heard.send((id, event)),
            None => Ok(()),
        };
        let with_pushes = config.clone().set_push_sender(push);
        let (calls, topics) = futures_util::try_join!(
            client.get_multiplexed_async_connection_with_config(&config),
            client.get_multiplexed_async_connection_with_config(&with_pushes),
        )?;
        let link = Self { id, calls, topics };
        link.load_scripts().await?;
        Ok(link)
    }

    pub(super) async fn load_scripts(&self) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        for script in script::all() {
            pipeline.add_command(script.load());
        }
        for answer in self.call(pipeline).await? {
            if let Value::ServerError(error) = answer {
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Makes calls; each has its own answer or error.
    pub(super) async fn call(&self, pipeline: Pipeline) -> RedisResult<Vec<Value>> {
        let mut connection = self.calls.clone();
        let count = pipeline.len();
        connection.send_packed_commands(&pipeline, 0, count).await
    }

    /// Asks to listen to topics, or no longer to. That it is done is heard.
    pub(super) async fn listen(&self, pipeline: Pipeline) -> RedisResult<Vec<Value>> {
        let mut connection = self.topics.clone();
        let count = pipeline.len();
        connection.send_packed_commands(&pipeline, 0, count).await
    }

    /// Whether both connections are alive.
    pub(super) async fn ping(&self) -> RedisResult<()> {
        let (mut calls, mut topics) = (self.calls.clone(), self.topics.clone());
        let ping = redis::cmd("PING");
        futures_util::try_join!(
            calls.send_packed_command(&ping),
            topics.send_packed_command(&ping)
        )?;
        Ok(())
    }
}

fn client(server: ConnectionInfo, reach: &Reach) -> RedisResult<Client> {
    match (&reach.root_certificates, server.addr()) {
        (Some(certificates), ConnectionAddr::TcpTls { .. }) => Client::build_with_tls(
            server,
            TlsCertificates {
                client_tls: None,
                root_cert: Some(certificates.clone()),
            },
        ),
        _ => Client::open(server),
    }
}

fn translate(info: PushInfo) -> Option<Heard> {
    let mut data = info.data.into_iter();
    let mut next = || match data.next() {
        Some(Value::BulkString(bytes)) => Some(bytes),
        Some(Value::SimpleString(text)) => Some(text.into_bytes()),
        _ => None,
    };
    match info.kind {
        PushKind::Message | PushKind::SMessage => Some(Heard::Message(next()?, next()?)),
        PushKind::Subscribe | PushKind::SSubscribe => Some(Heard::Listening(next()?)),
        PushKind::Unsubscribe | PushKind::SUnsubscribe => Some(Heard::NotListening(next()?)),
        PushKind::Disconnection => Some(Heard::Lost),
        _ => None,
    }
}

/// One short question to a server, on a connection of its own.
pub(super) async fn ask(
    server: ConnectionInfo,
    reach: &Reach,
    command: redis::Cmd,
) -> RedisResult<Value> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(reach.patience))
        .set_response_timeout(Some(reach.patience));
    let client = client(server, reach)?;
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    connection.send_packed_command(&command).await
}

/// Asks the sentinels, one after the other, which server is the master, and sees whether it says
/// so itself.
pub(super) async fn master_of(sentinels: &Sentinels, reach: &Reach) -> RedisResult<ConnectionInfo> {
    let mut last_error = None;
    for address in &sentinels.addresses {
        match master_by(address, sentinels, reach).await {
            Ok(master) => return Ok(master),
            Err(error) => last_error = Some(error),
        }
    }
    Err(last_error.unwrap_or_else(|| no_master("no sentinel is configured")))
}

async fn master_by(
    sentinel: &ConnectionAddr,
    sentinels: &Sentinels,
    reach: &Reach,
) -> RedisResult<ConnectionInfo> {
    let mut question = redis::cmd("SENTINEL");
    question
        .arg("get-master-addr-by-name")
        .arg(&sentinels.service);
    let answer = ask(
        info(sentinel.clone(), RedisConnectionInfo::default())?,
        reach,
        question,
    );
    let address = script::texts(answer.await?).unwrap_or_default();
    let [host, port] = address.as_slice() else {
        return Err(no_master("the sentinel does not know the service"));
    };
    let port = port
        .parse()
        .map_err(|_| no_master("the port is no number"))?;
    let master = info(
        ConnectionAddr::Tcp(host.clone(), port),
        sentinels.redis.clone(),
    )?;
    let role = script::list(ask(master.clone(), reach, redis::cmd("ROLE")).await?);
    let role = role
        .ok()
        .and_then(|role| script::text(role.into_iter().next()?).ok());
    match role.as_deref() {
        Some("master") => Ok(master),
        _ => Err(no_master(
            "the server that the sentinel names is no master (yet)",
        )),
    }
}

/// How to reach a server at this address.
pub(super) fn info(
    address: ConnectionAddr,
    redis: RedisConnectionInfo,
) -> RedisResult<ConnectionInfo> {
    use redis::IntoConnectionInfo as _;
    let any = "redis://localhost".into_connection_info()?;
    Ok(any.set_addr(address).set_redis_settings(redis))
}

fn no_master(reason: &'static str) -> redis::RedisError {
    (redis::ErrorKind::MasterNameNotFoundBySentinel, reason).into()
}
