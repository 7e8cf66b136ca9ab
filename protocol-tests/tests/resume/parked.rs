//! A session whose socket has ended without a goodbye stays where it is, and nobody notices.

use std::time::{Duration, Instant};

use protocol_tests::{
    AppConfig, Close, Event, Frame, Opcode, Receiver, TestServer, WsClient, eventually, or_skip,
};
use serde_json::json;

use crate::session::{
    KINDS, Kind, Session, app, parked, publish, publish_large, start, token, upgrade, users,
    wait_until_parked, waiting_app,
};

const DATA: usize = 10_000;
/// More than the kernel holds of a connection on both sides.
const KERNEL: usize = 12 << 20;
/// As many events as fill that and an outbox.
const TOO_MUCH: usize = KERNEL / DATA + 50;

/// A member with a token on a presence channel, and somebody who would see it go.
struct Scene {
    server: TestServer,
    channel: String,
    observer: WsClient,
    token: String,
    session: Option<Session>,
    id: String,
}

impl Scene {
    async fn on(server: TestServer) -> Scene {
        let channel = server.channel("presence-");
        let mut observer = server.connect().await;
        observer
            .subscribe_presence(&channel, "observer", json!({}))
            .await;
        let token = token();
        let mut session = Session::open(&server, &token).await;
        session.join(&channel, "u").await;
        observer
            .expect_event_on(&channel, "pusher_internal:member_added")
            .await;
        Scene {
            id: session.id().to_owned(),
            server,
            channel,
            observer,
            token,
            session: Some(session),
        }
    }

    fn session(&mut self) -> &mut Session {
        self.session.as_mut().expect("it is connected")
    }

    /// Expects that the session is parked and still a member, and that it can be taken up.
    async fn expect_kept(mut self) {
        let server = self.server;
        wait_until_parked(&server, 1).await;
        assert_eq!(users(&server, &self.channel).await, ["observer", "u"]);
        let path = format!("/channels/{}", self.channel);
        let counts = server
            .get(&path, &[("info", "user_count,subscription_count")])
            .await;
        let expected = json!({"occupied": true, "user_count": 2, "subscription_count": 2});
        assert_eq!(counts, expected);
        let mut again = Session::open(&server, &self.token).await;
        assert_eq!(again.id(), self.id);
        let roster = again.join(&self.channel, "u").await;
        assert_eq!(roster.ids, ["observer", "u"]);
        assert_eq!(parked(&server).await, 0);
        let seen = self.observer.fence().await;
        let strangers = seen.iter().filter(|event| event.name.starts_with("pusher"));
        assert_eq!(strangers.count(), 0, "{seen:?}");
        again.leave().await;
        self.observer
            .expect_event_on(&self.channel, "pusher_internal:member_removed")
            .await;
        server.finish().await;
    }
}

#[tokio::test]
async fn reset_leaves_the_session_parked() {
    let mut scene = Scene::on(or_skip!(start(app()).await)).await;
    scene.session.take().expect("it is connected").reset();
    scene.expect_kept().await;
}

#[tokio::test]
async fn end_without_a_close_frame_leaves_the_session_parked() {
    let mut scene = Scene::on(or_skip!(start(app()).await)).await;
    let connection = scene.session().client.socket.connection();
    connection.finish_sending();
    connection.receive_to_end().await;
    scene.expect_kept().await;
}

