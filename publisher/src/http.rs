//! HTTP: one pooled client, and what answers mean.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Request, Response, StatusCode, Url};

use crate::{Error, Invalid, refusal, tls};

/// How long a connection is kept that nothing is sent over.
const KEEP_IDLE: Duration = Duration::from_secs(60);
/// Bytes of an answer that are read.
const MOST_OF_ANSWER: usize = 64 << 20;

/// A client that keeps its connections. Proxies of the environment are not used and redirects not
/// followed: what is signed goes to the server that it was signed for.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client,
    timeout: Duration,
}

/// How a server is spoken to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings<'a> {
    /// With TLS, and only so.
    pub(crate) tls: bool,
    /// What is trusted beside what the system trusts, in PEM.
    pub(crate) ca_certificates: Option<&'a [u8]>,
    /// For making a connection.
    pub(crate) connect_timeout: Duration,
    /// For the whole of a request.
    pub(crate) timeout: Duration,
}

impl Http {
    /// A client with these settings; an error names the one that is wrong.
    pub(crate) fn new(settings: Settings<'_>) -> Result<Self, Invalid> {
        tls::choose_provider();
        let builder = Client::builder()
            .user_agent(concat!("fanfare-publisher/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .tcp_nodelay(true)
            .pool_idle_timeout(KEEP_IDLE)
            .connect_timeout(settings.connect_timeout);
        let more = settings.ca_certificates.map(tls::certificates);
        let more = more.transpose()?.unwrap_or_default();
        let builder = if settings.tls {
            builder.https_only(true).tls_certs_merge(more)
        } else {
            // Machines without certificates to trust can publish in plain text, too.
            builder.tls_certs_only([])
        };
        let client = builder
            .build()
            .map_err(|error| Invalid::new("scheme", reason(&error)))?;
        let timeout = settings.timeout;
        Ok(Self { client, timeout })
    }

    /// Sends a request, within the time that is left for it, and returns the body of an answer of
    /// success.
    pub(crate) async fn send(
        &self,
        mut request: Request,
        time_left: Duration,
    ) -> Result<Bytes, Error> {
        *request.timeout_mut() = Some(self.timeout.min(time_left));
        let mut response = self.client.execute(request).await.map_err(no_answer)?;
        let body = read(&mut response).await?;
        judge(response.status(), response.headers(), body)
    }
}

async fn read(response: &mut Response) -> Result<Bytes, Error> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
        if body.len() + chunk.len() > MOST_OF_ANSWER {
            return Err(Error::Rejected {
                status: Some(response.status().as_u16()),
                message: format!("the answer is longer than {MOST_OF_ANSWER} bytes"),
            });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Source: Pusher Channels HTTP API, "HTTP keep-alive and errors", and RFC 9110.
fn judge(status: StatusCode, headers: &HeaderMap, body: Bytes) -> Result<Bytes, Error> {
    if status.is_success() {
        return Ok(body);
    }
    let message = words(status, &body);
    Err(match status {
        StatusCode::UNAUTHORIZED => Error::Unauthorized { message },
        StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge { message },
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Error::Unavailable {
            retry_after: retry_after(headers, SystemTime::now()),
            message: format!("status {}: {message}", status.as_u16()),
        },
        _ if status.is_redirection() => Error::Unavailable {
            retry_after: retry_after(headers, SystemTime::now()),
            message: format!(
                "status {}: the server points to {} (redirects are not followed: check host, port and scheme)",
                status.as_u16(),
                pointed_to(headers),
            ),
        },
        _ if status.is_server_error() => Error::Unavailable {
            retry_after: retry_after(headers, SystemTime::now()),
            message: format!("status {}: {message}", status.as_u16()),
        },
        _ => Error::Rejected {
            status: Some(status.as_u16()),
            message,
        },
    })
}

/// The server's words, or what its status stands for.
fn words(status: StatusCode, body: &[u8]) -> String {
    refusal::sentence(body).unwrap_or_else(|| {
        let reason = status.canonical_reason();
        reason.unwrap_or("no reason given").to_owned()
    })
}

/// Where a redirect leads, without its query, which repeats a signature, and without passwords.
fn pointed_to(headers: &HeaderMap) -> String {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let Some(location) = location else {
        return "nowhere".into();
    };
    let place = match Url::parse(location) {
        Ok(url) => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        Err(_) => location.split(['?', '#']).next().unwrap_or_default().into(),
    };
    refusal::in_one_line(&place)
}

/// In seconds, or as a date. Source: RFC 9110, section 10.2.3.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

fn no_answer(error: reqwest::Error) -> Error {
    Error::unavailable(if error.is_timeout() {
        "there was no answer in time".into()
    } else {
        reason(&error)
    })
}

/// The innermost cause: those around it repeat themselves, and the outermost names the URL.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(
        status: u16,
        headers: &[(&'static str, &str)],
        body: &'static str,
    ) -> Result<Bytes, Error> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        judge(StatusCode::from_u16(status).unwrap(), &map, body.into())
    }

    #[test]
    fn statuses_become_what_the_caller_can_do() {
        let message = || "words".to_owned();
        assert_eq!(judged(200, &[], "{}"), Ok("{}".into()));
        assert_eq!(
            judged(401, &[], "words"),
            Err(Error::Unauthorized { message: message() })
        );
        assert_eq!(
            judged(413, &[], " words\n"),
            Err(Error::TooLarge { message: message() })
        );
        for status in [400, 403, 404, 405, 409] {
            let rejected = Error::Rejected {
                status: Some(status),
                message: message(),
            };
            assert_eq!(judged(status, &[], "words"), Err(rejected));
        }
        for status in [301, 302, 307, 308, 408, 429, 500, 502, 503, 504] {
            let error = judged(status, &[("retry-after", "7")], "").unwrap_err();
            assert!(error.can_retry(), "{error}");
            assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{error}");
            assert!(error.to_string().contains(&status.to_string()), "{error}");
        }
    }

    #[test]
    fn a_redirect_names_where_it_leads_and_no_signature() {
        let leads_to = |location| {
            judged(301, &[("location", location)], "")
                .unwrap_err()
                .to_string()
        };
        for (location, place) in [
            (
                "https://relay.example/apps/1/events?auth_signature=hidden",
                "https://relay.example/apps/1/events",
            ),
            (
                "https://user:hidden@relay.example/",
                "https://relay.example/",
            ),
            ("/elsewhere?auth_signature=hidden", "/elsewhere"),
        ] {
            let error = leads_to(location);
            assert!(error.contains(&format!("points to {place} (")), "{error}");
            assert!(!error.contains("hidden"), "{error}");
        }
        let error = judged(304, &[], "").unwrap_err();
        assert!(error.to_string().contains("points to nowhere"), "{error}");
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let now = httpdate::parse_http_date("Fri, 31 Dec 1999 23:59:00 GMT").unwrap();
        let delay = |value: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            retry_after(&headers, now).map(|delay| delay.as_secs())
        };
        assert_eq!(delay("120"), Some(120));
        assert_eq!(delay("Fri, 31 Dec 1999 23:59:59 GMT"), Some(59));
        assert_eq!(delay("Fri, 31 Dec 1999 23:00:00 GMT"), Some(0));
        assert_eq!(delay("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_refusal_without_words_is_explained_by_its_status() {
        let message = |status, body| judged(status, &[], body).unwrap_err().to_string();
        assert_eq!(message(404, "\n"), "refused with status 404: Not Found");
        assert_eq!(message(404, "<html>"), "refused with status 404: Not Found");
        assert_eq!(message(599, ""), "unavailable: status 599: no reason given");
    }
}
