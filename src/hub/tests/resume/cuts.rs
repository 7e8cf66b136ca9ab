//! A client that is cut off at random.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

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
