//! A client as pusher-js is one when it may not use a WebSocket.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol_tests::{
    App, Connection, Event, HttpClient, Request, Response, Skipped, TestServer, within,
};
use serde_json::{Value, json};

/// Characters after which pusher-js gives up an answer for the next one.
const FULL: usize = 256 * 1024;

/// A server on which a session that nobody goes on with soon ends.
pub(crate) async fn start() -> Result<TestServer, Skipped> {
    let builder = TestServer::builder().set("server.fallback_timeout", 5);
    builder.start().await
}

/// How HTTP carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Streaming,
    Polling,
}

pub(crate) const BOTH: [Transport; 2] = [Transport::Streaming, Transport::Polling];

impl Transport {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Transport::Streaming => "xhr_streaming",
            Transport::Polling => "xhr",
        }
    }
}

/// A line of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Line {
    Open,
    Messages(Vec<String>),
    Heartbeat,
    Close(u16, String),
}

impl Line {
    pub(crate) fn parse(line: &str) -> Line {
        let json = |text: &str| -> Value {
            serde_json::from_str(text).unwrap_or_else(|_| panic!("a line holds no JSON: {line}"))
        };
        match line.split_at(1) {
            ("o", rest) => {
                assert!(json(rest).is_object(), "{line}");
                Line::Open
            }
            ("a", rest) => {
                let messages = json(rest);
                let messages = messages.as_array().expect("an array of messages");
                let text = |message: &Value| message.as_str().expect("a text").to_owned();
                Line::Messages(messages.iter().map(text).collect())
            }
            ("h", _) => Line::Heartbeat,
            ("c", rest) => {
                let close = json(rest);
                let code = close[0].as_u64().expect("a code");
                let reason = close[1].as_str().expect("a reason");
                Line::Close(
                    u16::try_from(code).expect("a close code"),
                    reason.to_owned(),
                )
            }
            _ => panic!("no line that pusher-js knows: {line}"),
        }
    }

    /// The lines of a whole answer.
    pub(crate) fn all(body: &str) -> Vec<Line> {
        assert!(body.ends_with('\n'), "a line ends: {body:?}");
        body.lines().map(Line::parse).collect()
    }
}

/// An answer that does not end.
pub(crate) struct Stream {
    pub(crate) connection: Connection,
    body: Vec<u8>,
    /// Where the next line begins.
    position: usize,
}

impl Stream {
    /// Sends the request and reads the head of its answer.
    pub(crate) async fn open(server: &TestServer, request: &Request) -> Stream {
        let mut connection = server.connection().await;
        connection.send(&encoded(server, request)).await;
        let head = within("the head of a stream", async {
            loop {
                if let Some(end) = find(connection.buffered(), b"\r\n\r\n") {
                    let head =
                        String::from_utf8_lossy(&connection.buffered()[..end]).to_lowercase();
                    connection.take(end + 4);
                    break head;
                }
                connection.receive().await.expect("an answer");
            }
        })
        .await;
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        for field in [
            "transfer-encoding: chunked",
            "x-accel-buffering: no",
            "cache-control: no-store, no-transform",
            "access-control-allow-origin: *",
        ] {
            assert!(head.contains(field), "{field}: {head}");
        }
        Stream {
            connection,
            body: Vec::new(),
            position: 0,
        }
    }

    /// The next line as text; None at the end of the answer. No time limit.
    pub(crate) async fn next_text(&mut self) -> Option<String> {
        loop {
            if let Some(length) = find(&self.body[self.position..], b"\n") {
                let line = &self.body[self.position..self.position + length];
                let line = String::from_utf8(line.to_vec()).expect("answers are UTF-8");
                self.position += length + 1;
                return Some(line);
            }
            while !self.take_chunk()? {
                self.connection.receive().await.ok()?;
            }
        }
    }

    /// Takes a chunk that has come whole; None is the last one.
    fn take_chunk(&mut self) -> Option<bool> {
        let buffered = self.connection.buffered();
        let Ok(httparse::Status::Complete((head, size))) = httparse::parse_chunk_size(buffered)
        else {
            return Some(false);
        };
        let size = usize::try_from(size).expect("a size");
        if buffered.len() < head + size + 2 {
            return Some(false);
        }
        self.body.extend_from_slice(&buffered[head..head + size]);
        self.connection.take(head + size + 2);
        (size > 0).then_some(true)
    }

