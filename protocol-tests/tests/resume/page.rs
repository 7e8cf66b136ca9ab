//! A page, as pusher-js makes it: it comes back whenever its connection ends, subscribes again to all of its channels in
//! order, and writes down what it is sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use protocol_tests::client::channel_data;
use protocol_tests::subject::Endpoint;
use protocol_tests::{App, Close, Connection, Ended, Event, Frame, Opcode, Upgrade, WebSocket};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::session::Kind;

/// The name of every event that is published to pages.
pub(crate) const EVENT: &str = "numbered";

/// How long an attempt to connect may take. pusher-js begins the next one only when this is over, even if the attempt
/// has failed long before.
const ATTEMPT: Duration = Duration::from_secs(15);
/// What pusher-js waits after most ends.
const BACK_OFF: Duration = Duration::from_secs(1);
/// How long a browser waits for the relay's part of a close.
const CLOSING: Duration = Duration::from_secs(2);

/// What a page is made of.
#[derive(Clone)]
pub(crate) struct Plan {
    /// Its presence member's user id.
    pub(crate) user: String,
    /// Through which it reaches the relay.
    pub(crate) endpoint: Endpoint,
    pub(crate) app: App,
    /// What names its session.
    pub(crate) token: Option<String>,
    /// Its channels, each with its number.
    pub(crate) channels: Vec<(usize, String)>,
    /// Whom it watches, if it signs in.
    pub(crate) watchlist: Option<Vec<String>>,
    pub(crate) kind: Kind,
    /// How long it waits for a pong.
    pub(crate) pong_timeout: Duration,
}

/// What channels of events to one user begin with.
pub(crate) const OWN: &str = "#server-to-user-";

impl Plan {
    /// The channel of events to its user, if it is on that.
    pub(crate) fn own_channel(&self) -> Option<&(usize, String)> {
        let mut channels = self.channels.iter();
        channels.find(|(_, name)| name.starts_with(OWN))
    }
}

/// A page that is open. Dropping it ends it without a goodbye.
pub(crate) struct Page {
    pub(crate) plan: Plan,
    diary: Arc<Mutex<Diary>>,
    wish: watch::Sender<Wish>,
    task: JoinHandle<()>,
}

/// What becomes of the page's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Live,
    /// It does nothing until then.
    FrozenUntil(Instant),
    /// It says goodbye.
    Leave,
}

/// What a page knows.
#[derive(Default)]
pub(crate) struct Diary {
    pub(crate) lives: Vec<Life>,
    pub(crate) streams: HashMap<usize, Stream>,
    /// Whether the users that it watches are online, as far as it knows.
    pub(crate) statuses: HashMap<String, bool>,
    /// What cannot be true.
    pub(crate) differences: Vec<String>,
    /// The port of the connection that there is, and since when all channels are back on it.
    pub(crate) connected: Option<(u16, Option<Instant>)>,
}

/// A connection that was established.
pub(crate) struct Life {
    pub(crate) socket_id: String,
    pub(crate) began: Instant,
    pub(crate) ended: Option<Instant>,
    /// When the fault began that there was last.
    pub(crate) disturbed: Option<Instant>,
}

/// What came of a channel, whose events have the numbers 1, 2, 3, …
#[derive(Default)]
pub(crate) struct Stream {
    /// The highest number so far.
    pub(crate) highest: u32,
    /// First and last numbers of what was left out below the highest.
    pub(crate) left_out: Vec<(u32, u32)>,
    /// Numbers that came again, each with the connection on which they did.
    pub(crate) again: Vec<(u32, usize)>,
    /// How often a number came that should have come before.
    pub(crate) out_of_order: usize,
    /// Events `fanfare:gap`.
    pub(crate) gaps: usize,
    /// How many events are missing as they have it.
    pub(crate) reported: u64,
    is_subscribed: bool,
    last_of_connection: u32,
}

