//! A session whose socket has ended without a goodbye stays where it is until its window is over, and nobody notices.

use std::time::{Duration, Instant};

use protocol_tests::{
    AppConfig, Event, Frame, Opcode, Receiver, Request, TestServer, WsClient, eventually, or_skip,
    within,
};
use serde_json::json;

use crate::session::{
    KINDS, Session, app, parked, publish, publish_large, start, token, upgrade, users,
    wait_for_users, wait_until_parked, waiting_app,
};

const DATA: usize = 10_000;
/// More than the kernel holds of a connection on both sides.
const KERNEL: usize = 12 << 20;
/// As many events as fill that and an outbox.
const TOO_MUCH: usize = KERNEL / DATA + 50;

/// How long before its time a timer may end.
const TOLERANCE: Duration = Duration::from_millis(150);

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
        .set("server.pong_timeout", 1);
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
async fn write_that_stalls_leaves_the_session_parked_and_everything_comes_later() {
    let app = app()
        .set("resume.session_bytes", 64 << 20)
        .set("resume.bytes", 128 << 20)
        .limit("outbox_bytes", 64 << 20);
    let builder = TestServer::builder()
        .app(app)
        .set("server.write_timeout", 1);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    session.client.socket.connection().set_receive_buffer(4096);
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
    session.client.socket.connection().set_receive_buffer(4096);
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
    let token = token();
    let mut session = Session::open(&server, &token).await;
    for channel in &channels {
        session.subscribe(channel).await;
    }
    assert_eq!(server.metrics().await.sum("fanfare_connections", &[]), 1.0);
    assert_eq!(parked(&server).await, 0);
    session.park(&server).await;
    assert_eq!(server.metrics().await.sum("fanfare_connections", &[]), 0.0);
    let occupied = server.get("/channels", &[]).await;
    for channel in &channels {
        assert_eq!(occupied["channels"][channel], json!({}), "{occupied}");
        let path = format!("/channels/{channel}");
        let counted = server.get(&path, &[("info", "subscription_count")]).await;
        assert_eq!(counted, json!({"occupied": true, "subscription_count": 1}));
    }
    let again = Session::open(&server, &token).await;
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
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.client.send_subscribe(&channel, None, None).await;
    let event = observer.expect_event_on(&channel, count).await;
    assert_eq!(event.data_json()["subscription_count"], 2);
    session.park(&server).await;
    let mut again = Session::open(&server, &token).await;
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
    let token = token();
    for _ in 0..3 {
        let mut session = Session::open(&server, &token).await;
        session.join(&channel, "u").await;
        session.park(&server).await;
    }
    let mut session = Session::open(&server, &token).await;
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
async fn user_of_a_parked_session_stays_online() {
    let app = app().set("watchlist", true).set("watchlist_grace", 0);
    let server = or_skip!(start(app).await);
    let statuses = "pusher_internal:watchlist_events";
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.sign_in("u").await;
    let mut watcher = server.connect().await;
    watcher
        .sign_in_with(&json!({"id": "w", "watchlist": ["u"]}).to_string())
        .await;
    let event = watcher.expect_event(statuses).await;
    assert!(event.data_text().contains("online"), "{}", event.text);
    session.park(&server).await;
    let mut again = Session::open(&server, &token).await;
    again.sign_in("u").await;
    watcher.expect_nothing().await;
    again.leave().await;
    let event = watcher.expect_event(statuses).await;
    assert!(event.data_text().contains("offline"), "{}", event.text);
    server.finish().await;
}

#[tokio::test]
async fn close_frame_of_the_client_ends_its_session_at_once() {
    let server = or_skip!(start(app()).await);
    for kind in KINDS {
        for frame in [
            Frame::close(1000, ""),
            Frame::close(1001, ""),
            Frame::new(Opcode::CLOSE, []),
        ] {
            let channel = server.channel("presence-");
            let token = token();
            let mut session = Session::open_as(&server, &token, kind).await;
            let id = session.id().to_owned();
            session.join(&channel, "u").await;
            publish(&server, &channel, 0).await;
            session.leave_by(frame).await;
            wait_for_users(&server, &channel, &[]).await;
            assert_eq!(parked(&server).await, 0);
            publish(&server, &channel, 1).await;
            let mut again = Session::open_as(&server, &token, kind).await;
            assert_ne!(again.id(), id);
            again.join(&channel, "u").await;
            let old = again.fence(&server).await;
            let old: Vec<_> = old
                .iter()
                .filter(|event| event.name != "fanfare:gap")
                .collect();
            assert!(old.is_empty(), "{old:?}");
            again.leave().await;
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn session_that_does_not_come_back_ends_with_its_window() {
    let mut receiver = Receiver::start(&[&AppConfig::new("10001").app()]).await;
    let app = waiting_app(2).webhook(receiver.webhook(&["channel_vacated"]));
    let builder = TestServer::builder()
        .app(app)
        .set("webhooks.leave_delay_ms", 1);
    let server = or_skip!(builder.start().await);
    let channels = ["public-", "presence-"].map(|prefix| server.channel(prefix));
    let observed = server.channel("presence-");
    let mut observer = server.connect().await;
    observer
        .subscribe_presence(&observed, "observer", json!({}))
        .await;
    let mut session = Session::open(&server, &token()).await;
    session.subscribe(&channels[0]).await;
    session.join(&channels[1], "u").await;
    session.join(&observed, "u").await;
    observer
        .expect_event_on(&observed, "pusher_internal:member_added")
        .await;
    let cut = Instant::now();
    session.reset();
    let event = observer
        .expect_event_on(&observed, "pusher_internal:member_removed")
        .await;
    assert_eq!(event.data_json()["user_id"], "u");
    let waited = cut.elapsed();
    assert!(waited >= Duration::from_secs(2) - TOLERANCE, "{waited:?}");
    wait_until_parked(&server, 0).await;
    for channel in &channels {
        receiver.next_event_on(channel).await;
        let path = format!("/channels/{channel}");
        assert_eq!(server.get(&path, &[]).await["occupied"], false);
    }
    server.finish().await;
}

#[tokio::test]
async fn user_whose_connections_are_terminated_has_no_session_any_more() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    session.sign_in("u").await;
    session.join(&channel, "u").await;
    session.park(&server).await;
    publish(&server, &channel, 0).await;
    let path = "/users/u/terminate_connections";
    let request = Request::post(server.app(), path).body("{}");
    server.request(&request).await.expect_status(200);
    wait_until_parked(&server, 0).await;
    wait_for_users(&server, &channel, &[]).await;
    let mut again = Session::open(&server, &token).await;
    assert_ne!(again.id(), id);
    again.join(&channel, "u").await;
    let old = again.fence(&server).await;
    assert!(
        old.iter().all(|event| event.name != crate::page::EVENT),
        "{old:?}"
    );
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn terminating_the_connections_of_a_user_closes_a_resumed_one_too() {
    let server = or_skip!(start(app()).await);
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.sign_in("u").await;
    session.park(&server).await;
    let mut again = Session::open(&server, &token).await;
    again.sign_in("u").await;
    let request = Request::post(server.app(), "/users/u/terminate_connections").body("{}");
    server.request(&request).await.expect_status(200);
    let close = within("the close", again.client.socket.read_close()).await;
    assert_eq!(close.code, Some(4009));
    drop(again);
    let metrics_show_it_gone = || async {
        let open = server.metrics().await.sum("fanfare_connections", &[]);
        (open == 0.0).then_some(())
    };
    eventually("the connection to end", metrics_show_it_gone).await;
    assert_eq!(parked(&server).await, 0);
    server.finish().await;
}

#[tokio::test]
async fn terminating_the_connections_of_a_user_who_is_about_to_sign_in_again_ends_the_session() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.sign_in("u").await;
    session.join(&channel, "u").await;
    session.park(&server).await;
    let mut again = Session::open(&server, &token).await;
    let request = Request::post(server.app(), "/users/u/terminate_connections").body("{}");
    server.request(&request).await.expect_status(200);
    let close = within("the close", again.client.socket.read_close()).await;
    assert_eq!(close.code, Some(4009));
    drop(again);
    wait_for_users(&server, &channel, &[]).await;
    assert_eq!(parked(&server).await, 0);
    server.finish().await;
}

#[tokio::test]
async fn server_stops_in_time_with_sessions_parked() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let mut session = Session::open(&server, &token()).await;
    session.join(&channel, "u").await;
    session.park(&server).await;
    server.signal(protocol_tests::Signal::Terminate);
    server.exited().await.expect_clean();
}

#[tokio::test]
async fn sessions_end_when_more_are_parked_than_their_app_may_have() {
    let server = or_skip!(start(app().set("resume.sessions", 2)).await);
    let channel = server.channel("presence-");
    let mut tokens = Vec::new();
    for number in 0..4 {
        let token = token();
        let mut session = Session::open(&server, &token).await;
        let data = protocol_tests::client::channel_data(&format!("u{number}"), json!(null));
        session
            .client
            .send_signed_subscribe(&channel, Some(&data))
            .await;
        session.fence_own().await;
        session.reset();
        tokens.push(token);
    }
    eventually("two of four to be left", || async {
        let left = users(&server, &channel).await.len();
        (left == 2 && parked(&server).await == 2).then_some(())
    })
    .await;
    for token in tokens {
        Session::open(&server, &token).await.leave().await;
    }
    wait_for_users(&server, &channel, &[]).await;
    server.finish().await;
}

#[tokio::test]
async fn session_on_more_channels_than_its_app_has_room_for_ends_and_is_notified() {
    let app = app().set("resume.bytes", 64 << 10);
    let server = or_skip!(start(app).await);
    let channels: Vec<String> = (0..500).map(|_| server.channel("public-")).collect();
    let token = token();
    let mut session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    for channel in &channels {
        session.client.send_subscribe(channel, None, None).await;
    }
    session.fence_own().await;
    session.reset();
    eventually("the channels to be left", || async {
        let occupied = server.get("/channels", &[]).await;
        (occupied["channels"] == json!({})).then_some(())
    })
    .await;
    assert_eq!(parked(&server).await, 0);
    let mut again = Session::open(&server, &token).await;
    assert_ne!(again.id(), id);
    again.subscribe(&channels[0]).await;
    again.expect_gap(&channels[0], None).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn upgrade_without_a_session_is_served_beside_parked_ones() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.subscribe(&channel).await;
    session.park(&server).await;
    let plain = upgrade(&server, "", crate::session::Kind::Page);
    let mut plain = Session::open_with(&server, &plain).await;
    plain.subscribe(&channel).await;
    publish(&server, &channel, 0).await;
    plain.expect_numbers(&channel, 0..1).await;
    Session::open(&server, &token).await.leave().await;
    server.finish().await;
}