    /// Whether pusher-js would ask for the next answer now.
    fn is_full(&self) -> bool {
        let text = std::str::from_utf8(&self.body).expect("answers are UTF-8");
        self.position == self.body.len() && text.encode_utf16().count() > FULL
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// A request as it is sent to the server.
fn encoded(server: &TestServer, request: &Request) -> Vec<u8> {
    let endpoint = server.endpoint();
    request.encode(&endpoint.authority, &endpoint.prefix)
}

/// A connection that requests carry, and that was established.
pub(crate) struct FallbackClient<'s> {
    server: &'s TestServer,
    pub(crate) app: App,
    pub(crate) socket_id: String,
    pub(crate) session: Session,
    pub(crate) transport: Transport,
    pub(crate) stream: Option<Stream>,
    polls: HttpClient,
    sends: HttpClient,
    lines: VecDeque<Line>,
    events: VecDeque<String>,
    /// Answers that were given up for the next one.
    pub(crate) renewals: usize,
    pub(crate) answers_heartbeats: bool,
}

/// How a session is named and its requests are made.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) base: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) number: u64,
}

impl Session {
    pub(crate) fn new(app: &App) -> Session {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Session {
            base: format!("/pusher/app/{}/417/session{number}", app.key),
            query: vec![
                ("protocol", "7".to_owned()),
                ("client", "js".to_owned()),
                ("version", "8.6.0".to_owned()),
            ],
            headers: Vec::new(),
            number: 0,
        }
    }

    /// That of a page which names itself.
    pub(crate) fn of_page(app: &App, token: &str) -> Session {
        let mut session = Session::new(app);
        session.base = format!("/s/{token}{}", session.base);
        session
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Session {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The next request that receives.
    pub(crate) fn receive(&mut self, transport: Transport) -> Request {
        let path = transport.path();
        let mut request = self.request(path);
        for (name, value) in &self.query {
            request = request.query(name, value);
        }
        self.numbered(request)
    }

    /// The next request that sends.
    pub(crate) fn send(&mut self, body: &str) -> Request {
        let request = self.request("xhr_send").body(body);
        self.numbered(request)
    }

    fn request(&self, path: &str) -> Request {
        let mut request = Request::new("POST", &format!("{}/{path}", self.base));
        request = request.header("Content-Type", "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request
    }

    fn numbered(&mut self, request: Request) -> Request {
        self.number += 1;
        request
            .query("t", "1700000000000")
            .query("n", &self.number.to_string())
    }
}

impl<'s> FallbackClient<'s> {
    pub(crate) async fn connect(
        server: &'s TestServer,
        transport: Transport,
    ) -> FallbackClient<'s> {
        let session = Session::new(server.app());
        FallbackClient::connect_as(server, server.app(), transport, session).await
    }

    /// Connects, and subscribes to a channel that needs no signature.
    pub(crate) async fn on(
        server: &'s TestServer,
        transport: Transport,
        channel: &str,
    ) -> FallbackClient<'s> {
        let mut client = FallbackClient::connect(server, transport).await;
        client.subscribe(channel, None).await;
        client
    }

    pub(crate) async fn connect_as(
        server: &'s TestServer,
        app: &App,
        transport: Transport,
        session: Session,
    ) -> FallbackClient<'s> {
        let mut client = FallbackClient {
            server,
            app: app.clone(),
            socket_id: String::new(),
            session,
            transport,
            stream: None,
            polls: server.http(),
            sends: server.http(),
            lines: VecDeque::new(),
            events: VecDeque::new(),
            renewals: 0,
            answers_heartbeats: true,
        };
        assert_eq!(client.next_line().await, Line::Open);
        let established = client.next_event().await;
        assert_eq!(established.name, "pusher:connection_established");
        let data = established.data_json();
        client.socket_id = data["socket_id"].as_str().expect("a socket id").to_owned();
        client
    }

    /// The next line; the padding of a stream is none.
    pub(crate) async fn next_line(&mut self) -> Line {
        within("a line", async {
            loop {
                if let Some(line) = self.lines.pop_front() {
                    return line;
                }
                match self.transport {
                    Transport::Streaming => self.read_stream().await,
                    Transport::Polling => self.poll().await,
                }
            }
        })
        .await
    }

    async fn read_stream(&mut self) {
        if self.stream.as_ref().is_some_and(Stream::is_full) {
            self.stream = None;
            self.renewals += 1;
        }
        if self.stream.is_none() {
            let request = self.session.receive(Transport::Streaming);
            let mut stream = Stream::open(self.server, &request).await;
            let padding = stream.next_text().await.expect("padding");
            assert_eq!(padding, "h".repeat(2048));
            self.stream = Some(stream);
            if self.renewals > 0 {
                self.answer_heartbeat().await;
            }
        }
        let stream = self.stream.as_mut().expect("it was opened");
        let line = stream.next_text().await.expect("a stream does not end");
        // A blank one is for proxies.
        if line != " " {
            self.lines.push_back(Line::parse(&line));
        }
    }

