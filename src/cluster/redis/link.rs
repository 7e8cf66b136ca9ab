//! A server of Redis, as long as it can be reached.
//!
//! Three connections: one for short calls, one for what may be answered with much, one for what is
//! published. Heartbeats and publishes do not stand behind a large answer. A Redis Cluster ends
//! subscriptions of its own accord when a slot moves, with a message that looks like the answer to a
//! command: so commands go where no such message comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, Pipeline,
    ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError, RedisResult,
    TlsCertificates, Value,
};
use tokio::sync::mpsc::UnboundedSender;

use super::rights::{Lack, Rights};
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

/// What a server sends of its own accord.
#[derive(Debug)]
pub(super) enum Pushed {
    /// A message: topic and content.
    Message(Vec<u8>, Vec<u8>),
    /// A topic is listened to.
    Listening(Vec<u8>),
    /// A topic is no longer listened to.
    NotListening(Vec<u8>),
    /// The connection is gone.
    Lost,
}

/// Why a server cannot be used.
#[derive(Debug)]
pub(super) enum Unusable {
    /// It cannot be reached, or answers with errors.
    Failed(RedisError),
    /// It is there, and does not let its user do what a node needs.
    Lacks(Lack),
}

impl From<RedisError> for Unusable {
    fn from(error: RedisError) -> Self {
        Self::Failed(error)
    }
}

pub(super) struct Link {
    pub(super) id: LinkId,
    calls: MultiplexedConnection,
    bulk: MultiplexedConnection,
    topics: MultiplexedConnection,
    patience: Duration,
    /// Counts what was published to this node: a connection that brings it is alive, however long
    /// an answer stands behind it.
    pushes: Arc<AtomicU64>,
}

/// How long large answers may take. Whether the server is alive shows on the other connections.
const BULK_PATIENCE: Duration = Duration::from_secs(10);

impl Link {
    /// Connects, makes the scripts known, and sees whether the user may do what they do.
    pub(super) async fn connect(
        server: ConnectionInfo,
        reach: Reach,
        id: LinkId,
        pushed: UnboundedSender<(LinkId, Pushed)>,
        rights: &Rights,
    ) -> Result<Self, Unusable> {
        let protocol = server.redis_settings().clone();
        let protocol = protocol.set_protocol(ProtocolVersion::RESP3);
        let client = client(server.set_redis_settings(protocol), &reach)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(reach.patience))
            .set_response_timeout(Some(reach.patience));
        let for_bulk = config.clone().set_response_timeout(Some(BULK_PATIENCE));
        let pushes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&pushes);
        let push = move |info: PushInfo| {
            counted.fetch_add(1, Ordering::Relaxed);
            match translate(info) {
                Some(event) => pushed.send((id, event)),
                None => Ok(()),
            }
        };
        let with_pushes = config.clone().set_response_timeout(None);
        let with_pushes = with_pushes.set_push_sender(push);
        let (calls, bulk, topics) = futures_util::try_join!(
            client.get_multiplexed_async_connection_with_config(&config),
            client.get_multiplexed_async_connection_with_config(&for_bulk),
            client.get_multiplexed_async_connection_with_config(&with_pushes),
        )?;
        let link = Self {
            id,
            calls,
            bulk,
            topics,
            patience: reach.patience,
            pushes,
        };
        link.load_scripts().await?;
        match link.lack(rights).await? {
            Some(lack) => Err(Unusable::Lacks(lack)),
            None => Ok(link),
        }
    }

    /// What the user may not do that a node needs.
    async fn lack(&self, rights: &Rights) -> RedisResult<Option<Lack>> {
        let mut pipeline = redis::pipe();
        pipeline.add_command(rights.probe());
        let answer = self.call(pipeline).await?.pop().unwrap_or_default();
        Ok(rights.missing(answer.extract_error()?))
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

    /// Makes calls whose answers may be large.
    pub(super) async fn call_for_much(&self, pipeline: Pipeline) -> RedisResult<Vec<Value>> {
        let mut connection = self.bulk.clone();
        let count = pipeline.len();
        connection.send_packed_commands(&pipeline, 0, count).await
    }

    /// Asks to listen to topics, or no longer to. The server announces that it is done.
    pub(super) async fn listen(&self, pipeline: Pipeline) -> RedisResult<Vec<Value>> {
        let mut connection = self.topics.clone();
        let count = pipeline.len();
        self.while_published(connection.send_packed_commands(&pipeline, 0, count))
            .await
    }

    /// Whether the connections for calls and for what is published are alive.
    pub(super) async fn ping(&self) -> RedisResult<()> {
        let (mut calls, mut topics) = (self.calls.clone(), self.topics.clone());
        let ping = redis::cmd("PING");
        futures_util::try_join!(
            calls.send_packed_command(&ping),
            self.while_published(topics.send_packed_command(&ping))
        )?;
        Ok(())
    }

    /// Waits for an answer behind what is published, as long as that goes on coming.
    async fn while_published<T>(
        &self,
        answer: impl Future<Output = RedisResult<T>>,
    ) -> RedisResult<T> {
        let mut answer = std::pin::pin!(answer);
        let mut seen = self.pushes.load(Ordering::Relaxed);
        loop {
            if let Ok(answer) = tokio::time::timeout(self.patience, &mut answer).await {
                return answer;
            }
            let now = self.pushes.load(Ordering::Relaxed);
            if std::mem::replace(&mut seen, now) == now {
                return Err((ErrorKind::Io, "no answer in time").into());
            }
        }
    }
}

/// Speaks to a server in this way.
pub(super) fn client(server: ConnectionInfo, reach: &Reach) -> RedisResult<Client> {
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

fn translate(info: PushInfo) -> Option<Pushed> {
    let mut data = info.data.into_iter();
    let mut next = || match data.next() {
        Some(Value::BulkString(bytes)) => Some(bytes),
        Some(Value::SimpleString(text)) => Some(text.into_bytes()),
        _ => None,
    };
    match info.kind {
        PushKind::Message | PushKind::SMessage => Some(Pushed::Message(next()?, next()?)),
        PushKind::Subscribe | PushKind::SSubscribe => Some(Pushed::Listening(next()?)),
        PushKind::Unsubscribe | PushKind::SUnsubscribe => Some(Pushed::NotListening(next()?)),
        PushKind::Disconnection => Some(Pushed::Lost),
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
    let role = ask(master.clone(), reach, redis::cmd("ROLE")).await?;
    let role = script::list(role.extract_error()?);
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
    (ErrorKind::MasterNameNotFoundBySentinel, reason).into()
}
