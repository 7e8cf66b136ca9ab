//! Sessions that outlive their sockets.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::session::Action;

/// Takes what the client has received so far, as text.
async fn receive(client: &mut TcpStream) -> String {
    settle().await;
    let mut received = Vec::with_capacity(1 << 20);
    // Past the runtime, which may not have looked at the socket yet.
    match socket2::SockRef::from(&*client).recv(received.spare_capacity_mut()) {
        // SAFETY: the socket has initialised as many bytes as it says were received.
        Ok(count) => unsafe { received.set_len(count) },
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}"),
    }
    String::from_utf8_lossy(&received).into_owned()
}

/// Where the texts stand in what was received, one behind the other.
fn assert_in_order(received: &str, texts: &[&str]) {
    let mut rest = received;
    for text in texts {
        let position = rest.find(text);
        let position = position.unwrap_or_else(|| panic!("no {text} in order in {received:?}"));
        rest = &rest[position + text.len()..];
    }
}

impl Fixture {
    async fn resumable(mut self) -> (Self, Registration, TcpStream) {
        self.outlives = Outlives::Carrier;
        let (registration, client) = self.connect(1).await;
        (self, registration, client)
    }

    /// A socket for a connection that has lost its own.
    async fn comes_back(&self, registration: &mut Registration) -> TcpStream {
        let (server, client) = sockets().await;
        let permit = AppPermit::of(&self.app).unwrap();
        // The other half is not read here.
        let (reader, writer) = server.into_split();
        std::mem::forget(reader);
        registration.resume(permit, Carrier::Socket(writer), SignOfLife::Frame);
        client
    }

    /// Asks again for a channel.
    fn claim(&self, registration: &Registration, channel: &str) {
        let text = format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}"#);
        let action = registration.with_session(|session| session.on_text(&text, Instant::now()));
        let Action::Each(actions) = action else {
            panic!("{action:?}");
        };
        for action in actions {
            let Action::Confirm { channel } = action else {
                panic!("{action:?}");
            };
            self.authority
                .confirm(&self.app, registration.handle(), channel);
        }
    }

    fn publish_text(&self, channel: &str, text: &str, except: Option<SocketId>) {
        let frame = Frame::text(text.len(), |out| out.extend_from_slice(text.as_bytes()));
        let reservation = self.app.room().try_reserve(1, 0).unwrap();
        let broadcast = Broadcast::reserved(frame, except, reservation);
        let admission = Admission::default();
        let receipt =
            self.authority
                .publish(&self.app, channel, broadcast, Caching::None, &admission);
        assert!(!receipt.is_pending());
    }
}

fn park(registration: &mut Registration) {
    registration.park(Instant::now() + Duration::from_secs(60));
}

#[test]
fn whoever_comes_back_is_sent_what_it_has_missed_once_it_has_asked_again() {
    run(async |fixture| {
        let (fixture, mut registration, mut client) = fixture.resumable().await;
        fixture.ask(&registration, "news");
        fixture.authority.answer(&fixture.app);
        fixture.publish_text("news", "before", None);
        let received = receive(&mut client).await;
        assert_in_order(&received, &["subscription_succeeded", "before"]);
        fixture.publish_text("news", "in between", None);
        park(&mut registration);
        fixture.publish_text("news", "while away", None);
        fixture.publish_text("news", "own", Some(registration.socket_id()));
        settle().await;
        assert_eq!(fixture.gauges(), (1, 1));
        assert_eq!(fixture.app.metrics.connections.get(), 0);
        let mut client = fixture.comes_back(&mut registration).await;
        fixture.publish_text("news", "back", None);
        assert_eq!(receive(&mut client).await, "");
        fixture.claim(&registration, "news");
        fixture.publish_text("news", "live", None);
        let received = receive(&mut client).await;
        // What was sent before may have been lost with the socket.
        let order = [
            "succeeded",
            "before",
            "in between",
            "while away",
            "back",
            "live",
        ];
        assert_in_order(&received, &order);
        assert!(!received.contains("own"), "{received}");
        drop(registration);
        settle().await;
        assert_eq!(fixture.gauges(), (0, 0));
        assert_eq!(fixture.app.metrics.parked_bytes.get(), 0);
    });
}

