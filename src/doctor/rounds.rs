//! What a client sees of private and presence channels: it subscribes, and something is published to it.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde_json::json;

use super::checks::protocol::{self, Step};
use super::observer::Observer;
use super::subject::Subject;
use super::websocket::WebSocket;

/// The id that the doctor has on its presence channel.
const USER: &str = r#"{"user_id":"fanfare-doctor"}"#;

/// Of a kind of channel: the finding's id, the words, and what a member is on it.
const KINDS: [(&str, &str, Option<&str>); 2] = [
    ("private", "a private", None),
    ("presence", "a presence", Some(USER)),
];

/// A round trip over each kind of channel, of a connection that is established.
pub(super) fn run(
    subject: &Subject,
    address: IpAddr,
    socket: &mut WebSocket,
    socket_id: &str,
    observer: &mut dyn Observer,
) -> ControlFlow<()> {
    let mark = mark();
    for (id, kind, member) in KINDS {
        let channel = channel(id, &mark);
        let joined = subscribe(subject, socket, socket_id, &channel, member);
        let round =
            joined.and_then(|join| Ok((join, deliver(subject, address, socket, &channel)?)));
        observer.found(match round {
            Ok((join, took)) => protocol::delivered(id, kind, took, join),
            Err((step, reason)) => protocol::not_delivered(id, kind, step, &reason),
        })?;
    }
    ControlFlow::Continue(())
}

/// Subscribes to a private channel, by which the connection is authorised; false: it is not.
pub(super) fn authorise(subject: &Subject, socket: &mut WebSocket, socket_id: &str) -> bool {
    let channel = channel("private", &mark());
    subscribe(subject, socket, socket_id, &channel, None).is_ok()
}

/// Nobody else has channels with this in their names.
fn mark() -> String {
    hex::encode(rand::random::<[u8; 8]>())
}

fn channel(kind: &str, mark: &str) -> String {
    format!("{kind}-fanfare-doctor-{mark}")
}

/// Which step failed, and why.
type Failed = (Step, String);

/// How long it took to subscribe.
fn subscribe(
    subject: &Subject,
    socket: &mut WebSocket,
    socket_id: &str,
    channel: &str,
    member: Option<&str>,
) -> Result<Duration, Failed> {
    let signer = &subject.signer;
    let mut signed = vec![socket_id.as_bytes(), b":", channel.as_bytes()];
    let mut data = json!({ "channel": channel });
    if let Some(member) = member {
        signed.extend([b":".as_slice(), member.as_bytes()]);
        data["channel_data"] = member.into();
    }
    data["auth"] = format!("{}:{}", signer.key(), signer.sign(&signed)).into();
    let started = Instant::now();
    socket
        .send("pusher:subscribe", &data)
        .and_then(|()| socket.expect("pusher_internal:subscription_succeeded"))
        .map_err(|ended| (Step::Subscription, ended.to_string()))?;
    Ok(started.elapsed())
}

/// How long it took from publish to delivery.
fn deliver(
    subject: &Subject,
    address: IpAddr,
    socket: &mut WebSocket,
    channel: &str,
) -> Result<Duration, Failed> {
    let started = Instant::now();
    let body = json!({ "name": "fanfare-doctor", "channel": channel, "data": "{}" });
    let answer = subject
        .ask(
            address,
            ("POST", "/events"),
            &[],
            body.to_string().as_bytes(),
        )
        .map_err(|error| (Step::Publish, error.to_string()))?;
    if answer.status != 200 {
        let words = format!("status {}: {}", answer.status, answer.words());
        return Err((Step::Acceptance, words));
    }
    socket
        .expect("fanfare-doctor")
        .map_err(|ended| (Step::Delivery, ended.to_string()))?;
    Ok(started.elapsed())
}
