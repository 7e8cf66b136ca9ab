//! The listeners, and what is wrapped around the routes.

use std::net::TcpListener;
use std::thread::available_parallelism;

use actix_cors::Cors;
use actix_server::ServerBuilder;
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::middleware::{DefaultHeaders, from_fn};
use actix_web::web::Data;
use actix_web::{App, middleware};

use super::ServeError;
use super::connections::{self, Limits};
use crate::auth::attempts::Attempts;
use crate::auth::password::Passwords;
use crate::auth::sessions::Sessions;
use crate::http::{self, Bodies, OwnNumber, Signing};
use crate::metrics::Metrics;
use crate::outbox::Wake;
use crate::settings::{Origins, Settings};
use crate::store::Store;

/// How long requests that are under way may take after the order to stop, in seconds.
const FINISH_REQUESTS: u64 = 20;

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
pub(super) fn endpoints(
    parts: Parts,
    limits: Limits,
    listener: TcpListener,
) -> Result<Server, ServeError> {
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
    let number = settings.replies.as_ref();
    let number = number.map(|sender| sender.phone_number_id.as_str());
    let number = Data::new(OwnNumber::new(number));
    let bodies = Data::new(Bodies::default());
    let wake = Data::new(wake);
    let templates = Data::new(settings.templates.clone());
    let media = Data::new(settings.media.clone());
    let app = move || {
        let metrics = metrics.clone();
        App::new()
            .app_data(store.clone())
            .app_data(sessions.clone())
            .app_data(passwords.clone())
            .app_data(attempts.clone())
            .app_data(proxies.clone())
            .app_data(signing.clone())
            .app_data(webhooks.clone())
            .app_data(number.clone())
            .app_data(bodies.clone())
            .app_data(wake.clone())
            .app_data(templates.clone())
            .app_data(media.clone())
            .wrap(cors(&settings.origins))
            .wrap(DefaultHeaders::new().add(("X-Content-Type-Options", "nosniff")))
            .wrap(from_fn(move |mut request, next: middleware::Next<_>| {
                let metrics = metrics.clone();
                async move {
                    let _handled = connections::handled(&mut request);
                    let method = ServiceRequest::method(&request).clone();
                    let response: ServiceResponse<_> = next.call(request).await?;
                    let route = response.request().match_pattern();
                    metrics.answered(route, method.as_str(), response.status().as_u16());
                    Ok(response)
                }
            }))
            .configure(|config| http::routes(&settings.page, config))
    };
    let workers = available_parallelism().map_or(1, usize::from);
    let builder = ServerBuilder::new().shutdown_timeout(FINISH_REQUESTS);
    let server = connections::serve(builder, workers, listener, limits, app)?;
    tracing::info!(listener = "public", %address, "listening");
    Ok(server)
}

/// Serves the metrics on a listener of their own.
pub(super) fn figures(
    listener: TcpListener,
    store: &Store,
    metrics: &Metrics,
    limits: Limits,
) -> Result<Server, ServeError> {
    let address = listener.local_addr()?;
    let store = Data::new(store.clone());
    let metrics = Data::new(metrics.clone());
    let app = move || {
        App::new()
            .app_data(store.clone())
            .app_data(metrics.clone())
            .configure(http::figures::routes)
    };
    let server = connections::serve(ServerBuilder::new(), 1, listener, limits, app)?;
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
