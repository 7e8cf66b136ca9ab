//! Once for a channel and once for a user, however many connections there are, and in what order.

use protocol_tests::{AppConfig, Receiver, Skipped, TestServer, WsClient, or_skip};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{
    OCCUPANCY, PRESENCE, added, leave, member, occupied, receiver, relay, removed, settle,
    subscriber, vacated,
};

/// A relay with more workers than cores, so that clients meet on different threads, and with next to no delay.
async fn start(receiver: &Receiver, events: &[&str]) -> Result<TestServer, Skipped> {
    relay(receiver, events)
        .set("webhooks.leave_delay_ms", 50)
        .set("server.workers", 4)
        .start()
        .await
}

#[tokio::test]
async fn a_channel_is_occupied_by_its_first_subscriber_and_vacated_by_its_last() {
    let mut receiver = receiver().await;
    let server = or_skip!(start(&receiver, &OCCUPANCY).await);
    let channel = server.channel("public-");
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(subscriber(&server, &channel).await);
    }
    // Again changes nothing.
    clients[0].subscribe(&channel).await;
    receiver.expect_event(occupied(&channel)).await;
    let mut last = clients.remove(3);
    for (number, mut client) in clients.into_iter().enumerate() {
        if number % 2 == 0 {
            leave(&mut client, &channel).await;
        }
    }
    settle(&server, &mut receiver).await;
    receiver.expect_nothing_more();
    leave(&mut last, &channel).await;
    receiver.expect_event(vacated(&channel)).await;
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn a_user_is_added_with_the_first_tab_and_removed_with_the_last() {
    let mut receiver = receiver().await;
    let server = or_skip!(start(&receiver, &PRESENCE).await);
    let channel = server.channel("presence-");
    let _watcher = member(&server, &channel, "watcher").await;
    receiver.expect_event(occupied(&channel)).await;
    receiver.expect_event(added(&channel, "watcher")).await;
    let mut tabs = Vec::new();
    for _ in 0..4 {
        tabs.push(member(&server, &channel, "ann").await);
    }
    receiver.expect_event(added(&channel, "ann")).await;
    leave(&mut tabs[1], &channel).await;
    drop(tabs.remove(0));
    drop(tabs.remove(0));
    settle(&server, &mut receiver).await;
    receiver.expect_nothing_more();
    drop(tabs.remove(0));
    settle(&server, &mut receiver).await;
    receiver.expect_nothing_more();
    drop(tabs);
    receiver.expect_event(removed(&channel, "ann")).await;
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn a_channel_is_occupied_before_its_members_come_and_vacated_after_they_left() {
    let mut receiver = receiver().await;
    let server = or_skip!(start(&receiver, &PRESENCE).await);
    for round in 0..10 {
        let channel = server.channel("presence-");
        let mut ann = member(&server, &channel, "ann").await;
        let bob = member(&server, &channel, "bob").await;
        for event in [
            occupied(&channel),
            added(&channel, "ann"),
            added(&channel, "bob"),
        ] {
            receiver.expect_event(event).await;
        }
        if round % 2 == 0 {
            ann.unsubscribe(&channel).await;
        } else {
            drop(ann);
        }
        receiver.expect_event(removed(&channel, "ann")).await;
        drop(bob);
        receiver.expect_event(removed(&channel, "bob")).await;
        receiver.expect_event(vacated(&channel)).await;
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn members_that_leave_together_are_removed_before_the_channel_is_vacated() {
    let mut receiver = receiver().await;
    let server = or_skip!(start(&receiver, &PRESENCE).await);
    let channel = server.channel("presence-");
    let mut members = Vec::new();
    for number in 0..20 {
        members.push(member(&server, &channel, &format!("u{number}")).await);
    }
    for _ in 0..21 {
        receiver.next_event_on(&channel).await;
    }
    drop(members);
    let mut left = Vec::new();
    for _ in 0..20 {
        let event = receiver.next_event_on(&channel).await;
        assert_eq!(event.name, "member_removed", "{event:?}");
        left.push(event.json["user_id"].clone());
    }
    left.sort_by_key(ToString::to_string);
    left.dedup();
    assert_eq!(left.len(), 20);
    receiver.expect_event(vacated(&channel)).await;
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn subscribers_that_come_at_once_occupy_the_channel_once() {
    let mut receiver = receiver().await;
    let server = or_skip!(start(&receiver, &PRESENCE).await);
    for _ in 0..10 {
        let channel = server.channel("presence-");
        let mut joins = JoinSet::new();
        for number in 0..8 {
            let mut client: WsClient = server.connect().await;
            let channel = channel.clone();
            joins.spawn(async move {
                let user = format!("u{}", number % 2);
                client.subscribe_presence(&channel, &user, json!({})).await;
                client
            });
        }
        let clients = joins.join_all().await;
        let mut names = Vec::new();
        for _ in 0..3 {
            names.push(receiver.next_event_on(&channel).await.name);
        }
        assert_eq!(names, ["channel_occupied", "member_added", "member_added"]);
        drop(clients);
        for expected in ["member_removed", "member_removed", "channel_vacated"] {
            assert_eq!(receiver.next_event_on(&channel).await.name, expected);
        }
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn a_terminated_user_leaves_like_any_other() {
    let mut receiver = receiver().await;
    let server = or_skip!(start(&receiver, &PRESENCE).await);
    let channel = server.channel("presence-");
    let mut client = server.connect().await;
    client.sign_in("ann").await;
    client.subscribe_presence(&channel, "ann", json!({})).await;
    receiver.expect_event(occupied(&channel)).await;
    receiver.expect_event(added(&channel, "ann")).await;
    let request = protocol_tests::Request::post(server.app(), "/users/ann/terminate_connections");
    server.request(&request).await.expect_status(200);
    client.expect_close_code(4009).await;
    receiver.expect_event(removed(&channel, "ann")).await;
    receiver.expect_event(vacated(&channel)).await;
    server.finish().await;
}

#[tokio::test]
async fn apps_with_channels_and_users_of_the_same_names_are_never_mixed() {
    let apps = [AppConfig::new("10001"), AppConfig::new("20002")];
    // Each takes no request that another app has signed.
    let mut receivers = [
        Receiver::start(&[&apps[0].app()]).await,
        Receiver::start(&[&apps[1].app()]).await,
    ];
    let mut builder = TestServer::builder().set("webhooks.leave_delay_ms", 50);
    for (app, receiver) in apps.into_iter().zip(&receivers) {
        builder = builder.app(app.webhook(receiver.webhook(&PRESENCE)));
    }
    let server = or_skip!(builder.start().await);
    let channel = server.channel("presence-");
    let mut ours = server.connect_to(server.app()).await;
    ours.subscribe_presence(&channel, "ann", json!({})).await;
    let mut theirs = server.connect_to(server.second_app()).await;
    theirs.subscribe_presence(&channel, "ann", json!({})).await;
    drop(ours);
    for event in [
        occupied(&channel),
        added(&channel, "ann"),
        removed(&channel, "ann"),
        vacated(&channel),
    ] {
        receivers[0].expect_event(event).await;
    }
    for event in [occupied(&channel), added(&channel, "ann")] {
        receivers[1].expect_event(event).await;
    }
    for receiver in &receivers {
        receiver.expect_nothing_more();
    }
    server.finish().await;
}