    async fn poll(&mut self) {
        let request = self.session.receive(Transport::Polling);
        let response = self.polls.send(&request).await.expect_status(200);
        self.lines.extend(Line::all(&response.text()));
    }

    async fn answer_heartbeat(&mut self) {
        if self.transport == Transport::Streaming && self.answers_heartbeats {
            self.send_body("[]").await.expect_status(204);
        }
    }

    /// The next message, past heartbeats.
    pub(crate) async fn next_event(&mut self) -> Event {
        loop {
            if let Some(text) = self.events.pop_front() {
                return Event::parse(&text);
            }
            match self.next_line().await {
                Line::Messages(messages) => self.events.extend(messages),
                Line::Heartbeat => self.answer_heartbeat().await,
                other => panic!("instead of a message: {other:?}"),
            }
        }
    }

    pub(crate) async fn expect_event(&mut self, channel: &str, name: &str) -> Event {
        let event = self.next_event().await;
        assert_eq!(event.name, name, "{}", event.text);
        assert_eq!(event.channel.as_deref(), Some(channel), "{}", event.text);
        event
    }

    /// The close, behind `pusher:error` with the same code if it is the protocol's.
    pub(crate) async fn expect_close(&mut self) -> (u16, String) {
        let mut error = None;
        if self.events.is_empty() {
            loop {
                match self.next_line().await {
                    Line::Heartbeat => self.answer_heartbeat().await,
                    Line::Messages(messages) => {
                        error = messages.last().map(|text| Event::parse(text));
                    }
                    Line::Close(code, reason) => {
                        if code >= 4000 {
                            let error = error.expect("the error says why");
                            assert_eq!(error.error_code(), Some(u64::from(code)), "{}", error.text);
                        }
                        return (code, reason);
                    }
                    Line::Open => panic!("a second open"),
                }
            }
        }
        panic!("instead of a close: {:?}", self.events)
    }

    /// Shows that the page is there as it does by itself, and reads no answer.
    pub(crate) async fn show_itself(&mut self) {
        match self.transport {
            Transport::Streaming => self.send_unread("[]").await,
            Transport::Polling => {
                let poll = self.session.receive(self.transport);
                self.polls.send_raw(&encoded(self.server, &poll)).await;
            }
        }
    }

    /// Reads the answer to that.
    pub(crate) async fn is_noticed(&mut self) {
        match self.transport {
            Transport::Streaming => self.read_sent().await,
            Transport::Polling => {
                let answer = self.polls.read_response().await.expect_status(200);
                self.lines.extend(Line::all(&answer.text()));
            }
        }
    }

    /// Sends a body as it is, and reads no answer.
    pub(crate) async fn send_unread(&mut self, body: &str) {
        let request = self.session.send(body);
        self.sends.send_raw(&encoded(self.server, &request)).await;
    }

    /// Reads the answer to that.
    pub(crate) async fn read_sent(&mut self) {
        self.sends.read_response().await.expect_status(204);
    }

    /// Goes on over other connections.
    pub(crate) fn disconnect(&mut self) {
        self.polls.disconnect();
        self.sends.disconnect();
    }

    /// Sends a body as it is.
    pub(crate) async fn send_body(&mut self, body: &str) -> Response {
        let request = self.session.send(body);
        self.sends.send(&request).await
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        let body = json!([message.to_string()]).to_string();
        self.send_body(&body).await.expect_status(204);
    }

    /// Subscribes to a channel of any kind; presence channels as the user.
    pub(crate) async fn subscribe(&mut self, channel: &str, user: Option<&str>) -> Event {
        let mut data = json!({"channel": channel});
        let channel_data = user.map(|id| json!({"user_id": id, "user_info": {}}).to_string());
        if channel.starts_with("private-") || channel.starts_with("presence-") {
            let channel_data = channel_data.as_deref();
            data["auth"] = self
                .app
                .channel_auth(&self.socket_id, channel, channel_data)
                .into();
        }
        if let Some(channel_data) = channel_data {
            data["channel_data"] = channel_data.into();
        }
        self.send(&json!({"event": "pusher:subscribe", "data": data}))
            .await;
        self.expect_event(channel, "pusher_internal:subscription_succeeded")
            .await
    }

    /// Waits for the answer to a ping: all that was sent before has come.
    pub(crate) async fn fence(&mut self) -> Vec<Event> {
        self.send(&json!({"event": "pusher:ping", "data": {}}))
            .await;
        let mut before = Vec::new();
        loop {
            let event = self.next_event().await;
            if event.name == "pusher:pong" {
                return before;
            }
            before.push(event);
        }
    }
}
