//! An endpoint that fails: what is sent again, when, and for how long.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol_tests::{Answer, TestServer, or_skip};
use serde_json::json;
use tokio::time::{Instant, interval};

use crate::support::{
    OCCUPANCY, expect_numbered, figure, occupied, receiver, relay, send_numbered, subscriber,
    wait_for_figure,
};

#[tokio::test]
async fn an_event_is_sent_again_with_the_same_id_and_time_and_ever_longer_pauses() {
    let mut receiver = receiver().await;
    receiver.script(|delivery| match delivery.attempt {
        1..=3 => Answer::Status(500),
        _ => Answer::OK,
    });
    let server = or_skip!(relay(&receiver, &OCCUPANCY).start().await);
    let channel = server.channel("public-");
    let _client = subscriber(&server, &channel).await;
    receiver.expect_event(occupied(&channel)).await;
    let deliveries = receiver.deliveries();
    assert_eq!(deliveries.len(), 4);
    let pauses: Vec<Duration> = deliveries
        .windows(2)
        .map(|pair| pair[1].arrived - pair[0].arrived)
        .collect();
    for pair in deliveries.windows(2) {
        assert_eq!(pair[0].ids(), pair[1].ids());
        // That of the event: who compares it with the clock knows that it comes late.
        assert_eq!(pair[0].time_ms, pair[1].time_ms);
    }
    // About 1, 2 and 4 seconds, half as much less or more, and many for a busy machine.
    for (pause, seconds) in pauses.iter().zip([1.0, 2.0, 4.0]) {
        let about = seconds * 0.45..seconds * 1.5 + 12.0;
        assert!(about.contains(&pause.as_secs_f64()), "{pauses:?}");
    }
    // It is counted once the relay has read the answer.
    wait_for_figure(&server, "events_sent_total", &[], 1.0).await;
    let refused = figure(&server, "requests_total", &[("outcome", "refused")]).await;
    assert_eq!(refused, 3.0);
    let ok = figure(&server, "requests_total", &[("outcome", "ok")]).await;
    assert_eq!(ok, 1.0);
    let sent = figure(&server, "events_sent_total", &[]).await;
    assert_eq!(sent, 1.0);
    server.finish().await;
}