impl Stream {
    fn take(&mut self, number: u32, connection: usize) {
        if number <= self.last_of_connection {
            self.out_of_order += 1;
        }
        self.last_of_connection = number;
        if number > self.highest {
            if number > self.highest + 1 {
                self.left_out.push((self.highest + 1, number - 1));
            }
            self.highest = number;
        } else if let Some(position) = self.position_left_out(number) {
            self.out_of_order += 1;
            let (first, last) = self.left_out.swap_remove(position);
            let rest = [(first, number - 1), (number + 1, last)];
            self.left_out
                .extend(rest.into_iter().filter(|(first, last)| first <= last));
        } else {
            self.again.push((number, connection));
        }
    }

    fn position_left_out(&self, number: u32) -> Option<usize> {
        let mut ranges = self.left_out.iter();
        ranges.position(|(first, last)| (*first..=*last).contains(&number))
    }

    /// Whether it has come, be it late.
    pub(crate) fn has(&self, number: u32) -> bool {
        number <= self.highest && self.position_left_out(number).is_none()
    }
}

impl Page {
    pub(crate) fn open(plan: Plan) -> Page {
        let diary = Arc::new(Mutex::new(Diary::default()));
        let (wish, wishes) = watch::channel(Wish::Live);
        let browser = Browser {
            plan: plan.clone(),
            diary: Arc::clone(&diary),
            wishes,
        };
        Page {
            plan,
            diary,
            wish,
            task: tokio::spawn(browser.run()),
        }
    }

