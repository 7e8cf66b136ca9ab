//! What each worker thread serves.

use std::cell::OnceCell;
use std::future::ready;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol, Request, h1};
use actix_server::{ServerBuilder, ServerHandle};
use actix_service::{
    IntoServiceFactory as _, Service as _, ServiceFactory, ServiceFactoryExt as _, fn_factory,
    fn_service, map_config,
};
use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, ServiceResponse};
use rustls::ServerConfig;
use service::net::connections::Connections;
use service::net::deadline::{Deadline, Waits};
use service::net::entry::Entry;
use service::net::multiplexed::Multiplexed;
use service::net::room::Room;
use tokio::sync::watch;

use super::accept::Accepted;
use super::http2;
use super::lasting;
use super::listener::{Public, PublicSocket};
use super::pace::paced;
use super::proxied::Proxied;
use super::reclaim;
use crate::acme;
use crate::config;
use crate::fallback::{FallbackService, FallbackSettings, Sessions};
use crate::http::{self, Api, ApiSettings};
use crate::hub::Shard;
use crate::metrics::{Counter, Metrics, Table};
use crate::net::budget::Budget;
use crate::net::rate::Rate;
use crate::relay::Relay;
use crate::resume::Tokens;
use crate::session::Timeouts;
use crate::tls::{Acceptor, Socket};
use crate::ws::{Upgrader, WebSocketSettings};

/// How often a worker looks whether it has too many HTTP connections, beside whenever it accepts.
const TRIM_EVERY: Duration = Duration::from_secs(1);

/// What holds for every connection.
#[derive(Clone, Debug)]
pub(super) struct WorkerSettings {
    http: HttpSettings,
    web_socket: WebSocketSettings,
    fallback: FallbackSettings,
    sessions: Arc<Sessions>,
    tokens: Arc<Tokens>,
    api: ApiSettings,
    acme: Option<acme::Shown>,
    bodies: Arc<Budget>,
    bodies_of_fallback: Arc<Budget>,
    room: Arc<Room>,
    proxied: Arc<Proxied>,
    pace: Option<Rate>,
    reclaim: watch::Receiver<u64>,
    stop: http2::Stop,
    shutdown_timeout: Duration,
}

/// What holds for every HTTP connection.
#[derive(Clone, Copy, Debug)]
struct HttpSettings {
    head_timeout: Duration,
    waits: Waits,
    close_timeout: Duration,
}

impl WorkerSettings {
    /// What the configuration says, in a process that may have so many files open. `acme` is a certificate that is
    /// ordered, if one is; `reclaim` asks for memory back; `stop` is how connections over HTTP/2 get to know
    /// that the relay stops.
    pub(super) fn new(
        config: &config::Config,
        files: u64,
        metrics: &Metrics,
        acme: Option<acme::Shown>,
        reclaim: watch::Receiver<u64>,
        stop: http2::Stop,
    ) -> Self {
        let server = &config.server;
        let process = metrics.process();
        let entries = &process.table_entries;
        let room = Arc::new(Room::new(files, process.http_room()));
        let timeouts = Arc::new(Timeouts {
            activity: server.activity_timeout,
            pong: server.pong_timeout,
            message: server.message_timeout,
            write: server.write_timeout,
            close: server.close_timeout,
        });
        Self {
            http: HttpSettings {
                head_timeout: server.request_head_timeout,
                waits: Waits {
                    head: server.request_head_timeout,
                    request: server.request_timeout,
                    idle: server.keep_alive,
                    write: server.write_timeout,
                },
                close_timeout: server.close_timeout,
            },
            web_socket: WebSocketSettings {
                compresses: config.compression.is_some(),
                served: server.role == config::Role::Relay,
                path_prefix: server.path_prefix.clone(),
                timeouts: Arc::clone(&timeouts),
            },
            fallback: FallbackSettings {
                served: server.role == config::Role::Relay,
                path_prefix: server.path_prefix.clone(),
                timeouts,
                alone: server.fallback_timeout,
            },
            sessions: Arc::new(Sessions::new(
                room.held(),
                process.fallback_displaced.clone(),
                entries.with(Table::FallbackSessions).clone(),
            )),
            tokens: Arc::new(Tokens::new(
                process.remembered_sessions.clone(),
                entries.with(Table::ResumeTokens).clone(),
            )),
            api: ApiSettings {
                path_prefix: server.path_prefix.clone(),
            },
            acme,
            bodies: Budget::new(server.http_backlog_bytes, process.http_backlog.clone()),
            bodies_of_fallback: Budget::new(
                server.http_backlog_bytes / 4,
                process.fallback_backlog.clone(),
            ),
            room,
            proxied: Arc::new(Proxied::new(
                Arc::new(server.trusted_proxies.clone()),
                server.request_head_timeout,
                metrics.clone(),
            )),
            pace: server.pace,
            reclaim,
            stop,
            shutdown_timeout: server.shutdown_timeout,
        }
    }
}

