//! `xhr_polling`: what comes between two polls, and what becomes of an answer that is lost.

use protocol_tests::{PublishedEvent, Request, TestServer, eventually, or_skip};
use serde_json::{Value, json};

use crate::client::{FallbackClient, Line, Session, Transport, start};

fn names(lines: &[Line]) -> Vec<String> {
    let name = |text: &String| protocol_tests::Event::parse(text).name;
    lines
        .iter()
        .flat_map(|line| match line {
            Line::Messages(messages) => messages.iter().map(name).collect(),
            _ => Vec::new(),
        })
        .collect()
}

#[tokio::test]
async fn what_comes_between_two_polls_is_kept_in_order() {
    // In batches, which are soon published: the session would end if nobody polled for long.
    const EVENTS: usize = 200;
    let server = or_skip!(start().await);
    let channel = server.channel("orders-");
    let mut client = FallbackClient::on(&server, Transport::Polling, &channel).await;
    let mut http = server.http();
    let events: Vec<Value> = (0..EVENTS)
        .map(|number| PublishedEvent::new(&channel, "number", number.to_string()))
        .map(|event| event.body().clone())
        .collect();
    for some in events.chunks(10) {
        let request = Request::post(server.app(), "/batch_events");
        let request = request.json(&json!({"batch": some}));
        http.send(&request).await.expect_status(200);
    }
    for number in 0..EVENTS {
        let event = client.expect_event(&channel, "number").await;
        assert_eq!(event.data_text(), number.to_string());
    }
    assert!(client.fence().await.is_empty());
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn an_answer_that_was_lost_comes_again_and_one_that_was_received_does_not() {
    let server = or_skip!(start().await);
    let channel = server.channel("orders-");
    let mut client = FallbackClient::on(&server, Transport::Polling, &channel).await;
    server
        .publish(PublishedEvent::new(&channel, "first", "1"))
        .await;
    let lost = client.session.receive(Transport::Polling);
    let answer = server.request(&lost).await.expect_status(200).text();
    assert_eq!(names(&Line::all(&answer)), ["first"]);
    server
        .publish(PublishedEvent::new(&channel, "second", "2"))
        .await;
    // A browser or a proxy makes the same request again.
    for _ in 0..2 {
        let again = server.request(&lost).await.expect_status(200).text();
        assert_eq!(again, answer);
    }
    let next = client.session.receive(Transport::Polling);
    let answer = server.request(&next).await.expect_status(200).text();
    assert_eq!(names(&Line::all(&answer)), ["second"]);
    assert!(client.fence().await.is_empty());
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn nothing_is_lost_to_a_poll_that_was_given_up() {
    let server = or_skip!(start().await);
    let channel = server.channel("orders-");
    let mut client = FallbackClient::on(&server, Transport::Polling, &channel).await;
    for round in 0..10 {
        let mut connection = server.connection().await;
        let endpoint = server.endpoint();
        let poll = client.session.receive(Transport::Polling);
        let bytes = poll.encode(&endpoint.authority, &endpoint.prefix);
        connection.send(&bytes).await;
        let event = PublishedEvent::new(&channel, "number", round.to_string());
        // Before or after the relay notices that the client has gone.
        connection.finish_sending();
        if round % 2 == 0 {
            server.publish(event).await;
            connection.receive_to_end().await;
        } else {
            connection.receive_to_end().await;
            server.publish(event).await;
        }
        // The browser makes the request again.
        let answer = server.request(&poll).await;
        let mut lines = Line::all(&answer.expect_status(200).text());
        while names(&lines).is_empty() {
            let next = client.session.receive(Transport::Polling);
            lines = Line::all(&server.request(&next).await.expect_status(200).text());
        }
        assert_eq!(names(&lines), ["number"], "{round}");
    }
    assert!(client.fence().await.is_empty());
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn of_two_polls_the_later_one_is_answered() {
    let server = or_skip!(start().await);
    let channel = server.channel("orders-");
    let mut client = FallbackClient::on(&server, Transport::Polling, &channel).await;
    let earlier = client.session.receive(Transport::Polling);
    let later = client.session.receive(Transport::Polling);
    let mut waiting = server.http();
    let endpoint = server.endpoint().clone();
    let bytes = earlier.encode(&endpoint.authority, &endpoint.prefix);
    waiting.send_raw(&bytes).await;
    let mut second = server.http();
    let bytes = later.encode(&endpoint.authority, &endpoint.prefix);
    second.send_raw(&bytes).await;
    // Whichever of the two came first was sent away.
    let sent_away = tokio::select! {
        answer = waiting.read_response() => answer,
        answer = second.read_response() => answer,
    };
    assert_eq!(sent_away.expect_status(200).text(), "h\n");
    drop((waiting, second));
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn an_old_poll_that_is_made_again_takes_nothing_from_the_new_one() {
    let server = or_skip!(start().await);
    let channel = server.channel("orders-");
    let mut client = FallbackClient::on(&server, Transport::Polling, &channel).await;
    let publish = async |name: &str| {
        server
            .publish(PublishedEvent::new(&channel, name, ""))
            .await;
    };
    publish("first").await;
    let old = client.session.receive(Transport::Polling);
    let answer = server.request(&old).await.expect_status(200).text();
    assert_eq!(names(&Line::all(&answer)), ["first"]);
    // One that waits.
    let waits = client.session.receive(Transport::Polling);
    let mut waiting = server.http();
    let endpoint = server.endpoint().clone();
    waiting
        .send_raw(&waits.encode(&endpoint.authority, &endpoint.prefix))
        .await;
    let ask_again = async || server.request(&old).await.expect_status(200).text();
    // Until the newer one has come, the old one is the same request as before, and has the same answer.
    eventually("the newer poll to wait", async || {
        let again = ask_again().await;
        assert!(again == answer || again == "h\n", "{again}");
        (again == "h\n").then_some(())
    })
    .await;
    assert_eq!(ask_again().await, "h\n");
    publish("second").await;
    let answer = waiting.read_response().await.expect_status(200).text();
    assert_eq!(names(&Line::all(&answer)), ["second"]);
    // One whose answer was lost.
    publish("third").await;
    let lost = client.session.receive(Transport::Polling);
    let answer = server.request(&lost).await.expect_status(200).text();
    assert_eq!(names(&Line::all(&answer)), ["third"]);
    let again = server.request(&old).await.expect_status(200).text();
    assert_eq!(again, "h\n");
    let again = server.request(&lost).await.expect_status(200).text();
    assert_eq!(again, answer);
    assert!(client.fence().await.is_empty());
    drop((client, waiting));
    server.finish().await;
}

#[tokio::test]
async fn a_quiet_poll_is_answered_before_proxies_give_up() {
    let builder = TestServer::builder().set("server.activity_timeout", 1);
    let server = or_skip!(builder.start().await);
    let mut client = FallbackClient::connect(&server, Transport::Polling).await;
    for _ in 0..3 {
        assert_eq!(client.next_line().await, Line::Heartbeat);
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_session_opens_once_however_many_open_it() {
    let server = or_skip!(start().await);
    let mut session = Session::new(server.app());
    let first = session.receive(Transport::Polling);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answer = server.request(&first).await.expect_status(200).text();
        assert_eq!(Line::all(&answer)[0], Line::Open);
        answers.push(answer);
    }
    assert_eq!(answers[0], answers[1]);
    server.finish().await;
}
