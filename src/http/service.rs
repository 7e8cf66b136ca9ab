//! The entry of every request.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use service::net::request_mark::RequestMark;

use super::body::Body;
use super::error::ApiError;
use super::route::{AppRoute, Route};
use super::verified::{Claim, Head, Verified};
use super::{channels, health, pages, publish, users};
use crate::metrics;
use crate::net::budget::Budget;
use crate::net::tally::Tally;
use crate::relay::Relay;
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
    /// What holds for every request.
    pub settings: ApiSettings,
}

/// What an answer says.
#[derive(Debug)]
pub(super) enum Answer {
    /// `{}`
    Empty,
    /// Any other JSON.
    Json(StatusCode, serde_json::Value),
    /// 200 with JSON that is written already.
    Written(Bytes),
    /// 204 with the methods that the path is served with. It allows no page of another origin
    /// anything.
    Methods(&'static str),
    /// 200, as the first request with the same idempotency key is or was answered.
    Remembered {
        /// JSON.
        body: Bytes,
        /// Whether it was an earlier request that published.
        replayed: bool,
    },
}

impl Answer {
    /// 200 with this JSON.
    pub(super) fn ok(value: serde_json::Value) -> Self {
        Self::Json(StatusCode::OK, value)
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Json(status, _) => *status,
            Self::Methods(_) => StatusCode::NO_CONTENT,
            Self::Empty | Self::Written(_) | Self::Remembered { .. } => StatusCode::OK,
        }
    }

    /// Its JSON. `{}`, which it nearly always is after a publish, is not allocated.
    pub(super) fn into_body(self) -> Bytes {
        match self {
            Self::Empty => Bytes::from_static(b"{}"),
            Self::Methods(_) => Bytes::new(),
            Self::Json(_, value) => value.to_string().into(),
            Self::Written(body) | Self::Remembered { body, .. } => body,
        }
    }
}

/// Serves the API and the health checks on an actix-web App.
pub fn configure(config: &mut ServiceConfig, api: Api) {
    config
        .app_data(web::Data::new(api))
        .default_service(web::to(handle));
}

async fn handle(api: web::Data<Api>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let _under_way = api.requests.enter();
    let mark = request.conn_data::<RequestMark>();
    let _handled = mark.map(RequestMark::enter);
    let mut body = Body::new(&request, payload, mark.cloned(), &api.bodies);
    let path = request.uri().path();
    let route = Route::of(path, &api.settings.path_prefix);
    let label = route.as_ref().map_or(metrics::Route::Other, Route::label);
    let outcome = match route {
        Ok(route) => api.answer(&request, &route, &mut body).await,
        Err(error) => Err(error),
    };
    let response = match outcome {
        Ok(answer) => respond(answer),
        Err(error) => {
            body.skip().await;
            api.note(&request, label, &error);
            refuse(error)
        }
    };
    let mut response = response;
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

impl Api {
    async fn answer(
        &self,
        request: &HttpRequest,
        route: &Route<'_>,
        body: &mut Body,
    ) -> Result<Answer, ApiError> {
        route.check_method(request.method())?;
        if request.method() == Method::OPTIONS {
            return Ok(Answer::Methods(route.methods()));
        }
        let hub = &self.relay.hub;
        let (app_id, route) = match route {
            Route::Root => return Ok(health::root()),
            Route::Alive => return Ok(health::alive()),
            Route::Ready => return Ok(health::ready(hub)),
            Route::App(app_id, route) => (app_id, route),
        };
        let app = hub
            .app(app_id)
            .ok_or_else(|| ApiError::not_found("no app has this id"))?;
        if !app.app.enabled {
            return Err(ApiError::new(StatusCode::FORBIDDEN, "the app is disabled"));
        }
        pages::keep_out(&app.app, request.headers())?;
        let largest = app.app.limits.http_body_bytes;
        body.check_announced(largest)?;
        let head = Head {
            method: request.method().as_str(),
            path: request.uri().path(),
            query: request.query_string(),
            has_body: body.is_announced(),
        };
        let claim = Claim::check(app, head, &self.settings.path_prefix)?;
        let body = body.read(largest).await?;
        let headers = request.headers();
        let request = claim.with_body(&body)?;
        self.call(route, &request, headers).await
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
            AppRoute::Channels => channels::list(request).await,
            AppRoute::Channel(name) => channels::one(request, name).await,
            AppRoute::ChannelUsers(name) => channels::members(request, name).await,
            AppRoute::TerminateConnections(user_id) => {
                users::terminate_connections(&self.relay, request, user_id).await
            }
            AppRoute::ForceReconnect(user_id) => {
                users::force_reconnect(&self.relay, request, user_id).await
            }
        }
    }

    /// Lets the operator see a refusal: a caller's mistake is no error of the relay.
    fn note(&self, request: &HttpRequest, label: metrics::Route, error: &ApiError) {
        let path = request.uri().path();
        let (status, message) = (error.status.as_u16(), &*error.message);
        tracing::debug!(status, path, "{message}");
        let app_id = path
            .split("/apps/")
            .nth(1)
            .and_then(|rest| rest.split('/').next());
        let app = app_id.and_then(|id| self.relay.hub.app(id));
        if let (Some(app), metrics::Route::Events | metrics::Route::BatchEvents) = (app, label) {
            app.metrics.publishes_refused.with(error.as_refusal()).inc();
        }
        self.relay.tap.emit(|| TapEvent {
            app: app.map(|app| &*app.app.id),
            code: Some(status),
            message: Some(message),
            ..TapEvent::new(Kind::Error)
        });
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

fn respond(answer: Answer) -> HttpResponse {
    if let Answer::Methods(methods) = answer {
        let allow = (header::ALLOW, HeaderValue::from_static(methods));
        return HttpResponse::NoContent().insert_header(allow).finish();
    }
    let replayed = matches!(answer, Answer::Remembered { replayed: true, .. });
    let response = HttpResponse::with_body(answer.status(), answer.into_body());
    let mut response = with_headers(response.map_into_boxed_body());
    if replayed {
        let yes = HeaderValue::from_static("true");
        response.headers_mut().insert(REPLAYED, yes);
    }
    response
}

fn refuse(error: ApiError) -> HttpResponse {
    let body = serde_json::json!({ "error": error.message, "status": error.status.as_u16() });
    let response = HttpResponse::with_body(error.status, body.to_string());
    let mut response = with_headers(response.map_into_boxed_body());
    if let Some(allow) = error.allow {
        let allow = HeaderValue::from_static(allow);
        response.headers_mut().insert(header::ALLOW, allow);
    }
    if error.status == StatusCode::UPGRADE_REQUIRED {
        let websocket = HeaderValue::from_static("websocket");
        response.headers_mut().insert(header::UPGRADE, websocket);
    }
    if error.status == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

fn with_headers(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    response
}