/// The listeners that speak TLS.
pub(super) struct OverTls {
    pub(super) listeners: Vec<TcpListener>,
    pub(super) config: Arc<ServerConfig>,
    pub(super) handshake_timeout: Duration,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub(super) proxy_protocol: bool,
}

/// Starts the workers on the listeners. They run until the returned handle stops them.
pub(super) fn start(
    listeners: Vec<Public>,
    over_tls: Option<OverTls>,
    workers: usize,
    relay: Arc<Relay>,
    settings: WorkerSettings,
) -> io::Result<ServerHandle> {
    let mut builder = ServerBuilder::new()
        .workers(workers)
        .max_concurrent_connections(settings.room.at_once(workers))
        .disable_signals()
        .shutdown_timeout(settings.shutdown_timeout.as_secs().max(1));
    let process = relay.hub.metrics().process().clone();
    for listener in listeners {
        let (relay, settings) = (Arc::clone(&relay), settings.clone());
        let proxied = listener
            .proxy_protocol
            .then(|| Arc::clone(&settings.proxied));
        let (pace, waits) = (settings.pace, process.connections_paced.clone());
        let serve = move || serve(Arc::clone(&relay), &settings, proxied.clone(), None);
        builder = match listener.socket {
            PublicSocket::Tcp(socket) => builder.listen("public", socket, move || {
                let tcp = |stream| ready(Accepted::tcp(stream).map_err(DispatchError::Io));
                paced(pace, waits.clone())
                    .and_then(fn_service(tcp))
                    .and_then(serve())
            })?,
            PublicSocket::Unix(socket) => builder.listen_uds("public", socket, move || {
                let unix = |stream| ready(Accepted::unix(stream).map_err(DispatchError::Io));
                paced(pace, waits.clone())
                    .and_then(fn_service(unix))
                    .and_then(serve())
            })?,
        };
    }
    if let Some(tls) = over_tls {
        let outcomes = &process.tls_handshakes;
        let under_way = process.table_entries.with(Table::TlsHandshakes);
        let proxied = tls.proxy_protocol.then(|| Arc::clone(&settings.proxied));
        for listener in tls.listeners {
            let (relay, settings) = (Arc::clone(&relay), settings.clone());
            let (config, outcomes) = (Arc::clone(&tls.config), outcomes.clone());
            let (pace, waits) = (settings.pace, process.connections_paced.clone());
            let (proxied, under_way) = (proxied.clone(), under_way.clone());
            builder = builder.listen("tls", listener, move || {
                let (config, outcomes) = (Arc::clone(&config), outcomes.clone());
                let timeout = tls.handshake_timeout;
                let acceptor = Acceptor::new(config, timeout, outcomes, under_way.clone());
                let tcp = |stream| ready(Accepted::tcp(stream).map_err(DispatchError::Io));
                let relay = Arc::clone(&relay);
                paced(pace, waits.clone())
                    .and_then(fn_service(tcp))
                    .and_then(serve(relay, &settings, proxied.clone(), Some(acceptor)))
            })?;
        }
    }
    let server = builder.run();
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok(handle)
}

