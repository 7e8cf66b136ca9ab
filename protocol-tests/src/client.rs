//! A client of the Pusher protocol, one connection of one app.

use serde_json::{Map, Value, json};

use crate::config::App;
use crate::event::{Close, Event};
use crate::frame::{Frame, Opcode};
use crate::http::HttpClient;
use crate::names::unique;
use crate::request::Request;
use crate::wait::within;
use crate::websocket::WebSocket;

/// A presence channel's members, as `subscription_succeeded` brings them.
#[derive(Clone, Debug, PartialEq)]
pub struct Roster {
    /// User ids, sorted.
    pub ids: Vec<String>,
    /// User id → user_info.
    pub hash: Map<String, Value>,
    /// How many users.
    pub count: u64,
}

impl Roster {
    /// Reads the data of `subscription_succeeded`; panics when ids, hash and count do not agree.
    pub fn parse(data: &Value) -> Roster {
        let presence = &data["presence"];
        let ids = presence["ids"].as_array();
        let ids = ids.unwrap_or_else(|| panic!("no presence.ids: {data}"));
        let mut ids: Vec<String> = ids
            .iter()
            .map(|id| {
                id.as_str()
                    .unwrap_or_else(|| panic!("an id is no string: {data}"))
                    .to_owned()
            })
            .collect();
        ids.sort();
        let hash = presence["hash"].as_object();
        let hash = hash
            .unwrap_or_else(|| panic!("no presence.hash: {data}"))
            .clone();
        let count = presence["count"].as_u64();
        let count = count.unwrap_or_else(|| panic!("no presence.count: {data}"));
        assert_eq!(ids.len() as u64, count, "{data}");
        let mut keys: Vec<&String> = hash.keys().collect();
        keys.sort();
        assert!(
            keys.into_iter().eq(ids.iter()),
            "ids and hash differ: {data}"
        );
        Roster { ids, hash, count }
    }
}

/// A connection that has received `pusher:connection_established`.
///
/// The `expect_…` methods take the very next message and panic when it is another: nothing that a server sends goes by
/// unseen.
#[derive(Debug)]
pub struct WsClient {
    /// The socket below.
    pub socket: WebSocket,
    /// The app that it connected to, whose secret signs what this client sends.
    pub app: App,
    /// Its socket id.
    pub socket_id: String,
    /// The activity timeout that the server announced, in seconds.
    pub activity_timeout: u64,
    http: HttpClient,
}

impl WsClient {
    /// Reads `pusher:connection_established` from a fresh socket.
    pub async fn establish(mut socket: WebSocket, app: &App, http: HttpClient) -> WsClient {
        let event = Event::parse(&socket.read_text().await);
        assert_eq!(
            event.name, "pusher:connection_established",
            "{}",
            event.text
        );
        let data = event.data_json();
        let socket_id = data["socket_id"].as_str();
        let activity_timeout = data["activity_timeout"].as_u64();
        WsClient {
            socket,
            app: app.clone(),
            socket_id: socket_id
                .unwrap_or_else(|| panic!("no socket_id: {data}"))
                .to_owned(),
            activity_timeout: activity_timeout
                .unwrap_or_else(|| panic!("no activity_timeout: {data}")),
            http,
        }
    }

    // Sending

    /// Sends a text message.
    pub async fn send_text(&mut self, text: &str) {
        self.socket.send(Frame::text(text)).await;
    }

    /// Sends a JSON message.
    pub async fn send_json(&mut self, message: &Value) {
        self.send_text(&message.to_string()).await;
    }

    /// Sends an event with data, of no channel.
    pub async fn send_event(&mut self, name: &str, data: Value) {
        self.send_json(&json!({"event": name, "data": data})).await;
    }

    /// Sends a client event.
    pub async fn send_client_event(&mut self, channel: &str, name: &str, data: Value) {
        self.send_json(&json!({"event": name, "channel": channel, "data": data}))
            .await;
    }

    /// Sends `pusher:subscribe` with exactly these fields.
    pub async fn send_subscribe(
        &mut self,
        channel: &str,
        auth: Option<&str>,
        channel_data: Option<&str>,
    ) {
        let mut data = json!({"channel": channel});
        if let Some(auth) = auth {
            data["auth"] = auth.into();
        }
        if let Some(channel_data) = channel_data {
            data["channel_data"] = channel_data.into();
        }
        self.send_event("pusher:subscribe", data).await;
    }

