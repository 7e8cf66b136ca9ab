//! The second listener, for the people who run the relay: metrics and the live stream. It has a
//! server of its own with one worker thread, shares no route with the public listener, and asks
//! for no password: whoever reaches its address may read. That is why it listens on loopback
//! unless configured otherwise, and why [`guard`] keeps web pages out.
//!
//! - [`guard`]: which requests are answered at all
//! - [`stream`]: the live stream over a WebSocket
//! - [`refusal`]: what is refused, and the JSON that says why

mod guard;
mod refusal;
mod stream;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::header;
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::{App, Handler, HttpRequest, HttpResponse, HttpServer, Resource, Responder, web};
use socket2::SockRef;

use self::refusal::Refusal;
use crate::metrics::Metrics;
use crate::tap::Tap;

/// What the admin listener shows.
#[derive(Clone, Debug)]
pub struct AdminState {
    /// Shown at `/metrics`.
    pub metrics: Metrics,
    /// Shown at `/stream`.
    pub tap: Tap,
    /// Host names to answer to.
    pub names: Names,
}

/// Host names to answer to beside those that no foreign web page can have: IP addresses and
/// `localhost`.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The one that the configuration binds, in lower case, if it is a name.
    pub own: Option<Arc<str>>,
    /// Whether any name without a dot will do, as containers and services have them.
    pub without_dot: bool,
}

/// How long the head of a request may take to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a connection stays open between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long a peer may take nothing of what it is sent before the kernel ends the connection.
const STALLED_FOR: Duration = Duration::from_secs(30);

/// How long a stop waits for requests and watchers, in seconds.
const SHUTDOWN_TIMEOUT: u64 = 2;

/// Builds the server, which takes so many connections at the same time at most: more have to
/// wait. It runs on a thread of its own while the returned future is polled. It
/// heeds no signal and never ends by itself: stop it through its handle, after [`Tap::close`],
/// which lets watchers leave with a close frame. Needs a Tokio runtime around it, and at least
/// one listener. Fails when a listener cannot be set up.
pub fn server(
    listeners: Vec<TcpListener>,
    max_connections: usize,
    state: AdminState,
) -> io::Result<Server> {
    let app = move || {
        let headers = DefaultHeaders::new()
            .add((header::CACHE_CONTROL, "no-store"))
            .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
        App::new()
            .app_data(web::Data::new(state.clone()))
            .wrap(from_fn(guard::keep_pages_out))
            .wrap(headers)
            .service(read_only("/", index))
            .service(read_only("/health", health))
            .service(read_only("/metrics", metrics))
            .service(web::resource("/stream").route(web::get().to(stream::stream)))
            .default_service(web::to(not_found))
    };
    let mut server = HttpServer::new(app)
        .workers(1)
        .max_connections(max_connections)
        .client_request_timeout(REQUEST_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(SHUTDOWN_TIMEOUT)
        .tcp_nodelay(true)
        .disable_signals();
    for listener in listeners {
        end_stalled_connections(&listener)?;
        server = server.listen(listener)?;
    }
    Ok(server.run())
}

/// Neither HTTP responses nor WebSockets have a write timeout, so that a peer that stops
/// reading would hold its connection for ever. The kernel can time this, and connections
/// inherit it from their listener.
fn end_stalled_connections(listener: &TcpListener) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    SockRef::from(listener).set_tcp_user_timeout(Some(STALLED_FOR))?;
    Ok(())
}

fn read_only<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::get().to(handler.clone()))
        .route(web::head().to(handler))
}

async fn index() -> impl Responder {
    concat!(
        "fanfare ",
        env!("CARGO_PKG_VERSION"),
        " admin: /metrics (Prometheus), /stream (WebSocket of what passes, as `fanfare tail` \
         shows it; ?app= ?channel= ?event=), /health\n"
    )
}

async fn health() -> impl Responder {
    web::Json(serde_json::json!({ "status": "ok" }))
}

async fn metrics(request: HttpRequest, state: web::Data<AdminState>) -> impl Responder {
    let accept = request.headers().get_all(header::ACCEPT);
    let mut accept = accept.filter_map(|value| value.to_str().ok());
    let is_open = accept.any(|value| value.contains("application/openmetrics-text"));
    let (content_type, page) = if is_open {
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        (content_type, state.metrics.encode())
    } else {
        let content_type = "text/plain; version=0.0.4; charset=utf-8";
        (content_type, state.metrics.encode_plain())
    };
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, content_type))
        .body(page)
}

async fn not_found(request: HttpRequest) -> Result<HttpResponse, Refusal> {
    Err(Refusal::NotFound(request.path().to_owned()))
}

#[cfg(test)]
mod tests;
