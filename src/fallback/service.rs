//! The entry of every request.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use actix_http::header::{self, HeaderMap};
use actix_http::{StatusCode, Version};
use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use service::net::request_mark::RequestMark;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::answer::{self, Refusal};
use super::carried::Times;
use super::chunk;
use super::numbers::number;
use super::opening::{Carrying, Home, Opening};
use super::path::{Purpose, Target};
use super::pipe::{self, Reader};
use super::sessions::{Entry, Opened, Receiver, Sessions};
use super::upstream::{self, BodyError, Sent};
use crate::admission::{self, Admitted, Asker, ComesBack};
use crate::auth::request::Query;
use crate::hub::{AppHub, Fallback, Shard};
use crate::metrics::{ConnectionRefusal, FallbackTransport, Route, StatusClass};
use crate::net::budget::{Budget, Share};
use crate::net::mark;
use crate::net::tally::Tally;
use crate::protocol::CloseCode;
use crate::relay::Relay;
use crate::resume::Tokens;
use crate::resume::token::{self, Named};
use crate::session::{CloseReason, Timeouts};

/// Bytes of an Origin at most: a session keeps it. A page's is a scheme, a name of 253 characters and a port.
const LONGEST_ORIGIN: usize = 512;
/// How long a request with messages waits at most until they are handled.
const HANDLED_WITHIN: Duration = Duration::from_secs(10);

/// What holds for every connection that requests carry.
#[derive(Clone, Debug)]
pub struct FallbackSettings {
    /// What public paths begin with, or nothing; both are served.
    pub path_prefix: Box<str>,
    /// Whether there are any here.
    pub served: bool,
    /// The connections' timeouts.
    pub timeouts: Arc<Timeouts>,
    /// How long a connection may be without a request that carries it.
    pub alone: Duration,
}

/// Serves the fallback on one worker thread, where the connections that it opens live.
#[derive(Clone, Debug)]
pub struct FallbackService {
    /// What requests are done on.
    pub relay: Arc<Relay>,
    /// The worker's shard.
    pub shard: Shard,
    /// The sessions of all workers.
    pub sessions: Arc<Sessions>,
    /// The sessions that may outlive what carries them.
    pub tokens: Arc<Tokens>,
    /// The worker's requests under way, but for those that carry a connection.
    pub requests: Arc<Tally>,
    /// Bytes of bodies that may be on their way in all.
    pub bodies: Arc<Budget>,
    /// What holds for every connection.
    pub settings: FallbackSettings,
}

