//! A tab: one WebSocket that writes down what it is sent, and what of that cannot be true.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use protocol_tests::client::channel_data;
use protocol_tests::subject::Endpoint;
use protocol_tests::{
    App, Close, Connection, Event, Frame, HttpClient, Opcode, Roster, Upgrade, WebSocket, WsClient,
};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::history::History;

/// The name of every event that backends publish here.
pub(crate) const EVENT: &str = "chaos";
/// The name of every event that tabs send.
const CLIENT_EVENT: &str = "client-chaos";

/// A connection of a user to a node. Dropping it closes it without a word.
pub(crate) struct Tab {
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) node: usize,
    commands: UnboundedSender<Command>,
    seen: Arc<Mutex<Seen>>,
    history: Arc<History>,
    task: JoinHandle<()>,
    /// Client events so far.
    sent: u64,
}

enum Command {
    Subscribe(String),
    Unsubscribe(String),
    Send(String, u64),
}

/// What a tab knows.
#[derive(Default)]
pub(crate) struct Seen {
    /// Why the connection has ended, if it has.
    pub(crate) ended: Option<String>,
    /// Whether the node was not ready yet when it came.
    pub(crate) is_refused: bool,
    pub(crate) stays: BTreeMap<String, Stay>,
    /// Channel, publisher and number of the events that came.
    pub(crate) received: HashSet<Mark>,
    /// The highest number that came of each channel and publisher.
    last: HashMap<(String, String), u64>,
    /// What cannot be true.
    pub(crate) differences: Vec<String>,
}

pub(crate) type Mark = (String, String, u64);

/// What a tab has to do with a channel.
pub(crate) struct Stay {
    pub(crate) phase: Phase,
    /// Who is there, if it is a presence channel.
    pub(crate) believed: BTreeSet<String>,
    /// Whether the next event may be the one that its channel keeps, which the tab may have had before it came back.
    takes_kept: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Phase {
    Asked,
    Joined(Instant),
    Left,
}

impl Tab {
    pub(crate) fn open(
        name: &str,
        user: &str,
        (node, endpoint, app): (usize, &Endpoint, &App),
        history: &Arc<History>,
    ) -> Tab {
        #[expect(
            clippy::disallowed_methods,
            reason = "a tab is given few commands a round"
        )]
        let (commands, queue) = unbounded_channel();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let connection = Line {
            name: name.to_owned(),
            user: user.to_owned(),
            endpoint: endpoint.clone(),
            app: app.clone(),
            seen: Arc::clone(&seen),
            history: Arc::clone(history),
        };
        Tab {
            name: name.to_owned(),
            user: user.to_owned(),
            node,
            commands,
            seen,
            history: Arc::clone(history),
            task: tokio::spawn(connection.run(queue)),
            sent: 0,
        }
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no tab panics holding this")
    }

    pub(crate) fn subscribe(&self, channel: &str) {
        let stay = Stay {
            phase: Phase::Asked,
            believed: BTreeSet::new(),
            takes_kept: false,
        };
        self.seen().stays.insert(channel.to_owned(), stay);
        self.note(channel, "asks");
        self.command(Command::Subscribe(channel.to_owned()));
    }

    /// Leaves the channel if it has joined it, and joins it if it has nothing to do with it.
    pub(crate) fn toggle(&self, channel: &str) {
        let phase = self.seen().stays.get(channel).map(|stay| stay.phase);
        match phase {
            None | Some(Phase::Left) => self.subscribe(channel),
            Some(Phase::Asked) => {}
            Some(Phase::Joined(_)) => {
                if let Some(stay) = self.seen().stays.get_mut(channel) {
                    stay.phase = Phase::Left;
                }
                self.note(channel, "leaves");
                self.command(Command::Unsubscribe(channel.to_owned()));
            }
        }
    }

    /// Sends a client event, where the tab may.
    pub(crate) fn send(&mut self, channel: &str) {
        if channel.starts_with("pr") && self.joined(channel).is_some() {
            self.sent += 1;
            self.command(Command::Send(channel.to_owned(), self.sent));
        }
    }

    /// Since when it is on the channel.
    pub(crate) fn joined(&self, channel: &str) -> Option<Instant> {
        let seen = self.seen();
        match seen.stays.get(channel)?.phase {
            Phase::Joined(since) if seen.ended.is_none() => Some(since),
            _ => None,
        }
    }

    /// A channel whose subscription was asked for and not answered.
    pub(crate) fn asks_for(&self) -> Option<String> {
        let seen = self.seen();
        let mut asked = seen
            .stays
            .iter()
            .filter(|(_, stay)| stay.phase == Phase::Asked);
        asked.next().map(|(channel, _)| channel.clone())
    }

    fn note(&self, channel: &str, what: &str) {
        let what = format!("{what}: {} of node {}", self.name, self.node);
        self.history.note(channel, &self.user, what);
    }

    fn command(&self, command: Command) {
        // The connection has ended; that is found elsewhere.
        let _ended = self.commands.send(command);
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        let stays = std::mem::take(&mut self.seen().stays);
        for (channel, stay) in stays {
            if stay.phase != Phase::Left {
                self.note(&channel, "ends");
            }
        }
        self.task.abort();
    }
}

