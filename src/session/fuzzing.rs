//! A session under random messages, answers, absences and time, held against a model of it.
//!
//! - [`client`]: what the client does
//! - [`time`]: what time and the socket do

mod client;
mod time;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Action, Answered, Ended, Session, SignOfLife, Timeouts};
use crate::apps::{App, LiveApp};
use crate::auth::Signer;
use crate::protocol::SocketId;
use crate::protocol::member::Watchlist;

const SECOND: Duration = Duration::from_secs(1);
const CHANNELS: [&str; 8] = [
    "news",
    "cache-news",
    "private-a",
    "private-encrypted-a",
    "presence-a",
    "presence-b",
    "#server-to-user-u1",
    "not a name",
];
const SOCKET_ID: &str = "12.34";

/// Runs the input, a byte for what happens and some for how, until the session closes or the input
/// ends.
///
/// # Panics
/// When the session does what it must not: that is a finding.
pub fn run(input: &[u8]) {
    let mut model = Model::new(Input(input));
    while let Some(choice) = model.input.next() {
        if model.step(choice) == Step::Closed {
            break;
        }
        model.check();
    }
    model.end();
}

struct Input<'i>(&'i [u8]);

impl<'i> Input<'i> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// One of so many; the first where the input has ended.
    fn choose(&mut self, many: usize) -> usize {
        usize::from(self.next().unwrap_or(0)) % many
    }

    /// Up to the end of a line.
    fn line(&mut self) -> &'i [u8] {
        let end = memchr::memchr(b'\n', self.0).unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        line
    }
}

/// What the hub is still to answer, in the order in which it does.
enum Asked {
    Join(String),
    Confirm(String),
    Watch(Watchlist),
}

#[derive(PartialEq, Eq)]
enum Step {
    GoesOn,
    Closed,
}

/// What the session must agree with.
struct Model<'i> {
    input: Input<'i>,
    session: Session,
    signer: Signer,
    app: Arc<LiveApp>,
    start: Instant,
    now: Instant,
    asked: VecDeque<Asked>,
    live: HashSet<String>,
    user_id: Option<String>,
    is_registered: bool,
    /// The watchlist that was named last, and whether it counts.
    watchlist: Option<(Watchlist, bool)>,
    client_events: usize,
    is_away: bool,
    /// What the client has not asked for again since it was away, whether it was let in or is still to be.
    held: HashSet<String>,
    user_held: bool,
}

impl<'i> Model<'i> {
    fn new(mut input: Input<'i>) -> Self {
        let signer = Signer::new("key", b"secret");
        let mut app = App::new("1", signer.clone());
        let choice = input.choose(16);
        app.client_events = choice & 1 == 0;
        app.watchlist = choice & 2 == 0;
        app.authorized_connections_timeout = (choice & 4 != 0).then_some(5 * SECOND);
        app.limits.channels_per_connection = 3;
        app.limits.client_events_per_second = 4;
        app.limits.messages_per_second = 10;
        let app = Arc::new(LiveApp::from(app));
        let sign_of_life = if choice & 8 == 0 {
            SignOfLife::Message
        } else {
            SignOfLife::Frame
        };
        let timeouts = Arc::new(Timeouts {
            activity: 30 * SECOND,
            pong: 10 * SECOND,
            message: 10 * SECOND,
            write: 10 * SECOND,
            close: 5 * SECOND,
        });
        let now = Instant::now();
        let socket_id: SocketId = SOCKET_ID.parse().expect("it is a socket id");
        Self {
            session: Session::new(Arc::clone(&app), socket_id, timeouts, sign_of_life, now),
            input,
            signer,
            app,
            start: now,
            now,
            asked: VecDeque::new(),
            live: HashSet::new(),
            user_id: None,
            is_registered: false,
            watchlist: None,
            client_events: 0,
            is_away: false,
            held: HashSet::new(),
            user_held: false,
        }
    }

    fn step(&mut self, choice: u8) -> Step {
        if self.is_away {
            return match choice % 5 {
                0 => self.answer(true),
                1 => self.answer(false),
                2 => self.pass_time(),
                _ => self.come_back(),
            };
        }
        match choice % 13 {
            0..=2 => self.subscribe(),
            3 => {
                let channel = self.channel();
                let data = json!({"channel": channel});
                self.held.remove(channel);
                self.send("pusher:unsubscribe", &data, None)
            }
            4 => self.client_event(),
            5 => self.sign_in(),
            6 => self.send_raw(),
            7 => self.answer(true),
            8 => self.answer(false),
            9 => self.pass_time(),
            10 => self.write(),
            11 => self.read(),
            _ => self.go_away(),
        }
    }

    // What the hub does

