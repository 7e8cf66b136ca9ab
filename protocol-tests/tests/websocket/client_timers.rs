//! Clients with the timers and habits of the libraries that they imitate, on busy channels and on quiet ones: whatever
//! a library does to keep its connection, the connection lasts.

use std::time::Duration;

use protocol_tests::{
    Close, Event, Frame, Opcode, PATIENCE, PublishedEvent, TestServer, WebSocket, or_skip,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until, timeout_at};

use crate::support::upgrade;

const TIMEOUT: Duration = Duration::from_secs(1);
/// Seconds that the relay waits for an answer: long enough for a busy machine.
const PONG_TIMEOUT: i64 = 3;
/// Several times what the relay waits in all, and what the slowest of the clients does for its first ping.
const LIFETIME: Duration = Duration::from_secs(14);
const BETWEEN_EVENTS: Duration = Duration::from_millis(200);

/// What a library sends after it has received nothing for a while.
#[derive(Clone, Copy, Debug)]
enum Ping {
    Event,
    Frame,
}

/// How a library keeps its connection. All of them answer WebSocket pings, and give up a connection on which their own
/// are not answered.
#[derive(Clone, Copy, Debug)]
struct Library {
    query: &'static str,
    answers_pusher_ping: bool,
    /// It pings as soon as it is connected.
    pings_first: bool,
    pings: Option<(Ping, Duration)>,
    /// What it sends with a `pusher:ping` or a `pusher:pong`.
    data: &'static str,
}

/// Any WebSocket library with a URL.
const BARE: Library = Library {
    query: "protocol=7",
    answers_pusher_ping: false,
    pings_first: false,
    pings: None,
    data: "{}",
};

const LIBRARIES: [Library; 7] = [
    BARE,
    // pusher-js takes the activity timeout that the server announces.
    Library {
        query: "protocol=7&client=js&version=8.4.0&flash=false",
        answers_pusher_ping: true,
        pings: Some((Ping::Event, TIMEOUT)),
        ..BARE
    },
    // A page whose timers are slowed down, as browsers do it in the background.
    Library {
        query: "protocol=7&client=js&version=7.6.0&flash=false",
        answers_pusher_ping: true,
        ..BARE
    },
    // pusher-websocket-java, under Android, Flutter and React Native: 120 s, where the relay waits for 30.
    Library {
        query: "protocol=7&client=java-client&version=2.4.4",
        pings: Some((Ping::Event, TIMEOUT.saturating_mul(7))),
        ..BARE
    },
    // PusherSwift: 60 s.
    Library {
        query: "protocol=7&client=pusher-websocket-swift&version=10.1.5",
        pings: Some((Ping::Frame, TIMEOUT.saturating_mul(2))),
        ..BARE
    },
    // asyncpusher, on aiohttp, takes the activity timeout that the server announces. It knows no pusher:ping.
    Library {
        query: "client=asyncpusher&version=0.2.5&protocol=7",
        pings: Some((Ping::Frame, TIMEOUT)),
        ..BARE
    },
    // Pysher: at once, and after 120 s.
    Library {
        query: "client=Pysher&version=1.0.8&protocol=6",
        answers_pusher_ping: true,
        pings_first: true,
        pings: Some((Ping::Event, TIMEOUT.saturating_mul(4))),
        data: r#""""#,
    },
];

impl Library {
    /// Lives as the library does. Any message restarts its timer.
    async fn live(self, mut socket: WebSocket, until: Instant) -> Result<(), Close> {
        let mut received_at = Instant::now();
        let mut unanswered = 0;
        if self.pings_first {
            self.ping(&mut socket).await;
            unanswered += 1;
        }
        loop {
            let end = if unanswered > 0 {
                until + PATIENCE
            } else {
                until
            };
            let ping = self.pings.map(|(_, after)| received_at + after);
            let next = ping.filter(|ping| *ping < until).unwrap_or(end);
            let Ok(frame) = timeout_at(next, socket.next()).await else {
                if next == end {
                    assert_eq!(unanswered, 0, "{}: pings without an answer", self.query);
                    return Ok(());
                }
                received_at = Instant::now();
                self.ping(&mut socket).await;
                unanswered += 1;
                continue;
            };
            let frame = frame.unwrap_or_else(|ended| panic!("{}: {ended}", self.query));
            match frame.opcode {
                Opcode::CLOSE => return Err(Close::parse(&frame.payload)),
                Opcode::PING => socket.send(Frame::new(Opcode::PONG, frame.payload)).await,
                Opcode::PONG => unanswered -= 1,
                Opcode::TEXT => {
                    received_at = Instant::now();
                    match Event::parse(frame.as_text()).name.as_str() {
                        "pusher:ping" if self.answers_pusher_ping => {
                            socket.send(self.message("pusher:pong")).await;
                        }
                        "pusher:pong" => unanswered -= 1,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }

    async fn ping(self, socket: &mut WebSocket) {
        let frame = match self.pings {
            Some((Ping::Frame, _)) => Frame::new(Opcode::PING, []),
            _ => self.message("pusher:ping"),
        };
        socket.send(frame).await;
    }

    fn message(self, event: &str) -> Frame {
        let data = self.data;
        Frame::text(&format!(r#"{{"event":"{event}","data":{data}}}"#))
    }
}

#[tokio::test]
async fn every_library_keeps_its_connection_on_busy_and_on_quiet_channels() {
    let builder = TestServer::builder()
        .set("server.activity_timeout", 1)
        .set("server.pong_timeout", PONG_TIMEOUT);
    let server = or_skip!(builder.start().await);
    let [busy, quiet] = [server.channel("busy-"), server.channel("quiet-")];
    let until = Instant::now() + LIFETIME;
    let mut lives = JoinSet::new();
    for library in LIBRARIES {
        for channel in [&busy, &quiet] {
            let upgrade = upgrade(server.app(), library.query);
            let mut client = server.connect_with(server.app(), &upgrade).await;
            // On a busy machine, it may be asked for a sign of life before the answer.
            client.send_subscribe(channel, None, None).await;
            let label = format!("{} on {channel}", library.query);
            lives.spawn(async move { (label, library.live(client.socket, until).await) });
        }
    }
    let publishing = async {
        let mut ticks = interval(BETWEEN_EVENTS);
        loop {
            ticks.tick().await;
            server.publish(PublishedEvent::new(&busy, "x", "")).await;
        }
    };
    tokio::select! {
        () = sleep_until(until) => {}
        () = publishing => {}
    }
    for (label, outcome) in lives.join_all().await {
        assert!(outcome.is_ok(), "{label}: {outcome:?}");
    }
    server.finish().await;
}
