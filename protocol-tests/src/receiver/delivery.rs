//! A request to a webhook, and the rules that every one of them keeps.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::config::App;
use crate::sign;
use crate::wait::PATIENCE;

/// How much later than the receiver's clock `time_ms` may be: both are this machine's.
const AHEAD: Duration = Duration::from_millis(50);
/// How much earlier it may be: an event is sent again for five minutes, and `time_ms` stays that of the first time.
const BEHIND: Duration = Duration::from_secs(300 + PATIENCE.as_secs());

/// The values that each event has beside `name` and `channel`; one with `?` need not be there.
const VALUES: [(&str, &[&str]); 7] = [
    ("channel_occupied", &[]),
    ("channel_vacated", &[]),
    ("member_added", &["user_id"]),
    ("member_removed", &["user_id"]),
    ("client_event", &["event", "data?", "socket_id", "user_id?"]),
    ("cache_miss", &[]),
    ("subscription_count", &["subscription_count"]),
];

/// A request as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawRequest {
    pub(super) method: String,
    pub(super) target: String,
    /// Names lower-cased.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// One event of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookEvent {
    /// Its id, which a repetition of it carries again.
    pub id: String,
    /// What happened.
    pub name: String,
    /// On which channel.
    pub channel: String,
    /// The whole event.
    pub json: Value,
}

/// A request that a receiver has read.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// When it had come in full.
    pub arrived: Instant,
    /// When its answer began or its connection ended; `None` while it is under way.
    pub ended: Option<Instant>,
    /// Whether it was answered with a 2xx.
    pub accepted: bool,
    /// How many requests for its first event this path has seen, this one among them.
    pub attempt: usize,
    /// Which of the receiver's connections brought it, counted from 0.
    pub connection: usize,
    /// Path and query.
    pub target: String,
    /// Header fields in order, names lower-cased.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When it was sent, as it says itself.
    pub time_ms: u64,
    /// Its events.
    pub events: Vec<WebhookEvent>,
}

impl Delivery {
    /// The first value of a header field, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The ids of its events, in order.
    pub fn ids(&self) -> Vec<&str> {
        self.events.iter().map(|event| event.id.as_str()).collect()
    }

    /// Whether one of its events is on this channel.
    pub fn is_on(&self, channel: &str) -> bool {
        self.events.iter().any(|event| event.channel == channel)
    }
}

/// Reads a request for one of `apps`; an error names the rule that it breaks.
pub(super) fn read(
    request: RawRequest,
    apps: &[App],
    connection: usize,
) -> Result<Delivery, String> {
    check_head(&request)?;
    check_signature(&request, apps)?;
    let (time_ms, events) = read_body(&request.body)?;
    check_time(time_ms)?;
    let ids = read_ids(&request.headers, events.len())?;
    let events = ids
        .into_iter()
        .zip(events)
        .map(|(id, json)| read_event(id, json))
        .collect::<Result<_, _>>()?;
    Ok(Delivery {
        arrived: Instant::now(),
        ended: None,
        accepted: false,
        attempt: 1,
        connection,
        target: request.target,
        headers: request.headers,
        body: request.body,
        time_ms,
        events,
    })
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut fields = headers.iter();
    fields
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

fn only_header<'a>(request: &'a RawRequest, name: &str) -> Result<&'a str, String> {
    let fields = request.headers.iter();
    let mut values = fields.filter(|(known, _)| known == name);
    match (values.next(), values.next()) {
        (Some((_, value)), None) => Ok(value),
        (None, _) => Err(format!("there is no {name}")),
        (Some(_), Some(_)) => Err(format!("{name} is there twice")),
    }
}

fn check_head(request: &RawRequest) -> Result<(), String> {
    if request.method != "POST" {
        return Err(format!("the method is {}", request.method));
    }
    let kind = only_header(request, "content-type")?;
    if kind != "application/json" {
        return Err(format!("the content type is {kind:?}"));
    }
    if only_header(request, "user-agent")?.is_empty() {
        return Err("the user agent is empty".to_owned());
    }
    Ok(())
}

fn check_signature(request: &RawRequest, apps: &[App]) -> Result<(), String> {
    let key = only_header(request, "x-pusher-key")?;
    let app = apps.iter().find(|app| app.key == key);
    let app = app.ok_or_else(|| format!("{key:?} is the first key of no app of this receiver"))?;
    let signature = only_header(request, "x-pusher-signature")?;
    if signature != sign::hmac_sha256_hex(&app.secret, &request.body) {
        return Err(format!("{signature:?} does not sign the body for {key:?}"));
    }
    Ok(())
}

