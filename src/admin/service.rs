//! The entry of every request: who asks, for what, and the answer.

use std::sync::Arc;
use std::time::Instant;

use actix_http::ConnectionType;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use serde_json::{Value, json};

use super::audit::{Audit, What};
use super::body::Arriving;
use super::calls::{apps, channels, connections, doctor, events, node, settings, webhooks};
use super::doctor::Desk;
use super::gate::{Gate, Needs};
use super::history::History;
use super::query::Query;
use super::refusal::Refusal;
use super::routes::{self, Call, Found};
use super::state::AdminState;
use super::tokens::Role;
use super::turns::Turns;
use super::who::Who;
use super::{console, guard, openapi, stream};

/// Bytes of an app's settings at most.
const MOST_SETTINGS: usize = 256 << 10;

/// What serves the requests.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) state: AdminState,
    pub(super) gate: Gate,
    pub(super) history: Arc<History>,
    pub(super) doctor: Desk,
    pub(super) tests: Turns,
    pub(super) audit: Audit,
}

pub(super) async fn handle(
    service: web::Data<Service>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse {
    let arriving = Arriving::new(&request, payload);
    let (answer, is_stranger) = match service.admit(&request) {
        Ok((found, who)) => {
            let is_stranger = who.token.is_none();
            let answer = service.answer(&found, &who, &request, arriving).await;
            (answer, is_stranger)
        }
        Err(refusal) => (Err(refusal), true),
    };
    let mut response = answer.unwrap_or_else(|refusal| {
        if let Some(reason) = refusal.counts_as() {
            let metrics = service.state.relay.hub.metrics();
            metrics.process().admin_refused.with(reason).inc();
        }
        refusal.error_response()
    });
    if is_stranger && service.gate.is_locked() {
        // There are few connections: whoever has shown nothing keeps none of them from those who do.
        let head = response.head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    response
}

impl Service {
    /// What is asked for, and by whom, if they may.
    fn admit<'r>(&self, request: &'r HttpRequest) -> Result<(Found<'r>, Who), Refusal> {
        let (path, headers) = (request.uri().path(), request.headers());
        guard::check(headers, &self.state.names, path == "/")?;
        let found = routes::find(request.method().as_str(), path)?;
        let address = request.peer_addr().map(|peer| peer.ip());
        let needs = found.route.needs;
        let who = self.gate.admit(headers, address, needs, Instant::now())?;
        Ok((found, who))
    }

    async fn answer(
        &self,
        found: &Found<'_>,
        who: &Who,
        request: &HttpRequest,
        arriving: Arriving,
    ) -> Result<HttpResponse, Refusal> {
        if found.route.call == Call::Stream {
            // It has errors of its own for its query.
            let withdrawn = self.gate.withdrawn(who);
            return stream::stream(request, arriving, &self.state.relay.tap, withdrawn);
        }
        let query = Query::parse(found.route, request.query_string())?;
        let asks_for_secrets = found.route.call == Call::App && query.switch("secrets");
        let what = if found.route.needs == Needs::Write {
            What::Change
        } else if asks_for_secrets {
            What::Secrets
        } else {
            return self.call(found, &query, who, request, arriving).await;
        };
        let entry = self.audit.begin(what, who, request);
        let answer = self.call(found, &query, who, request, arriving).await;
        match &answer {
            Ok(response) => entry.done(response.status()),
            Err(refusal) => entry.refused(refusal),
        }
        answer
    }

    async fn call(
        &self,
        found: &Found<'_>,
        query: &Query,
        who: &Who,
        request: &HttpRequest,
        mut arriving: Arriving,
    ) -> Result<HttpResponse, Refusal> {
        let (relay, store) = (&self.state.relay, &self.state.apps);
        let said = match found.route.call {
            Call::Index => return console::page(request.headers()),
            Call::ConsoleFile => return console::file(found.value("file"), request.headers()),
            Call::Metrics => return Ok(self.metrics(request)),
            Call::Health => json!({ "status": "ok" }),
            Call::Document => openapi::document(),
            Call::WhoAmI => node::who_am_i(who, self.gate.is_locked()),
            Call::MakeTicket => self.ticket(who),
            Call::Apps => apps::list(relay, query),
            Call::App if query.switch("secrets") => self.app_with_secrets(found, who).await?,
            Call::App => apps::one(relay, found)?,
            Call::CreateApp => {
                let body = arriving.read(request.headers(), MOST_SETTINGS).await?;
                settings::create(store, &body).await?
            }
            Call::ChangeApp => {
                let body = arriving.read(request.headers(), MOST_SETTINGS).await?;
                settings::change(relay, store, found, &body).await?
            }
            Call::StoredApps => settings::list(store, query).await?,
            Call::RotateKeys => settings::rotate(relay, store, found).await?,
            Call::RemoveApp => {
                settings::remove(relay, store, found, query).await?;
                return Ok(HttpResponse::NoContent().finish());
            }
            Call::RemoveKey => {
                settings::remove_key(relay, store, found).await?;
                return Ok(HttpResponse::NoContent().finish());
            }
            Call::Channels => channels::list(relay, found, query).await?,
            Call::Channel => channels::one(relay, found).await?,
            Call::Members => channels::members(relay, found, query).await?,
            Call::Connections => connections::list(relay, found, query).await?,
            Call::Connection => connections::one(relay, found).await?,
            Call::CloseConnection => {
                connections::close_one(relay, found, query).await?;
                return Ok(HttpResponse::NoContent().finish());
            }
            Call::CloseUser | Call::CloseNamedUser => {
                connections::close_user(relay, found, query).await?;
                return Ok(HttpResponse::NoContent().finish());
            }
            Call::CloseApp => connections::close_all(relay, found, query)?,
            Call::SendEvent => {
                let most = events::most_bytes(relay, found)?;
                let body = arriving.read(request.headers(), most).await?;
                events::publish(relay, found, &body).await?
            }
            Call::Config => self.config(),
            Call::History => self.history.last(query.number("last")),
            Call::Webhooks => webhooks::list(relay, found)?,
            Call::TestWebhooks => {
                let of_webhooks = &self.state.relay_settings.webhooks;
                webhooks::test(relay, of_webhooks, &self.tests, found, query).await?
            }
            Call::Doctor => doctor::last(&self.doctor),
            Call::StartDoctor => {
                let body = arriving.read(request.headers(), doctor::MOST_BYTES).await?;
                doctor::start(&self.state, &self.doctor, found, who, &body)?
            }
            Call::StopDoctor => {
                self.doctor.stop();
                return Ok(HttpResponse::NoContent().finish());
            }
            Call::Nodes => node::nodes(&self.state).await?,
            Call::Drain => node::drain(&self.state),
            // It was answered before.
            Call::Stream => Value::Null,
        };
        let (status, _) = found.route.answer;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        Ok(HttpResponse::build(status).json(said))
    }

    async fn app_with_secrets(&self, found: &Found<'_>, who: &Who) -> Result<Value, Refusal> {
        if who.role < Role::Write {
            return Err(Refusal::ReadOnlyToken);
        }
        let mut app = apps::one(&self.state.relay, found)?;
        let (keys, webhooks) =
            settings::secrets(&self.state.relay, &self.state.apps, found).await?;
        app["keys"] = keys;
        app["webhook_settings"] = webhooks;
        Ok(app)
    }

    /// Tokens may be others than at the start.
    fn config(&self) -> Value {
        let mut config = self.state.config.json();
        if let Some(admin) = config.get_mut("admin") {
            admin["tokens"] = self.gate.shown();
        }
        config
    }

    fn ticket(&self, who: &Who) -> Value {
        let (ticket, holds_for) = self.gate.ticket_for(who, Instant::now());
        json!({ "ticket": ticket, "expires_in": holds_for.as_secs() })
    }

    fn metrics(&self, request: &HttpRequest) -> HttpResponse {
        let accept = request.headers().get_all(header::ACCEPT);
        let mut accept = accept.filter_map(|value| value.to_str().ok());
        let metrics = self.state.relay.hub.metrics();
        let is_open = accept.any(|value| value.contains("application/openmetrics-text"));
        let (content_type, page) = if is_open {
            let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            (content_type, metrics.encode())
        } else {
            let content_type = "text/plain; version=0.0.4; charset=utf-8";
            (content_type, metrics.encode_plain())
        };
        HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, content_type))
            .body(page)
    }
}
