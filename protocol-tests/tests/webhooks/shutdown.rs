//! What becomes of events when the relay is stopped.

use std::time::Duration;

use protocol_tests::{Answer, PublishedEvent, Request, Signal, TestServer, eventually, or_skip};
use tokio::time::Instant;

use crate::support::{
    PRESENCE, added, expect_numbered, leave, member, occupied, receiver, relay, removed,
    send_numbered, subscriber, vacated, warnings,
};

#[tokio::test]
async fn leaves_in_their_delay_are_sent_before_the_end() {
    let mut receiver = receiver().await;
    let builder = relay(&receiver, &PRESENCE).set("webhooks.leave_delay_ms", 60_000);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("presence-");
    let mut ann = member(&server, &channel, "ann").await;
    receiver.expect_event(occupied(&channel)).await;
    receiver.expect_event(added(&channel, "ann")).await;
    leave(&mut ann, &channel).await;
    let stopped = Instant::now();
    server.signal(Signal::Terminate);
    receiver.expect_event(removed(&channel, "ann")).await;
    receiver.expect_event(vacated(&channel)).await;
    drop(ann);
    server.exited().await.expect_clean();
    let took = stopped.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    receiver.expect_nothing_more();
}

#[tokio::test]
async fn what_waits_for_its_turn_is_sent_before_the_end() {
    const EVENTS: u64 = 10;
    let mut receiver = receiver().await;
    receiver.script(|_| Answer::Late(Duration::from_millis(100), 200));
    let server = or_skip!(relay(&receiver, &["client_event"]).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 0..EVENTS).await;
    client.ping_fence().await;
    server.signal(Signal::Terminate);
    expect_numbered(&mut receiver, &channel, 0..EVENTS).await;
    drop(client);
    let exit = server.exited().await.expect_clean();
    assert!(warnings(&exit.log).is_empty(), "{:#?}", exit.log);
}

#[tokio::test]
async fn a_batch_in_the_making_is_sent_before_the_end() {
    let mut receiver = receiver().await;
    let webhook = receiver.webhook(&["client_event"]).set("batch", true);
    let builder = protocol_tests::TestServer::builder()
        .app(crate::support::talkative().webhook(webhook))
        .set("webhooks.batch_wait_ms", 20_000);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 0..3).await;
    client.ping_fence().await;
    let stopped = Instant::now();
    server.signal(Signal::Terminate);
    expect_numbered(&mut receiver, &channel, 0..3).await;
    drop(client);
    server.exited().await.expect_clean();
    let took = stopped.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test]
async fn what_failed_is_tried_again_before_the_end() {
    let mut receiver = receiver().await;
    receiver.script(|delivery| match delivery.attempt {
        1..=2 => Answer::Status(500),
        _ => Answer::OK,
    });
    let server = or_skip!(relay(&receiver, &["client_event"]).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 0..1).await;
    receiver.wait_for_deliveries(1).await;
    server.signal(Signal::Terminate);
    expect_numbered(&mut receiver, &channel, 0..1).await;
    drop(client);
    server.exited().await.expect_clean();
}

#[tokio::test]
async fn a_dead_endpoint_does_not_exceed_the_timeout_and_the_warning_counts_what_is_lost() {
    const EVENTS: u64 = 37;
    for answer in [Some(Answer::Never), Some(Answer::Status(500)), None] {
        let mut receiver = receiver().await;
        match &answer {
            Some(answer) => receiver.script({
                let answer = answer.clone();
                move |_| answer.clone()
            }),
            None => receiver.refuse_connections().await,
        }
        let builder = relay(&receiver, &["client_event"])
            .set("server.shutdown_timeout", 2)
            .set("webhooks.journal", "");
        let server = or_skip!(builder.start().await);
        let channel = server.channel("private-");
        let mut client = subscriber(&server, &channel).await;
        send_numbered(&mut client, &channel, 0..EVENTS).await;
        client.ping_fence().await;
        drop(client);
        server.expect_nothing_left().await;
        let stopped = Instant::now();
        server.signal(Signal::Terminate);
        let exit = server.exited().await.expect_clean();
        let took = stopped.elapsed();
        // Far less than the relay tries for.
        assert!(took < Duration::from_secs(8), "{answer:?}: {took:?}");
        let warnings = warnings(&exit.log);
        let about_them: Vec<_> = warnings
            .iter()
            .filter(|line| line.contains("lost"))
            .collect();
        assert_eq!(about_them.len(), 1, "{answer:?}: {:#?}", exit.log);
        let mut numbers = about_them[0].split(|letter: char| !letter.is_ascii_digit());
        let is_counted = numbers.any(|number| number == EVENTS.to_string());
        assert!(is_counted, "{answer:?}: {about_them:#?}");
    }
}

#[tokio::test]
async fn clients_are_served_while_a_dead_endpoint_holds_up_the_end_and_closed_last() {
    let receiver = receiver().await;
    receiver.script(|_| Answer::Never);
    let builder = relay(&receiver, &["client_event", "channel_vacated"]);
    let server = or_skip!(builder.set("server.shutdown_timeout", 10).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 0..3).await;
    receiver.wait_for_deliveries(1).await;
    let stopped = Instant::now();
    server.signal(Signal::Terminate);
    wait_until_not_ready(&server).await;
    server
        .publish(PublishedEvent::new(&channel, "meanwhile", "x"))
        .await;
    client.expect_event_on(&channel, "meanwhile").await;
    client.expect_close_code(1001).await;
    let closed = Instant::now();
    server.exited().await.expect_clean();
    let (served, after) = (closed - stopped, closed.elapsed());
    assert!(served > Duration::from_secs(3), "{served:?}");
    assert!(after < Duration::from_secs(10), "{after:?}");
}

#[tokio::test]
async fn who_is_still_there_has_left_once() {
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &PRESENCE).start().await);
    let channel = server.channel("presence-");
    let mut members = Vec::new();
    receiver.expect_nothing_more();
    for user in ["ann", "bob"] {
        members.push(member(&server, &channel, user).await);
        if user == "ann" {
            receiver.expect_event(occupied(&channel)).await;
        }
        receiver.expect_event(added(&channel, user)).await;
    }
    // A second connection of the same user.
    members.push(member(&server, &channel, "bob").await);
    server.signal(Signal::Terminate);
    for member in &mut members {
        member.expect_close_code(1001).await;
    }
    server.exited().await.expect_clean();
    let mut reported = Vec::new();
    for _ in 0..2 {
        reported.push(receiver.next_event().await.json);
    }
    for user in ["ann", "bob"] {
        assert!(reported.contains(&removed(&channel, user)), "{reported:?}");
    }
    receiver.expect_event(vacated(&channel)).await;
    receiver.expect_nothing_more();
}

async fn wait_until_not_ready(server: &TestServer) {
    eventually("/ready to answer 503", || async {
        let ready = server.request(&Request::new("GET", "/ready")).await;
        (ready.status == 503).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_second_signal_ends_the_relay_at_once_whatever_waits() {
    let receiver = receiver().await;
    receiver.script(|_| Answer::Never);
    let builder = relay(&receiver, &["client_event"]).set("server.shutdown_timeout", 300);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 0..3).await;
    receiver.wait_for_deliveries(1).await;
    server.signal(Signal::Terminate);
    wait_until_not_ready(&server).await;
    server.signal(Signal::Terminate);
    let exit = server.exited().await;
    let panicked = exit.log.iter().any(|line| line.contains("panicked at"));
    assert!(!panicked, "{:#?}", exit.log);
}
