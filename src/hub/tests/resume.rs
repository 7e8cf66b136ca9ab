//! Sessions that outlive their sockets.
//!
//! - [`users`]: who is signed in, and the statuses that they watch
//! - [`pings`]: what proves that events were received
//! - [`cuts`]: a client that is cut off at random

mod cuts;
mod pings;
mod users;

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
