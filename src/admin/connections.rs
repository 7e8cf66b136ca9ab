//! How connections are served: none waits for ever or hoards answers, and who has said nothing gives way to others.

use std::cell::OnceCell;
use std::fmt::Debug;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_codec::{AsyncRead, AsyncWrite};
use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
use actix_server::{Server, ServerBuilder};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::AppConfig;
use service::net::connections::Connections;
use service::net::deadline::{Deadline, Waits};
use service::net::room::{Numbers, Room};
use tokio::net::{TcpStream, UnixStream};

use super::state::Bound;
use crate::metrics::Counter;

/// How long the head of a request may take to arrive.
const HEAD_WITHIN: Duration = Duration::from_secs(5);

/// How long an answer may take. A watcher is pinged more often than that, and tests of webhooks end sooner.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How long a connection stays open between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long a client may take to take note of a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a stop waits for requests and watchers, in seconds.
const SHUTDOWN_TIMEOUT: u64 = 2;

/// One place in so many is for connections that come while the others are taken: they must be accepted before those that
/// have no request are closed for their sake.
const FOR_THE_NEXT: usize = 8;

thread_local! {
    /// The connections of every listener of this thread, of which a server has one.
    static CONNECTIONS: OnceCell<Connections> = const { OnceCell::new() };
}

/// What holds for the connections.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many there may be: those without a request give way to others, and if all have one, more have to wait.
    pub connections: usize,
    /// How long a peer may take nothing of what it is sent.
    pub write_timeout: Duration,
}

/// A stream on its way to HTTP, with the address of its peer, if it has one.
type Accepted<T> = (Deadline<T>, Protocol, Option<SocketAddr>);

/// Serves an application on the listeners, on one thread. `write_timeouts` counts peers that took nothing.
pub(super) fn serve<F, I, S, B>(
    listeners: Vec<Bound>,
    limits: Limits,
    numbers: Numbers,
    write_timeouts: Counter,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Clone + Send + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Error = Error> + 'static,
    S::InitError: Debug,
    S::Response: Into<Response<B>> + 'static,
    B: MessageBody + 'static,
{
    let mut builder = ServerBuilder::new()
        .workers(1)
        .max_concurrent_connections(limits.connections)
        .shutdown_timeout(SHUTDOWN_TIMEOUT)
        .disable_signals();
    let waits = Waits {
        head: HEAD_WITHIN,
        request: ANSWER_WITHIN,
        idle: KEEP_ALIVE,
        write: limits.write_timeout,
    };
    let without_giving_way = limits.connections - limits.connections.div_ceil(FOR_THE_NEXT);
    let room = Arc::new(Room::for_so_many("admin", without_giving_way, numbers));
    for listener in listeners {
        let stopping = builder.graceful_shutdown_signal();
        let stopped = move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        };
        let (app, write_timeouts) = (app.clone(), write_timeouts.clone());
        let room = Arc::clone(&room);
        builder = match listener {
            Bound::Tcp(listener) => builder.listen("admin", listener, move || {
                let (connections, write_timeouts) = (connections(&room), write_timeouts.clone());
                fn_service(move |stream: TcpStream| {
                    let (entry, write_timeouts) = (connections.enter(0), write_timeouts.clone());
                    async move {
                        let accepted = Deadline::accept(stream, waits, entry, write_timeouts);
                        let (stream, peer) = accepted.map_err(DispatchError::Io)?;
                        Ok::<_, DispatchError>((stream, Protocol::Http1, peer))
                    }
                })
                .and_then(http(app(), stopped.clone()))
            })?,
            Bound::Unix(listener) => builder.listen_uds("admin", listener, move || {
                let (connections, write_timeouts) = (connections(&room), write_timeouts.clone());
                fn_service(move |stream: UnixStream| {
                    let (entry, write_timeouts) = (connections.enter(0), write_timeouts.clone());
                    let stream = Deadline::new(stream, waits, entry, write_timeouts);
                    async move { Ok::<_, DispatchError>((stream, Protocol::Http1, None)) }
                })
                .and_then(http(app(), stopped.clone()))
            })?,
        };
    }
    Ok(builder.run())
}

fn connections(room: &Arc<Room>) -> Connections {
    CONNECTIONS.with(|connections| {
        let connections = connections.get_or_init(|| Connections::new(Arc::clone(room)));
        connections.clone()
    })
}

/// HTTP over either kind of stream. A stop in good order ends connections that are idle.
fn http<T, I, S, B, W>(
    app: I,
    stopped: impl Fn() -> W + Send + Sync + 'static,
) -> impl ServiceFactory<Accepted<T>, Config = (), Response = (), Error = DispatchError, InitError = ()>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Error = Error> + 'static,
    S::InitError: Debug,
    S::Response: Into<Response<B>> + 'static,
    B: MessageBody + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    HttpService::build()
        .graceful_shutdown_signal(stopped)
        // Idle connections are watched by the stream, at less cost.
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(HEAD_WITHIN)
        .client_disconnect_timeout(CLOSE_TIMEOUT)
        .on_connect_ext(|stream: &Deadline<T>, connection| {
            connection.insert(stream.request_mark());
        })
        .finish(map_config(app.into_factory(), |()| AppConfig::default()))
}
