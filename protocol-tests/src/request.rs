//! HTTP API requests, with every part of their signing open to change.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::config::App;
use crate::sign;

/// A request. [`Request::new`] is unsigned; [`Request::get`] and [`Request::post`] address an app's API and are signed
/// for it when they are encoded, with whatever was changed before.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path, percent-encoded as it is to be sent, without the server's prefix.
    pub path: String,
    /// Extra header fields; Host, Content-Length and Content-Type are added unless they are here.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    query: Vec<Parameter>,
    chunks: Option<usize>,
    signing: Option<Signing>,
}

#[derive(Clone, Debug)]
struct Parameter {
    name: String,
    value: String,
    sent: String,
}

#[derive(Clone, Debug)]
struct Signing {
    key: String,
    secret: String,
    timestamp: String,
    version: String,
    body_md5: Option<String>,
    signature: Option<String>,
    path: Option<String>,
    without: Vec<String>,
}

impl Request {
    /// An unsigned request for a path.
    pub fn new(method: &str, path: &str) -> Request {
        Request {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            query: Vec::new(),
            chunks: None,
            signing: None,
        }
    }

    /// A signed GET of `/apps/{id}{path}`.
    pub fn get(app: &App, path: &str) -> Request {
        Request::new("GET", &format!("/apps/{}{path}", app.id)).signed(app)
    }

    /// A signed POST of `/apps/{id}{path}` without a body.
    pub fn post(app: &App, path: &str) -> Request {
        Request::new("POST", &format!("/apps/{}{path}", app.id)).signed(app)
    }

    /// Signs with the app's key and secret, for the time at which this is called.
    pub fn signed(mut self, app: &App) -> Request {
        self.signing = Some(Signing {
            key: app.key.clone(),
            secret: app.secret.clone(),
            timestamp: now().to_string(),
            version: "1.0".to_owned(),
            body_md5: None,
            signature: None,
            path: None,
            without: Vec::new(),
        });
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }

    /// Sets the body to a JSON value.
    pub fn json(self, body: &Value) -> Request {
        self.body(body.to_string())
    }

    /// Sends the body with chunked transfer coding, in chunks of `size` bytes.
    pub fn chunked(mut self, size: usize) -> Request {
        self.chunks = Some(size);
        self
    }

    /// Adds a header field.
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a query parameter, which the signature covers.
    pub fn query(self, name: &str, value: &str) -> Request {
        let sent = format!("{}={}", percent_encode(name), percent_encode(value));
        self.query_as_sent(name, value, &sent)
    }

    /// Adds a query parameter that is signed as `name=value` but sent as `sent`.
    pub fn query_as_sent(mut self, name: &str, value: &str, sent: &str) -> Request {
        self.query.push(Parameter {
            name: name.to_owned(),
            value: value.to_owned(),
            sent: sent.to_owned(),
        });
        self
    }

    /// Another `auth_key` than the app's; the signature covers it.
    pub fn auth_key(self, key: &str) -> Request {
        self.signing(|signing| signing.key = key.to_owned())
    }

    /// Another secret than the app's.
    pub fn secret(self, secret: &str) -> Request {
        self.signing(|signing| signing.secret = secret.to_owned())
    }

    /// Another `auth_timestamp` than now; the signature covers it.
    pub fn timestamp(self, timestamp: &str) -> Request {
        self.signing(|signing| signing.timestamp = timestamp.to_owned())
    }

    /// Another `auth_version` than 1.0; the signature covers it.
    pub fn auth_version(self, version: &str) -> Request {
        self.signing(|signing| signing.version = version.to_owned())
    }

    /// Another `body_md5` than the body's (or one where the body is empty); the signature covers it.
    pub fn body_md5(self, md5: &str) -> Request {
        self.signing(|signing| signing.body_md5 = Some(md5.to_owned()))
    }

    /// Another `auth_signature` than the right one.
    pub fn signature(self, signature: &str) -> Request {
        self.signing(|signing| signing.signature = Some(signature.to_owned()))
    }

    /// Signs for another path than the one sent.
    pub fn signed_path(self, path: &str) -> Request {
        self.signing(|signing| signing.path = Some(path.to_owned()))
    }

    /// Leaves an `auth_…` parameter or `body_md5` out, of the query and of what is signed.
    pub fn without(self, parameter: &str) -> Request {
        self.signing(|signing| signing.without.push(parameter.to_owned()))
    }

    fn signing(mut self, change: impl FnOnce(&mut Signing)) -> Request {
        change(
            self.signing
                .as_mut()
                .expect("only a signed request has its signing changed"),
        );
        self
    }

