//! Two connections that name one session: whoever answers has it, and whoever does not loses it to the other.

use std::time::{Duration, Instant};

use protocol_tests::{Frame, Opcode, TestServer, WsClient, eventually, or_skip, within};
use serde_json::json;

use crate::road::{Road, Way};
use crate::session::{
    KINDS, Kind, Session, app, parked, publish, publish_numbers, start, token, upgrade, users,
    wait_for_users, wait_until_parked,
};

/// How long the old connection has to answer.
const TO_ANSWER: Duration = Duration::from_secs(2);
/// How long before its time a timer may end.
const TOLERANCE: Duration = Duration::from_millis(200);

/// Opens another connection of a session while the first one is served, too.
async fn open_beside(server: &TestServer, token: &str, kind: Kind, first: &mut Session) -> Session {
    let opened = async {
        tokio::select! {
            second = Session::open_as(server, token, kind) => second,
            event = first.next() => panic!("nothing is due: {}", event.text),
        }
    };
    within("the second connection", opened).await
}

#[tokio::test]
async fn second_connection_beside_one_that_answers_is_a_session_of_its_own() {
    let server = or_skip!(start(app()).await);
    for kind in KINDS {
        let channel = server.channel("presence-");
        let token = token();
        let mut first = Session::open_as(&server, &token, kind).await;
        first.join(&channel, "first").await;
        let mut second = open_beside(&server, &token, kind, &mut first).await;
        // The first one answered in time: its session would be the second one's otherwise.
        assert_ne!(second.id(), first.id());
        second.join(&channel, "second").await;
        first
            .expect_on(&channel, "pusher_internal:member_added")
            .await;
        publish(&server, &channel, 0).await;
        for session in [&mut first, &mut second] {
            session.expect_numbers(&channel, 0..1).await;
        }
        // It is not kept, …
        second.reset();
        first
            .expect_on(&channel, "pusher_internal:member_removed")
            .await;
        assert_eq!(parked(&server).await, 0);
        // … and the first one still is.
        let id = first.id().to_owned();
        first.prove().await;
        first.park(&server).await;
        publish(&server, &channel, 1).await;
        let mut again = Session::open_as(&server, &token, kind).await;
        assert_eq!(again.id(), id);
        again.join(&channel, "first").await;
        again.expect_numbers(&channel, 1..2).await;
        again.leave().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn second_connection_beside_one_that_does_not_answer_takes_its_session() {
    let server = or_skip!(start(app()).await);
    for kind in KINDS {
        let channels = ["presence-", "public-"].map(|prefix| server.channel(prefix));
        let mut observer = server.connect().await;
        observer
            .subscribe_presence(&channels[0], "observer", json!({}))
            .await;
        let token = token();
        let mut first = Session::open_as(&server, &token, kind).await;
        let id = first.id().to_owned();
        first.join(&channels[0], "u").await;
        first.subscribe(&channels[1]).await;
        observer.expect_event("pusher_internal:member_added").await;
        publish_numbers(&server, &channels[1], 0..3).await;
        first.expect_numbers(&channels[1], 0..3).await;
        first.prove().await;
        // Nobody reads the first connection any more.
        publish_numbers(&server, &channels[1], 3..6).await;
        let began = Instant::now();
        let mut second = Session::open_as(&server, &token, kind).await;
        let waited = began.elapsed();
        assert!(waited >= TO_ANSWER - TOLERANCE, "{waited:?}");
        assert_eq!(second.id(), id);
        let roster = second.join(&channels[0], "u").await;
        assert_eq!(roster.ids, ["observer", "u"]);
        second.subscribe(&channels[1]).await;
        second.expect_numbers(&channels[1], 3..6).await;
        publish(&server, &channels[1], 6).await;
        second.expect_numbers(&channels[1], 6..7).await;
        second.expect_nothing(&server).await;
        observer.expect_nothing().await;
        within("the end of the first connection", async {
            while first.client.socket.next().await.is_ok() {}
        })
        .await;
        assert_eq!(users(&server, &channels[0]).await, ["observer", "u"]);
        second.leave().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn connection_that_does_not_answer_does_not_count_against_the_one_that_takes_its_session() {
    let server = or_skip!(start(app().limit("max_connections", 1)).await);
    let token = token();
    let first = Session::open(&server, &token).await;
    let second = Session::open(&server, &token).await;
    assert_eq!(second.id(), first.id());
    second.leave().await;
    drop(first);
    server.finish().await;
}

/// A session whose connection lies behind a road.
async fn open_behind(server: &TestServer, road: &Road, token: &str) -> (Session, u16) {
    let connection = protocol_tests::Connection::open(road.authority()).await;
    let port = connection.local_port();
    let request = upgrade(server, &format!("/s/{token}"), Kind::Page);
    let request = request.encode(road.authority(), &server.endpoint().prefix);
    let socket = protocol_tests::WebSocket::open(connection, &request).await;
    let socket = socket.expect("the upgrade is accepted");
    let client = WsClient::establish(socket, server.app(), server.http()).await;
    (Session::over(client), port)
}

#[tokio::test]
async fn close_frame_that_was_held_up_does_not_end_a_session_that_its_page_asks_for() {
    // A page that gives its connection up closes it as one that says goodbye does.
    let server = or_skip!(start(app()).await);
    let road = Road::start(&server.endpoint().authority).await;
    let channel = server.channel("presence-");
    let mut observer = server.connect().await;
    observer
        .subscribe_presence(&channel, "observer", json!({}))
        .await;
    let token = token();
    let (mut first, port) = open_behind(&server, &road, &token).await;
    let id = first.id().to_owned();
    first.join(&channel, "u").await;
    observer.expect_event("pusher_internal:member_added").await;
    first.prove().await;
    assert!(road.set(port, Way::Held));
    publish_numbers(&server, &channel, 0..3).await;
    for _ in 0..3 {
        observer.expect_event(crate::page::EVENT).await;
    }
    first.client.send_event("pusher:ping", json!({})).await;
    let goodbye = Frame::new(Opcode::CLOSE, []);
    first.client.socket.send(goodbye).await;
    let mut opening = Box::pin(Session::open(&server, &token));
    // The relay waits for the first connection's answer; the close frame comes instead of it.
    let early = tokio::time::timeout(TO_ANSWER / 4, &mut opening).await;
    assert!(early.is_err(), "the first connection was not asked");
    assert!(road.set(port, Way::Open));
    let mut second = opening.await;
    assert_eq!(second.id(), id);
    let roster = second.join(&channel, "u").await;
    assert_eq!(roster.ids, ["observer", "u"]);
    second.expect_numbers(&channel, 0..3).await;
    observer.expect_nothing().await;
    drop(first);
    second.leave().await;
    drop(road);
    server.finish().await;
}

#[tokio::test]
async fn close_frame_behind_a_question_of_the_page_is_no_goodbye() {
    // So it comes of a page that has waited for an answer while the network was away: all at once, and before the page
    // itself is back.
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let token = token();
    let mut first = Session::open(&server, &token).await;
    let id = first.id().to_owned();
    first.join(&channel, "u").await;
    first.prove().await;
    let mut last = Frame::text(r#"{"event":"pusher:ping","data":{}}"#).encode();
    last.extend(Frame::new(Opcode::CLOSE, []).encode());
    first.client.socket.send_bytes(&last).await;
    wait_until_parked(&server, 1).await;
    publish_numbers(&server, &channel, 0..3).await;
    let mut second = Session::open(&server, &token).await;
    assert_eq!(second.id(), id);
    second.join(&channel, "u").await;
    second.expect_numbers(&channel, 0..3).await;
    drop(first);
    second.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn close_frame_that_comes_after_the_session_was_taken_changes_nothing() {
    let server = or_skip!(start(app()).await);
    let road = Road::start(&server.endpoint().authority).await;
    let channel = server.channel("presence-");
    let token = token();
    let (mut first, port) = open_behind(&server, &road, &token).await;
    let id = first.id().to_owned();
    first.join(&channel, "u").await;
    first.prove().await;
    assert!(road.set(port, Way::Held));
    let goodbye = Frame::new(Opcode::CLOSE, []);
    first.client.socket.send(goodbye).await;
    let mut second = Session::open(&server, &token).await;
    assert_eq!(second.id(), id);
    second.join(&channel, "u").await;
    road.set(port, Way::Open);
    within("the end of the first connection", async {
        while first.client.socket.next().await.is_ok() {}
    })
    .await;
    publish(&server, &channel, 0).await;
    second.expect_numbers(&channel, 0..1).await;
    wait_for_users(&server, &channel, &["u"]).await;
    second.leave().await;
    drop(road);
    server.finish().await;
}

#[tokio::test]
async fn connection_that_ends_while_it_is_asked_leaves_its_session_to_the_other() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("private-");
    let token = token();
    let mut first = Session::open(&server, &token).await;
    let id = first.id().to_owned();
    first.subscribe(&channel).await;
    publish(&server, &channel, 0).await;
    let mut opening = Box::pin(Session::open(&server, &token));
    let early = tokio::time::timeout(TO_ANSWER / 4, &mut opening).await;
    assert!(early.is_err(), "the first connection was not asked");
    first.reset();
    let mut second = opening.await;
    assert_eq!(second.id(), id);
    second.subscribe(&channel).await;
    second.expect_numbers(&channel, 0..1).await;
    second.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn several_connections_that_name_one_session_leave_it_to_one() {
    let server = or_skip!(start(app()).await);
    let token = token();
    let session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    session.park(&server).await;
    let mut opening = Vec::new();
    for _ in 0..4 {
        let upgrade = upgrade(&server, &format!("/s/{token}"), Kind::Other);
        opening.push(server.open(&upgrade).await.expect("it is accepted"));
    }
    let mut same = 0;
    for socket in opening {
        let client = WsClient::establish(socket, server.app(), server.http()).await;
        same += usize::from(client.socket_id == id);
        drop(client);
    }
    assert!(same >= 1, "nobody has the session");
    eventually("the connections to end", || async {
        let open = server.metrics().await.sum("fanfare_connections", &[]);
        (open == 0.0).then_some(())
    })
    .await;
    server.finish().await;
}
