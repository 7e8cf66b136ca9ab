//! What comes when a session is taken up again: everything that it has missed, channel by channel, and nothing else.

use protocol_tests::{PublishedEvent, or_skip};
use serde_json::json;

use crate::page::EVENT;
use crate::session::{
    KINDS, Session, app, parked, publish, publish_large, publish_numbers, start, token,
};

/// So many large events are more than the kernel holds of a connection that is not read.
const MANY: usize = 800;

#[tokio::test]
async fn missed_events_come_in_order_after_subscription_succeeded_and_then_live_ones() {
    let server = or_skip!(start(app()).await);
    for kind in KINDS {
        let channels = ["public-", "private-", "presence-"].map(|prefix| server.channel(prefix));
        let away = Session::on_as(&server, kind, &channels)
            .await
            .park(&server)
            .await;
        for number in 0..20 {
            for channel in &channels {
                publish(&server, channel, number).await;
            }
        }
        let mut again = away.resume(&server).await;
        // What is published before a channel is asked for again counts as missed, too.
        for channel in &channels {
            publish(&server, channel, 20).await;
        }
        again.expect_nothing(&server).await;
        again.subscribe(&channels[0]).await;
        again.expect_numbers(&channels[0], 0..21).await;
        publish(&server, &channels[0], 21).await;
        publish(&server, &channels[1], 21).await;
        again.expect_numbers(&channels[0], 21..22).await;
        again.expect_nothing(&server).await;
        again.subscribe(&channels[1]).await;
        again.expect_numbers(&channels[1], 0..22).await;
        again.join(&channels[2], "u").await;
        again.expect_numbers(&channels[2], 0..21).await;
        publish_numbers(&server, &channels[2], 21..30).await;
        again.expect_numbers(&channels[2], 21..30).await;
        again.expect_nothing(&server).await;
        again.leave().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn session_is_resumed_as_often_as_it_is_cut_off() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("private-");
    let mut session = Session::on(&server, &[&channel]).await;
    for round in 0..5 {
        session.prove().await;
        let away = session.park(&server).await;
        publish_numbers(&server, &channel, round * 10..round * 10 + 5).await;
        session = away.resume(&server).await;
        session.subscribe(&channel).await;
        publish_numbers(&server, &channel, round * 10 + 5..round * 10 + 10).await;
        session
            .expect_numbers(&channel, round * 10..round * 10 + 10)
            .await;
    }
    session.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn session_that_is_cut_off_before_its_channels_are_back_loses_nothing() {
    let server = or_skip!(start(app()).await);
    let channels = ["public-a-", "public-b-"].map(|prefix| server.channel(prefix));
    let away = Session::on(&server, &channels).await.park(&server).await;
    for channel in &channels {
        publish_numbers(&server, channel, 0..3).await;
    }
    away.resume(&server).await.park(&server).await;
    let mut again = away.resume(&server).await;
    again.subscribe(&channels[0]).await;
    again.expect_numbers(&channels[0], 0..3).await;
    again.prove().await;
    again.park(&server).await;
    publish(&server, &channels[0], 3).await;
    let mut again = away.resume(&server).await;
    again.subscribe(&channels[1]).await;
    again.expect_numbers(&channels[1], 0..3).await;
    again.subscribe(&channels[0]).await;
    again.expect_numbers(&channels[0], 3..4).await;
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn what_is_sent_again_and_cut_off_again_comes_a_third_time() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("private-");
    let away = Session::on(&server, &[&channel]).await.park(&server).await;
    publish_large(&server, &channel, 0..MANY, 4000).await;
    for read in [0, 50, 100] {
        let mut again = away.resume(&server).await;
        again.client.socket.connection().set_small_receive_buffer();
        again.answers = false;
        again.subscribe(&channel).await;
        again.expect_numbers(&channel, 0..read).await;
        again.park(&server).await;
    }
    let mut again = away.resume(&server).await;
    again.subscribe(&channel).await;
    again.expect_numbers(&channel, 0..MANY).await;
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn client_events_of_others_come_later_too() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let mut sender = server.connect().await;
    sender.subscribe_presence(&channel, "s", json!({})).await;
    let away = Session::on(&server, &[&channel]).await.park(&server).await;
    for number in 0..3 {
        sender
            .send_client_event(&channel, "client-number", json!(number))
            .await;
    }
    sender.wait_for_event("pusher_internal:member_added").await;
    sender.ping_fence().await;
    let mut again = away.resume(&server).await;
    again.join(&channel, "u").await;
    for number in 0..3 {
        let event = again.expect_on(&channel, "client-number").await;
        assert_eq!(event.data, number);
        assert_eq!(event.message["user_id"], "s");
    }
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn events_that_exclude_their_sender_do_not_come_later_either() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("private-");
    let session = Session::on(&server, &[&channel]).await;
    let mut other = Session::open(&server, &token()).await;
    other.subscribe(&channel).await;
    let id = session.id().to_owned();
    let away = session.park(&server).await;
    for number in 0..10 {
        let mut event = PublishedEvent::new(&channel, EVENT, number.to_string());
        if number % 2 == 0 {
            event = event.excluding(&id);
        }
        server.publish(event).await;
    }
    let mut again = away.resume(&server).await;
    again.subscribe(&channel).await;
    for number in [1, 3, 5, 7, 9] {
        again.expect_numbers(&channel, number..number + 1).await;
    }
    again.expect_nothing(&server).await;
    other.expect_numbers(&channel, 0..10).await;
    again.leave().await;
    other.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn cache_channel_gives_each_missed_event_once() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("private-cache-");
    let mut session = Session::on(&server, &[&channel]).await;
    session.expect_on(&channel, "pusher:cache_miss").await;
    let away = session.park(&server).await;
    publish_numbers(&server, &channel, 0..3).await;
    let mut again = away.resume(&server).await;
    again.subscribe(&channel).await;
    again.expect_numbers(&channel, 0..3).await;
    again.expect_nothing(&server).await;
    assert_eq!(parked(&server).await, 0);
    again.leave().await;
    server.finish().await;
}
