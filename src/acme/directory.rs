//! Requests to a directory, over HTTPS. What it answers is bounded, in bytes and in time.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use parking_lot::Mutex;
use reqwest::{Certificate, Client};

use super::clock::{self, WrongClock};

/// Longer than any chain of certificates, and than any description of an order.
const LARGEST_ANSWER: usize = 256 << 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// What is kept of how long a directory wants to be left alone: more than anybody goes by, and
/// little enough to be added to any time.
const LONGEST_RETRY_AFTER: u64 = 7 * 86_400;
/// A description of what is wrong (RFC 7807).
const PROBLEM: &str = "application/problem+json";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("it cannot be reached: {}", innermost(.0))]
    Unreachable(reqwest::Error),
    #[error("it answered with status {0}")]
    Status(StatusCode),
    #[error("it answered with a redirect (status {0}), which is not followed")]
    Redirect(StatusCode),
    #[error("it answered with more than {LARGEST_ANSWER} bytes")]
    TooLarge,
    #[error("the request cannot be made: {0}")]
    Request(reqwest::Error),
}

/// The certificates that a directory is trusted by cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// They cannot be read, or are none.
    #[error("cannot read {path} (tls.acme.ca_certificates): {reason}")]
    Certificates {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Nothing that is to be kept could be kept.
    #[error(
        "cannot keep certificates in {path}: {source}; server.state_dir names a folder that the \
         relay may write to"
    )]
    State {
        /// The folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no client.
    #[error("cannot ask a certificate authority: {0}")]
    Client(#[from] reqwest::Error),
}

/// A client of one directory. Clones share connections.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    client: Client,
    retry_after: Arc<Mutex<Option<Duration>>>,
    /// What came of comparing the clocks with its last answer that has a time in it.
    clock: Arc<Mutex<Result<(), WrongClock>>>,
}

impl Directory {
    /// `certificates` is a file with those by which it is trusted, beside the system's.
    pub(super) fn new(certificates: Option<&Path>) -> Result<Self, StartError> {
        // Another part of the process may have chosen a provider before: that one is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let certificates = certificates.map(read_certificates).transpose()?;
        let client = Client::builder()
            .user_agent(concat!("Fanfare/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .https_only(true)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .tls_certs_merge(certificates.unwrap_or_default())
            .build()?;
        Ok(Self {
            client,
            retry_after: Arc::default(),
            clock: Arc::new(Mutex::new(Ok(()))),
        })
    }

    /// Whether a certificate would hold by the clock of this machine.
    pub(super) fn check_clock(&self) -> Result<(), WrongClock> {
        *self.clock.lock()
    }

    /// For how long the directory has asked to be left alone since this was last asked.
    pub(super) fn take_retry_after(&self) -> Option<Duration> {
        self.retry_after.lock().take()
    }

    async fn send(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Result<BytesResponse, RequestError> {
        let request = request.map(reqwest::Body::wrap);
        let request = reqwest::Request::try_from(request).map_err(RequestError::Request)?;
        let answer = self.client.execute(request).await;
        let mut answer = answer.map_err(RequestError::Unreachable)?;
        let status = answer.status();
        if status.is_redirection() {
            return Err(RequestError::Redirect(status));
        }
        let now = SystemTime::now();
        if let Some(theirs) = date(answer.headers()) {
            *self.clock.lock() = clock::check(now, theirs);
        }
        let retry_after = retry_after(answer.headers(), now);
        let is_refusal = status.is_client_error() || status.is_server_error();
        if is_refusal && retry_after.is_some() {
            *self.retry_after.lock() = retry_after;
        }
        if is_refusal && !is_problem(answer.headers()) {
            return Err(RequestError::Status(status));
        }
        let (mut head, ()) = http::Response::new(()).into_parts();
        head.status = status;
        head.headers = std::mem::take(answer.headers_mut());
        // What is there may be no time that the library can reckon with.
        head.headers.remove(RETRY_AFTER);
        if let Some(retry_after) = retry_after {
            let seconds = HeaderValue::from(retry_after.as_secs());
            head.headers.insert(RETRY_AFTER, seconds);
        }
        let body = read(&mut answer).await?;
        Ok(BytesResponse {
            parts: head,
            body: Box::new(body),
        })
    }
}

impl HttpClient for Directory {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let directory = self.clone();
        Box::pin(async move {
            let answer = directory.send(request).await;
            answer.map_err(|error| instant_acme::Error::Other(Box::new(error)))
        })
    }
}

async fn read(answer: &mut reqwest::Response) -> Result<Bytes, RequestError> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(RequestError::Unreachable)? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(RequestError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}

fn is_problem(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    media_type.is_some_and(|media_type| media_type.starts_with(PROBLEM.as_bytes()))
}

/// When the directory answered, by its own clock.
fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.is_empty() {
        value.parse().unwrap_or(u64::MAX)
    } else {
        let date = httpdate::parse_http_date(value).ok()?;
        date.duration_since(now).unwrap_or_default().as_secs()
    };
    Some(Duration::from_secs(seconds.min(LONGEST_RETRY_AFTER)))
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, StartError> {
    let error = |reason: String| StartError::Certificates {
        path: path.display().to_string(),
        reason,
    };
    let pem = std::fs::read(path).map_err(|reason| error(reason.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if certificates.is_empty() => {
            Err(error("no PEM certificate in it".into()))
        }
        Ok(certificates) => Ok(certificates),
        Err(reason) => Err(error(reason.to_string())),
    }
}

/// The reason that says most.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(value: &str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_str(value).unwrap());
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        retry_after(&headers, now).map(|duration| duration.as_secs())
    }

    #[test]
    fn a_date_that_is_none_is_not_compared_with() {
        let mut headers = HeaderMap::new();
        assert_eq!(date(&headers), None);
        headers.insert(DATE, HeaderValue::from_static("yesterday"));
        assert_eq!(date(&headers), None);
        headers.insert(
            DATE,
            HeaderValue::from_static("Thu, 01 Jan 1970 00:01:00 GMT"),
        );
        let minute = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        assert_eq!(date(&headers), Some(minute));
    }

    #[test]
    fn how_long_to_wait_is_read_as_seconds_or_as_a_date_and_is_bounded() {
        assert_eq!(parsed("120"), Some(120));
        assert_eq!(parsed(" 0 "), Some(0));
        assert_eq!(parsed("18446744073709551616"), Some(LONGEST_RETRY_AFTER));
        assert_eq!(parsed("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
        assert_eq!(parsed("Sun, 06 Nov 1994 08:48:37 GMT"), Some(0));
        assert_eq!(
            parsed("Fri, 31 Dec 9999 23:59:59 GMT"),
            Some(LONGEST_RETRY_AFTER)
        );
        for nonsense in ["", "soon", "-1", "1.5"] {
            assert_eq!(parsed(nonsense), None, "{nonsense}");
        }
    }
}