#[test]
fn what_is_proven_received_does_not_come_again() {
    run(async |fixture| {
        let (fixture, mut registration, mut client) = fixture.resumable().await;
        fixture.ask(&registration, "news");
        fixture.authority.answer(&fixture.app);
        fixture.publish_text("news", "first", None);
        settle().await;
        registration.ping(SignOfLife::Message);
        fixture.publish_text("news", "second", None);
        settle().await;
        registration.on_pong();
        receive(&mut client).await;
        park(&mut registration);
        let mut client = fixture.comes_back(&mut registration).await;
        fixture.claim(&registration, "news");
        let received = receive(&mut client).await;
        assert_in_order(&received, &["succeeded", "second"]);
        assert!(!received.contains("first"), "{received}");
        assert_eq!(fixture.app.metrics.resent.get(), 1);
    });
}

#[test]
fn who_has_missed_more_than_is_kept_is_notified_of_how_many() {
    run(async |fixture| {
        let (fixture, mut registration, mut client) = fixture.resumable().await;
        for channel in ["news", "quiet"] {
            fixture.ask(&registration, channel);
        }
        fixture.authority.answer(&fixture.app);
        receive(&mut client).await;
        park(&mut registration);
        settle().await;
        for number in 0..100 {
            fixture.publish("news", 10_000);
            let mine = (number % 10 == 0).then(|| registration.socket_id());
            fixture.publish_text("news", "own or not", mine);
            settle().await;
        }
        let kept = fixture.app.metrics.parked_bytes.get() as usize;
        assert!((100_000..=SESSION_BYTES).contains(&kept), "{kept}");
        let mut client = fixture.comes_back(&mut registration).await;
        fixture.claim(&registration, "news");
        fixture.claim(&registration, "quiet");
        fixture.publish_text("news", "live", None);
        let received = receive(&mut client).await;
        let gap = r#"{"event":"fanfare:gap","channel":"news","data":"{\"missed\":190}"}"#;
        assert_in_order(&received, &["succeeded", gap, "succeeded", "live"]);
        assert!(!received.contains("xxxx") && !received.contains("own or not"));
        assert_eq!(fixture.app.metrics.resume_gaps.get(), 1);
        settle().await;
        assert_eq!(fixture.app.metrics.parked_bytes.get(), 0);
    });
}

