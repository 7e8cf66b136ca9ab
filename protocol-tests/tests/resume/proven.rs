//! What a client has proved to have received does not come again, and all else does: how it is asked, and when.

use std::time::{Duration, Instant};

use protocol_tests::{Event, Frame, Opcode, Request, TestServer, or_skip, within};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::session::{KINDS, Kind, Session, app, publish, publish_numbers, start, token};

#[tokio::test]
async fn what_is_proven_received_does_not_come_again() {
    let server = or_skip!(start(app()).await);
    for kind in KINDS {
        let channels = ["public-", "private-"].map(|prefix| server.channel(prefix));
        let mut session = Session::open_as(&server, &token(), kind).await;
        for channel in &channels {
            session.subscribe(channel).await;
            publish_numbers(&server, channel, 0..10).await;
            session.expect_numbers(channel, 0..10).await;
        }
        session.prove().await;
        let away = session.park(&server).await;
        let mut again = away.resume(&server).await;
        for channel in &channels {
            again.subscribe(channel).await;
        }
        again.expect_nothing(&server).await;
        again.leave().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn what_is_not_proven_received_comes_again() {
    let server = or_skip!(start(app()).await);
    for kind in KINDS {
        let channel = server.channel("private-");
        let mut session = Session::on_as(&server, kind, &[&channel]).await;
        publish_numbers(&server, &channel, 0..5).await;
        session.expect_numbers(&channel, 0..5).await;
        session.prove().await;
        // From here on it is a page that is busy: it receives and answers nothing.
        session.answers = false;
        publish_numbers(&server, &channel, 5..10).await;
        session.expect_numbers(&channel, 5..10).await;
        let away = session.park(&server).await;
        publish_numbers(&server, &channel, 10..12).await;
        let mut again = away.resume(&server).await;
        again.subscribe(&channel).await;
        again.expect_numbers(&channel, 5..12).await;
        again.expect_nothing(&server).await;
        again.leave().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn answers_of_a_client_that_is_back_prove_nothing_of_what_its_old_connection_was_sent() {
    // As much is on its way to others that the relay learns late, in its order of events, who is away.
    const OTHERS: usize = 200;
    const BACKLOG: usize = 600;
    let app = app().limit("publish_wait_ms", 20_000);
    let builder = TestServer::builder()
        .app(app)
        .set("server.workers", 1)
        .set("server.activity_timeout", 1);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("public-");
    // Events of one channel would be written together.
    let busy = ["busy-a-", "busy-b-"].map(|prefix| server.channel(prefix));
    let mut others = Vec::new();
    for _ in 0..OTHERS {
        let mut other = server.connect().await;
        for channel in &busy {
            other.subscribe(channel).await;
        }
        others.push(other);
    }
    for kind in KINDS {
        let token = token();
        let mut session = Session::open_as(&server, &token, kind).await;
        session.subscribe(&channel).await;
        session.answers = false;
        publish_numbers(&server, &channel, 0..3).await;
        session.expect_numbers(&channel, 0..3).await;
        let batch = (0..10).map(|number| {
            let channel = &busy[number % busy.len()];
            json!({"name": "busy", "channel": channel, "data": ""})
        });
        let batch: Vec<Value> = batch.collect();
        let mut http = server.http();
        for _ in 0..BACKLOG / batch.len() {
            let request = Request::post(server.app(), "/batch_events");
            let request = request.json(&json!({"batch": batch}));
            http.send(&request).await.expect_status(200);
        }
        session.reset();
        let mut again = Session::open_as(&server, &token, kind).await;
        // Asked twice, it has answered once.
        within("questions", async {
            while again.asked < 2 {
                let frame = again.client.socket.next().await.expect("it is connected");
                assert!(again.take(frame).await.is_none(), "nothing else is due");
            }
        })
        .await;
        again.subscribe(&channel).await;
        let seen = again.fence(&server).await;
        let numbers: Vec<&str> = seen.iter().map(Event::data_text).collect();
        assert_eq!(numbers, ["0", "1", "2"], "{kind:?}");
        again.leave().await;
    }
    drop(others);
    server.finish().await;
}

#[tokio::test]
async fn websocket_pongs_prove_nothing_of_a_page() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("public-");
    let mut session = Session::on_as(&server, Kind::Page, &[&channel]).await;
    session.answers = false;
    publish_numbers(&server, &channel, 0..3).await;
    session.expect_numbers(&channel, 0..3).await;
    let asked = within("a question", async {
        while session.asked == 0 {
            let frame = session.client.socket.next().await.expect("it is connected");
            let event = Event::parse(frame.as_text());
            session.asked += usize::from(event.name == "pusher:ping");
        }
    });
    asked.await;
    let pong = Frame::new(Opcode::PONG, []);
    session.client.socket.send(pong).await;
    // A ping of its own proves nothing either: it may have been sent before the events were received.
    session.fence_own().await;
    let away = session.park(&server).await;
    let mut again = away.resume(&server).await;
    again.subscribe(&channel).await;
    again.expect_numbers(&channel, 0..3).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn session_is_asked_at_most_once_a_second_and_only_after_events() {
    let server = or_skip!(start(app()).await);
    let [page, other] = KINDS.map(|kind| expect_few_questions(&server, kind));
    tokio::join!(page, other);
    server.finish().await;
}

async fn expect_few_questions(server: &TestServer, kind: Kind) {
    let channel = server.channel("public-");
    let mut session = Session::open_as(server, &token(), kind).await;
    session.subscribe(&channel).await;
    publish(server, &channel, 0).await;
    session.expect_numbers(&channel, 0..1).await;
    session.prove().await;
    let asked = session.asked;
    // Nothing has come since: there is nothing to ask.
    sleep(Duration::from_millis(1500)).await;
    session.fence_own().await;
    assert_eq!(session.asked, asked);
    let began = Instant::now();
    let mut number = 1;
    while began.elapsed() < Duration::from_secs(3) {
        publish(server, &channel, number).await;
        session.expect_numbers(&channel, number..number + 1).await;
        number += 1;
        sleep(Duration::from_millis(20)).await;
    }
    let most = began.elapsed().as_secs_f64() + 2.0;
    let questions = session.asked - asked;
    assert!(questions >= 1, "{number} events, and no question");
    assert!(questions as f64 <= most, "{questions} questions");
    session.leave().await;
}