    pub(crate) fn diary(&self) -> MutexGuard<'_, Diary> {
        self.diary.lock().expect("no page panics holding this")
    }

    /// Lets it do nothing for so long: neither read nor answer.
    pub(crate) fn freeze(&self, time: Duration) {
        self.wish
            .send_replace(Wish::FrozenUntil(Instant::now() + time));
    }

    /// Lets it say goodbye, and waits for its end.
    pub(crate) async fn leave(mut self) {
        self.wish.send_replace(Wish::Leave);
        let ended = timeout(ATTEMPT * 4, &mut self.task).await;
        ended
            .expect("a page that leaves does so soon")
            .expect("a page does not panic");
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The task of a page.
struct Browser {
    plan: Plan,
    diary: Arc<Mutex<Diary>>,
    wishes: watch::Receiver<Wish>,
}

/// Why a connection is over.
enum End {
    /// It failed, or was closed with this code.
    Closed(Option<u16>),
    /// The page has given it up.
    GivenUp,
    Left,
}

impl Browser {
    async fn run(mut self) {
        loop {
            let began = Instant::now();
            let attempt = timeout(ATTEMPT, self.connect());
            let socket = tokio::select! {
                socket = attempt => socket.ok().flatten(),
                () = leave_wished(self.wishes.clone()) => return,
            };
            let Some((socket, port)) = socket else {
                tokio::select! {
                    () = sleep_until(began + ATTEMPT) => continue,
                    () = leave_wished(self.wishes.clone()) => return,
                }
            };
            self.diary().connected = Some((port, None));
            let end = self.live(socket).await;
            self.ended();
            match end {
                End::Left => return,
                End::GivenUp | End::Closed(Some(4200..=4299)) => {}
                End::Closed(Some(code @ 4000..=4099)) => {
                    self.differs(&format!("it was closed for good with {code}"));
                    return;
                }
                End::Closed(_) => tokio::select! {
                    () = sleep(BACK_OFF) => {}
                    () = leave_wished(self.wishes.clone()) => return,
                },
            }
        }
    }

    async fn connect(&self) -> Option<(WebSocket, u16)> {
        let endpoint = &self.plan.endpoint;
        let connection = Connection::try_open(&endpoint.authority).await.ok()?;
        let port = connection.local_port();
        let session = self.plan.token.as_ref().map(|token| format!("/s/{token}"));
        let upgrade = Upgrade::new(&format!(
            "{}/app/{}?{}",
            session.unwrap_or_default(),
            self.plan.app.key,
            self.plan.kind.query()
        ));
        let request = upgrade.encode(&endpoint.authority, &endpoint.prefix);
        match WebSocket::try_open(connection, &request).await.ok()? {
            Ok(socket) => Some((socket, port)),
            Err(response) => {
                self.differs(&format!(
                    "the upgrade was answered with {}",
                    response.status
                ));
                None
            }
        }
    }

    /// Serves a connection to its end.
    async fn live(&mut self, mut socket: WebSocket) -> End {
        let mut activity_timeout = Duration::from_secs(120);
        let mut is_asked = false;
        let mut timer = Instant::now() + activity_timeout;
        loop {
            tokio::select! {
                biased;
                Ok(()) = self.wishes.changed() => {
                    let wish = *self.wishes.borrow_and_update();
                    match wish {
                        Wish::Live => {}
                        Wish::FrozenUntil(end) => sleep_until(end).await,
                        Wish::Leave => {
                            close(socket, Frame::close(1000, "")).await;
                            return End::Left;
                        }
                    }
                }
                frame = socket.next() => {
                    let frame = match frame {
                        Ok(frame) => frame,
                        Err(Ended::Eof | Ended::Reset) => return End::Closed(None),
                    };
                    if frame.opcode == Opcode::CLOSE {
                        let code = Close::parse(&frame.payload).code;
                        let _ended_already = socket.try_send(frame_back(Opcode::CLOSE, &frame)).await;
                        return End::Closed(code);
                    }
                    let answers = match frame.opcode {
                        Opcode::PING => vec![frame_back(Opcode::PONG, &frame)],
                        _ => self.message(&Event::parse(frame.as_text()), &mut activity_timeout),
                    };
                    for answer in answers {
                        if socket.try_send(answer).await.is_err() {
                            return End::Closed(None);
                        }
                    }
                    is_asked = false;
                    timer = Instant::now() + activity_timeout;
                }
                () = sleep_until(timer) => {
                    if is_asked {
                        // The same close as that of disconnect(), and nobody waits for its end.
                        tokio::spawn(close(socket, Frame::new(Opcode::CLOSE, [])));
                        return End::GivenUp;
                    }
                    let ping = Frame::text(r#"{"event":"pusher:ping","data":{}}"#);
                    if socket.try_send(ping).await.is_err() {
                        return End::Closed(None);
                    }
                    is_asked = true;
                    timer = Instant::now() + self.plan.pong_timeout;
                }
            }
        }
    }

    /// Takes a message in, and returns what is to be sent.
    fn message(&self, event: &Event, activity_timeout: &mut Duration) -> Vec<Frame> {
        match event.name.as_str() {
            EVENT => self.numbered(event),
            "pusher:ping" if self.plan.kind == Kind::Page => {
                return vec![Frame::text(r#"{"event":"pusher:pong","data":{}}"#)];
            }
            "pusher:connection_established" => {
                let data = event.data_json();
                let seconds = data["activity_timeout"].as_u64().expect("a number");
                *activity_timeout = Duration::from_secs(seconds);
                let socket_id = data["socket_id"].as_str().expect("a text");
                self.established(socket_id);
                let mut frames = self.subscriptions(socket_id);
                frames.splice(0..0, self.sign_in(socket_id));
                return frames;
            }
            "pusher:signin_success" => {
                let own = self.plan.own_channel().expect("it signs in");
                let data = json!({"channel": own.1});
                let message = json!({"event": "pusher:subscribe", "data": data});
                return vec![Frame::text(&message.to_string())];
            }
            "pusher_internal:watchlist_events" => self.statuses(event),
            "pusher_internal:subscription_succeeded" => self.subscribed(event),
            "fanfare:gap" => {
                if let Some(stream) = self.diary().streams.get_mut(&self.number(event)) {
                    stream.gaps += 1;
                    stream.reported += event.data_json()["missed"].as_u64().unwrap_or_default();
                }
            }
            "pusher_internal:member_added" | "pusher_internal:member_removed" | "pusher:pong" => {}
            // A close that says that the page may come back.
            "pusher:error" if matches!(event.error_code(), Some(4100..=4299)) => {}
            _ => self.differs(&event.text),
        }
        Vec::new()
    }

    fn established(&self, socket_id: &str) {
        let mut diary = self.diary();
        diary.lives.push(Life {
            socket_id: socket_id.to_owned(),
            began: Instant::now(),
            ended: None,
            disturbed: None,
        });
        for stream in diary.streams.values_mut() {
            stream.is_subscribed = false;
            stream.last_of_connection = 0;
        }
    }

    fn subscriptions(&self, socket_id: &str) -> Vec<Frame> {
        let plan = &self.plan;
        let channels = plan.channels.iter();
        let channels = channels.filter(|(_, channel)| !channel.starts_with(OWN));
        let frames = channels.map(|(_, channel)| {
            let is_presence = channel.starts_with("presence-");
            let member = is_presence.then(|| channel_data(&plan.user, Value::Null));
            let mut data = json!({"channel": channel});
            if channel.starts_with("pr") {
                let auth = plan.app.channel_auth(socket_id, channel, member.as_deref());
                data["auth"] = auth.into();
            }
            if let Some(member) = member {
                data["channel_data"] = member.into();
            }
            let message = json!({"event": "pusher:subscribe", "data": data});
            Frame::text(&message.to_string())
        });
        frames.collect()
    }

    fn sign_in(&self, socket_id: &str) -> Option<Frame> {
        let watchlist = self.plan.watchlist.as_ref()?;
        let user_data = json!({"id": self.plan.user, "watchlist": watchlist}).to_string();
        let auth = self.plan.app.user_auth(socket_id, &user_data);
        let data = json!({"auth": auth, "user_data": user_data});
        let message = json!({"event": "pusher:signin", "data": data});
        Some(Frame::text(&message.to_string()))
    }

    fn statuses(&self, event: &Event) {
        let data = event.data_json();
        let mut diary = self.diary();
        for status in data["events"].as_array().expect("a list") {
            let is_online = status["name"] == "online";
            for user in status["user_ids"].as_array().expect("a list") {
                let user = user.as_str().expect("a text").to_owned();
                diary.statuses.insert(user, is_online);
            }
        }
    }

    fn subscribed(&self, event: &Event) {
        let number = self.number(event);
        let mut diary = self.diary();
        diary.streams.entry(number).or_default().is_subscribed = true;
        let subscribed = diary.streams.values().filter(|stream| stream.is_subscribed);
        if subscribed.count() == self.plan.channels.len()
            && let Some((_, settled)) = &mut diary.connected
        {
            settled.get_or_insert_with(Instant::now);
        }
    }

    fn numbered(&self, event: &Event) {
        let number = event.data_text().parse().expect("data is a number");
        let channel = self.number(event);
        let mut diary = self.diary();
        let connection = diary.lives.len() - 1;
        let stream = diary.streams.entry(channel).or_default();
        let is_early = !stream.is_subscribed;
        stream.take(number, connection);
        if is_early {
            let what = format!("before subscription_succeeded: {}", event.text);
            diary.differences.push(what);
        }
    }

    fn number(&self, event: &Event) -> usize {
        let mut channels = self.plan.channels.iter();
        let channel = channels.find(|(_, name)| name == event.channel());
        channel
            .unwrap_or_else(|| panic!("not its channel: {}", event.text))
            .0
    }

    fn ended(&self) {
        let mut diary = self.diary();
        diary.connected = None;
        if let Some(life) = diary.lives.last_mut() {
            life.ended.get_or_insert_with(Instant::now);
        }
    }

    fn differs(&self, what: &str) {
        self.diary().differences.push(what.to_owned());
    }

    fn diary(&self) -> MutexGuard<'_, Diary> {
        self.diary.lock().expect("no page panics holding this")
    }
}

async fn leave_wished(mut wishes: watch::Receiver<Wish>) {
    let _page_dropped = wishes.wait_for(|wish| *wish == Wish::Leave).await;
}

/// Sends a close frame and waits for the end, no longer than a browser does.
async fn close(mut socket: WebSocket, frame: Frame) {
    let _ended_already = socket.try_send(frame).await;
    let _given_up = timeout(CLOSING, async { while socket.next().await.is_ok() {} }).await;
}

/// A frame with the same payload.
fn frame_back(opcode: Opcode, frame: &Frame) -> Frame {
    Frame::new(opcode, frame.payload.clone())
}