#[test]
fn what_is_not_asked_for_again_is_left() {
    run(async |fixture| {
        let (fixture, mut registration, _client) = fixture.resumable().await;
        for channel in ["news", "old"] {
            fixture.ask(&registration, channel);
        }
        fixture.authority.answer(&fixture.app);
        settle().await;
        park(&mut registration);
        let mut client = fixture.comes_back(&mut registration).await;
        fixture.claim(&registration, "news");
        let late = Instant::now() + Duration::from_secs(11);
        let action = registration.with_session(|session| session.on_time(late));
        let Action::LeaveUnclaimed(left) = action else {
            panic!("{action:?}");
        };
        leave_all(&registration, &*fixture.authority, *left);
        settle().await;
        assert_eq!(fixture.gauges(), (1, 1));
        // Later it is a subscription like any other, and something may have been missed.
        fixture.ask(&registration, "old");
        fixture.authority.answer(&fixture.app);
        let received = receive(&mut client).await;
        let gap = r#"{"event":"fanfare:gap","channel":"old","data":"{\"missed\":null}"}"#;
        assert_in_order(&received, &["succeeded", r#""old""#, gap]);
    });
}

#[test]
fn a_socket_that_breaks_ends_no_session_that_outlives_it() {
    run(async |fixture| {
        let (fixture, registration, client) = fixture.resumable().await;
        fixture.ask(&registration, "news");
        fixture.authority.answer(&fixture.app);
        settle().await;
        drop(client);
        for _ in 0..100 {
            fixture.publish("news", 10_000);
            settle().await;
        }
        assert!(registration.has_lost_carrier() && !registration.is_over());
        assert_eq!(fixture.app.metrics.outbox_overflows.get(), 0);
    });
}

impl Fixture {
    /// Does what [`sign_in`] returns.
    fn carry_out(&self, registration: &Registration, action: Action) {
        match action {
            Action::Each(actions) => {
                for action in actions {
                    self.carry_out(registration, action);
                }
            }
            Action::Send(frame) => registration.send(&frame),
            Action::UserIsBack => registration.user_is_back(),
            Action::LeaveUnclaimed(ended) => leave_all(registration, &*self.authority, *ended),
            Action::SignIn {
                user,
                watchlist,
                is_cut: _,
                reply,
            } => {
                let sign_in = SignIn {
                    peer: registration.handle(),
                    user,
                    watchlist,
                    reply,
                    complaint: None,
                    join: None,
                };
                self.authority.sign_in(&self.app, sign_in);
            }
            other => panic!("{other:?}"),
        }
    }

    fn set_online(&self, user_id: &str, online: bool) {
        self.app.set_online(&Arc::from(user_id), online);
    }
}

/// What the session of a client wants that signs in as this user, watching these.
fn sign_in(registration: &Registration, user_id: &str, watchlist: &[&str]) -> Action {
    let signer = Signer::new("key", b"secret");
    let user_data = serde_json::json!({"id": user_id, "watchlist": watchlist}).to_string();
    let signed = format!("{}::user::{user_data}", registration.socket_id());
    let auth = format!("key:{}", signer.sign(&[signed.as_bytes()]));
    let data = serde_json::json!({"auth": auth, "user_data": user_data});
    let text = serde_json::json!({"event": "pusher:signin", "data": data}).to_string();
    registration.with_session(|session| session.on_text(&text, Instant::now()))
}

const STATUSES: &str = "watchlist_events";

#[test]
fn statuses_that_overran_come_as_they_are_now() {
    run(async |fixture| {
        let (fixture, mut registration, mut client) = fixture.resumable().await;
        fixture.carry_out(&registration, sign_in(&registration, "u", &["ann", "bob"]));
        assert_in_order(&receive(&mut client).await, &["signin_success", "bob"]);
        park(&mut registration);
        settle().await;
        for number in 0..3000 {
            fixture.set_online("ann", number % 2 == 0);
            settle().await;
        }
        fixture.set_online("ann", true);
        settle().await;
        let mut client = fixture.comes_back(&mut registration).await;
        fixture.carry_out(&registration, sign_in(&registration, "u", &["ann", "bob"]));
        let received = receive(&mut client).await;
        let order = [
            "signin_success",
            STATUSES,
            "online",
            "ann",
            "offline",
            "bob",
        ];
        assert_in_order(&received, &order);
        assert_eq!(received.matches("ann").count(), 1 + 1, "{received}");
        fixture.set_online("bob", true);
        assert_in_order(&receive(&mut client).await, &["online", "bob"]);
    });
}

#[test]
fn statuses_that_were_not_proven_received_come_again() {
    run(async |fixture| {
        let (fixture, mut registration, mut client) = fixture.resumable().await;
        fixture.carry_out(&registration, sign_in(&registration, "u", &["ann", "bob"]));
        assert_in_order(&receive(&mut client).await, &[STATUSES]);
        park(&mut registration);
        settle().await;
        fixture.set_online("bob", true);
        settle().await;
        let mut client = fixture.comes_back(&mut registration).await;
        fixture.carry_out(&registration, sign_in(&registration, "u", &["ann", "bob"]));
        let received = receive(&mut client).await;
        let order = [
            "signin_success",
            STATUSES,
            "offline",
            "ann",
            "bob",
            STATUSES,
            "online",
            "bob",
        ];
        assert_in_order(&received, &order);
    });
}

#[test]
fn statuses_that_came_while_the_client_was_away_come_later() {
    run(async |fixture| {
        let (fixture, mut registration, _client) = fixture.resumable().await;
        let late = sign_in(&registration, "u", &["ann"]);
        park(&mut registration);
        settle().await;
        fixture.carry_out(&registration, late);
        settle().await;
        let mut client = fixture.comes_back(&mut registration).await;
        assert_eq!(receive(&mut client).await, "");
        fixture.carry_out(&registration, sign_in(&registration, "u", &["ann"]));
        let received = receive(&mut client).await;
        assert_in_order(&received, &["signin_success", STATUSES, "ann"]);
        fixture.set_online("ann", true);
        assert_in_order(&receive(&mut client).await, &[STATUSES, "ann"]);
    });
}

#[test]
fn a_watchlist_that_is_answered_late_is_not_that_of_who_has_signed_in_since() {
    run(async |fixture| {
        let (fixture, mut registration, _client) = fixture.resumable().await;
        let late = sign_in(&registration, "before", &["ann", "bob"]);
        park(&mut registration);
        settle().await;
        let mut client = fixture.comes_back(&mut registration).await;
        fixture.carry_out(&registration, sign_in(&registration, "after", &["bob"]));
        fixture.carry_out(&registration, late);
        let received = receive(&mut client).await;
        assert_in_order(&received, &["signin_success", STATUSES, "bob"]);
        assert!(!received.contains("ann"), "{received}");
        fixture.set_online("ann", true);
        fixture.set_online("bob", true);
        let received = receive(&mut client).await;
        assert!(!received.contains("ann"), "{received}");
        assert_in_order(&received, &[STATUSES, "bob"]);
        // As many are left out as were put in.
        drop(registration);
        settle().await;
        fixture.set_online("ann", false);
        fixture.set_online("bob", false);
        assert_eq!(fixture.app.watched_users(), 0);
    });
}

#[test]
fn all_of_a_user_are_closed_those_who_are_away_included() {
    run(async |fixture| {
        let (fixture, mut registration, _client) = fixture.resumable().await;
        fixture.carry_out(&registration, sign_in(&registration, "u", &[]));
        settle().await;
        park(&mut registration);
        settle().await;
        let reason = CloseReason::new(CloseCode::Unauthorized, "ended");
        let receipt = fixture.authority.close_user(&fixture.app, "u", reason);
        assert!(!receipt.is_pending());
        settle().await;
        assert!(registration.is_over());
        assert_eq!(registration.closed_with(), Some(4009));
    });
}

#[test]
fn heartbeats_of_the_fallback_prove_nothing_and_keep_nobody_from_being_asked() {
    run(async |fixture| {
        let (fixture, registration, mut client) = fixture.resumable().await;
        fixture.ask(&registration, "news");
        fixture.authority.answer(&fixture.app);
        registration.ping(SignOfLife::Heartbeat);
        fixture.publish_text("news", "first", None);
        receive(&mut client).await;
        let later = Instant::now() + Duration::from_secs(2);
        assert!(registration.ask_if_due(later, true));
        assert_eq!(receive(&mut client).await, "", "an event may come along");
        assert!(registration.ask_if_due(later, false));
        let asked = receive(&mut client).await;
        assert!(!asked.is_empty(), "the client is asked");
    });
}

#[test]
fn a_ping_that_is_due_goes_behind_the_next_event_and_proves_it_received() {
    run(async |fixture| {
        let (fixture, registration, mut client) = fixture.resumable().await;
        fixture.ask(&registration, "news");
        fixture.authority.answer(&fixture.app);
        fixture.publish_text("news", "first", None);
        receive(&mut client).await;
        let later = Instant::now() + Duration::from_secs(2);
        assert!(registration.ask_if_due(later, true));
        fixture.publish_text("news", "own", Some(registration.socket_id()));
        assert_eq!(receive(&mut client).await, "", "it is not for this client");
        fixture.publish_text("news", "second", None);
        let received = receive(&mut client).await;
        let (_, ping) = received.split_once("second").expect("the event");
        assert!(!ping.is_empty(), "a ping behind it");
        fixture.publish_text("news", "third", None);
        assert!(receive(&mut client).await.ends_with("third"));
        // The number of the first frame behind it.
        registration.on_pong_frame(&2u64.to_be_bytes());
        assert!(registration.ask_if_due(later, false));
        registration.on_pong();
        let mut registration = registration;
        park(&mut registration);
        settle().await;
        let mut client = fixture.comes_back(&mut registration).await;
        fixture.claim(&registration, "news");
        let received = receive(&mut client).await;
        assert!(
            received.contains("third") && !received.contains("second"),
            "{received}"
        );
    });
}

/// What may happen to a client and its channels.
#[derive(Clone, Debug)]
enum Step {
    /// An event is published on a channel, or on all but this connection.
    Publish(usize, bool),
    /// The client reads what has come, and answers a ping that was sent behind it.
    Prove,
    /// The client reads what has come.
    Read,
    /// The socket breaks, with all that was not read.
    Cut,
    /// The client comes back, and asks for the channels of this mask.
    Return(u8),
    /// It asks for the rest.
    Claim,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0usize..CHANNELS.len(), any::<bool>()).prop_map(|(c, own)| Step::Publish(c, own)),
        2 => Just(Step::Prove),
        2 => Just(Step::Read),
        2 => Just(Step::Cut),
        2 => any::<u8>().prop_map(Step::Return),
        1 => Just(Step::Claim),
    ]
}

