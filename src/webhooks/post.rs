//! One request to a webhook: put together, signed, sent, judged.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use reqwest::{Client, Request, Response, Url};

use super::event::Event;
use crate::apps::Webhook;
use crate::auth::Signer;
use crate::metrics::WebhookOutcome;

/// How much of an answer is read, so that its connection can be used again.
const MOST_OF_ANSWER: usize = 64 << 10;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The webhook has taken it.
    Delivered,
    /// The webhook answered with a status that is none of success.
    Refused(StatusCode),
    /// It did not answer in time.
    TimedOut,
    /// It could not be reached, or broke off; with the system's error.
    Unreachable(String),
}

impl Outcome {
    /// Under which name the request is counted.
    pub(super) fn label(&self) -> WebhookOutcome {
        match self {
            Self::Delivered => WebhookOutcome::Ok,
            Self::Refused(_) => WebhookOutcome::Refused,
            Self::TimedOut => WebhookOutcome::Timeout,
            Self::Unreachable(_) => WebhookOutcome::Unreachable,
        }
    }
}

/// For the operator; without anything that may be secret.
impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Delivered => f.write_str("delivered"),
            Self::Refused(status) => write!(f, "it answered {status}"),
            Self::TimedOut => f.write_str("it did not answer in time"),
            Self::Unreachable(reason) => f.write_str(reason),
        }
    }
}

/// What every request to one webhook has in common. (It does not print: URL and headers may be
/// secrets.)
pub(super) struct Poster {
    client: Client,
    url: Url,
    headers: HeaderMap,
    signer: Signer,
    timeout: Duration,
}

impl Poster {
    /// Posts to the webhook, signed with this pair.
    pub(super) fn new(
        client: Client,
        webhook: &Webhook,
        signer: Signer,
        timeout: Duration,
    ) -> Self {
        let mut headers = webhook.headers.clone();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        let key = HeaderValue::from_str(signer.key());
        let key = key.expect("a key is of characters that may stand in a URL");
        headers.insert("x-pusher-key", key);
        let mut url = webhook.url.secret().clone();
        if let Some(credentials) = take_credentials(&mut url) {
            headers.entry(header::AUTHORIZATION).or_insert(credentials);
        }
        Self {
            client,
            url,
            headers,
            signer,
            timeout,
        }
    }

    /// Posts the events and waits for the outcome.
    pub(super) async fn post(&self, events: &[Event]) -> Outcome {
        match self.answer(events).await {
            Ok(status) if status.is_success() => Outcome::Delivered,
            Ok(status) => Outcome::Refused(status),
            Err(outcome) => outcome,
        }
    }

    /// Posts the events and waits for what is answered; the error is that nothing was.
    pub(super) async fn answer(&self, events: &[Event]) -> Result<StatusCode, Outcome> {
        match self.client.execute(self.request(events)).await {
            Ok(response) => Ok(read(response).await),
            Err(error) if error.is_timeout() => Err(Outcome::TimedOut),
            Err(error) => Err(Outcome::Unreachable(reason(error))),
        }
    }

    /// The request as it goes out now, which is the same however often and however late the same events are sent.
    fn request(&self, events: &[Event]) -> Request {
        let body = body(events);
        let signature = HeaderValue::from_str(&self.signer.sign(&[&body]));
        let signature = signature.expect("hex may stand in a header");
        let ids = HeaderValue::from_str(&ids(events)).expect("ids are ASCII");

        let mut request = Request::new(Method::POST, self.url.clone());
        *request.timeout_mut() = Some(self.timeout);
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        headers.insert("x-pusher-signature", signature);
        headers.insert("x-fanfare-event-id", ids);
        *request.body_mut() = Some(body.into());
        request
    }
}

/// The `Authorization` that a URL's user and password stand for.
fn take_credentials(url: &mut Url) -> Option<HeaderValue> {
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let user = decoded(url.username());
    let password = decoded(url.password().unwrap_or_default());
    if user.is_empty() && password.is_empty() {
        return None;
    }
    let pair = BASE64.encode([user, password].join(&b':'));
    // (An http URL takes both.)
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let mut value = HeaderValue::from_str(&format!("Basic {pair}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Source: Pusher Channels, "Webhooks": `{"time_ms":…,"events":[…]}`. The time is when the webhook was created, which shows
/// whether it comes late: that of the oldest event.
fn body(events: &[Event]) -> Bytes {
    let created = events.iter().map(|event| event.at.wall).min();
    let created = created.unwrap_or_else(SystemTime::now);
    let since_1970 = created.duration_since(UNIX_EPOCH).unwrap_or_default();
    let size: usize = events.iter().map(|event| event.json.len() + 1).sum();
    let mut body = BytesMut::with_capacity(48 + size);
    write!(body, r#"{{"time_ms":{},"events":["#, since_1970.as_millis())
        .expect("writing to a buffer that grows cannot fail");
    for (index, event) in events.iter().enumerate() {
        if index > 0 {
            body.put_u8(b',');
        }
        body.extend_from_slice(event.json.as_bytes());
    }
    body.extend_from_slice(b"]}");
    body.freeze()
}

fn ids(events: &[Event]) -> String {
    let ids: Vec<String> = events.iter().map(|event| event.id.to_string()).collect();
    ids.join(", ")
}

/// A status of success means that the events were taken. The rest of the answer is read only for
/// the sake of its connection.
async fn read(mut response: Response) -> StatusCode {
    let status = response.status();
    let mut left = MOST_OF_ANSWER;
    while let Ok(Some(chunk)) = response.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => break,
        }
    }
    status
}

/// The innermost cause: those around it repeat themselves, and the outermost names the URL.
fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    printable(&cause.to_string())
}

/// Part of it may be the endpoint's own words: kept short, and on one line.
fn printable(reason: &str) -> String {
    const MOST: usize = 200;
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    reason.chars().take(MOST).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::super::event::Numbers;
    use super::*;
    use crate::protocol::ChannelName;

    #[test]
    fn the_user_of_a_url_becomes_a_header() {
        let mut url = Url::parse("https://aladdin:open%20sesame@example.com/x").unwrap();
        let header = take_credentials(&mut url).unwrap();
        assert_eq!(header, "Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(url.as_str(), "https://example.com/x");
        assert_eq!(take_credentials(&mut url), None);
    }

    #[test]
    fn what_an_endpoint_answers_is_cut_and_flattened() {
        assert_eq!(printable("a\nb\u{1b}[0m"), "a b [0m");
        assert_eq!(printable(&"ü".repeat(20_000)).chars().count(), 200);
    }

    #[test]
    fn the_body_holds_the_time_of_the_oldest_and_the_events_in_order() {
        let numbers = Numbers::new();
        let channel = ChannelName::parse("a", 164).unwrap();
        let events = [1, 2].map(|n: u64| {
            let mut event = numbers.event(&channel, format!(r#"{{"n":{n}}}"#).into());
            event.at.wall = UNIX_EPOCH + Duration::from_millis(1_700_000_000_122 + n);
            event
        });
        assert_eq!(
            body(&events),
            r#"{"time_ms":1700000000123,"events":[{"n":1},{"n":2}]}"#
        );
        let ids = ids(&events);
        let (first, second) = ids.split_once(", ").unwrap();
        assert!(first.ends_with("-1") && second.ends_with("-2"));
        assert_eq!(first[..16], second[..16]);
    }
}