    /// Path and query as they are sent, without the server's prefix.
    pub fn target(&self, prefix: &str) -> String {
        let mut sent: Vec<String> = self.query.iter().map(|p| p.sent.clone()).collect();
        for (name, value) in self.auth_parameters(prefix) {
            sent.push(format!("{name}={}", percent_encode(&value)));
        }
        if sent.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, sent.join("&"))
        }
    }

    fn auth_parameters(&self, prefix: &str) -> Vec<(String, String)> {
        let Some(signing) = &self.signing else {
            return Vec::new();
        };
        let mut auth = vec![
            ("auth_key".to_owned(), signing.key.clone()),
            ("auth_timestamp".to_owned(), signing.timestamp.clone()),
            ("auth_version".to_owned(), signing.version.clone()),
        ];
        let md5 = match &signing.body_md5 {
            Some(md5) => Some(md5.clone()),
            None if self.body.is_empty() => None,
            None => Some(sign::md5_hex(&self.body)),
        };
        auth.extend(md5.map(|md5| ("body_md5".to_owned(), md5)));
        auth.retain(|(name, _)| !signing.without.contains(name));
        if signing.without.iter().any(|name| name == "auth_signature") {
            return auth;
        }
        let query = self.query.iter().map(|p| (p.name.clone(), p.value.clone()));
        let covered: Vec<_> = query.chain(auth.iter().cloned()).collect();
        let path = match &signing.path {
            Some(path) => path.clone(),
            None => format!("{prefix}{}", self.path),
        };
        let text = sign::http_string_to_sign(&self.method, &path, &covered);
        let signature = match &signing.signature {
            Some(signature) => signature.clone(),
            None => sign::hmac_sha256_hex(&signing.secret, text.as_bytes()),
        };
        auth.push(("auth_signature".to_owned(), signature));
        auth
    }

    /// The head as it goes over the wire, to its empty line.
    pub fn encode_head(&self, host: &str, prefix: &str) -> Vec<u8> {
        let target = self.target(prefix);
        let mut head = format!("{} {prefix}{target} HTTP/1.1\r\n", self.method);
        let mut field = |name: &str, value: &str| {
            write!(head, "{name}: {value}\r\n").expect("a String takes all that is written");
        };
        let given = |name: &str| {
            let mut names = self.headers.iter().map(|(known, _)| known);
            names.any(|known| known.eq_ignore_ascii_case(name))
        };
        if !given("host") {
            field("Host", host);
        }
        if !self.body.is_empty() && !given("content-type") {
            field("Content-Type", "application/json");
        }
        if self.chunks.is_some() {
            field("Transfer-Encoding", "chunked");
        } else if !given("content-length") && (self.method == "POST" || !self.body.is_empty()) {
            field("Content-Length", &self.body.len().to_string());
        }
        for (name, value) in &self.headers {
            field(name, value);
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// The body as it goes over the wire.
    pub fn encode_body(&self) -> Vec<u8> {
        let Some(size) = self.chunks else {
            return self.body.clone();
        };
        let mut bytes = Vec::new();
        for chunk in self.body.chunks(size) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }

    /// Head and body as they go over the wire.
    pub fn encode(&self, host: &str, prefix: &str) -> Vec<u8> {
        let mut bytes = self.encode_head(host, prefix);
        bytes.extend(self.encode_body());
        bytes
    }
}

/// Seconds since 1970, as `auth_timestamp` counts them.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is later than 1970")
        .as_secs()
}

/// Percent-encodes everything but unreserved characters (RFC 3986).
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a String takes all that is written");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documented() -> Request {
        let app = App {
            id: "3".to_owned(),
            key: "278d425bdf160c739803".to_owned(),
            secret: "7ad3773142a6692b25b8".to_owned(),
        };
        Request::post(&app, "/events")
            .timestamp("1353088179")
            .body(r#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#)
    }

    #[test]
    fn documented_request_is_signed_as_documented() {
        let target = documented().target("");
        assert!(target.ends_with(
            "&auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
        ));
        assert!(target.contains("body_md5=ec365a775a4cd0599faeb73354201b6f&"));
    }

    #[test]
    fn parameters_can_be_left_out_and_replaced() {
        let target = documented()
            .without("auth_version")
            .without("body_md5")
            .signature("00")
            .target("");
        assert_eq!(
            target,
            "/apps/3/events?auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_signature=00"
        );
    }

    #[test]
    fn query_is_encoded_when_sent_and_decoded_when_signed() {
        let plain = documented().query("x", "a b/ü").target("");
        assert!(plain.contains("x=a%20b%2F%C3%BC"));
        let plus = documented()
            .query_as_sent("x", "a b/ü", "x=a+b/%C3%BC")
            .target("");
        let signature = |target: &str| target[target.len() - 64..].to_owned();
        assert_eq!(signature(&plain), signature(&plus));
    }

    #[test]
    fn chunks_end_with_an_empty_one() {
        let request = Request::new("POST", "/x").body("abcde").chunked(3);
        assert_eq!(request.encode_body(), b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
        let head = String::from_utf8(request.encode_head("h:1", "")).unwrap();
        assert!(head.contains("Transfer-Encoding: chunked\r\n"));
        assert!(!head.contains("Content-Length"));
    }
}