const CHANNELS: [&str; 3] = ["news", "chat", "score"];

/// A client that is cut off and comes back, and what it must have seen in the end.
struct Run {
    fixture: Fixture,
    registration: Registration,
    client: Option<TcpStream>,
    claimed: HashSet<&'static str>,
    /// Numbers of the events of each channel that were for the client.
    sent: HashMap<&'static str, Vec<u64>>,
    seen: HashMap<&'static str, Vec<u64>>,
    next: u64,
}

impl Run {
    async fn publish(&mut self, channel: usize, own: bool) {
        let channel = CHANNELS[channel];
        let except = own.then(|| self.registration.socket_id());
        self.next += 1;
        let text = format!("<{channel}={}>", self.next);
        self.fixture.publish_text(channel, &text, except);
        if !own {
            self.sent.entry(channel).or_default().push(self.next);
        }
        settle().await;
    }

    async fn read(&mut self) {
        let Some(client) = &mut self.client else {
            return;
        };
        let received = receive(client).await;
        assert!(!received.contains("fanfare:gap"), "{received}");
        for event in received.split('<').skip(1) {
            let (event, _) = event.split_once('>').unwrap();
            let (channel, number) = event.split_once('=').unwrap();
            let channel = CHANNELS.into_iter().find(|name| *name == channel).unwrap();
            assert!(
                self.claimed.contains(channel),
                "{channel} was not asked for"
            );
            let seen = self.seen.entry(channel).or_default();
            seen.push(number.parse().unwrap());
        }
    }