fn read_body(body: &[u8]) -> Result<(u64, Vec<Value>), String> {
    let text = String::from_utf8_lossy(body);
    let bad = |what: &str| format!("{what}: {text}");
    let body: Map<String, Value> =
        serde_json::from_slice(body).map_err(|error| bad(&error.to_string()))?;
    expect_members(&body, &["time_ms", "events"]).map_err(|error| bad(&error))?;
    let time_ms = body["time_ms"].as_u64();
    let time_ms = time_ms.ok_or_else(|| bad("time_ms is no integer"))?;
    match &body["events"] {
        Value::Array(events) if !events.is_empty() => Ok((time_ms, events.clone())),
        _ => Err(bad("there is no list of events")),
    }
}

fn check_time(time_ms: u64) -> Result<(), String> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| "it is not yet 1970")?;
    let time = Duration::from_millis(time_ms);
    if time > now + AHEAD || time + BEHIND < now {
        return Err(format!("time_ms is {time_ms} at {}", now.as_millis()));
    }
    Ok(())
}

fn read_ids(headers: &[(String, String)], count: usize) -> Result<Vec<String>, String> {
    let text = header(headers, "x-fanfare-event-id").ok_or("there are no ids")?;
    let ids: Vec<String> = text.split(", ").map(str::to_owned).collect();
    if ids.len() != count {
        return Err(format!("{count} events have the ids {text:?}"));
    }
    let mut sorted = ids.clone();
    sorted.sort();
    sorted.dedup();
    if sorted.len() != count || sorted[0].is_empty() || text.contains(char::is_control) {
        return Err(format!("these are no ids: {text:?}"));
    }
    Ok(ids)
}

fn read_event(id: String, json: Value) -> Result<WebhookEvent, String> {
    let bad = |what: &str| format!("{what}: {json}");
    let event = json.as_object().ok_or_else(|| bad("not an object"))?;
    let name = event.get("name").and_then(Value::as_str);
    let name = name.ok_or_else(|| bad("an event without a name"))?;
    let values = VALUES.iter().find(|(known, _)| *known == name);
    let (_, values) = values.ok_or_else(|| bad("an unknown event"))?;
    let mut expected = vec!["name", "channel"];
    expected.extend(*values);
    expect_members(event, &expected).map_err(|error| bad(&error))?;
    for (member, value) in event {
        let fits = match (member.as_str(), value) {
            ("subscription_count", value) => value.is_u64(),
            ("data", value) => value.is_string(),
            (_, Value::String(text)) => !text.is_empty(),
            _ => false,
        };
        if !fits {
            return Err(bad(&format!("{member} is of the wrong kind")));
        }
    }
    let channel = event["channel"].as_str().unwrap_or_default().to_owned();
    if event.contains_key("user_id") != wants_user_id(name, &channel) {
        return Err(bad("only members have a user_id"));
    }
    Ok(WebhookEvent {
        id,
        name: name.to_owned(),
        channel,
        json,
    })
}

fn wants_user_id(name: &str, channel: &str) -> bool {
    match name {
        "member_added" | "member_removed" => true,
        "client_event" => channel.starts_with("presence-"),
        _ => false,
    }
}