/// The task of a tab.
struct Line {
    name: String,
    user: String,
    endpoint: Endpoint,
    app: App,
    seen: Arc<Mutex<Seen>>,
    history: Arc<History>,
}

impl Line {
    async fn run(self, queue: UnboundedReceiver<Command>) {
        let why = self.serve(queue).await;
        self.seen().ended = Some(why);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no tab panics holding this")
    }

    /// Serves the connection to its end, and says why that has come.
    async fn serve(&self, mut queue: UnboundedReceiver<Command>) -> String {
        let connection = Connection::open(&self.endpoint.authority).await;
        let upgrade = Upgrade::new(&format!("/app/{}?protocol=7", self.app.key));
        let upgrade = upgrade.encode(&self.endpoint.authority, &self.endpoint.prefix);
        let socket = match WebSocket::open(connection, &upgrade).await {
            Ok(socket) => socket,
            Err(response) => {
                self.seen().is_refused = response.status == 503;
                return format!("the upgrade was answered with {}", response.status);
            }
        };
        let http = HttpClient::new(self.endpoint.clone());
        let mut client = WsClient::establish(socket, &self.app, http).await;
        loop {
            let answer = tokio::select! {
                command = queue.recv() => match command {
                    Some(command) => Some(Frame::text(&self.message(&client, command).to_string())),
                    None => return "it was closed".to_owned(),
                },
                frame = client.socket.next() => match frame {
                    Ok(frame) if frame.opcode == Opcode::CLOSE => {
                        return format!("{:?}", Close::parse(&frame.payload));
                    }
                    Ok(frame) => self.frame(frame),
                    Err(ended) => return ended.to_string(),
                },
            };
            if let Some(answer) = answer
                && let Err(ended) = client.socket.try_send(answer).await
            {
                return ended.to_string();
            }
        }
    }

    fn message(&self, client: &WsClient, command: Command) -> Value {
        match command {
            Command::Subscribe(channel) => {
                let is_presence = channel.starts_with("presence-");
                let member = is_presence.then(|| channel_data(&self.user, Value::Null));
                let mut data = json!({"channel": channel});
                if channel.starts_with("pr") {
                    let member = member.as_deref();
                    data["auth"] = self
                        .app
                        .channel_auth(&client.socket_id, &channel, member)
                        .into();
                }
                if let Some(member) = member {
                    data["channel_data"] = member.into();
                }
                json!({"event": "pusher:subscribe", "data": data})
            }
            Command::Unsubscribe(channel) => {
                json!({"event": "pusher:unsubscribe", "data": {"channel": channel}})
            }
            Command::Send(channel, number) => {
                let data = format!("{}:{number}", self.name);
                json!({"event": CLIENT_EVENT, "channel": channel, "data": data})
            }
        }
    }