    fn carry_out(&mut self, action: Action) -> Step {
        match action {
            Action::Nothing | Action::Send(_) | Action::Mistake { .. } => {}
            Action::Ping(_) | Action::Pong => {}
            Action::Each(actions) => {
                for action in actions {
                    if self.carry_out(action) == Step::Closed {
                        return Step::Closed;
                    }
                }
            }
            Action::UserIsBack => {
                let was_held = std::mem::take(&mut self.user_held);
                assert!(was_held, "the user was never away");
            }
            Action::LeaveUnclaimed(ended) => self.leave_unclaimed(*ended),
            Action::RefuseSubscription { .. } => {}
            Action::Join {
                channel, sign_in, ..
            } => {
                let channel = channel.as_str();
                assert!(!self.is_joining(channel), "{channel} is asked for twice");
                assert!(!self.live.contains(channel), "{channel} is joined already");
                self.asked.push_back(Asked::Join(channel.to_owned()));
                if let Some(user) = sign_in {
                    self.registered_as(user.user_id());
                }
            }
            Action::Confirm { channel } => {
                let channel = channel.as_str();
                assert!(self.is_live(channel), "{channel} is not joined");
                self.asked.push_back(Asked::Confirm(channel.to_owned()));
            }
            Action::Leave { channel, .. } => {
                let was_live = self.live.remove(channel.as_str());
                assert!(was_live, "{channel:?} is left, and was not joined");
            }
            Action::SignIn {
                user, watchlist, ..
            } => {
                self.registered_as(user.user_id());
                if !watchlist.is_empty() {
                    self.watchlist = Some((Arc::clone(&watchlist), false));
                    self.asked.push_back(Asked::Watch(watchlist));
                }
            }
            Action::ClientEvent { channel, .. } => {
                assert!(self.app.record().client_events && self.is_live(channel.as_str()));
                assert!(channel.kind().needs_signature());
                self.client_events += 1;
                let most = f64::from(self.app.record().limits.client_events_per_second)
                    * (1.0 + (self.now - self.start).as_secs_f64());
                assert!(
                    self.client_events as f64 <= most + 0.1,
                    "{} client events instead of {most}",
                    self.client_events
                );
            }
            Action::Close(reason) | Action::CloseOverload { reason, .. } => {
                assert!(!reason.text.is_empty());
                return Step::Closed;
            }
        }
        Step::GoesOn
    }

    fn registered_as(&mut self, user_id: &str) {
        assert_eq!(self.user_id, None, "the connection is signed in already");
        self.user_id = Some(user_id.to_owned());
        self.is_registered = true;
        self.session.signed_in();
    }

    /// What the client does not ask for again is left, and nothing else.
    fn leave_unclaimed(&mut self, ended: Ended) {
        for (channel, _) in ended.subscriptions {
            let channel = channel.as_str();
            assert!(self.held.remove(channel), "{channel} was not away");
            assert!(self.live.remove(channel), "{channel} is not joined");
        }
        if let Some(user) = ended.user {
            assert!(self.user_held && self.is_registered);
            assert_eq!(self.user_id.as_deref(), Some(&**user.user_id()));
        }
        let watched = self.watchlist.take_if(|_| self.user_held);
        let watched = watched.and_then(|(watchlist, counts)| counts.then_some(watchlist));
        assert_eq!(ended.watchlist, watched);
        if std::mem::take(&mut self.user_held) {
            self.user_id = None;
            self.is_registered = false;
        }
    }

    fn answer(&mut self, is_granted: bool) -> Step {
        let members = self.input.choose(200);
        match self.asked.pop_front() {
            None => {}
            Some(Asked::Confirm(channel)) => {
                let is_live = self.session.confirmed(&channel);
                assert_eq!(is_live, self.is_live(&channel), "{channel}");
            }
            Some(Asked::Watch(watchlist)) => {
                let is_wanted = self.session.watching(&watchlist);
                let last = self.watchlist.as_mut();
                let last = last.filter(|(last, _)| Arc::ptr_eq(last, &watchlist));
                assert_eq!(is_wanted, last.is_some(), "another watchlist counts");
                if let Some((_, counts)) = last {
                    *counts = true;
                }
            }
            Some(Asked::Join(channel)) => {
                let answered = if is_granted {
                    self.session.joined(&channel, members)
                } else {
                    self.session.refused(&channel)
                };
                match answered {
                    Answered::Expected if is_granted => {
                        self.live.insert(channel);
                    }
                    Answered::Expected | Answered::Unwanted => {}
                    Answered::AskAgain(_) => self.asked.push_back(Asked::Join(channel)),
                }
            }
        }
        Step::GoesOn
    }

    // What must hold

    /// Whether the connection is on the channel, and its client knows that.
    fn is_live(&self, channel: &str) -> bool {
        self.live.contains(channel) && !self.held.contains(channel)
    }

    fn is_joining(&self, channel: &str) -> bool {
        let is_it = |asked: &Asked| matches!(asked, Asked::Join(joining) if joining == channel);
        self.asked.iter().any(is_it)
    }

    fn is_asked(&self, channel: &str) -> bool {
        let is_it = |asked: &Asked| match asked {
            Asked::Join(asked) | Asked::Confirm(asked) => asked == channel,
            Asked::Watch(_) => false,
        };
        self.asked.iter().any(is_it)
    }

    fn check(&self) {
        for channel in CHANNELS {
            let is_live = self.is_live(channel);
            assert_eq!(self.session.is_subscribed(channel), is_live, "{channel}");
        }
        let joining = |asked: &&Asked| matches!(asked, Asked::Join(_));
        let joining = self.asked.iter().filter(joining).count();
        assert!(self.live.len() + joining <= self.app.record().limits.channels_per_connection);
        let user_id = self.session.user().map(|user| user.user_id().to_string());
        assert_eq!(user_id, self.user_id);
    }

    /// What is given back at the end is what was taken, once.
    fn end(mut self) {
        let ended = self.session.end();
        let left: HashMap<_, _> = ended.subscriptions.into_iter().collect();
        assert_eq!(left.len(), self.live.len());
        assert!(
            left.keys()
                .all(|channel| self.live.contains(channel.as_str()))
        );
        assert_eq!(ended.user.is_some(), self.is_registered);
        let watches = self.watchlist.is_some_and(|(_, counts)| counts);
        assert_eq!(ended.watchlist.is_some(), watches);
        let again = self.session.end();
        assert!(again.subscriptions.is_empty() && again.user.is_none());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_messages_and_no_time_lead_a_session_astray(
            input in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            super::run(&input);
        }
    }
}