#[tokio::test]
async fn every_status_but_2xx_is_a_failure() {
    const FAILURES: [u16; 12] = [300, 302, 304, 400, 401, 403, 404, 410, 422, 429, 500, 503];
    const SUCCESSES: [u16; 4] = [200, 201, 202, 204];
    let mut receiver = receiver().await;
    // Each channel's name ends with the status that its first request gets.
    receiver.script(|delivery| {
        let status = delivery.events[0].channel.rsplit('-').next();
        let status = status.and_then(|status| status.parse().ok());
        match delivery.attempt {
            1 => Answer::Status(status.expect("a status")),
            _ => Answer::OK,
        }
    });
    let server = or_skip!(relay(&receiver, &["channel_occupied"]).start().await);
    let base = server.channel("public-");
    let mut client = server.connect().await;
    let channel = |status: &u16| format!("{base}-{status}");
    for status in FAILURES.iter().chain(&SUCCESSES) {
        client.subscribe(&channel(status)).await;
    }
    for (statuses, attempts) in [(&FAILURES[..], 2), (&SUCCESSES[..], 1)] {
        for status in statuses {
            receiver.expect_event(occupied(&channel(status))).await;
            let seen = receiver.deliveries_on(&channel(status)).len();
            assert_eq!(seen, attempts, "status {status}");
        }
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn events_of_a_failing_channel_keep_their_order() {
    const EVENTS: u64 = 30;
    let mut receiver = receiver().await;
    // Every tenth is refused once, so that later ones could overtake it.
    receiver.script(|delivery| {
        let data = delivery.events[0].json["data"].as_str();
        let is_tenth = data.is_some_and(|number| number.ends_with('5'));
        match delivery.attempt {
            1 if is_tenth => Answer::Status(503),
            _ => Answer::OK,
        }
    });
    let server = or_skip!(relay(&receiver, &["client_event"]).start().await);
    let channels = [server.channel("private-"), server.channel("private-")];
    let mut client = server.connect().await;
    for channel in &channels {
        client.subscribe(channel).await;
        send_numbered(&mut client, channel, 0..EVENTS).await;
    }
    for channel in &channels {
        expect_numbered(&mut receiver, channel, 0..EVENTS).await;
        let requests = receiver.deliveries_on(channel).len() as u64;
        assert_eq!(requests, EVENTS + EVENTS / 10);
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn what_keeps_failing_is_given_up_and_counted_and_the_next_event_has_its_turn() {
    let mut receiver = receiver().await;
    receiver.script(|_| Answer::Status(500));
    let builder = relay(&receiver, &["client_event"]).set("webhooks.retry_for", 3);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    let began = Instant::now();
    client
        .send_client_event(&channel, "client-x", json!("hopeless"))
        .await;
    let expired = [("reason", "expired")];
    wait_for_figure(&server, "events_dropped_total", &expired, 1.0).await;
    let took = began.elapsed();
    let about = Duration::from_millis(2500)..Duration::from_secs(10);
    assert!(about.contains(&took), "given up after {took:?}");
    let attempts = receiver.deliveries().len();
    assert!((2..=6).contains(&attempts), "{attempts} attempts");
    receiver.script(|_| Answer::OK);
    send_numbered(&mut client, &channel, 0..3).await;
    expect_numbered(&mut receiver, &channel, 0..3).await;
    receiver.expect_nothing_more();
    wait_for_figure(&server, "events_sent_total", &[], 3.0).await;
    let dropped = figure(&server, "events_dropped_total", &[]).await;
    assert_eq!(dropped, 1.0);
    let waiting = figure(&server, "events_waiting", &[]).await;
    assert_eq!(waiting, 0.0);
    server.finish().await;
}

#[tokio::test]
async fn what_waits_is_counted_while_it_waits() {
    let mut receiver = receiver().await;
    receiver.script(|_| Answer::Status(500));
    let server = or_skip!(relay(&receiver, &["client_event"]).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 0..7).await;
    wait_for_figure(&server, "events_waiting", &[], 7.0).await;
    receiver.script(|_| Answer::OK);
    expect_numbered(&mut receiver, &channel, 0..7).await;
    wait_for_figure(&server, "events_sent_total", &[], 7.0).await;
    let waiting = figure(&server, "events_waiting", &[]).await;
    assert_eq!(waiting, 0.0);
    server.finish().await;
}

/// Sends an event on each channel twice a second until `end`, and returns how many there are on each.
async fn send_steadily(server: &TestServer, channels: &[String], end: Instant) -> u64 {
    let mut client = server.connect().await;
    for channel in channels {
        client.subscribe(channel).await;
    }
    let mut clock = interval(Duration::from_millis(500));
    let mut sent = 0;
    while Instant::now() < end {
        for channel in channels {
            send_numbered(&mut client, channel, sent..sent + 1).await;
        }
        sent += 1;
        clock.tick().await;
    }
    client.ping_fence().await;
    sent
}

#[tokio::test]
async fn an_endpoint_that_is_down_for_a_minute_misses_nothing() {
    let down_until = Instant::now() + Duration::from_secs(60);
    let mut receiver = receiver().await;
    receiver.script(move |_| {
        if Instant::now() < down_until {
            Answer::Status(500)
        } else {
            Answer::OK
        }
    });
    let server = or_skip!(relay(&receiver, &["client_event"]).start().await);
    let channels: Vec<String> = (0..4).map(|_| server.channel("private-")).collect();
    let sent = send_steadily(&server, &channels, down_until).await;
    // The pause after a minute of failures may be as long as all those before it.
    let limit = Duration::from_secs(120);
    for channel in &channels {
        for number in 0..sent {
            let event = receiver.next_event_on_within(limit, channel).await;
            assert_eq!(event.json["data"], number.to_string());
        }
    }
    receiver.expect_nothing_more();
    let mut requests = BTreeMap::<String, usize>::new();
    for delivery in receiver.deliveries() {
        let first = delivery.events[0].channel.clone();
        *requests.entry(first).or_default() += 1;
    }
    for (channel, requests) in requests {
        let failed = requests as u64 - sent;
        assert!((3..=16).contains(&failed), "{failed} in vain on {channel}");
    }
    server.finish().await;
}

#[tokio::test]
async fn an_endpoint_is_not_asked_again_while_it_has_all_the_time_it_needs() {
    let mut receiver = receiver().await;
    receiver.script(|_| Answer::Late(Duration::from_secs(4), 200));
    let server = or_skip!(relay(&receiver, &["channel_occupied"]).start().await);
    let channel = server.channel("public-");
    let _client = subscriber(&server, &channel).await;
    receiver.expect_event(occupied(&channel)).await;
    assert_eq!(receiver.deliveries().len(), 1);
    server.finish().await;
}
