//! What the Pusher Channels protocol asks of a client and of a publisher.

use std::fmt::Write;
use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use memchr::memmem;
use sha2::{Digest, Sha256};

#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) app_id: String,
    pub(crate) key: String,
    pub(crate) secret: String,
}

fn hmac_hex(secret: &str, message: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key length");
    mac.update(message);
    hex::encode(mac.finalize().into_bytes())
}

impl Credentials {
    /// The signed path and query of `POST /apps/{id}{endpoint}` with `body`.
    pub(crate) fn signed_path(&self, endpoint: &str, body: &[u8]) -> String {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.signed_path_at(endpoint, body, now.as_secs())
    }

    fn signed_path_at(&self, endpoint: &str, body: &[u8], unix_seconds: u64) -> String {
        let path = format!("/apps/{}{endpoint}", self.app_id);
        // The parameter names are already in the sorted order that the signature needs.
        let query = format!(
            "auth_key={}&auth_timestamp={unix_seconds}&auth_version=1.0&body_md5={}",
            self.key,
            hex::encode(Md5::digest(body)),
        );
        let signature = hmac_hex(&self.secret, format!("POST\n{path}\n{query}").as_bytes());
        format!("{path}?{query}&auth_signature={signature}")
    }

    /// The `auth` of a private (no data) or presence subscription.
    pub(crate) fn channel_auth(
        &self,
        socket_id: &str,
        channel: &str,
        data: Option<&str>,
    ) -> String {
        let mut message = format!("{socket_id}:{channel}");
        if let Some(data) = data {
            let _ = write!(message, ":{data}");
        }
        format!(
            "{}:{}",
            self.key,
            hmac_hex(&self.secret, message.as_bytes())
        )
    }

    /// The subscribe message for any channel kind; a presence channel needs `member` JSON.
    pub(crate) fn subscribe(&self, socket_id: &str, channel: &str, member: Option<&str>) -> String {
        let data = if channel.starts_with("private-") || channel.starts_with("presence-") {
            let auth = self.channel_auth(socket_id, channel, member);
            match member {
                Some(member) => {
                    serde_json::json!({ "channel": channel, "auth": auth, "channel_data": member })
                }
                None => serde_json::json!({ "channel": channel, "auth": auth }),
            }
        } else {
            serde_json::json!({ "channel": channel })
        };
        serde_json::json!({ "event": "pusher:subscribe", "data": data }).to_string()
    }
}

/// The mark that every measured event carries in its data, found again by plain search
/// however the server escapes or orders the JSON around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) channel: u32,
    pub(crate) seq: u64,
    /// CLOCK_MONOTONIC nanoseconds at the start of the publish.
    pub(crate) sent_at: u64,
}

const MARK_START: &[u8] = b"@rb:";
const CHANNEL_DIGITS: usize = 6;
const SEQ_DIGITS: usize = 10;
const TIME_DIGITS: usize = 19;

impl Mark {
    pub(crate) fn append(&self, out: &mut String) {
        let _ = write!(
            out,
            "@rb:{:06}:{:010}:{:019}@",
            self.channel, self.seq, self.sent_at
        );
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let mut at = 0;
        let mut number = |digits: usize, end: u8| {
            let field = text.get(at..at + digits)?;
            if *text.get(at + digits)? != end {
                return None;
            }
            at += digits + 1;
            field.iter().try_fold(0u64, |value, byte| {
                byte.is_ascii_digit()
                    .then(|| value * 10 + u64::from(byte - b'0'))
            })
        };
        let channel = number(CHANNEL_DIGITS, b':')? as u32;
        let seq = number(SEQ_DIGITS, b':')?;
        let sent_at = number(TIME_DIGITS, b'@')?;
        Some(Self {
            channel,
            seq,
            sent_at,
        })
    }
}

pub(crate) struct MarkFinder {
    finder: memmem::Finder<'static>,
}

impl MarkFinder {
    pub(crate) fn new() -> Self {
        Self {
            finder: memmem::Finder::new(MARK_START),
        }
    }

    /// The mark and where it is.
    pub(crate) fn find(&self, text: &[u8]) -> Option<(Mark, Range<usize>)> {
        let start = self.finder.find(text)?;
        let fields = start + MARK_START.len();
        let mark = Mark::parse(&text[fields..])?;
        Some((
            mark,
            start..fields + CHANNEL_DIGITS + SEQ_DIGITS + TIME_DIGITS + 3,
        ))
    }
}

/// The event data string: JSON text (as real applications send) of `size` bytes, or the
/// smallest that holds the mark.
pub(crate) fn event_data(mark: Mark, size: usize) -> String {
    let mut data = String::with_capacity(size.max(96));
    data.push_str("{\"id\":\"");
    mark.append(&mut data);
    data.push_str("\",\"pad\":\"");
    let padding = size.saturating_sub(data.len() + 2);
    data.extend(std::iter::repeat_n('x', padding));
    data.push_str("\"}");
    data
}

/// The size that event data has when `size` is asked for.
pub(crate) fn data_size(size: usize) -> usize {
    let mark = Mark {
        channel: 0,
        seq: 0,
        sent_at: 0,
    };
    event_data(mark, size).len()
}

/// One publish body element: `{"name":..,"channels":[..],"data":"<escaped>"}`.
pub(crate) fn append_publish(
    event: &str,
    channel: &str,
    data: &str,
    batch: bool,
    out: &mut String,
) {
    let _ = if batch {
        write!(
            out,
            "{{\"name\":\"{event}\",\"channel\":\"{channel}\",\"data\":\""
        )
    } else {
        write!(
            out,
            "{{\"name\":\"{event}\",\"channels\":[\"{channel}\"],\"data\":\""
        )
    };
    for part in data.split_inclusive('"') {
        match part.strip_suffix('"') {
            Some(before) => {
                out.push_str(before);
                out.push_str("\\\"");
            }
            None => out.push_str(part),
        }
    }
    out.push_str("\"}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documented() -> Credentials {
        Credentials {
            app_id: "3".into(),
            key: "278d425bdf160c739803".into(),
            secret: "7ad3773142a6692b25b8".into(),
        }
    }

    #[test]
    fn request_signature_matches_pusher_documentation() {
        let body = r#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
        assert_eq!(
            documented().signed_path_at("/events", body.as_bytes(), 1353088179),
            "/apps/3/events?auth_key=278d425bdf160c739803&auth_timestamp=1353088179\
             &auth_version=1.0&body_md5=ec365a775a4cd0599faeb73354201b6f\
             &auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
        );
    }

    #[test]
    fn private_auth_matches_pusher_documentation() {
        assert_eq!(
            documented().channel_auth("1234.1234", "private-foobar", None),
            "278d425bdf160c739803:\
             58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"
        );
    }

    #[test]
    fn mark_is_found_through_json_escaping_and_data_has_the_asked_size() {
        let mark = Mark {
            channel: 42,
            seq: 1234567,
            sent_at: 987654321012,
        };
        let data = event_data(mark, 200);
        assert_eq!(data.len(), 200);
        let mut body = String::new();
        append_publish("e", "c", &data, false, &mut body);
        let (found, range) = MarkFinder::new().find(body.as_bytes()).unwrap();
        assert_eq!(found, mark);
        assert!(body[..range.start].ends_with("{\\\"id\\\":\\\""));
        assert!(body[range.end..].starts_with("\\\",\\\"pad\\\":"));
        let parsed: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(parsed["data"], data);
    }
}
