//! One request and its answer.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_http::Request;
use actix_service::Service;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use tokio::time::{Instant, sleep_until};

use super::convert;
use super::progress::{Ended, Progress};
use super::rest::Rest;
use super::sending::{Taken, send};
use super::settings::Settings;

/// A timer that goes off so much too late shows that the process stood still.
const STANDSTILL: Duration = Duration::from_secs(1);

/// A request that has come.
pub(super) struct Incoming {
    pub(super) request: http::Request<RecvStream>,
    pub(super) respond: SendResponse<Bytes>,
    pub(super) progress: Rc<Progress>,
}

impl Incoming {
    /// Has it answered.
    pub(super) async fn answer<S, B>(
        self,
        service: Rc<S>,
        settings: Rc<Settings>,
        peer: Option<SocketAddr>,
    ) -> (Rc<Progress>, Ended)
    where
        S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
        B: MessageBody,
    {
        let progress = Rc::clone(&self.progress);
        let ended = self.outcome(&*service, &settings, peer).await;
        (progress, ended.unwrap_or_else(|ended| ended))
    }

    async fn outcome<S, B>(
        self,
        service: &S,
        settings: &Settings,
        peer: Option<SocketAddr>,
    ) -> Result<Ended, Ended>
    where
        S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
        B: MessageBody,
    {
        let Self {
            request,
            mut respond,
            progress,
        } = self;
        let is_reset = poll_fn(|cx| Poll::Ready(respond.poll_reset(cx).is_ready()));
        if is_reset.await {
            return Err(Ended::Reset);
        }
        if request.method() == http::Method::CONNECT {
            let text = "nothing can be reached through the relay by CONNECT";
            return refuse(&mut respond, StatusCode::METHOD_NOT_ALLOWED, text);
        }
        let is_head = request.method() == http::Method::HEAD;
        let mut is_asked = asks_first(request.headers());
        let rest = Rest::default();
        let request = match convert::request(request, &rest, progress.mark.clone(), peer) {
            Ok(request) => request,
            Err(text) => return refuse(&mut respond, StatusCode::BAD_REQUEST, text),
        };
        let mut under_way = Some(settings.requests.enter());
        let called = service.call(request);
        let meanwhile = |respond: &mut SendResponse<Bytes>| {
            if is_asked && rest.is_wanted() {
                is_asked = false;
                // A client that is gone is noticed in another place.
                let _ = respond.send_informational(go_on());
            }
            let is_held = progress.mark.is_held();
            if is_held {
                // It ends when there is something to report.
                under_way = None;
                rest.drop_now();
            }
            is_held
        };
        let response = in_time(called, &mut respond, meanwhile, settings.waits.request).await?;
        let response = response.map_err(|_| Ended::Failed)?;
        if progress.mark.is_held() {
            under_way = None;
        }
        let (head, body) = response.into_parts().1.into_parts();
        let size = body.size();
        let ends = is_head || size.is_eof();
        let head = convert::response(head.head(), size);
        let sent = respond.send_response(head, ends);
        let mut stream = sent.map_err(|_| Ended::Reset)?;
        if !ends {
            let taken = Taken {
                progress: &progress,
                patience: settings.waits.write,
                timeouts: &settings.numbers.write_timeouts,
            };
            send(body, size, &mut stream, taken).await?;
        }
        drop(under_way);
        rest.let_go(&mut stream).await;
        Ok(Ended::Answered)
    }
}

/// Answers what the API is not asked.
fn refuse(
    respond: &mut SendResponse<Bytes>,
    status: StatusCode,
    text: &str,
) -> Result<Ended, Ended> {
    let (head, body) = convert::refusal(status, text);
    let sent = respond.send_response(head, false);
    let sent = sent.and_then(|mut stream| stream.send_data(body, true));
    sent.map_err(|_| Ended::Reset)?;
    Ok(Ended::Answered)
}

/// Whether the client waits to be told to send its body (RFC 9110, 10.1.1). It is told so when the body is read, and so
/// does not send one that is refused for its head.
fn asks_first(headers: &http::HeaderMap) -> bool {
    let mut expected = headers.get_all(http::header::EXPECT).into_iter();
    expected.any(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

fn go_on() -> http::Response<()> {
    let mut response = http::Response::new(());
    *response.status_mut() = http::StatusCode::CONTINUE;
    response
}

/// What the service answers, unless the client gives up or it takes too long, with the body of the request. What is
/// held may take as long as it likes: `meanwhile` says whether it is, whenever there may be something to do.
async fn in_time<T>(
    called: impl Future<Output = T>,
    respond: &mut SendResponse<Bytes>,
    mut meanwhile: impl FnMut(&mut SendResponse<Bytes>) -> bool,
    patience: Duration,
) -> Result<T, Ended> {
    let mut called = pin!(called);
    let mut timer = pin!(sleep_until(Instant::now() + patience));
    let mut was_renewed = false;
    let outcome = poll_fn(|cx| {
        if let Poll::Ready(answer) = called.as_mut().poll(cx) {
            return Poll::Ready(Ok(answer));
        }
        if respond.poll_reset(cx).is_ready() {
            return Poll::Ready(Err(Ended::Reset));
        }
        let is_held = meanwhile(respond);
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let stood_still = !was_renewed && now >= timer.deadline() + STANDSTILL;
            if !is_held && !stood_still {
                return Poll::Ready(Err(Ended::Failed));
            }
            was_renewed |= stood_still;
            timer.as_mut().reset(now + patience);
        }
        Poll::Pending
    });
    let outcome = outcome.await;
    if let Err(Ended::Failed) = outcome {
        respond.send_reset(Reason::CANCEL);
    }
    outcome
}
