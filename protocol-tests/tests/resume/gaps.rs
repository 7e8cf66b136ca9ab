//! What a session cannot be given any more is reported on each channel, and how much that is where it is known.

use protocol_tests::{Event, or_skip};
use serde_json::json;

use crate::page::EVENT;
use crate::session::{
    Session, app, parked, publish, publish_large, publish_numbers, start, token, wait_until_parked,
    waiting_app,
};

/// Bytes that a session is kept where a test goes beyond them.
const LITTLE: i64 = 64 << 10;
const DATA: usize = 5_000;
/// As many events as are more than that.
const TOO_MUCH: usize = 2 * LITTLE as usize / DATA;

/// A channel of which little was missed gives that, or reports how much it was, but never a part.
async fn expect_all_or_gap(session: &mut Session, channel: &str, missed: usize) {
    let event = session.next().await;
    assert_eq!(event.channel(), channel, "{}", event.text);
    if event.name == "fanfare:gap" {
        assert_eq!(event.data_json(), json!({"missed": missed}));
    } else {
        assert_eq!(event.data_text(), "0");
        session.expect_numbers(channel, 1..missed).await;
    }
}

#[tokio::test]
async fn more_than_is_kept_of_a_session_is_a_gap_of_each_channel_that_missed_something() {
    let server = or_skip!(start(app().set("resume.session_bytes", LITTLE)).await);
    let names = [
        "public-much-",
        "private-little-",
        "presence-",
        "public-nothing-",
    ];
    let [much, little, presence, nothing] = names.map(|prefix| server.channel(prefix));
    let token = token();
    let mut session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    for channel in [&much, &little, &nothing] {
        session.subscribe(channel).await;
    }
    session.join(&presence, "u").await;
    publish_numbers(&server, &nothing, 0..3).await;
    session.expect_numbers(&nothing, 0..3).await;
    session.prove().await;
    session.park(&server).await;
    publish_numbers(&server, &little, 0..2).await;
    publish_large(&server, &much, 0..TOO_MUCH, DATA).await;
    publish(&server, &presence, 0).await;
    publish_numbers(&server, &little, 2..3).await;
    let mut again = Session::open(&server, &token).await;
    assert_eq!(again.id(), id);
    // What comes before a channel is asked for again is missed with the rest.
    publish(&server, &much, TOO_MUCH).await;
    again.subscribe(&much).await;
    again.expect_gap(&much, Some(TOO_MUCH + 1)).await;
    publish(&server, &much, 1).await;
    again.expect_numbers(&much, 1..2).await;
    again.subscribe(&little).await;
    expect_all_or_gap(&mut again, &little, 3).await;
    again.subscribe(&nothing).await;
    publish(&server, &nothing, 3).await;
    again.expect_numbers(&nothing, 3..4).await;
    again.join(&presence, "u").await;
    expect_all_or_gap(&mut again, &presence, 1).await;
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn session_with_a_gap_is_kept_as_any_other_from_then_on() {
    let server = or_skip!(start(app().set("resume.session_bytes", LITTLE)).await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.subscribe(&channel).await;
    session.park(&server).await;
    publish_large(&server, &channel, 0..TOO_MUCH, DATA).await;
    let mut again = Session::open(&server, &token).await;
    again.subscribe(&channel).await;
    again.expect_gap(&channel, Some(TOO_MUCH)).await;
    publish(&server, &channel, 0).await;
    again.expect_numbers(&channel, 0..1).await;
    again.prove().await;
    again.park(&server).await;
    publish_numbers(&server, &channel, 1..4).await;
    let mut again = Session::open(&server, &token).await;
    again.subscribe(&channel).await;
    again.expect_numbers(&channel, 1..4).await;
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn gap_that_is_not_proven_received_is_reported_again() {
    let server = or_skip!(start(app().set("resume.session_bytes", LITTLE)).await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.subscribe(&channel).await;
    session.park(&server).await;
    publish_large(&server, &channel, 0..TOO_MUCH, DATA).await;
    let mut again = Session::open(&server, &token).await;
    again.answers = false;
    again.subscribe(&channel).await;
    again.expect_gap(&channel, Some(TOO_MUCH)).await;
    // For all that the relay knows, this was lost on its way.
    again.park(&server).await;
    let mut third = Session::open(&server, &token).await;
    third.subscribe(&channel).await;
    let seen = third.fence(&server).await;
    let gaps = seen.iter().filter(|event| event.name == "fanfare:gap");
    assert_eq!(gaps.count(), 1, "{seen:?}");
    third.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn events_that_exclude_the_session_are_not_counted_as_missed() {
    let server = or_skip!(start(app().set("resume.session_bytes", LITTLE)).await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    session.subscribe(&channel).await;
    session.park(&server).await;
    publish_large(&server, &channel, 0..TOO_MUCH, DATA).await;
    for _ in 0..3 {
        let event = protocol_tests::PublishedEvent::new(&channel, EVENT, "own");
        server.publish(event.excluding(&id)).await;
    }
    let mut again = Session::open(&server, &token).await;
    again.subscribe(&channel).await;
    again.expect_gap(&channel, Some(TOO_MUCH)).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn events_that_nobody_proves_received_do_not_end_a_connection_and_are_a_gap_later() {
    let server = or_skip!(start(app().set("resume.session_bytes", LITTLE)).await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    session.subscribe(&channel).await;
    session.answers = false;
    publish_large(&server, &channel, 0..TOO_MUCH, DATA).await;
    session.expect_numbers(&channel, 0..TOO_MUCH).await;
    session.fence_own().await;
    session.park(&server).await;
    publish(&server, &channel, TOO_MUCH).await;
    let mut again = Session::open(&server, &token).await;
    assert_eq!(again.id(), id);
    again.subscribe(&channel).await;
    let event = again.expect_on(&channel, "fanfare:gap").await;
    let missed = event.data_json()["missed"].as_u64().expect("a number");
    let possible = 1..=TOO_MUCH as u64 + 1;
    assert!(possible.contains(&missed), "{}", event.text);
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn more_than_is_kept_of_an_app_is_a_gap_of_some_sessions_and_nothing_of_others() {
    // Each session alone may have what both together may not.
    let app = app()
        .set("resume.session_bytes", 4 * LITTLE)
        .set("resume.bytes", 2 * LITTLE);
    let server = or_skip!(start(app).await);
    let channels = ["public-a-", "public-b-"].map(|prefix| server.channel(prefix));
    let mut tokens = Vec::new();
    for (number, channel) in channels.iter().enumerate() {
        let token = token();
        let mut session = Session::open(&server, &token).await;
        session.subscribe(channel).await;
        session.reset();
        wait_until_parked(&server, number + 1).await;
        tokens.push(token);
    }
    let enough = LITTLE as usize * 3 / 2 / DATA;
    for number in 0..enough {
        for channel in &channels {
            publish_large(&server, channel, number..number + 1, DATA).await;
        }
    }
    let mut gaps = 0;
    for (token, channel) in tokens.iter().zip(&channels) {
        let mut again = Session::open(&server, token).await;
        again.subscribe(channel).await;
        let seen = again.fence(&server).await;
        if seen
            .first()
            .is_some_and(|event| event.name == "fanfare:gap")
        {
            gaps += 1;
            assert_eq!(seen[0].data_json(), json!({"missed": enough}));
            assert_eq!(seen.len(), 1, "{seen:?}");
        } else {
            let numbers: Vec<String> = seen
                .iter()
                .map(|event| event.data_text().split(':').next().unwrap().to_owned())
                .collect();
            let expected: Vec<String> = (0..enough).map(|number| number.to_string()).collect();
            assert_eq!(numbers, expected);
        }
        again.leave().await;
    }
    assert!(gaps > 0, "more was kept than may be");
    server.finish().await;
}

#[tokio::test]
async fn after_the_window_each_channel_of_before_has_a_gap_of_unknown_size() {
    let server = or_skip!(start(waiting_app(8)).await);
    let names = ["public-", "private-", "presence-", "public-new-"];
    let [public, private, presence, new] = names.map(|prefix| server.channel(prefix));
    let token = token();
    let mut session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    for channel in [&public, &private] {
        session.subscribe(channel).await;
    }
    session.join(&presence, "u").await;
    session.park(&server).await;
    publish(&server, &public, 0).await;
    wait_until_parked(&server, 0).await;
    let mut again = Session::open(&server, &token).await;
    assert_ne!(again.id(), id);
    again.subscribe(&public).await;
    again.expect_gap(&public, None).await;
    publish(&server, &public, 1).await;
    again.expect_numbers(&public, 1..2).await;
    again.subscribe(&new).await;
    again.subscribe(&private).await;
    again.expect_gap(&private, None).await;
    again.join(&presence, "u").await;
    again.expect_gap(&presence, None).await;
    // It is reported once.
    again.client.unsubscribe(&public).await;
    again.subscribe(&public).await;
    again.expect_nothing(&server).await;
    // The fresh session has the token now.
    let id = again.id().to_owned();
    again.prove().await;
    again.park(&server).await;
    let mut third = Session::open(&server, &token).await;
    if third.id() == id {
        publish(&server, &new, 0).await;
        third.subscribe(&new).await;
        third.expect_numbers(&new, 0..1).await;
    } else {
        panic!("the window was over within the test's own time, or the fresh session is none");
    }
    third.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn token_that_nobody_knows_has_no_gap() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("public-");
    publish(&server, &channel, 0).await;
    let mut session = Session::open(&server, &token()).await;
    session.subscribe(&channel).await;
    session.expect_nothing(&server).await;
    session.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn gap_is_an_ordinary_event() {
    let server = or_skip!(start(app().set("resume.session_bytes", LITTLE)).await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.subscribe(&channel).await;
    session.park(&server).await;
    publish_large(&server, &channel, 0..TOO_MUCH, DATA).await;
    let mut again = Session::open(&server, &token).await;
    again.subscribe(&channel).await;
    let event: Event = again.next().await;
    let expected = json!({
        "event": "fanfare:gap",
        "channel": channel,
        "data": format!("{{\"missed\":{TOO_MUCH}}}"),
    });
    assert_eq!(event.message, expected);
    assert_eq!(parked(&server).await, 0);
    again.leave().await;
    server.finish().await;
}
