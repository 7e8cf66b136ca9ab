//! A client whose session has a token, under the eyes of a test. It answers pings, and knows what is proven received.

use protocol_tests::client::channel_data;
use protocol_tests::names::unique;
use protocol_tests::{
    AppConfig, Close, Event, Frame, Opcode, PublishedEvent, Roster, Skipped, TestServer, Upgrade,
    WsClient, eventually, within,
};
use serde_json::{Value, json};

use crate::page::EVENT;

/// What a client says that it is, and so, how it is asked whether it has received what it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// pusher-js, by `pusher:ping`.
    Page,
    /// Anything else, by a WebSocket ping.
    Other,
}

/// What the names of channels of fences begin with.
const FENCE: &str = "fence-";

pub(crate) const KINDS: [Kind; 2] = [Kind::Page, Kind::Other];

impl Kind {
    pub(crate) fn query(self) -> &'static str {
        match self {
            Kind::Page => "protocol=7&client=js&version=8.4.0&flash=false",
            Kind::Other => "protocol=7&client=java-client&version=2.4.4",
        }
    }
}

/// A name of a session that nobody else uses.
pub(crate) fn token() -> String {
    unique("session-token-")
}

/// An app whose sessions wait for a minute.
pub(crate) fn app() -> AppConfig {
    waiting_app(60)
}

/// An app whose sessions wait for so many seconds.
pub(crate) fn waiting_app(window: i64) -> AppConfig {
    AppConfig::new("10001").set("resume.window", window)
}

/// A server of this app, at its defaults.
pub(crate) async fn start(app: AppConfig) -> Result<TestServer, Skipped> {
    TestServer::builder().app(app).start().await
}

/// The request for a session's WebSocket. `session` is what stands before `/app`.
pub(crate) fn upgrade(server: &TestServer, session: &str, kind: Kind) -> Upgrade {
    let key = &server.app().key;
    Upgrade::new(&format!("{session}/app/{key}?{}", kind.query()))
}

/// A connection of a session. Dropping it cuts it off.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) client: WsClient,
    /// How often it was asked whether it has received everything.
    pub(crate) asked: usize,
    /// Whether it answers that.
    pub(crate) answers: bool,
    /// Whether an event came after the last answer.
    has_unproven: bool,
    kind: Kind,
    /// Empty for a client that was connected by others.
    token: String,
}

/// A session that waits for its client.
#[derive(Debug)]
pub(crate) struct Away {
    kind: Kind,
    token: String,
    id: String,
}

impl Away {
    /// Its client comes back, and finds it.
    pub(crate) async fn resume(&self, server: &TestServer) -> Session {
        let session = self.come_back(server).await;
        assert_eq!(session.id(), self.id, "it is not the same session");
        session
    }

    /// Its client comes back when it is gone.
    pub(crate) async fn begin_anew(&self, server: &TestServer) -> Session {
        let session = self.come_back(server).await;
        assert_ne!(session.id(), self.id, "it is the same session");
        session
    }

    async fn come_back(&self, server: &TestServer) -> Session {
        Session::open_as(server, &self.token, self.kind).await
    }
}

impl Session {
    /// Connects with a token as a page.
    pub(crate) async fn open(server: &TestServer, token: &str) -> Session {
        Session::open_as(server, token, Kind::Page).await
    }

    /// Connects with a token.
    pub(crate) async fn open_as(server: &TestServer, token: &str, kind: Kind) -> Session {
        let upgrade = upgrade(server, &format!("/s/{token}"), kind);
        let session = Session::open_with(server, &upgrade).await;
        Session {
            kind,
            token: token.to_owned(),
            ..session
        }
    }

    /// Connects as a page, with a token of its own.
    pub(crate) async fn named(server: &TestServer) -> Session {
        Session::open(server, &token()).await
    }

    /// A page with a token of its own that is on these channels, as `u` on presence channels.
    pub(crate) async fn on(server: &TestServer, channels: &[impl AsRef<str>]) -> Session {
        Session::on_as(server, Kind::Page, channels).await
    }

    /// A client with a token of its own that is on these channels, as `u` on presence channels.
    pub(crate) async fn on_as(
        server: &TestServer,
        kind: Kind,
        channels: &[impl AsRef<str>],
    ) -> Session {
        let mut session = Session::open_as(server, &token(), kind).await;
        for channel in channels.iter().map(AsRef::as_ref) {
            if channel.starts_with("presence-") {
                session.join(channel, "u").await;
            } else {
                session.subscribe(channel).await;
            }
        }
        session
    }

    /// Connects by this request.
    pub(crate) async fn open_with(server: &TestServer, upgrade: &Upgrade) -> Session {
        Session::over(server.connect_with(server.app(), upgrade).await)
    }

