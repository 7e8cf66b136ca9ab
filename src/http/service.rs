//! The entry of every request.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::header::HeaderMap;
use actix_web::http::{ConnectionType, Method, StatusCode, Version};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use service::net::request_mark::RequestMark;

use super::answer::{Answer, refuse, respond, show_limit};
use super::body::Body;
use super::error::ApiError;
use super::route::{AppRoute, Route};
use super::verified::{Claim, Head, Verified};
use super::{channels, health, pages, publish, refused, users};
use crate::acme;
use crate::fallback::FallbackService;
use crate::hub::{AppHub, Knowledge};
use crate::metrics::{self, RequestLimit};
use crate::net::budget::Budget;
use crate::net::mark;
use crate::net::rate::{Empty, Left};
use crate::net::tally::Tally;
use crate::relay::Relay;
use crate::resume::token;
use crate::tap::{Kind, TapEvent};

/// What holds for every request.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// What public paths begin with, or nothing; both are served.
    pub path_prefix: Box<str>,
}

/// The HTTP API on one worker thread.
#[derive(Clone, Debug)]
pub struct Api {
    /// What requests are done on.
    pub relay: Arc<Relay>,
    /// The worker's requests under way.
    pub requests: Arc<Tally>,
    /// Bytes of bodies that may be on their way in all.
    pub bodies: Arc<Budget>,
    /// Who serves clients of the HTTP fallback, if anybody does.
    pub fallback: Option<FallbackService>,
    /// What is shown of a certificate that is ordered, if one is.
    pub acme: Option<acme::Shown>,
    /// What holds for every request.
    pub settings: ApiSettings,
}

/// Serves the API and the health checks on an actix-web App.
pub fn configure(config: &mut ServiceConfig, api: Api) {
    config
        .app_data(web::Data::new(api))
        .default_service(web::to(handle));
}

async fn handle(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let path = request.uri().path();
    let route = Route::of(path, &api.settings.path_prefix);
    // Looked at first: these may wait for long.
    if route.is_err()
        && let Some(fallback) = &api.fallback
        && let Some(target) = fallback.target(path)
    {
        return fallback.serve(target, &request, payload).await;
    }
    let _under_way = api.requests.enter();
    let mark = mark::of(&request);
    let _handled = mark.as_ref().map(RequestMark::enter);
    let mut body = Body::new(&request, payload, mark, &api.bodies);
    let label = route.as_ref().map_or(metrics::Route::Other, Route::label);
    let (mut left, mut seen) = (None, Vec::new());
    let outcome = match route {
        Ok(route) => {
            let answer = api.answer(&request, &route, &mut body, &mut left, &mut seen);
            answer.await
        }
        Err(error) => Err(error),
    };
    let is_limited = matches!(&outcome, Err(error) if error.limited.is_some());
    let mut response = match outcome {
        Ok(answer) => respond(answer),
        Err(error) => {
            if seen.is_empty() && api.wants_to_know(label) {
                let unread = body.read_refused(refused::MOST_BYTES).await;
                seen = unread
                    .map(|body| refused::channels(&body))
                    .unwrap_or_default();
            }
            if request.version() != Version::HTTP_2 {
                body.skip().await;
            }
            api.note(&request, label, &error, &seen);
            refuse(error)
        }
    };
    if let (Some(left), false) = (left, is_limited) {
        show_limit(&mut response, left);
    }
    if api.relay.hub.is_draining() {
        // The caller's next request had better go to another node.
        response
            .head_mut()
            .set_connection_type(ConnectionType::Close);
    }
    let class = metrics::StatusClass::from(response.status().as_u16());
    let requests = &api.relay.hub.metrics().process().http_requests;
    requests.with((label, class)).inc();
    response
}

/// The answer to a request of an app that is not found: it may be in the database while that cannot be read.
fn unknown_app(knowledge: Knowledge) -> ApiError {
    match knowledge {
        Knowledge::All => ApiError::not_found("no app has this id"),
        Knowledge::NotYet | Knowledge::Away => ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no app is known that has this id, and the database of apps cannot be read at the moment: try again later",
        ),
    }
}

impl Api {
    async fn answer(
        &self,
        request: &HttpRequest,
        route: &Route<'_>,
        body: &mut Body,
        left: &mut Option<Left>,
        seen: &mut Vec<String>,
    ) -> Result<Answer, ApiError> {
        route.check_method(request.method())?;
        if request.method() == Method::OPTIONS {
            return Ok(Answer::Methods(route.methods()));
        }
        let (hub, label) = (&self.relay.hub, route.label());
        let (app_id, route) = match route {
            Route::Root => return Ok(health::root()),
            Route::Alive => return Ok(health::alive()),
            Route::Ready => return Ok(health::ready(&self.relay, self.acme.as_ref())),
            Route::AcmeChallenge(token) => return self.prove(token),
            Route::App(app_id, route) => (app_id, route),
        };
        // Before anything that costs more: whoever asks may be a stranger.
        self.limit_address(request, left)?;
        let app = hub
            .app(app_id)
            .ok_or_else(|| unknown_app(hub.apps().knowledge()))?;
        let largest = {
            let record = app.app.record();
            if !record.enabled {
                return Err(ApiError::new(StatusCode::FORBIDDEN, "the app is disabled"));
            }
            pages::keep_out(&record, request.headers())?;
            record.limits.http_body_bytes
        };
        body.check_announced(largest)?;
        let head = Head {
            method: request.method().as_str(),
            path: request.uri().path(),
            query: request.query_string(),
            has_body: body.is_announced(),
        };
        let claim = Claim::check(&app, head, &self.settings.path_prefix)?;
        // Behind the signature: strangers use up nothing of the app's.
        self.limit_app(&app, left)?;
        let body = body.read(largest).await?;
        let headers = request.headers();
        let answer = match claim.with_body(&body) {
            Ok(request) => self.call(route, &request, headers).await,
            Err(error) => Err(error),
        };
        if answer.is_err() && self.wants_to_know(label) {
            *seen = refused::channels(&body);
        }
        answer
    }