    /// Takes what came, and returns what is to be answered.
    fn frame(&self, frame: Frame) -> Option<Frame> {
        if frame.opcode == Opcode::PING {
            return Some(Frame::new(Opcode::PONG, frame.payload));
        }
        let event = Event::parse(frame.as_text());
        if event.name == "pusher:ping" {
            return Some(Frame::text(r#"{"event":"pusher:pong"}"#));
        }
        if event.name == "pusher_internal:subscription_succeeded" {
            let what = format!("is let in: {}", self.name);
            self.history.note(event.channel(), &self.user, what);
        }
        let mut seen = self.seen();
        if let Err(what) = seen.take(&event, &self.user) {
            let who = &self.name;
            seen.differences
                .push(format!("{who}: {what}: {}", event.text));
        }
        None
    }
}

impl Seen {
    /// Takes an event in; an error says why it cannot be.
    fn take(&mut self, event: &Event, own: &str) -> Result<(), String> {
        match event.name.as_str() {
            "pusher_internal:subscription_succeeded" => self.succeeded(event, own),
            "pusher_internal:member_added" => self.member(event, own, true),
            "pusher_internal:member_removed" => self.member(event, own, false),
            EVENT | CLIENT_EVENT => self.event(event),
            "pusher:cache_miss" | "pusher_internal:subscription_count" => Ok(()),
            _ => Err("this should not come".to_owned()),
        }
    }

    fn succeeded(&mut self, event: &Event, own: &str) -> Result<(), String> {
        let channel = event.channel();
        let stay = self.stays.get_mut(channel).ok_or("nobody asked for that")?;
        if stay.phase != Phase::Asked {
            return Err("nobody asked for that".to_owned());
        }
        stay.phase = Phase::Joined(Instant::now());
        stay.takes_kept = channel.contains("cache-");
        if channel.starts_with("presence-") {
            let roster = Roster::parse(&event.data_json());
            stay.believed = roster.ids.into_iter().collect();
            if !stay.believed.contains(own) {
                return Err("the roster lacks the one who joins".to_owned());
            }
        }
        Ok(())
    }

    fn member(&mut self, event: &Event, own: &str, is_added: bool) -> Result<(), String> {
        let stay = self.stays.get_mut(event.channel());
        let stay = stay.ok_or("it never was on that channel")?;
        // What was under way when it left, or before it is back, is nobody's business.
        if !matches!(stay.phase, Phase::Joined(_)) {
            return Ok(());
        }
        let data = event.data_json();
        let user = data["user_id"].as_str().ok_or("there is no user_id")?;
        if user == own {
            return Err("it is notified of itself".to_owned());
        }
        let is_news = if is_added {
            stay.believed.insert(user.to_owned())
        } else {
            stay.believed.remove(user)
        };
        is_news.then_some(()).ok_or("it knew that".to_owned())
    }

    fn event(&mut self, event: &Event) -> Result<(), String> {
        let channel = event.channel().to_owned();
        let data = event.data.as_str().ok_or("data is no string")?;
        let (publisher, number) = data.split_once(':').ok_or("data has no number")?;
        let number: u64 = number.parse().map_err(|_| "data has no number")?;
        let publisher = publisher.to_owned();
        let stay = self.stays.get_mut(&channel);
        let may_be_kept = stay.is_some_and(|stay| std::mem::take(&mut stay.takes_kept));
        let mark = (channel.clone(), publisher.clone(), number);
        if may_be_kept && self.received.contains(&mark) {
            return Ok(());
        }
        let is_new = self.received.insert(mark);
        let last = self.last.entry((channel, publisher)).or_default();
        if !is_new {
            return Err("it came twice".to_owned());
        }
        if number <= *last {
            return Err(format!("it came after number {last}"));
        }
        *last = number;
        Ok(())
    }
}