    /// Sends a rightly signed `pusher:subscribe`.
    pub async fn send_signed_subscribe(&mut self, channel: &str, channel_data: Option<&str>) {
        let auth = self
            .app
            .channel_auth(&self.socket_id, channel, channel_data);
        self.send_subscribe(channel, Some(&auth), channel_data)
            .await;
    }

    /// Sends `pusher:unsubscribe`, which is not answered.
    pub async fn unsubscribe(&mut self, channel: &str) {
        self.send_event("pusher:unsubscribe", json!({"channel": channel}))
            .await;
    }

    // Subscribing and signing in

    /// Subscribes, signing where the channel's prefix asks for it, and expects success. For presence channels there is
    /// [`Self::subscribe_presence`].
    pub async fn subscribe(&mut self, channel: &str) {
        if channel.starts_with("private-") {
            self.send_signed_subscribe(channel, None).await;
        } else {
            self.send_subscribe(channel, None, None).await;
        }
        let event = self.expect_subscribed(channel).await;
        assert_eq!(event.data_text(), "{}", "{}", event.text);
    }

    /// Subscribes to a presence channel and expects success; `user_info` null is left out of channel_data.
    pub async fn subscribe_presence(
        &mut self,
        channel: &str,
        user_id: &str,
        user_info: Value,
    ) -> Roster {
        let channel_data = channel_data(user_id, user_info);
        self.send_signed_subscribe(channel, Some(&channel_data))
            .await;
        let event = self.expect_subscribed(channel).await;
        Roster::parse(&event.data_json())
    }

    /// Signs in with user_data `{"id": user_id}` and expects success.
    pub async fn sign_in(&mut self, user_id: &str) {
        self.sign_in_with(&json!({"id": user_id}).to_string()).await;
    }

    /// Signs in with this user_data and expects success.
    pub async fn sign_in_with(&mut self, user_data: &str) {
        self.send_sign_in(user_data).await;
        let event = self.expect_event("pusher:signin_success").await;
        assert_eq!(event.data["user_data"], user_data, "{}", event.text);
    }

    /// Sends a rightly signed `pusher:signin`.
    pub async fn send_sign_in(&mut self, user_data: &str) {
        let auth = self.app.user_auth(&self.socket_id, user_data);
        let data = json!({"auth": auth, "user_data": user_data});
        self.send_event("pusher:signin", data).await;
    }

    // Receiving

    /// The next message. Panics when the connection ends instead, when anything but text comes, or when nothing does.
    pub async fn next_event(&mut self) -> Event {
        let text = within("a message", self.next_text()).await;
        Event::parse(&text)
    }

    /// The text of the next message, without a time limit; nothing is lost when it is dropped early. WebSocket pings are
    /// answered, as every library does it.
    pub async fn next_text(&mut self) -> String {
        loop {
            match self.socket.next().await {
                Ok(frame) if frame.opcode == Opcode::TEXT && frame.fin => {
                    return frame.as_text().to_owned();
                }
                Ok(frame) if frame.opcode == Opcode::PING => {
                    let pong = Frame::new(Opcode::PONG, frame.payload);
                    self.socket.send(pong).await;
                }
                Ok(frame) if frame.opcode == Opcode::CLOSE => {
                    panic!(
                        "closed while a message was expected: {:?}",
                        Close::parse(&frame.payload)
                    )
                }
                Ok(frame) => panic!("expected a message, got {frame:?}"),
                Err(ended) => panic!("expected a message: {ended}"),
            }
        }
    }

    /// The next message, which must be an event of this name.
    pub async fn expect_event(&mut self, name: &str) -> Event {
        let event = self.next_event().await;
        assert_eq!(event.name, name, "{}", event.text);
        event
    }

    /// The next message, which must be an event of this name on this channel.
    pub async fn expect_event_on(&mut self, channel: &str, name: &str) -> Event {
        let event = self.expect_event(name).await;
        assert_eq!(event.channel.as_deref(), Some(channel), "{}", event.text);
        event
    }

    /// The next message, which must be `subscription_succeeded` of this channel.
    pub async fn expect_subscribed(&mut self, channel: &str) -> Event {
        self.expect_event_on(channel, "pusher_internal:subscription_succeeded")
            .await
    }