    /// Whether somebody looks at what is published, and it is.
    fn wants_to_know(&self, label: metrics::Route) -> bool {
        let is_publish = matches!(label, metrics::Route::Events | metrics::Route::BatchEvents);
        is_publish && self.relay.tap.watched()
    }

    fn limit_address(
        &self,
        request: &HttpRequest,
        left: &mut Option<Left>,
    ) -> Result<(), ApiError> {
        let clients = &self.relay.clients;
        if !clients.limit_requests() {
            return Ok(());
        }
        let client = clients.address(request.peer_addr(), request.headers());
        match clients.request(client, Instant::now()) {
            None => Ok(()),
            Some(taken) => self.limit(taken, RequestLimit::Address, left),
        }
    }

    fn limit_app(&self, app: &AppHub, left: &mut Option<Left>) -> Result<(), ApiError> {
        match &*app.requests() {
            None => Ok(()),
            Some(bucket) => self.limit(bucket.take(Instant::now()), RequestLimit::App, left),
        }
    }

    /// Refuses what a limit does not allow, and remembers which limit is nearest.
    fn limit(
        &self,
        taken: Result<Left, Empty>,
        of: RequestLimit,
        left: &mut Option<Left>,
    ) -> Result<(), ApiError> {
        match taken {
            Ok(now_left) => {
                let is_nearer = left.is_none_or(|left| now_left.remaining < left.remaining);
                if is_nearer {
                    *left = Some(now_left);
                }
                Ok(())
            }
            Err(empty) => {
                let metrics = self.relay.hub.metrics();
                metrics.process().http_requests_limited.with(of).inc();
                let key = match of {
                    RequestLimit::App => "requests_per_second",
                    RequestLimit::Address => "server.requests_per_address",
                };
                Err(ApiError::too_many(empty, key))
            }
        }
    }

    fn prove(&self, token: &str) -> Result<Answer, ApiError> {
        let answer = self.acme.as_ref().and_then(|acme| acme.answer(token));
        answer
            .map(Answer::Proof)
            .ok_or_else(|| ApiError::not_found("nobody expects to be asked for this token"))
    }

    async fn call(
        &self,
        route: &AppRoute<'_>,
        request: &Verified<'_>,
        headers: &HeaderMap,
    ) -> Result<Answer, ApiError> {
        match route {
            AppRoute::Events => publish::events(&self.relay, request, headers).await,
            AppRoute::BatchEvents => publish::batch_events(&self.relay, request, headers).await,
            AppRoute::Channels => channels::list(&self.relay, request).await,
            AppRoute::Channel(name) => channels::one(&self.relay, request, name).await,
            AppRoute::ChannelUsers(name) => channels::members(&self.relay, request, name).await,
            AppRoute::TerminateConnections(user_id) => {
                users::terminate_connections(&self.relay, request, user_id).await
            }
            AppRoute::ForceReconnect(user_id) => {
                users::force_reconnect(&self.relay, request, user_id).await
            }
        }
    }

    /// Lets the operator see a refusal: a caller's mistake is no error of the relay.
    fn note(
        &self,
        request: &HttpRequest,
        label: metrics::Route,
        error: &ApiError,
        channels: &[String],
    ) {
        let path = request.uri().path();
        let (status, message) = (error.status.as_u16(), &*error.message);
        let client = self
            .relay
            .clients
            .address(request.peer_addr(), request.headers());
        let address = client.map(tracing::field::display);
        tracing::debug!(status, path = token::hidden(path), address, "{message}");
        let app_id = path
            .split("/apps/")
            .nth(1)
            .and_then(|rest| rest.split('/').next());
        let app = app_id.and_then(|id| self.relay.hub.app(id));
        if let (Some(app), metrics::Route::Events | metrics::Route::BatchEvents) = (&app, label) {
            app.metrics.publishes_refused.with(error.as_refusal()).inc();
        }
        let show = |channel: Option<&str>| {
            self.relay.tap.emit(|| TapEvent {
                app: app.as_ref().map(|app| &*app.app.id),
                channel,
                code: Some(status),
                message: Some(message),
                address: client,
                ..TapEvent::new(Kind::Error)
            });
        };
        if channels.is_empty() {
            return show(None);
        }
        channels.iter().for_each(|channel| show(Some(channel)));
    }
}
