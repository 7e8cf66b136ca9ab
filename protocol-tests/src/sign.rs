//! Signatures of the Pusher protocol, written from its documentation and apart from the relay's own.

use std::fmt::Write;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

/// HMAC-SHA256 of `message` under `secret`, in lower-case hex.
pub fn hmac_sha256_hex(secret: &str, message: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}

/// MD5 of a request body, in lower-case hex: the `body_md5` parameter.
pub fn md5_hex(body: &[u8]) -> String {
    hex::encode(Md5::digest(body))
}

/// The `auth` of a subscription, `KEY:SIGNATURE`; `channel_data` is the exact string that will be sent with it.
pub fn channel_auth(
    key: &str,
    secret: &str,
    socket_id: &str,
    channel: &str,
    channel_data: Option<&str>,
) -> String {
    let mut message = format!("{socket_id}:{channel}");
    if let Some(channel_data) = channel_data {
        message.push(':');
        message.push_str(channel_data);
    }
    format!("{key}:{}", hmac_sha256_hex(secret, message.as_bytes()))
}

/// The `auth` of a sign-in, `KEY:SIGNATURE`; `user_data` is the exact string that will be sent with it.
pub fn user_auth(key: &str, secret: &str, socket_id: &str, user_data: &str) -> String {
    let message = format!("{socket_id}::user::{user_data}");
    format!("{key}:{}", hmac_sha256_hex(secret, message.as_bytes()))
}

/// The string that an HTTP request's signature covers. `parameters` are the query's, decoded, without
/// `auth_signature`; `path` is as requested.
pub fn http_string_to_sign(method: &str, path: &str, parameters: &[(String, String)]) -> String {
    let mut sorted: Vec<(String, &str)> = parameters
        .iter()
        .map(|(key, value)| (key.to_lowercase(), value.as_str()))
        .collect();
    sorted.sort();
    let mut text = format!("{method}\n{path}\n");
    for (position, (key, value)) in sorted.iter().enumerate() {
        let separator = if position == 0 { "" } else { "&" };
        write!(text, "{separator}{key}={value}").expect("a String takes all that is written");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "278d425bdf160c739803";
    const SECRET: &str = "7ad3773142a6692b25b8";

    #[test]
    fn documented_channel_signature() {
        assert_eq!(
            channel_auth(KEY, SECRET, "1234.1234", "private-foobar", None),
            format!("{KEY}:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4")
        );
    }

    #[test]
    fn documented_channel_signature_with_channel_data() {
        let channel_data = r#"{"user_id":10,"user_info":{"name":"Mr. Channels"}}"#;
        assert_eq!(
            channel_auth(
                KEY,
                SECRET,
                "1234.1234",
                "presence-foobar",
                Some(channel_data)
            ),
            format!("{KEY}:31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80")
        );
    }

    #[test]
    fn documented_user_signature() {
        assert_eq!(
            user_auth(KEY, SECRET, "1234.1234", r#"{"id":"12345"}"#),
            format!("{KEY}:4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba")
        );
    }

    #[test]
    fn documented_request_signature() {
        let body = br#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
        assert_eq!(md5_hex(body), "ec365a775a4cd0599faeb73354201b6f");
        let parameters = [
            ("auth_version", "1.0"),
            ("auth_key", KEY),
            ("auth_timestamp", "1353088179"),
            ("body_md5", "ec365a775a4cd0599faeb73354201b6f"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let text = http_string_to_sign("POST", "/apps/3/events", &parameters);
        assert_eq!(
            hmac_sha256_hex(SECRET, text.as_bytes()),
            "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
        );
    }

    #[test]
    fn parameter_names_are_lower_cased_before_sorting() {
        let parameters = [("b", "2"), ("A", "1")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(
            http_string_to_sign("GET", "/x", &parameters),
            "GET\n/x\na=1&b=2"
        );
    }
}