    /// The next message, which must be `subscription_error` of this channel, with a type, a text and a status.
    pub async fn expect_subscription_error(&mut self, channel: &str) -> Event {
        let event = self
            .expect_event_on(channel, "pusher:subscription_error")
            .await;
        for (field, fits) in [
            ("type", event.data["type"].is_string()),
            (
                "error",
                event.data["error"]
                    .as_str()
                    .is_some_and(|error| !error.is_empty()),
            ),
            ("status", event.data["status"].is_u64()),
        ] {
            assert!(
                fits,
                "{field} is missing or of the wrong kind: {}",
                event.text
            );
        }
        event
    }

    /// The next message, which must be a `pusher:error` with this code (`None`: null) and a message.
    pub async fn expect_error(&mut self, code: Option<u64>) -> Event {
        let event = self.expect_event("pusher:error").await;
        assert_eq!(event.error_code(), code, "{}", event.text);
        event.error_message();
        event
    }

    /// Passes over messages until an event of this name.
    pub async fn wait_for_event(&mut self, name: &str) -> Event {
        within(name, async {
            loop {
                let event = Event::parse(&self.next_text().await);
                if event.name == name {
                    return event;
                }
            }
        })
        .await
    }

    /// Takes `count` messages.
    pub async fn next_events(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::with_capacity(count);
        for _ in 0..count {
            events.push(self.next_event().await);
        }
        events
    }

    /// Passes over messages until the close frame, echoes it and waits for the end of the TCP connection.
    pub async fn expect_close(&mut self) -> Close {
        self.socket.expect_close().await
    }

    /// Expects the connection to be closed with this code and with a reason.
    pub async fn expect_close_code(&mut self, code: u16) -> Close {
        let close = self.expect_close().await;
        assert_eq!(close.code, Some(code), "{close:?}");
        assert!(!close.reason.is_empty(), "a close carries a reason text");
        close
    }

    // Fences

    /// Sends `pusher:ping` and returns everything that came before the pong: whatever the server answers to what this
    /// client has sent so far.
    pub async fn ping_fence(&mut self) -> Vec<Event> {
        self.send_event("pusher:ping", json!({})).await;
        self.events_until(|event| event.name == "pusher:pong").await
    }

    /// Returns everything that came before this call's end can have come: what this client has sent is answered, and
    /// every HTTP request that was answered before has reached this connection. A client event of another connection
    /// counts after that connection's own [`Self::ping_fence`].
    ///
    /// It pings, then subscribes to a channel of its own, publishes there and waits for the event: requests sent one
    /// after another reach a connection in that order.
    pub async fn fence(&mut self) -> Vec<Event> {
        let mut seen = self.ping_fence().await;
        let channel = unique("fence-");
        self.send_subscribe(&channel, None, None).await;
        let on_fence = |event: &Event| event.channel.as_deref() == Some(channel.as_str());
        seen.extend(self.events_until(on_fence).await);
        let body = json!({"name": "fence", "channel": channel, "data": ""});
        let request = Request::post(&self.app, "/events").json(&body);
        self.http.send(&request).await.expect_status(200);
        seen.extend(
            self.events_until(|event| on_fence(event) && event.name == "fence")
                .await,
        );
        self.unsubscribe(&channel).await;
        seen
    }

    /// Asserts by [`Self::fence`] that nothing more has come.
    pub async fn expect_nothing(&mut self) {
        let seen = self.fence().await;
        let texts: Vec<&str> = seen.iter().map(|event| event.text.as_str()).collect();
        assert!(seen.is_empty(), "expected nothing, got {texts:#?}");
    }

    /// Takes messages up to the one that `is_last` accepts, and returns those before it.
    pub async fn events_until(&mut self, is_last: impl Fn(&Event) -> bool) -> Vec<Event> {
        within("the last of these messages", async {
            let mut seen = Vec::new();
            loop {
                let event = Event::parse(&self.next_text().await);
                if is_last(&event) {
                    return seen;
                }
                seen.push(event);
            }
        })
        .await
    }
}

/// The channel_data of a presence subscription; `user_info` null is left out.
pub fn channel_data(user_id: &str, user_info: Value) -> String {
    let mut data = json!({"user_id": user_id});
    if !user_info.is_null() {
        data["user_info"] = user_info;
    }
    data.to_string()
}
