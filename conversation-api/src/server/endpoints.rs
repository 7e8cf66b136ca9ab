//! The listeners, and what is wrapped around the routes.

use std::net::TcpListener;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::{Server, ServiceResponse};
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::web::Data;
use actix_web::{App, HttpServer, middleware};

use super::ServeError;
use crate::auth::attempts::Attempts;
use crate::auth::password::Passwords;
use crate::auth::sessions::Sessions;
use crate::http::{self, Bodies, Signing};
use crate::metrics::Metrics;
use crate::outbox::Wake;
use crate::settings::{Origins, Settings};
use crate::store::Store;

/// How long requests that are under way may take after the order to stop, in seconds.
const FINISH_REQUESTS: u64 = 20;
/// How long a connection is kept between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// What the endpoints are made of.
pub(super) struct Parts {
    pub(super) store: Store,
    pub(super) sessions: Sessions,
    pub(super) passwords: Passwords,
    pub(super) wake: Wake,
    pub(super) metrics: Metrics,
    pub(super) settings: Settings,
}

/// Serves the endpoints on a listener.
pub(super) fn endpoints(parts: Parts, listener: TcpListener) -> Result<Server, ServeError> {
    let address = listener.local_addr()?;
    let Parts {
        store,
        sessions,
        passwords,
        wake,
        metrics,
        settings,
    } = parts;
    let signing = Signing::new(settings.relay.as_ref());
    let store = Data::new(store);
    let sessions = Data::new(sessions);
    let passwords = Data::new(passwords);
    let attempts = Data::new(Attempts::default());
    let proxies = Data::new(settings.proxies.clone());
    let signing = Data::new(signing);
    let webhooks = Data::new(settings.webhooks.clone());
    let bodies = Data::new(Bodies::default());
    let wake = Data::new(wake);
    let server = HttpServer::new(move || {
        let metrics = metrics.clone();
        App::new()
            .app_data(store.clone())
            .app_data(sessions.clone())
            .app_data(passwords.clone())
            .app_data(attempts.clone())
            .app_data(proxies.clone())
            .app_data(signing.clone())
            .app_data(webhooks.clone())
            .app_data(bodies.clone())
            .app_data(wake.clone())
            .wrap(cors(&settings.origins))
            .wrap(DefaultHeaders::new().add(("X-Content-Type-Options", "nosniff")))
            .wrap(from_fn(move |request, next: middleware::Next<_>| {
                let metrics = metrics.clone();
                async move {
                    let method = actix_web::dev::ServiceRequest::method(&request).clone();
                    let response: ServiceResponse<_> = next.call(request).await?;
                    let route = response.request().match_pattern();
                    metrics.answered(route, method.as_str(), response.status().as_u16());
                    Ok(response)
                }
            }))
            .configure(|config| http::routes(&settings.page, config))
    });
    let server = server
        .disable_signals()
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .shutdown_timeout(FINISH_REQUESTS)
        .listen(listener)?
        .run();
    tracing::info!(listener = "public", %address, "listening");
    Ok(server)
}

/// Serves the metrics on a listener of their own.
pub(super) fn figures(
    listener: TcpListener,
    store: &Store,
    metrics: &Metrics,
) -> Result<Server, ServeError> {
    let address = listener.local_addr()?;
    let store = Data::new(store.clone());
    let metrics = Data::new(metrics.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(store.clone())
            .app_data(metrics.clone())
            .configure(http::figures::routes)
    });
    let server = server.workers(1).disable_signals().listen(listener)?.run();
    tracing::info!(listener = "metrics", %address, "listening");
    Ok(server)
}

fn cors(origins: &Origins) -> Cors {
    let cors = Cors::default()
        .allow_any_method()
        .allow_any_header()
        .max_age(3600);
    match origins {
        Origins::All => cors.allow_any_origin().send_wildcard(),
        Origins::These(origins) => origins
            .iter()
            .fold(cors, |cors, origin| cors.allowed_origin(origin)),
    }
}
