//! How connections are served: none waits for ever or hoards answers, and all together leave
//! descriptors for the rest.

use std::fmt::Debug;
use std::future::ready;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
use actix_server::{Server, ServerBuilder};
use actix_service::{
    IntoServiceFactory, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Payload, ServiceRequest};
use actix_web::http::header;
use actix_web::{Error, HttpMessage as _};
use prometheus_client::metrics::counter::Counter;
use service::net::connections::Connections;
use service::net::deadline::{Deadline, Waits};
use service::net::entry::Entry;
use service::net::marked_body::MarkedBody;
use service::net::request_mark::{Handled, RequestMark};
use service::net::room::Room;
use tokio::net::TcpStream;

/// How long a client may take to take note of a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What holds for the connections of a listener.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// How many there may be.
    pub(super) room: Arc<Room>,
    /// How long one may wait.
    pub(super) waits: Waits,
    /// Counts those whose peer took nothing of its answers.
    pub(super) write_timeouts: Counter,
}

/// Serves an application on a listener, with so many threads. A stop in good order ends connections that
/// are idle.
pub(super) fn serve<F, I, S, B>(
    builder: ServerBuilder,
    workers: usize,
    listener: TcpListener,
    limits: Limits,
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
    let builder = builder
        .workers(workers)
        .max_concurrent_connections(limits.room.at_once(workers))
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let server = builder.listen("http", listener, move || {
        let connections = Connections::new(Arc::clone(&limits.room));
        let (waits, write_timeouts) = (limits.waits, limits.write_timeouts.clone());
        let stopping = stopping.clone();
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            // Idle connections are watched by the stream, at less cost.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(waits.head)
            .client_disconnect_timeout(CLOSE_TIMEOUT)
            .on_connect_ext(|stream: &Deadline<TcpStream>, connection| {
                connection.insert(stream.request_mark());
            })
            .finish(map_config(app().into_factory(), |()| AppConfig::default()));
        fn_service(move |stream: TcpStream| {
            let entry = connections.enter(0);
            ready(accept(stream, waits, entry, write_timeouts.clone()))
        })
        .and_then(http)
    })?;
    Ok(server.run())
}

/// Lets the connection know that a request is handled until what is returned is dropped: beyond
/// its body, nothing is read meanwhile.
pub(super) fn handled(request: &mut ServiceRequest) -> Option<Handled> {
    let mark = request.conn_data::<RequestMark>()?.clone();
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    let body = MarkedBody::new(request.take_payload(), length, Some(mark.clone()));
    request.set_payload(Payload::Stream {
        payload: Box::pin(body),
    });
    Some(mark.enter())
}

fn accept(
    stream: TcpStream,
    waits: Waits,
    entry: Entry,
    write_timeouts: Counter,
) -> Result<(Deadline<TcpStream>, Protocol, Option<SocketAddr>), DispatchError> {
    let (stream, peer) = Deadline::accept(stream, waits, entry, write_timeouts)?;
    Ok((stream, Protocol::Http1, peer))
}
