//! HTTP at the floor: upgrades, publishes with no signature looked at, and health.

use std::borrow::Cow;
use std::os::fd::RawFd;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::Server;
use crate::{http, ws};

const OK: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

#[derive(Deserialize)]
struct Publish<'a> {
    #[serde(borrow)]
    name: &'a RawValue,
    #[serde(borrow, default)]
    channels: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    batch: Vec<Publish<'a>>,
}

impl Server {
    pub(super) fn http_request(&mut self, fd: RawFd, input: &[u8]) -> Option<usize> {
        let Some(request) = http::parse(input).ok()? else {
            return Some(0);
        };
        if request.is_get {
            match request.websocket_key.map(ws::accept_for) {
                Some(accept) => self.upgrade(fd, &accept),
                None => self.send(fd, OK),
            }
            return Some(request.size);
        }
        let body = request.body;
        let batch = request
            .path
            .split('?')
            .next()
            .unwrap_or_default()
            .ends_with("/batch_events");
        let accepted = if batch {
            serde_json::from_slice(body).map(|Batch { batch }| {
                batch.iter().for_each(|publish| self.publish(publish));
            })
        } else {
            serde_json::from_slice(body).map(|publish| self.publish(&publish))
        };
        let answer: &[u8] = match accepted {
            Ok(()) => OK,
            Err(_) => b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        };
        self.send(fd, answer);
        Some(request.size)
    }

    fn upgrade(&mut self, fd: RawFd, accept: &str) {
        let Some(conn) = self.conn(fd) else { return };
        conn.websocket = true;
        let data = json!({ "socket_id": conn.socket_id, "activity_timeout": 120 }).to_string();
        let hello = json!({ "event": "pusher:connection_established", "data": data }).to_string();
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .into_bytes();
        ws::encode(ws::TEXT, hello.as_bytes(), None, &mut answer);
        self.send(fd, &answer);
    }

    fn publish(&mut self, publish: &Publish<'_>) {
        for channel in publish.channels.iter().chain(&publish.channel) {
            let (name, data) = (publish.name.get(), publish.data.get());
            let text = format!(
                r#"{{"event":{name},"channel":{},"data":{data}}}"#,
                json!(channel)
            );
            self.broadcast(channel, &text, None);
        }
    }
}