impl FallbackService {
    /// What a path asks of the fallback, if anything.
    pub fn target<'p>(&self, path: &'p str) -> Option<Target<'p>> {
        Target::of(path, &self.settings.path_prefix)
    }

    /// Answers a request.
    pub async fn serve(
        &self,
        target: Target<'_>,
        request: &HttpRequest,
        payload: web::Payload,
    ) -> HttpResponse {
        let response = match *request.method() {
            Method::OPTIONS => answer::preflight(),
            Method::POST => match target.purpose {
                Purpose::Receive(fallback) => {
                    if request.version() == Version::HTTP_2 {
                        // Else what is sent with it is kept for as long as it is held.
                        drop(payload);
                    }
                    self.receive(target, fallback, request).await
                }
                Purpose::Send => self.send(target, request, payload).await,
            },
            _ => answer::method_not_allowed(),
        };
        let class = StatusClass::from(response.status().as_u16());
        let requests = &self.relay.hub.metrics().process().http_requests;
        requests.with((Route::Fallback, class)).inc();
        response
    }

    async fn receive(
        &self,
        target: Target<'_>,
        fallback: Fallback,
        request: &HttpRequest,
    ) -> HttpResponse {
        let query = Query::parse(request.query_string());
        let entry = match self.find(&target) {
            Some(entry) => entry,
            None => match self.open(&target, fallback, &query, self.asker(request)) {
                Ok(entry) => entry,
                Err(refusal) => return refusal.into_response(),
            },
        };
        if let Err(refusal) = check(&entry, request.headers()) {
            return refusal.into_response();
        }
        if entry.fallback != fallback {
            let text = "the session was opened with the other transport\n";
            return answer::whole(StatusCode::CONFLICT, text);
        }
        let held = mark::of(request).as_ref().map(RequestMark::hold);
        let (writer, reader) = pipe::pipe();
        let receiver = Receiver {
            number: number(&query),
            writer,
        };
        if entry.receivers.try_send(receiver).is_err() {
            // More requests wait than a client makes, or the session has just ended.
            let text = "the session takes no more requests at a time\n";
            return answer::whole(StatusCode::TOO_MANY_REQUESTS, text);
        }
        // What was handed over just when the session ended is dropped with the last sender. Who waited with
        // one in hand would do so for ever.
        drop(entry);
        match fallback {
            Fallback::Streaming => answer::stream(reader, held, request.version()),
            Fallback::Polling => {
                let chunk = next(&reader).await;
                // Another request has taken its place.
                let chunk = chunk.unwrap_or_else(|| chunk::HEARTBEAT.into());
                answer::polled(chunk, reader, held)
            }
        }
    }

    async fn send(
        &self,
        target: Target<'_>,
        request: &HttpRequest,
        payload: web::Payload,
    ) -> HttpResponse {
        let _under_way = self.requests.enter();
        let mark = mark::of(request);
        let _handled = mark.as_ref().map(RequestMark::enter);
        let app = self.relay.hub.app_by_key(target.key);
        let (Some(app), Some(entry)) = (app, self.find(&target)) else {
            // The body of a stranger is not read.
            let text = "no such session: it has ended, or was opened on another node\n";
            return answer::whole(StatusCode::NOT_FOUND, text);
        };
        if let Err(refusal) = check(&entry, request.headers()) {
            return refusal.into_response();
        }
        let number = number(&Query::parse(request.query_string()));
        let headers = request.headers();
        self.take(&app, &entry, number, headers, payload, mark)
            .await
    }

    /// Hands on what was sent, and waits until it is handled.
    async fn take(
        &self,
        app: &AppHub,
        entry: &Entry,
        number: Option<u64>,
        headers: &HeaderMap,
        payload: web::Payload,
        mark: Option<RequestMark>,
    ) -> HttpResponse {
        let most = app.app.record().limits.message_bytes;
        let limit = upstream::largest_body(most);
        let declared = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse().ok());
        let read = upstream::read(payload, declared, mark, limit, &self.bodies).await;
        let messages = read.and_then(|(body, mut share)| {
            let messages = upstream::messages(&body, most)?;
            upstream::hold(&mut share, upstream::cost(&messages))?;
            Ok((messages, share))
        });
        // pusher-js looks at no answer: the page would never know that a message of its was not taken.
        let ends = |status, reason: CloseReason| {
            let answer = answer::whole(status, format!("{}\n", reason.text));
            (Err(reason), Share::of(&self.bodies), answer)
        };
        let (messages, share, answer) = match messages {
            Ok((messages, share)) => (Ok(messages), share, answer::taken()),
            Err(BodyError::Malformed(text)) => {
                return answer::whole(StatusCode::BAD_REQUEST, format!("{text}\n"));
            }
            Err(BodyError::TooLarge) => {
                ends(StatusCode::PAYLOAD_TOO_LARGE, upstream::too_large(most))
            }
            Err(BodyError::NoRoom) => ends(StatusCode::SERVICE_UNAVAILABLE, upstream::no_room()),
        };
        let (handled, is_handled) = oneshot::channel();
        let sent = Sent {
            messages,
            handled,
            share,
        };
        let handled = async {
            let place = entry.sent.reserve().await.map_err(drop)?;
            if number.is_some_and(|number| !entry.is_new(number)) {
                // It was made again on the way. What it sends is handled once.
                return Ok(());
            }
            place.send(sent);
            // It is when the other end is dropped, and nothing comes of it.
            let _ = is_handled.await;
            Ok(())
        };
        match timeout(HANDLED_WITHIN, handled).await {
            Err(_) => answer::whole(
                StatusCode::TOO_MANY_REQUESTS,
                "the connection sends more than it may (messages_per_second)\n",
            ),
            Ok(Err(())) => answer::whole(StatusCode::NOT_FOUND, "the session has ended\n"),
            Ok(Ok(())) => answer,
        }
    }

    /// The session, which is the app's.
    fn find(&self, target: &Target<'_>) -> Option<Arc<Entry>> {
        let app = self.relay.hub.app_by_key(target.key)?;
        self.sessions.find(&name(&app, target))
    }

    fn asker<'r>(&self, request: &'r HttpRequest) -> Asker<'r> {
        let headers = request.headers();
        Asker {
            address: self.relay.clients.address(request.peer_addr(), headers),
            headers,
        }
    }

    fn home(&self) -> Home {
        Home {
            relay: Arc::clone(&self.relay),
            shard: self.shard.clone(),
            tokens: Arc::clone(&self.tokens),
            timeouts: Arc::clone(&self.settings.timeouts),
        }
    }

    /// Opens a session as a connection is opened.
    fn open(
        &self,
        target: &Target<'_>,
        fallback: Fallback,
        query: &Query<'_>,
        asker: Asker<'_>,
    ) -> Result<Arc<Entry>, Refusal> {
        let settings = &self.settings;
        admission::check_node(&self.relay, settings.served)
            .map_err(|(status, text)| Refusal::new(status, format!("{text}\n")))?;
        let origin = origin(asker.headers);
        if origin.is_some_and(|origin| origin.len() > LONGEST_ORIGIN) {
            let text = format!("the Origin may have at most {LONGEST_ORIGIN} bytes\n");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, text));
        }
        let refuse = |reason| Refusal::new(StatusCode::OK, chunk::refusal(&reason));
        if let Named::Malformed = target.page {
            let refused = &self.relay.hub.metrics().process().connections_refused;
            refused.with(ConnectionRefusal::UnknownPath).inc();
            let reason = CloseReason::new(CloseCode::PathNotFound, token::EXPECTED);
            return Err(refuse(reason));
        }
        // A page whose name was made to stand for this machine is of the same origin, and may send none.
        if let Some(app) = self.relay.hub.app_by_key(target.key) {
            let host = asker.headers.get(header::HOST);
            let answers = app
                .app
                .record()
                .check_host(host.map(|host| host.as_bytes()));
            answers.map_err(|unknown| {
                Refusal::new(StatusCode::MISDIRECTED_REQUEST, format!("{unknown}\n"))
            })?;
        }
        // (One that comes back in vain could no longer be refused: its request is on its way.)
        let comes_back = |_: &AppHub| ComesBack::No;
        let admitted = admission::admit(&self.relay, Some(target.key), query, asker, comes_back)
            .map_err(refuse)?;
        let Admitted { permit, app, .. } = admitted;
        let (entry, inputs) = Entry::new(fallback, origin.map(Into::into));
        let listed = match self
            .sessions
            .open(&name(app.app(), target), Arc::clone(&entry))
        {
            Ok(Opened::New(listed)) => listed,
            Ok(Opened::Known(known)) => return Ok(known),
            Err(_full) => {
                let refused = &self.relay.hub.metrics().process().connections_refused;
                refused.with(ConnectionRefusal::Capacity).inc();
                return Err(refuse(CloseReason::new(
                    CloseCode::OverCapacity,
                    "the relay carries as many connections by HTTP as its limit on open files \
                     allows: try again later",
                )));
            }
        };
        app.app()
            .metrics
            .fallback_opened
            .with(label(fallback))
            .inc();
        let carrying = Carrying {
            fallback,
            client: asker.address,
            permit,
            inputs,
            listed,
            activity: settings.timeouts.activity,
            times: Times {
                alone: settings.alone,
                close: settings.timeouts.close,
            },
        };
        let opening = Opening { app, carrying };
        match target.page {
            Named::Token(token) if opening.app.app().app.record().resume.is_on() => {
                opening.begin_or_come_back(token.into(), &self.home());
            }
            Named::Token(_) | Named::No | Named::Malformed => opening.begin(&self.home()),
        }
        Ok(entry)
    }
}

fn label(fallback: Fallback) -> FallbackTransport {
    match fallback {
        Fallback::Streaming => FallbackTransport::Streaming,
        Fallback::Polling => FallbackTransport::Polling,
    }
}

/// A session's name among those of all apps.
fn name(app: &AppHub, target: &Target<'_>) -> String {
    format!("{}/{}", app.app.id, target.session)
}

fn origin(headers: &HeaderMap) -> Option<&[u8]> {
    Some(headers.get(header::ORIGIN)?.as_bytes())
}

/// Only the page that opened a session may go on with it.
fn check(entry: &Entry, headers: &HeaderMap) -> Result<(), Refusal> {
    if origin(headers) == entry.origin.as_deref() {
        Ok(())
    } else {
        Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "the session was opened by a page of another origin\n",
        ))
    }
}

async fn next(reader: &Reader) -> Option<bytes::Bytes> {
    poll_fn(|cx| reader.poll_next(cx)).await
}
