//! Signed requests.
//!
//! Source: Pusher Channels HTTP API, "Authentication". The signed string is the method, the path
//! and the query without `auth_signature`: keys sorted, values decoded, one line each.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use md5::{Digest as _, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};

use crate::{Config, Invalid, KeyPair};

/// What may stand in a path segment or a query as it is. Source: RFC 3986, "unreserved".
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Fanfare's extension. It is a header so that the body is just what any server expects.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A call, put together once for all its tries.
#[derive(Debug)]
pub(super) struct Call<'a> {
    method: Method,
    /// The segments of the path behind the app's, in plain text, and under which name an error
    /// speaks of them.
    segments: Vec<(&'static str, &'a str)>,
    /// Parameters of the query, in plain text.
    query: Vec<(&'static str, String)>,
    body: Bytes,
    idempotency_key: Option<HeaderValue>,
}

impl<'a> Call<'a> {
    /// `GET /apps/{id}/…`
    pub(super) fn get(segments: Vec<(&'static str, &'a str)>) -> Self {
        Self {
            method: Method::GET,
            segments,
            query: Vec::new(),
            body: Bytes::new(),
            idempotency_key: None,
        }
    }

    /// `POST /apps/{id}/…`
    pub(super) fn post(segments: Vec<(&'static str, &'a str)>, body: impl Into<Bytes>) -> Self {
        Self {
            method: Method::POST,
            body: body.into(),
            ..Self::get(segments)
        }
    }

    /// With a parameter, if there is a value for it.
    pub(super) fn query(mut self, name: &'static str, value: Option<String>) -> Self {
        self.query.extend(value.map(|value| (name, value)));
        self
    }

    /// With a key that was checked.
    pub(super) fn idempotency_key(mut self, key: Option<&str>) -> Self {
        self.idempotency_key =
            key.map(|key| HeaderValue::from_str(key).expect("a checked key is visible ASCII"));
        self
    }
}

/// An app at its server.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The server, with its path prefix.
    base: Url,
    /// `/apps/{id}`.
    app: String,
}

impl Target {
    pub(super) fn new(config: &Config) -> Result<Self, Invalid> {
        let origin = config.origin();
        let mut base = Url::parse(&origin)
            .map_err(|error| Invalid::new("host", format!("{origin}: {error}")))?;
        let is_bare = base.path() == "/"
            && base.query().is_none()
            && base.fragment().is_none()
            && base.username().is_empty()
            && base.password().is_none();
        if !is_bare {
            return Err(Invalid::new(
                "host",
                "must be a host name or an address alone",
            ));
        }
        base.set_path(config.path.trim_end_matches('/'));
        let app = segment("app_id", &config.app_id)?;
        let app = format!("/apps/{app}");
        Ok(Self { base, app })
    }

    /// The path of a call as it is signed: without the prefix of the server.
    pub(super) fn path(&self, call: &Call<'_>) -> Result<String, Invalid> {
        let mut path = self.app.clone();
        for (field, text) in &call.segments {
            path = path + "/" + &segment(field, text)?;
        }
        Ok(path)
    }

    /// The request for a call, signed at this time.
    pub(super) fn request(
        &self,
        call: &Call<'_>,
        path: &str,
        pair: &KeyPair,
        now: SystemTime,
    ) -> Request {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.set_query(Some(&signed_query(call, path, pair, now)));
        let mut request = Request::new(call.method.clone(), url);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(key) = &call.idempotency_key {
            headers.insert(IDEMPOTENCY_KEY, key.clone());
        }
        if !call.body.is_empty() {
            *request.body_mut() = Some(call.body.clone().into());
        }
        request
    }
}

/// Escapes a segment. A dot or two would be a step in the tree of paths, however it is escaped.
fn segment(field: &'static str, text: &str) -> Result<String, Invalid> {
    match text {
        "" | "." | ".." => Err(Invalid::new(
            field,
            format!("{text:?} cannot stand in a path"),
        )),
        _ => Ok(utf8_percent_encode(text, ESCAPED).to_string()),
    }
}

/// The query of a call, with its signature.
fn signed_query(call: &Call<'_>, path: &str, pair: &KeyPair, now: SystemTime) -> String {
    let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut parameters = vec![
        ("auth_key", pair.key().to_owned()),
        ("auth_timestamp", since_1970.as_secs().to_string()),
        ("auth_version", "1.0".to_owned()),
    ];
    if !call.body.is_empty() {
        parameters.push(("body_md5", hex::encode(Md5::digest(&call.body))));
    }
    parameters.extend(call.query.iter().cloned());
    parameters.sort();
    let lines: Vec<_> = parameters
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let text = format!("{}\n{path}\n{}", call.method, lines.join("&"));
    let mut query = String::new();
    for (key, value) in &parameters {
        let value = utf8_percent_encode(value, ESCAPED);
        write!(query, "{key}={value}&").expect("writing to a String cannot fail");
    }
    query + "auth_signature=" + &pair.sign(&[text.as_bytes()])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Scheme;

    fn config() -> Config {
        Config::new("3", "278d425bdf160c739803", "7ad3773142a6692b25b8")
    }

    fn url(config: &Config, call: &Call<'_>) -> Url {
        let target = Target::new(config).unwrap();
        let path = target.path(call).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_353_088_179);
        target.request(call, &path, &config.pair, now).url().clone()
    }

    #[test]
    fn the_documented_request_is_signed() {
        let body = r#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
        let call = Call::post(vec![("", "events")], body);
        assert_eq!(
            url(&config(), &call).as_str(),
            "https://api-mt1.pusher.com/apps/3/events?auth_key=278d425bdf160c739803\
             &auth_timestamp=1353088179&auth_version=1.0\
             &body_md5=ec365a775a4cd0599faeb73354201b6f\
             &auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
        );
    }

    #[test]
    fn a_path_prefix_is_not_signed() {
        let call = Call::get(vec![("", "channels")]);
        let signature = |url: &Url| url.query().unwrap().to_owned();
        let plain = url(&config(), &call);
        for prefix in ["relay", "/relay", "/relay/"] {
            let behind = url(&config().path(prefix), &call);
            assert_eq!(behind.path(), "/relay/apps/3/channels");
            assert_eq!(signature(&behind), signature(&plain));
        }
    }

    #[test]
    fn users_cannot_step_out_of_the_path() {
        let users = |id| Call::get(vec![("", "users"), ("user_id", id)]);
        let target = Target::new(&config()).unwrap();
        for id in ["", ".", ".."] {
            assert_eq!(target.path(&users(id)).unwrap_err().field, "user_id");
        }
        let odd = url(&config(), &users("../ä b%2f?#"));
        assert_eq!(odd.path(), "/apps/3/users/..%2F%C3%A4%20b%252f%3F%23");
    }

    #[test]
    fn a_host_is_a_host_alone() {
        let host = |host: &str| Target::new(&config().scheme(Scheme::Http).host(host).port(1));
        for good in ["localhost", "127.0.0.1", "::1", "[::1]"] {
            assert!(host(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "http://x", "x/y", "u@x", "x?y", "x#y", "x:1:2"] {
            assert_eq!(host(bad).unwrap_err().field, "host", "{bad}");
        }
    }
}