thread_local! {
    /// The worker's shard: made on first use, as a worker serves every listener.
    static SHARD: OnceCell<Shard> = const { OnceCell::new() };
    /// Its HTTP connections, of every listener.
    static CONNECTIONS: OnceCell<Connections> = const { OnceCell::new() };
}

fn connections(room: &Arc<Room>, relay: &Arc<Relay>) -> Connections {
    CONNECTIONS.with(|connections| {
        let connections = connections.get_or_init(|| {
            let connections = Connections::new(Arc::clone(room));
            let trim = keep_trim(connections.clone(), Arc::clone(relay));
            lasting::begin("idle connections", trim);
            connections
        });
        connections.clone()
    })
}

/// Lets a worker that accepts no more connections make room for those of others.
async fn keep_trim(connections: Connections, relay: Arc<Relay>) {
    let mut ticks = tokio::time::interval(TRIM_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        connections.trim(relay.hub.connections().get());
    }
}

fn shard(relay: &Relay, reclaim: &watch::Receiver<u64>) -> Shard {
    SHARD.with(|shard| {
        shard
            .get_or_init(|| {
                let shard = relay.hub.register_shard(Arc::clone(&relay.authority));
                let (deliveries, deadlines) = (shard.clone(), shard.clone());
                lasting::begin("deliveries", async move { deliveries.run().await });
                lasting::begin("deadlines", async move { deadlines.watch_time().await });
                reclaim::keep_on_this_thread(reclaim);
                shard
            })
            .clone()
    })
}

/// What is done with an accepted connection.
fn serve(
    relay: Arc<Relay>,
    settings: &WorkerSettings,
    proxied: Option<Arc<Proxied>>,
    acceptor: Option<Acceptor>,
) -> impl ServiceFactory<Accepted, Config = (), Response = (), Error = DispatchError, InitError = ()>
+ use<> {
    let http = settings.http;
    let process = relay.hub.metrics().process();
    let write_timeouts = process.http_write_timeouts.clone();
    let shard = shard(&relay, &settings.reclaim);
    let connections = connections(&settings.room, &relay);
    let served = Arc::clone(&relay);
    let requests = relay.requests.of_worker();
    let http2 = Rc::new(http2::Settings::new(
        http.waits,
        http.close_timeout,
        settings.stop.clone(),
        Arc::clone(&requests),
        process,
    ));
    let fallback = FallbackService {
        relay: Arc::clone(&relay),
        shard: shard.clone(),
        sessions: Arc::clone(&settings.sessions),
        tokens: Arc::clone(&settings.tokens),
        requests: Arc::clone(&requests),
        bodies: Arc::clone(&settings.bodies_of_fallback),
        settings: settings.fallback.clone(),
    };
    let tokens = Arc::clone(&settings.tokens);
    let web_socket = settings.web_socket.clone();
    let upgrader = Upgrader::new(Arc::clone(&relay), shard, tokens, web_socket);
    let api = Api {
        requests,
        relay,
        fallback: Some(fallback),
        acme: settings.acme.clone(),
        bodies: Arc::clone(&settings.bodies),
        settings: settings.api.clone(),
    };
    let upgrade = move |request, framed| upgrader.upgrade(request, framed);
    fn_service(move |accepted: Accepted| {
        let entry = connections.enter(served.hub.connections().get());
        begin(
            accepted,
            Arc::clone(&served),
            proxied.clone(),
            acceptor.clone(),
            http,
            entry,
            write_timeouts.clone(),
        )
    })
    .and_then(assemble(api, upgrade, http, http2))
}

/// A connection, and what is spoken over it.
enum Spoken {
    Http1(Deadline<Socket>),
    Http2(Multiplexed<Socket>, Entry),
}