    async fn prove(&mut self) {
        if self.client.is_none() {
            return;
        }
        self.registration.ping(SignOfLife::Message);
        self.read().await;
        self.registration.on_pong();
    }

    async fn cut(&mut self) {
        if self.client.take().is_some() {
            park(&mut self.registration);
            self.claimed.clear();
        }
    }

    async fn comes_back(&mut self, mask: u8) {
        if self.client.is_some() {
            return;
        }
        self.client = Some(self.fixture.comes_back(&mut self.registration).await);
        self.claim(mask).await;
    }

    async fn claim(&mut self, mask: u8) {
        for (bit, channel) in CHANNELS.into_iter().enumerate() {
            if mask & (1 << bit) != 0 && self.client.is_some() && self.claimed.insert(channel) {
                self.fixture.claim(&self.registration, channel);
            }
        }
        settle().await;
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Publish(channel, own) => self.publish(channel, own).await,
            Step::Prove => self.prove().await,
            Step::Read => self.read().await,
            Step::Cut => self.cut().await,
            Step::Return(mask) => self.comes_back(mask).await,
            Step::Claim => self.claim(u8::MAX).await,
        }
    }

    /// What was seen is what was sent, in order, but for repetitions of what was not proven.
    async fn check(mut self) {
        self.comes_back(u8::MAX).await;
        self.claim(u8::MAX).await;
        self.read().await;
        for (channel, sent) in &self.sent {
            let seen = self.seen.get(channel).cloned().unwrap_or_default();
            let mut first_seen = Vec::new();
            for (index, number) in seen.iter().enumerate() {
                if !seen[..index].contains(number) {
                    first_seen.push(*number);
                }
                let follows = index == 0 || {
                    let before = sent.iter().position(|sent| *sent == seen[index - 1]);
                    let here = sent.iter().position(|sent| sent == number);
                    // It goes on, or begins again with something that was seen.
                    here == before.map(|before| before + 1) || seen[..index].contains(number)
                };
                assert!(follows, "{channel}: {seen:?} of {sent:?}");
            }
            assert_eq!(first_seen, *sent, "{channel}: {seen:?}");
        }
        drop(self.registration);
        settle().await;
        assert_eq!(self.fixture.gauges(), (0, 0));
        assert_eq!(self.fixture.app.metrics.parked_bytes.get(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_cuts_lose_disorder_or_misplace_anything(steps in prop::collection::vec(step(), 1..60)) {
        run(async |fixture| {
            let (fixture, registration, client) = fixture.resumable().await;
            for channel in CHANNELS {
                fixture.ask(&registration, channel);
            }
            fixture.authority.answer(&fixture.app);
            settle().await;
            let mut run = Run {
                fixture,
                registration,
                client: Some(client),
                claimed: CHANNELS.into_iter().collect(),
                sent: HashMap::new(),
                seen: HashMap::new(),
                next: 0,
            };
            for step in steps {
                run.step(step).await;
            }
            run.check().await;
        });
    }
}