/// Asserts that these members are there and no other; `name?` may be missing.
fn expect_members(object: &Map<String, Value>, expected: &[&str]) -> Result<(), String> {
    for member in expected {
        if !member.ends_with('?') && !object.contains_key(*member) {
            return Err(format!("{member} is missing"));
        }
    }
    let is_known = |member: &&String| {
        let mut names = expected.iter().map(|name| name.trim_end_matches('?'));
        names.any(|name| name == member.as_str())
    };
    match object.keys().find(|member| !is_known(member)) {
        None => Ok(()),
        Some(member) => Err(format!("{member} does not belong there")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn app() -> App {
        App {
            id: "7".to_owned(),
            key: "key".to_owned(),
            secret: "secret".to_owned(),
        }
    }

    fn now_ms() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_millis() as u64
    }

    /// A rightly signed request with this body and these ids.
    fn signed(body: &Value, ids: &str) -> RawRequest {
        let body = body.to_string().into_bytes();
        let signature = sign::hmac_sha256_hex("secret", &body);
        let headers = [
            ("content-type", "application/json"),
            ("user-agent", "test"),
            ("x-pusher-key", "key"),
            ("x-pusher-signature", signature.as_str()),
            ("x-fanfare-event-id", ids),
        ];
        RawRequest {
            method: "POST".to_owned(),
            target: "/hook".to_owned(),
            headers: headers.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
            body,
        }
    }

    fn request(events: Value, ids: &str) -> RawRequest {
        signed(&json!({"time_ms": now_ms(), "events": events}), ids)
    }

    fn one(event: Value) -> RawRequest {
        request(json!([event]), "id-1")
    }

    #[track_caller]
    fn assert_fault(request: RawRequest, names: &str) {
        match read(request, &[app()], 0) {
            Ok(delivery) => panic!("{names:?} went by unseen: {delivery:?}"),
            Err(fault) => assert!(fault.contains(names), "{names:?} is not in {fault:?}"),
        }
    }

    #[test]
    fn good_requests_are_read() {
        let events = json!([
            {"name": "channel_occupied", "channel": "a"},
            {"name": "member_removed", "channel": "presence-a", "user_id": "u1"},
            {"name": "subscription_count", "channel": "a", "subscription_count": 0},
            {"name": "client_event", "channel": "private-a", "event": "client-x", "data": "", "socket_id": "1.1"},
        ]);
        let delivery = read(request(events.clone(), "a, b, c, d"), &[app()], 3).unwrap();
        assert_eq!(delivery.ids(), ["a", "b", "c", "d"]);
        assert_eq!(delivery.events[1].name, "member_removed");
        assert_eq!(delivery.events[1].channel, "presence-a");
        assert_eq!(delivery.events[3].json, events[3]);
        assert_eq!(delivery.connection, 3);
        assert!(delivery.is_on("private-a") && !delivery.is_on("b"));
        assert_eq!(delivery.header("x-pusher-key"), Some("key"));
    }

    #[test]
    fn bad_heads_are_faults() {
        let good = || one(json!({"name": "cache_miss", "channel": "cache-a"}));
        let changed = |name: &str, value: &str| {
            let mut request = good();
            for field in &mut request.headers {
                if field.0 == name {
                    field.1 = value.to_owned();
                }
            }
            request
        };
        assert!(read(good(), &[app()], 0).is_ok());
        let mut put = good();
        put.method = "PUT".to_owned();
        assert_fault(put, "method");
        let with_charset = changed("content-type", "application/json; charset=utf-8");
        assert_fault(with_charset, "content type");
        assert_fault(changed("user-agent", ""), "user agent");
        assert_fault(changed("x-pusher-key", "other"), "first key");
        assert_fault(changed("x-pusher-signature", "00"), "does not sign");
        assert_fault(changed("x-fanfare-event-id", ""), "no ids");
        for name in [
            "content-type",
            "user-agent",
            "x-pusher-key",
            "x-pusher-signature",
        ] {
            let mut doubled = good();
            let value = header(&doubled.headers, name).unwrap().to_owned();
            doubled.headers.push((name.to_owned(), value));
            assert_fault(doubled, "twice");
            let mut missing = good();
            missing.headers.retain(|(known, _)| known != name);
            assert_fault(missing, "there is no");
        }
    }

    #[test]
    fn bad_bodies_are_faults() {
        let events = json!([{"name": "channel_occupied", "channel": "a"}]);
        let body = |time_ms: Value, events: &Value| {
            signed(&json!({"time_ms": time_ms, "events": events}), "a")
        };
        assert_fault(signed(&json!([]), "a"), "invalid type");
        assert_fault(body("1".into(), &events), "time_ms");
        assert_fault(body(1.5.into(), &events), "time_ms");
        assert_fault(body((now_ms() - 331_000).into(), &events), "time_ms");
        assert_fault(body((now_ms() + 1000).into(), &events), "time_ms");
        assert_fault(body((now_ms() / 1000).into(), &events), "time_ms");
        assert_fault(request(json!([]), "a"), "list of events");
        assert_fault(request(events.clone(), "a, b"), "have the ids");
        let extra = json!({"time_ms": now_ms(), "events": events, "app": "7"});
        assert_fault(signed(&extra, "a"), "app does not belong");
        let two = json!([events[0], events[0]]);
        assert_fault(request(two.clone(), "a, a"), "no ids");
        assert_fault(request(two, "a,b"), "have the ids");
    }

    #[test]
    fn bad_events_are_faults() {
        for (event, names) in [
            (json!("channel_occupied"), "not an object"),
            (json!({"channel": "a"}), "without a name"),
            (json!({"name": "joined", "channel": "a"}), "unknown"),
            (json!({"name": "cache_miss"}), "channel is missing"),
            (json!({"name": "cache_miss", "channel": ""}), "channel is"),
            (json!({"name": "cache_miss", "channel": null}), "channel is"),
            (
                json!({"name": "cache_miss", "channel": "a", "data": null}),
                "data does not",
            ),
            (
                json!({"name": "member_added", "channel": "presence-a", "user_id": 1}),
                "user_id is",
            ),
            (
                json!({"name": "member_added", "channel": "presence-a"}),
                "user_id is missing",
            ),
            (
                json!({"name": "subscription_count", "channel": "a", "subscription_count": "1"}),
                "subscription_count is",
            ),
            (
                json!({"name": "client_event", "channel": "private-a", "event": "client-x", "data": {}, "socket_id": "1.1"}),
                "data is",
            ),
            (
                json!({"name": "client_event", "channel": "private-a", "event": "client-x", "data": "", "socket_id": "1.1", "user_id": "u"}),
                "only members",
            ),
            (
                json!({"name": "client_event", "channel": "presence-a", "event": "client-x", "data": "", "socket_id": "1.1"}),
                "only members",
            ),
        ] {
            assert_fault(one(event), names);
        }
    }
}
