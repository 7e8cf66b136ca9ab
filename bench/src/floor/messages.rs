//! What WebSocket clients send to the floor.

use std::borrow::Cow;
use std::collections::HashMap;
use std::os::fd::RawFd;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Server;
use crate::ws;

#[derive(Deserialize)]
struct ClientMessage<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Subscription<'a> {
    #[serde(borrow)]
    channel: Cow<'a, str>,
    #[serde(borrow)]
    channel_data: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Member {
    user_id: String,
    #[serde(default)]
    user_info: Value,
}

impl Server {
    pub(super) fn frame(&mut self, fd: RawFd, input: &mut [u8]) -> Option<usize> {
        let Some(frame) = ws::parse(input).ok()? else {
            return Some(0);
        };
        let payload = &mut input[frame.payload_at..frame.size];
        ws::apply_mask(payload, frame.mask?);
        match frame.opcode {
            ws::TEXT if frame.fin => self.message(fd, payload)?,
            ws::PING => {
                let mut pong = Vec::new();
                ws::encode(ws::PONG, payload, None, &mut pong);
                self.send(fd, &pong);
            }
            ws::PONG => {}
            _ => return None,
        }
        Some(frame.size)
    }

    fn message(&mut self, fd: RawFd, text: &[u8]) -> Option<()> {
        let message: ClientMessage = serde_json::from_slice(text).ok()?;
        let data = message.data.map_or("{}", RawValue::get);
        match &*message.event {
            "pusher:ping" => self.send_text(fd, r#"{"event":"pusher:pong","data":"{}"}"#),
            "pusher:subscribe" => self.subscribe(fd, serde_json::from_str(data).ok()?),
            "pusher:unsubscribe" => {
                let subscription: Subscription = serde_json::from_str(data).ok()?;
                self.conn(fd)?
                    .subscriptions
                    .retain(|name| *name != subscription.channel);
                self.leave(fd, &subscription.channel);
            }
            event if event.starts_with("client-") => {
                let channel = message.channel?;
                let (event, name) = (json!(event), json!(channel));
                let text = format!(r#"{{"event":{event},"channel":{name},"data":{data}}}"#);
                self.broadcast(&channel, &text, Some(fd));
            }
            _ => {}
        }
        Some(())
    }

    fn subscribe(&mut self, fd: RawFd, subscription: Subscription<'_>) {
        let name = subscription.channel.into_owned();
        let Some(conn) = self.conn(fd) else { return };
        conn.subscriptions.push(name.clone());
        let mut member_added = None;
        let channel = self.channels.entry(name.clone()).or_default();
        let mut data = "{}".to_string();
        let member = subscription
            .channel_data
            .and_then(|d| serde_json::from_str::<Member>(&d).ok());
        if let Some(Member { user_id, user_info }) = member {
            let added = json!({ "user_id": user_id, "user_info": user_info }).to_string();
            member_added = Some(
                json!({ "event": "pusher_internal:member_added", "channel": name, "data": added }),
            );
            channel.members.insert(fd, (user_id, user_info));
            let ids: Vec<&String> = channel.members.values().map(|(id, _)| id).collect();
            let hash: HashMap<&String, &Value> = channel
                .members
                .values()
                .map(|(id, info)| (id, info))
                .collect();
            let presence = json!({ "count": ids.len(), "ids": ids, "hash": hash });
            data = json!({ "presence": presence }).to_string();
        }
        channel.subscribers.push(fd);
        let event = "pusher_internal:subscription_succeeded";
        let succeeded = json!({ "event": event, "channel": name, "data": data });
        self.send_text(fd, &succeeded.to_string());
        if let Some(member_added) = member_added {
            self.broadcast(&name, &member_added.to_string(), Some(fd));
        }
    }

    pub(super) fn leave(&mut self, fd: RawFd, name: &str) {
        let Some(channel) = self.channels.get_mut(name) else {
            return;
        };
        if let Some(at) = channel.subscribers.iter().position(|other| *other == fd) {
            channel.subscribers.swap_remove(at);
        }
        let member = channel.members.remove(&fd);
        if channel.subscribers.is_empty() {
            self.channels.remove(name);
        } else if let Some((user_id, _)) = member {
            let data = json!({ "user_id": user_id }).to_string();
            let event = "pusher_internal:member_removed";
            let removed = json!({ "event": event, "channel": name, "data": data });
            self.broadcast(name, &removed.to_string(), None);
        }
    }
}