/// What stands between a connection that was accepted and HTTP: a proxy's header, and TLS.
async fn begin(
    accepted: Accepted,
    relay: Arc<Relay>,
    proxied: Option<Arc<Proxied>>,
    acceptor: Option<Acceptor>,
    HttpSettings {
        waits,
        close_timeout,
        ..
    }: HttpSettings,
    entry: Entry,
    write_timeouts: Counter,
) -> Result<(Spoken, Option<SocketAddr>), DispatchError> {
    let Accepted { stream, peer } = match proxied {
        Some(proxied) => proxied.unwrap(accepted, &entry).await?,
        None => accepted,
    };
    let (socket, is_http2) = match acceptor {
        None => (Socket::plain(stream), false),
        Some(acceptor) => tokio::select! {
            socket = acceptor.accept(stream, relay.clients.block(peer)) => socket?,
            () = entry.evicted() => return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into()),
        },
    };
    let accepted = if is_http2 {
        let stream = Multiplexed::new(socket, waits.write, close_timeout, write_timeouts);
        Spoken::Http2(stream, entry)
    } else {
        Spoken::Http1(Deadline::new(socket, waits, entry, write_timeouts))
    };
    Ok((accepted, peer))
}

/// HTTP in either version.
fn assemble(
    api: Api,
    upgrade: impl Fn(Request, Framed<Deadline<Socket>, h1::Codec>) + Clone + 'static,
    settings: HttpSettings,
    of_http2: Rc<http2::Settings>,
) -> impl ServiceFactory<
    (Spoken, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> {
    let streams = app(api.clone());
    let http1 = assemble_http1(api, upgrade, settings);
    fn_factory(move || {
        let (http1, streams) = (http1.new_service(()), streams.new_service(()));
        let of_http2 = Rc::clone(&of_http2);
        async move {
            let both = Rc::new((http1.await?, Rc::new(streams.await?), of_http2));
            Ok::<_, ()>(fn_service(move |(spoken, peer)| {
                let both = Rc::clone(&both);
                async move {
                    let (http1, streams, of_http2) = &*both;
                    match spoken {
                        Spoken::Http1(stream) => http1.call((stream, Protocol::Http1, peer)).await,
                        Spoken::Http2(stream, entry) => {
                            let (streams, of_http2) = (Rc::clone(streams), Rc::clone(of_http2));
                            let served = http2::serve(stream, peer, entry, streams, of_http2);
                            // Apart, so that connections of HTTP/1.1 do not take as much.
                            Box::pin(served).await;
                            Ok(())
                        }
                    }
                }
            }))
        }
    })
}

fn app(
    api: Api,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = ServiceResponse<impl MessageBody + 'static>,
    Error = actix_web::Error,
    InitError = (),
> {
    let app = App::new().configure(move |services| http::configure(services, api));
    map_config(app.into_factory(), |()| AppConfig::default())
}

/// HTTP/1.1, with WebSocket upgrades handed over together with the socket.
fn assemble_http1(
    api: Api,
    upgrade: impl Fn(Request, Framed<Deadline<Socket>, h1::Codec>) + Clone + 'static,
    settings: HttpSettings,
) -> impl ServiceFactory<
    (Deadline<Socket>, Protocol, Option<SocketAddr>),
    Config = (),
    Response = (),
    Error = DispatchError,
    InitError = (),
> {
    HttpService::build()
        // Idle connections are watched by the stream, at less cost.
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(settings.head_timeout)
        .client_disconnect_timeout(settings.close_timeout)
        .on_connect_ext(|stream: &Deadline<Socket>, connection| {
            connection.insert(stream.request_mark());
        })
        .upgrade(fn_service(move |(request, framed)| {
            upgrade(request, framed);
            ready(Ok::<_, actix_http::Error>(()))
        }))
        .finish(app(api))
}
