//! The Pusher HTTP API, from the client's side.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use ureq::http::Response;
use ureq::{Agent, Body};

use super::Failure;
use super::client;
use super::target::Target;
use super::url::Url;
use crate::auth::request::sign;

/// How long a call may take, all in all.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes of an answer that are read.
const MAX_ANSWER: u64 = 64 << 20;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// There was no answer.
    #[error("{url}: {reason}; is the relay running there?")]
    Unreachable { url: String, reason: String },
    /// The relay refused; its own words.
    #[error("the relay answered {status}: {body}")]
    Refused { status: String, body: String },
    /// The answer is not one of this API.
    #[error("{url} did not answer as a relay does: {reason}")]
    Foreign {
        url: String,
        reason: serde_json::Error,
    },
}

/// Calls for one app.
pub(super) struct Api {
    target: Target,
    agent: Agent,
}

impl Api {
    pub(super) fn new(target: Target) -> Result<Self, Failure> {
        let agent = client::agent(TIMEOUT, &target.url)?;
        Ok(Self { target, agent })
    }

    /// `GET /apps/{id}{path}`
    pub(super) fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, ApiError> {
        let url = self.signed("GET", path, parameters, b"");
        self.answer(self.agent.get(url).call())
    }

    /// `POST /apps/{id}{path}`
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, ApiError> {
        let body = body.to_string();
        let url = self.signed("POST", path, &[], body.as_bytes());
        let request = self.agent.post(url).content_type("application/json");
        self.answer(request.send(body))
    }

    fn signed(&self, method: &str, path: &str, parameters: &[(&str, &str)], body: &[u8]) -> String {
        let Target {
            url: Url { origin, prefix, .. },
            app_id,
            signer,
        } = &self.target;
        let path = format!("{prefix}/apps/{app_id}{path}");
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let query = sign(signer, method, &path, parameters, body, now);
        format!("{origin}{path}?{query}")
    }

    fn answer(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Value, ApiError> {
        let unreachable = |error| ApiError::Unreachable {
            url: self.target.url.place(),
            reason: client::reason(error),
        };
        let mut answer = answer.map_err(unreachable)?;
        let status = answer.status();
        let body = answer
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER)
            .lossy_utf8(true)
            .read_to_string()
            .map_err(unreachable)?;
        if !status.is_success() {
            return Err(ApiError::Refused {
                status: status.to_string(),
                body: body.trim().into(),
            });
        }
        serde_json::from_str(&body).map_err(|reason| ApiError::Foreign {
            url: self.target.url.place(),
            reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;
    use std::thread;

    use serde_json::json;

    use super::super::secure::Trust;
    use super::*;
    use crate::auth::Signer;
    use crate::auth::request::{Query, Rules, SignedRequest, check_body, verify};

    /// Calls with `call` a server that gives one answer; returns the result and the request.
    fn exchange<T>(answer: &'static str, call: impl FnOnce(&Api) -> T) -> (T, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let request = read_request(&mut stream);
            stream.write_all(answer.as_bytes()).unwrap();
            request
        });
        let result = call(&api(origin));
        (result, server.join().unwrap())
    }

    /// Up to the end of the head, and of a body that is a flat JSON object.
    fn read_request(stream: &mut impl std::io::Read) -> String {
        let mut request = Vec::new();
        let mut byte = [0];
        let ended = |request: &[u8]| {
            if request.starts_with(b"GET") {
                request.ends_with(b"\r\n\r\n")
            } else {
                request.ends_with(b"}")
            }
        };
        while !ended(&request) {
            stream.read_exact(&mut byte).unwrap();
            request.push(byte[0]);
        }
        String::from_utf8(request).unwrap()
    }

    fn api(origin: String) -> Api {
        Api::new(Target {
            url: Url {
                origin,
                prefix: "/relay".into(),
                trust: Trust::System,
                socket: None,
            },
            app_id: "7".into(),
            signer: Signer::new("key", b"secret"),
        })
        .unwrap()
    }

    /// Whether the signature of a request covers it, body and all.
    fn is_signed(request: &str) -> bool {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let mut words = head.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap();
        let query = Query::parse(query);
        let now = query.get("auth_timestamp").unwrap().parse().unwrap();
        let request = SignedRequest {
            method,
            path,
            query: &query,
            has_body: !body.is_empty(),
        };
        let rules = Rules {
            now,
            window: 0,
            path_prefix: "",
        };
        verify(&[Signer::new("key", b"secret")], request, rules)
            .and_then(|()| check_body(&query, body.as_bytes()))
            .is_ok()
    }

    const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";

    #[test]
    fn calls_are_signed_and_go_to_the_app_behind_the_prefix() {
        let (answer, request) = exchange(EMPTY, |api| {
            api.get("/channels", &[("filter_by_prefix", "presence-ä &+")])
        });
        assert_eq!(answer.unwrap(), json!({}));
        assert!(
            request.starts_with("GET /relay/apps/7/channels?filter_by_prefix="),
            "{request}"
        );
        assert!(is_signed(&request), "{request}");

        let body = json!({"name": "greeting", "data": "grüße"});
        let (answer, request) = exchange(EMPTY, |api| api.post("/events", &body));
        assert_eq!(answer.unwrap(), json!({}));
        assert!(
            request.starts_with("POST /relay/apps/7/events?auth_key=key&"),
            "{request}"
        );
        assert!(
            request.contains("\r\ncontent-type: application/json\r\n"),
            "{request}"
        );
        assert!(is_signed(&request), "{request}");
    }

    #[test]
    fn a_refusal_is_shown_as_it_is() {
        let refusal = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 10\r\nConnection: close\r\n\r\nno such k\n";
        let (answer, _) = exchange(refusal, |api| api.get("/channels", &[]));
        assert_eq!(
            answer.unwrap_err().to_string(),
            "the relay answered 401 Unauthorized: no such k"
        );
    }

    #[test]
    fn another_kind_of_server_is_distinguished_from_a_relay() {
        let page = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>";
        let (answer, _) = exchange(page, |api| api.get("/channels", &[]));
        let error = answer.unwrap_err().to_string();
        assert!(error.contains("did not answer as a relay does"), "{error}");
        let moved = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let (answer, _) = exchange(moved, |api| api.get("/channels", &[]));
        let error = answer.unwrap_err().to_string();
        assert!(error.starts_with("the relay answered 302 Found"), "{error}");
    }

    #[test]
    fn nobody_there_is_reported() {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let answer = api(format!("http://{free}")).get("/channels", &[]);
        let error = answer.unwrap_err().to_string();
        assert!(
            error.ends_with("Connection refused (os error 111); is the relay running there?"),
            "{error}"
        );
    }
}
