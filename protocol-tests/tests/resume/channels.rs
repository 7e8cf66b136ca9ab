//! The channels of a session that is back: each is asked for again, authorised again, or left.

use std::time::{Duration, Instant};

use protocol_tests::client::channel_data;
use protocol_tests::{Event, or_skip, within};
use serde_json::{Value, json};

use crate::page::EVENT;
use crate::session::{Session, app, publish, publish_numbers, start, users, wait_for_users};

/// How long channels may take to be asked for again.
const TO_ASK: Duration = Duration::from_secs(10);
/// How long before its time a timer may end.
const TOLERANCE: Duration = Duration::from_millis(500);

fn is_old(event: &Event) -> bool {
    event.name == EVENT
}

#[tokio::test]
async fn channel_that_is_asked_for_twice_gives_what_was_missed_once() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("public-");
    let away = Session::on(&server, &[&channel]).await.park(&server).await;
    publish_numbers(&server, &channel, 0..3).await;
    let mut again = away.resume(&server).await;
    for _ in 0..2 {
        again.client.send_subscribe(&channel, None, None).await;
    }
    let seen = again.fence(&server).await;
    let numbers: Vec<&str> = seen
        .iter()
        .filter(|event| event.name == EVENT)
        .map(Event::data_text)
        .collect();
    assert_eq!(numbers, ["0", "1", "2"], "{seen:?}");
    assert_eq!(seen[0].name, "pusher_internal:subscription_succeeded");
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn member_who_comes_back_as_another_user_is_announced_as_that() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let mut observer = server.connect().await;
    observer
        .subscribe_presence(&channel, "observer", json!({}))
        .await;
    let mut session = Session::named(&server).await;
    session.join(&channel, "before").await;
    observer.expect_event("pusher_internal:member_added").await;
    let away = session.park(&server).await;
    let mut again = away.resume(&server).await;
    let roster = again.join(&channel, "after").await;
    assert_eq!(roster.ids, ["after", "observer"]);
    // What it has missed was for the other user.
    again.expect_gap(&channel, None).await;
    let mut changes = Vec::new();
    for event in observer.next_events(2).await {
        changes.push((event.name.clone(), event.data_json()["user_id"].clone()));
    }
    changes.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("pusher_internal:member_added".to_owned(), json!("after")),
        ("pusher_internal:member_removed".to_owned(), json!("before")),
    ];
    assert_eq!(changes, expected);
    publish(&server, &channel, 0).await;
    again.expect_numbers(&channel, 0..1).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn authorisation_of_before_the_cut_is_valid_after_it() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("private-");
    let mut session = Session::named(&server).await;
    let auth = server.app().channel_auth(session.id(), &channel, None);
    session.subscribe(&channel).await;
    let away = session.park(&server).await;
    publish(&server, &channel, 0).await;
    let mut again = away.resume(&server).await;
    again
        .client
        .send_subscribe(&channel, Some(&auth), None)
        .await;
    again
        .expect_on(&channel, "pusher_internal:subscription_succeeded")
        .await;
    again.expect_numbers(&channel, 0..1).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn channel_that_is_not_authorised_again_gives_nothing() {
    let server = or_skip!(start(app()).await);
    let channels = ["private-", "presence-"].map(|prefix| server.channel(prefix));
    let away = Session::on(&server, &channels).await.park(&server).await;
    for channel in &channels {
        publish(&server, channel, 0).await;
    }
    let mut again = away.resume(&server).await;
    let member = channel_data("u", Value::Null);
    let data = [None, Some(member.as_str())];
    for (channel, data) in channels.iter().zip(data) {
        for auth in [
            Some("key-10001:0000"),
            Some(server.app().channel_auth("1.1", channel, data).as_str()),
            None,
        ] {
            again.client.send_subscribe(channel, auth, data).await;
            again.expect_on(channel, "pusher:subscription_error").await;
        }
        publish(&server, channel, 1).await;
    }
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn roster_is_that_of_the_return() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let mut gone = server.connect().await;
    gone.subscribe_presence(&channel, "gone", json!({})).await;
    let away = Session::on(&server, &[&channel]).await.park(&server).await;
    drop(gone);
    wait_for_users(&server, &channel, &["u"]).await;
    let mut new = server.connect().await;
    new.subscribe_presence(&channel, "new", json!({})).await;
    publish(&server, &channel, 0).await;
    let mut again = away.resume(&server).await;
    let roster = again.join(&channel, "u").await;
    assert_eq!(roster.ids, ["new", "u"]);
    again.expect_numbers(&channel, 0..1).await;
    // Who came and went is in the roster, and not announced once more.
    again.expect_nothing(&server).await;
    drop(new);
    again
        .expect_on(&channel, "pusher_internal:member_removed")
        .await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn channel_that_was_left_before_the_cut_is_not_kept() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("public-");
    let mut session = Session::on(&server, &[&channel]).await;
    session.client.unsubscribe(&channel).await;
    session.fence_own().await;
    let away = session.park(&server).await;
    publish(&server, &channel, 0).await;
    let mut again = away.resume(&server).await;
    again.subscribe(&channel).await;
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn channel_that_is_left_after_the_cut_is_left() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let away = Session::on(&server, &[&channel]).await.park(&server).await;
    publish(&server, &channel, 0).await;
    let mut again = away.resume(&server).await;
    again.client.unsubscribe(&channel).await;
    wait_for_users(&server, &channel, &[]).await;
    again.join(&channel, "u").await;
    let seen = again.fence(&server).await;
    assert!(!seen.iter().any(is_old), "{seen:?}");
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn channel_not_asked_for_again_in_ten_seconds_is_left_and_then_an_ordinary_one() {
    let server = or_skip!(start(app()).await);
    let channels = ["presence-", "public-"].map(|prefix| server.channel(prefix));
    let kept = server.channel("public-");
    let mut observer = server.connect().await;
    observer
        .subscribe_presence(&channels[0], "observer", json!({}))
        .await;
    let session = Session::on(&server, &[&channels[0], &channels[1], &kept]).await;
    observer.expect_event("pusher_internal:member_added").await;
    let away = session.park(&server).await;
    publish(&server, &channels[1], 0).await;
    let began = Instant::now();
    let mut again = away.resume(&server).await;
    again.subscribe(&kept).await;
    let gone = async {
        tokio::select! {
            event = observer.next_event() => event,
            event = again.next() => panic!("nothing is due: {}", event.text),
        }
    };
    let gone = within("the member to be announced as gone", gone).await;
    assert_eq!(gone.name, "pusher_internal:member_removed", "{}", gone.text);
    let waited = began.elapsed();
    assert!(waited >= TO_ASK - TOLERANCE, "left after {waited:?}");
    assert_eq!(users(&server, &channels[0]).await, ["observer"]);
    let path = format!("/channels/{}", channels[1]);
    assert_eq!(server.get(&path, &[]).await["occupied"], false);
    publish(&server, &channels[1], 1).await;
    again.join(&channels[0], "u").await;
    observer.expect_event("pusher_internal:member_added").await;
    again.expect_gap(&channels[0], None).await;
    again.subscribe(&channels[1]).await;
    again.expect_gap(&channels[1], None).await;
    publish(&server, &channels[1], 2).await;
    again.expect_numbers(&channels[1], 2..3).await;
    publish(&server, &kept, 0).await;
    again.expect_numbers(&kept, 0..1).await;
    again.leave().await;
    server.finish().await;
}