    /// Takes over a client that is connected.
    pub(crate) fn over(client: WsClient) -> Session {
        Session {
            client,
            asked: 0,
            answers: true,
            has_unproven: false,
            kind: Kind::Page,
            token: String::new(),
        }
    }

    pub(crate) fn id(&self) -> &str {
        &self.client.socket_id
    }

    // Receiving

    /// The next message that does not ask for a sign of life.
    pub(crate) async fn next(&mut self) -> Event {
        within("a message", self.next_or_wait()).await
    }

    async fn next_or_wait(&mut self) -> Event {
        loop {
            let frame = match self.client.socket.next().await {
                Ok(frame) => frame,
                Err(ended) => panic!("expected a message: {ended}"),
            };
            if let Some(event) = self.take(frame).await {
                return event;
            }
        }
    }

    /// Takes a frame, and returns the event in it unless it asks for a sign of life.
    pub(crate) async fn take(&mut self, frame: Frame) -> Option<Event> {
        let answer = match frame.opcode {
            Opcode::PING => Frame::new(Opcode::PONG, frame.payload),
            Opcode::CLOSE => panic!(
                "closed while a message was expected: {:?}",
                Close::parse(&frame.payload)
            ),
            _ => {
                let event = Event::parse(frame.as_text());
                if event.name != "pusher:ping" {
                    self.has_unproven |= is_kept(&event);
                    return Some(event);
                }
                Frame::text(r#"{"event":"pusher:pong","data":{}}"#)
            }
        };
        self.asked += 1;
        if self.answers {
            self.client.socket.send(answer).await;
            self.has_unproven = false;
        }
        None
    }

    /// The next message, which must be an event of this name on this channel.
    pub(crate) async fn expect_on(&mut self, channel: &str, name: &str) -> Event {
        let event = self.next().await;
        let found = (event.channel.as_deref(), event.name.as_str());
        assert_eq!(found, (Some(channel), name), "{}", event.text);
        event
    }

    /// The next messages, which must be the events of these numbers on this channel.
    pub(crate) async fn expect_numbers(&mut self, channel: &str, numbers: std::ops::Range<usize>) {
        for number in numbers {
            let event = self.expect_on(channel, EVENT).await;
            let text = event.data_text();
            let begins_so = text == number.to_string() || text.starts_with(&format!("{number}:"));
            assert!(
                begins_so,
                "expected {number}: {}",
                &event.text[..event.text.len().min(200)]
            );
        }
    }

    /// The next message, which must report on this channel that so many events are missing; `None`: it is not known how many.
    pub(crate) async fn expect_gap(&mut self, channel: &str, missed: Option<usize>) {
        let event = self.expect_on(channel, "fanfare:gap").await;
        assert_eq!(
            event.data_json(),
            json!({"missed": missed}),
            "{}",
            event.text
        );
    }

    /// Takes messages up to the one that `is_last` accepts, and returns those before it.
    pub(crate) async fn until(&mut self, is_last: impl Fn(&Event) -> bool) -> Vec<Event> {
        let mut seen = Vec::new();
        loop {
            let event = self.next().await;
            if is_last(&event) {
                return seen;
            }
            seen.push(event);
        }
    }

    /// Waits until the relay knows that everything has come that has.
    pub(crate) async fn prove(&mut self) {
        within("a question whether everything has come", async {
            while self.has_unproven {
                match self.client.socket.next().await {
                    Ok(frame) => {
                        let event = self.take(frame).await;
                        assert!(event.is_none(), "only questions are expected: {event:?}");
                    }
                    Err(ended) => panic!("expected a question: {ended}"),
                }
            }
        })
        .await;
        let seen = self.fence_own().await;
        assert!(seen.is_empty(), "only questions are expected: {seen:?}");
    }

    /// Everything that came before the answer to what this client has sent so far.
    pub(crate) async fn fence_own(&mut self) -> Vec<Event> {
        self.client.send_event("pusher:ping", json!({})).await;
        self.until(|event| event.name == "pusher:pong").await
    }

    /// Everything that came before this call's end can have come: what this client has sent is answered, and every
    /// publish that was answered before has reached this connection.
    pub(crate) async fn fence(&mut self, server: &TestServer) -> Vec<Event> {
        let mut seen = self.fence_own().await;
        let channel = server.channel(FENCE);
        self.client.send_subscribe(&channel, None, None).await;
        let is_there = |event: &Event| event.channel.as_deref() == Some(channel.as_str());
        seen.extend(self.until(is_there).await);
        publish(server, &channel, 0).await;
        seen.extend(
            self.until(|event| is_there(event) && event.name == EVENT)
                .await,
        );
        self.client.unsubscribe(&channel).await;
        seen
    }

    /// Asserts by [`Self::fence`] that nothing more has come.
    pub(crate) async fn expect_nothing(&mut self, server: &TestServer) {
        let seen = self.fence(server).await;
        let texts: Vec<&str> = seen.iter().map(|event| event.text.as_str()).collect();
        assert!(texts.is_empty(), "expected nothing, got {texts:#?}");
    }

    // Subscribing and signing in

    /// Subscribes to a channel that is no presence channel, signing where its prefix asks for it.
    pub(crate) async fn subscribe(&mut self, channel: &str) {
        if channel.starts_with("private-") {
            self.client.send_signed_subscribe(channel, None).await;
        } else {
            self.client.send_subscribe(channel, None, None).await;
        }
        self.expect_on(channel, "pusher_internal:subscription_succeeded")
            .await;
    }

    /// Subscribes to a presence channel.
    pub(crate) async fn join(&mut self, channel: &str, user: &str) -> Roster {
        let data = channel_data(user, Value::Null);
        self.client
            .send_signed_subscribe(channel, Some(&data))
            .await;
        let event = self
            .expect_on(channel, "pusher_internal:subscription_succeeded")
            .await;
        Roster::parse(&event.data_json())
    }

    /// Signs in.
    pub(crate) async fn sign_in(&mut self, user: &str) {
        self.client
            .send_sign_in(&json!({"id": user}).to_string())
            .await;
        let event = self.next().await;
        assert_eq!(event.name, "pusher:signin_success", "{}", event.text);
    }

    // Ends

    /// Resets the connection.
    pub(crate) fn reset(mut self) {
        self.client.socket.connection().reset_on_drop();
    }

    /// Resets the connection, and waits until one session more than before is parked.
    pub(crate) async fn park(self, server: &TestServer) -> Away {
        let before = parked(server).await;
        let away = Away {
            kind: self.kind,
            token: self.token.clone(),
            id: self.id().to_owned(),
        };
        self.reset();
        wait_until_parked(server, before + 1).await;
        away
    }

    /// Says goodbye, and waits for the end.
    pub(crate) async fn leave(self) {
        self.leave_by(Frame::close(1000, "")).await;
    }

    /// Says goodbye by this close frame, and waits for the end.
    pub(crate) async fn leave_by(mut self, frame: Frame) {
        self.client.socket.send(frame).await;
        self.client.socket.read_close().await;
        self.client.socket.expect_end().await;
    }
}

/// Whether this would come again if it were not proven received. Channels of fences are left at once.
fn is_kept(event: &Event) -> bool {
    let channel = event.channel.as_deref().unwrap_or_default();
    !event.name.starts_with("pusher") && !channel.starts_with(FENCE)
}

/// How many sessions are parked.
pub(crate) async fn parked(server: &TestServer) -> usize {
    let labels = [("app", server.app().id.as_str())];
    let metrics = server.metrics().await;
    metrics.sum("fanfare_parked_sessions", &labels) as usize
}

pub(crate) async fn wait_until_parked(server: &TestServer, count: usize) {
    eventually(&format!("{count} sessions to be parked"), || async {
        (parked(server).await == count).then_some(())
    })
    .await;
}

/// Publishes an event with this number as its data.
pub(crate) async fn publish(server: &TestServer, channel: &str, number: usize) {
    server
        .publish(PublishedEvent::new(channel, EVENT, number.to_string()))
        .await;
}

/// Publishes events of these numbers.
pub(crate) async fn publish_numbers(
    server: &TestServer,
    channel: &str,
    numbers: std::ops::Range<usize>,
) {
    for number in numbers {
        publish(server, channel, number).await;
    }
}

/// Publishes events of these numbers with data of about so many bytes each.
pub(crate) async fn publish_large(
    server: &TestServer,
    channel: &str,
    numbers: std::ops::Range<usize>,
    bytes: usize,
) {
    let mut http = server.http();
    for number in numbers {
        let data = format!("{number}:{}", "x".repeat(bytes));
        let event = PublishedEvent::new(channel, EVENT, data);
        let request = protocol_tests::Request::post(server.app(), "/events").json(event.body());
        http.send(&request).await.expect_status(200);
    }
}

/// The users on a presence channel, sorted.
pub(crate) async fn users(server: &TestServer, channel: &str) -> Vec<String> {
    let answer = server.get(&format!("/channels/{channel}/users"), &[]).await;
    let users = answer["users"].as_array().expect("a list of users");
    let ids = users
        .iter()
        .map(|user| user["id"].as_str().expect("a text"));
    let mut ids: Vec<String> = ids.map(str::to_owned).collect();
    ids.sort();
    ids
}

/// Waits until these are the users on a presence channel.
pub(crate) async fn wait_for_users(server: &TestServer, channel: &str, expected: &[&str]) {
    eventually(&format!("{expected:?} to be on {channel}"), || async {
        (users(server, channel).await == expected).then_some(())
    })
    .await;
}
