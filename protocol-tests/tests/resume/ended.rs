//! What ends a session that could have been taken up again.

use std::time::{Duration, Instant};

use protocol_tests::client::channel_data;
use protocol_tests::{AppConfig, Frame, Opcode, Receiver, Signal, TestServer, eventually, or_skip};
use serde_json::json;

use crate::session::{
    KINDS, Kind, Session, app, parked, publish, start, token, upgrade, users, wait_for_users,
    wait_until_parked, waiting_app,
};

/// How long before its time a timer may end.
const TOLERANCE: Duration = Duration::from_millis(150);

#[tokio::test]
async fn restart_of_the_relay_forgets_sessions() {
    let builder = TestServer::builder().app(app()).to_be_restarted();
    let server = or_skip!(builder.start().await);
    let channel = server.channel("public-");
    let away = Session::on(&server, &[&channel]).await.park(&server).await;
    publish(&server, &channel, 0).await;
    let server = server.restart().await;
    let mut again = away.begin_anew(&server).await;
    again.subscribe(&channel).await;
    again.expect_nothing(&server).await;
    again.leave().await;
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
async fn server_stops_in_time_with_sessions_parked() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let mut session = Session::open(&server, &token()).await;
    session.join(&channel, "u").await;
    session.park(&server).await;
    server.signal(Signal::Terminate);
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
        let data = channel_data(&format!("u{number}"), json!(null));
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
async fn whoever_cuts_off_most_sessions_keeps_nobody_elses_from_waiting() {
    let builder = TestServer::builder()
        .app(app().set("resume.sessions", 3))
        .set("server.trusted_proxies", vec!["127.0.0.1"]);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("public-");
    let open = async |client: &str, token: &str| {
        let upgrade = upgrade(&server, &format!("/s/{token}"), Kind::Page);
        Session::open_with(&server, &upgrade.header("X-Forwarded-For", client)).await
    };
    let cut_off = async |client: &str, token: &str| {
        let mut session = open(client, token).await;
        session.subscribe(&channel).await;
        let id = session.id().to_owned();
        session.reset();
        id
    };
    let strangers: Vec<_> = (0..4).map(|_| token()).collect();
    for (number, token) in strangers.iter().take(3).enumerate() {
        cut_off("203.0.113.9", token).await;
        wait_until_parked(&server, number + 1).await;
    }
    let page = token();
    let id = cut_off("198.51.100.1", &page).await;
    let lost = "fanfare_sessions_not_resumed_total";
    eventually("one of theirs to give way", || async {
        let full = server.metrics().await.sum(lost, &[("reason", "full")]);
        (full == 1.0 && parked(&server).await == 3).then_some(())
    })
    .await;
    // One more of theirs takes the place of another of theirs.
    cut_off("203.0.113.9", &strangers[3]).await;
    eventually("another one to give way", || async {
        let full = server.metrics().await.sum(lost, &[("reason", "full")]);
        (full == 2.0 && parked(&server).await == 3).then_some(())
    })
    .await;
    publish(&server, &channel, 0).await;
    let mut again = open("198.51.100.1", &page).await;
    assert_eq!(again.id(), id);
    again.subscribe(&channel).await;
    again.expect_numbers(&channel, 0..1).await;
    again.leave().await;
    for token in &strangers {
        open("203.0.113.9", token).await.leave().await;
    }
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