#[tokio::test]
async fn end_in_the_middle_of_a_frame_leaves_the_session_parked() {
    let mut scene = Scene::on(or_skip!(start(app()).await)).await;
    let frame = Frame::text(r#"{"event":"pusher:ping"}"#).encode();
    let socket = &mut scene.session().client.socket;
    socket.send_bytes(&frame[..frame.len() / 2]).await;
    socket.connection().finish_sending();
    socket.connection().receive_to_end().await;
    scene.expect_kept().await;
}

#[tokio::test]
async fn pong_that_does_not_come_leaves_the_session_parked() {
    let builder = TestServer::builder()
        .app(app())
        .set("server.activity_timeout", 2)
        .set("server.pong_timeout", 3);
    let mut scene = Scene::on(or_skip!(builder.start().await)).await;
    // The relay's questions are not answered, but those of the observer are.
    let session = scene.session.take().expect("it is connected");
    let mut socket = session.client.socket;
    let close = tokio::select! {
        close = socket.read_close() => close,
        text = scene.observer.next_text() => panic!("the observer was sent {text}"),
    };
    assert_eq!(close.code, Some(4201));
    drop(socket);
    scene.expect_kept().await;
}

#[tokio::test]
async fn whoever_was_silent_has_the_whole_window_from_the_end_of_its_connection() {
    for kind in KINDS {
        // Shorter than it takes until silence is noticed, at either end.
        let builder = TestServer::builder()
            .app(waiting_app(4))
            .set("server.activity_timeout", 3)
            .set("server.pong_timeout", 3);
        let server = or_skip!(builder.start().await);
        let channel = server.channel("public-");
        let token = token();
        let mut session = Session::open_as(&server, &token, kind).await;
        let id = session.id().to_owned();
        session.subscribe(&channel).await;
        // Its network is away: nothing of what it is sent arrives, and nothing is answered.
        publish(&server, &channel, 0).await;
        let close = session.client.socket.read_close().await;
        assert_eq!(close.code, Some(4201));
        publish(&server, &channel, 1).await;
        drop(session);
        let mut again = Session::open_as(&server, &token, kind).await;
        assert_eq!(again.id(), id, "{kind:?}");
        again.subscribe(&channel).await;
        again.expect_numbers(&channel, 0..2).await;
        again.leave().await;
        server.finish().await;
    }
}

#[tokio::test]
async fn page_that_is_frozen_has_been_away_for_as_long_as_it_was_silent() {
    let window = Duration::from_secs(4);
    let builder = TestServer::builder()
        .app(waiting_app(4))
        .set("server.activity_timeout", 2)
        .set("server.pong_timeout", 2);
    let mut scene = Scene::on(or_skip!(builder.start().await)).await;
    let mut session = scene.session.take().expect("it is connected");
    let frozen = async {
        loop {
            // The browser answers, and the page does not.
            let frame = session.client.socket.read().await.expect("a frame");
            match frame.opcode {
                Opcode::PING => {
                    let pong = Frame::new(Opcode::PONG, frame.payload);
                    session.client.socket.send(pong).await;
                }
                Opcode::CLOSE => return Close::parse(&frame.payload),
                _ => {}
            }
        }
    };
    // Which of them is read first, nobody knows.
    let closed = async { (frozen.await, Instant::now()) };
    let removed = async {
        let observer = &mut scene.observer;
        let removed = "pusher_internal:member_removed";
        observer.expect_event_on(&scene.channel, removed).await;
        Instant::now()
    };
    let ((close, closed), removed) = tokio::join!(closed, removed);
    assert_eq!(close.code, Some(4201));
    let apart = removed.max(closed) - removed.min(closed);
    assert!(apart < window / 2, "{apart:?}");
    scene.server.finish().await;
}

#[tokio::test]
async fn write_that_stalls_leaves_the_session_parked_and_everything_comes_later() {
    let app = app()
        .set("resume.session_bytes", 64 << 20)
        .set("resume.bytes", 128 << 20)
        .limit("outbox_bytes", 64 << 20);
    let builder = TestServer::builder()
        .app(app)
        .set("server.write_timeout", 3);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    session
        .client
        .socket
        .connection()
        .set_small_receive_buffer();
    session.subscribe(&channel).await;
    publish_large(&server, &channel, 0..TOO_MUCH, DATA).await;
    wait_until_parked(&server, 1).await;
    session.reset();
    let mut again = Session::open(&server, &token).await;
    assert_eq!(again.id(), id);
    again.subscribe(&channel).await;
    again.expect_numbers(&channel, 0..TOO_MUCH).await;
    publish(&server, &channel, TOO_MUCH).await;
    again.expect_numbers(&channel, TOO_MUCH..TOO_MUCH + 1).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn outbox_that_is_full_leaves_the_session_parked() {
    let app = app()
        .set("resume.session_bytes", 256 << 10)
        .limit("outbox_bytes", 256 << 10);
    let builder = TestServer::builder()
        .app(app)
        .set("server.write_timeout", 60)
        .set("server.close_timeout", 60);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    session
        .client
        .socket
        .connection()
        .set_small_receive_buffer();
    session.subscribe(&channel).await;
    publish_large(&server, &channel, 0..TOO_MUCH, DATA).await;
    wait_until_parked(&server, 1).await;
    session.reset();
    let mut again = Session::open(&server, &token).await;
    assert_eq!(again.id(), id);
    // It did not prove any of them received.
    again.subscribe(&channel).await;
    again.expect_gap(&channel, Some(TOO_MUCH)).await;
    publish(&server, &channel, 0).await;
    again.expect_numbers(&channel, 0..1).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn parked_session_is_a_subscriber_and_no_connection() {
    let server = or_skip!(start(app()).await);
    let channels = ["public-", "private-"].map(|prefix| server.channel(prefix));
    let session = Session::on(&server, &channels).await;
    assert_eq!(server.metrics().await.sum("fanfare_connections", &[]), 1.0);
    assert_eq!(parked(&server).await, 0);
    let away = session.park(&server).await;
    assert_eq!(server.metrics().await.sum("fanfare_connections", &[]), 0.0);
    let occupied = server.get("/channels", &[]).await;
    for channel in &channels {
        assert_eq!(occupied["channels"][channel], json!({}), "{occupied}");
        let path = format!("/channels/{channel}");
        let counted = server.get(&path, &[("info", "subscription_count")]).await;
        assert_eq!(counted, json!({"occupied": true, "subscription_count": 1}));
    }
    let again = away.resume(&server).await;
    assert_eq!(parked(&server).await, 0);
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn connection_limit_does_not_count_parked_sessions() {
    let app = app().limit("max_connections", 1);
    let server = or_skip!(start(app).await);
    let token = token();
    Session::open(&server, &token).await.park(&server).await;
    let other = server.connect().await;
    drop(other);
    eventually("the other connection to end", || async {
        let open = server.metrics().await.sum("fanfare_connections", &[]);
        (open == 0.0).then_some(())
    })
    .await;
    Session::open(&server, &token).await.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn subscription_counts_do_not_change() {
    let server = or_skip!(start(app().set("subscription_count", true)).await);
    let channel = server.channel("public-");
    let count = "pusher_internal:subscription_count";
    let mut observer = server.connect().await;
    observer.subscribe(&channel).await;
    observer.expect_event_on(&channel, count).await;
    let mut session = Session::named(&server).await;
    session.client.send_subscribe(&channel, None, None).await;
    let event = observer.expect_event_on(&channel, count).await;
    assert_eq!(event.data_json()["subscription_count"], 2);
    let away = session.park(&server).await;
    let mut again = away.resume(&server).await;
    again.client.send_subscribe(&channel, None, None).await;
    again.fence_own().await;
    // Counts of the fence's own channel may come.
    let seen = observer.fence().await;
    let on_channel = seen
        .iter()
        .filter(|event| event.channel.as_ref() == Some(&channel));
    assert_eq!(on_channel.count(), 0, "{seen:?}");
    again.leave().await;
    let is_count = |event: &Event| event.channel.as_ref() == Some(&channel);
    observer.events_until(is_count).await;
    server.finish().await;
}

#[tokio::test]
async fn webhooks_report_a_session_once_however_often_it_is_cut_off() {
    let mut receiver = Receiver::start(&[&AppConfig::new("10001").app()]).await;
    let events = [
        "channel_occupied",
        "channel_vacated",
        "member_added",
        "member_removed",
    ];
    let builder = TestServer::builder()
        .app(app().webhook(receiver.webhook(&events)))
        .set("webhooks.leave_delay_ms", 1);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("presence-");
    let mut away = Session::on(&server, &[&channel]).await.park(&server).await;
    for _ in 0..2 {
        let mut session = away.resume(&server).await;
        session.join(&channel, "u").await;
        away = session.park(&server).await;
    }
    let mut session = away.resume(&server).await;
    session.join(&channel, "u").await;
    session.leave().await;
    let mut names = Vec::new();
    for _ in events {
        names.push(receiver.next_event_on(&channel).await.name);
    }
    names.sort();
    assert_eq!(names, events);
    receiver.expect_nothing_more_on(&channel);
    server.finish().await;
}

#[tokio::test]
async fn upgrade_without_a_session_is_served_beside_parked_ones() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("public-");
    let away = Session::on(&server, &[&channel]).await.park(&server).await;
    let plain = upgrade(&server, "", Kind::Page);
    let mut plain = Session::open_with(&server, &plain).await;
    plain.subscribe(&channel).await;
    publish(&server, &channel, 0).await;
    plain.expect_numbers(&channel, 0..1).await;
    away.resume(&server).await.leave().await;
    server.finish().await;
}
