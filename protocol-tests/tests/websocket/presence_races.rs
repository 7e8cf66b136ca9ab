//! Presence when many come and go at the same moment: rosters and events fit together, for everybody.

use std::collections::BTreeSet;

use protocol_tests::client::channel_data;
use protocol_tests::{PublishedEvent, Roster, TestServer, WsClient};
use serde_json::json;
use tokio::task::JoinSet;

const RACERS: usize = 16;

async fn start() -> TestServer {
    // More workers than cores, so that joins meet on different threads.
    match TestServer::builder().set("server.workers", 4).start().await {
        Ok(server) => server,
        Err(_configured_otherwise) => TestServer::start().await,
    }
}

fn user(number: usize) -> String {
    format!("user-{number}")
}

async fn connect_many(server: &TestServer, count: usize) -> Vec<WsClient> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(server.connect().await);
    }
    clients
}

/// What one member knows: from its roster, and from the events since. Panics on an event that does not fit.
struct Knowledge {
    members: BTreeSet<String>,
}

impl Knowledge {
    fn added(&mut self, user_id: &str) {
        assert!(
            self.members.insert(user_id.to_owned()),
            "{user_id} was added twice"
        );
    }

    fn removed(&mut self, user_id: &str) {
        assert!(
            self.members.remove(user_id),
            "{user_id} was removed without being there"
        );
    }

    /// Takes events until the event `last` of the server.
    async fn follow(&mut self, client: &mut WsClient, last: &str) {
        for event in client.events_until(|event| event.name == last).await {
            let data = event.data_json();
            let user_id = data["user_id"].as_str().expect("user_id is a string");
            match event.name.as_str() {
                "pusher_internal:member_added" => self.added(user_id),
                "pusher_internal:member_removed" => self.removed(user_id),
                _ => panic!("unexpected: {}", event.text),
            }
        }
    }
}

/// Joins, passing over what the subscription that was ended before still brings, and returns the roster.
async fn join_again(client: &mut WsClient, channel: &str, user_id: &str) -> BTreeSet<String> {
    let channel_data = channel_data(user_id, json!({}));
    client
        .send_signed_subscribe(channel, Some(&channel_data))
        .await;
    let succeeded = client
        .wait_for_event("pusher_internal:subscription_succeeded")
        .await;
    BTreeSet::from_iter(Roster::parse(&succeeded.data_json()).ids)
}

#[tokio::test]
async fn members_that_join_at_once_learn_of_every_other_exactly_once() {
    // Members that joined Sockudo at the same moment sometimes never learned of each other.
    let server = start().await;
    for _ in 0..10 {
        let channel = server.channel("presence-");
        let mut joins = JoinSet::new();
        for (number, mut client) in connect_many(&server, RACERS).await.into_iter().enumerate() {
            let channel = channel.clone();
            joins.spawn(async move {
                let roster = client
                    .subscribe_presence(&channel, &user(number), json!({}))
                    .await;
                let members = BTreeSet::from_iter(roster.ids);
                assert!(members.contains(&user(number)));
                (client, Knowledge { members })
            });
        }
        let mut joined = joins.join_all().await;
        server
            .publish(PublishedEvent::new(&channel, "all-there", ""))
            .await;
        let everybody: BTreeSet<String> = (0..RACERS).map(user).collect();
        for (client, knowledge) in &mut joined {
            knowledge.follow(client, "all-there").await;
            assert_eq!(knowledge.members, everybody);
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn connections_of_one_user_that_leave_together_announce_the_departure_once() {
    // Sockudo announced it twice.
    let server = start().await;
    let channel = server.channel("presence-");
    let mut watcher = server.connect().await;
    watcher
        .subscribe_presence(&channel, "watcher", json!({}))
        .await;
    for round in 0..20 {
        let mut tabs = connect_many(&server, 2).await;
        for tab in &mut tabs {
            tab.subscribe_presence(&channel, "ann", json!({})).await;
        }
        if round % 2 == 0 {
            for tab in &mut tabs {
                tab.unsubscribe(&channel).await;
            }
            for tab in &mut tabs {
                tab.ping_fence().await;
            }
        }
        drop(tabs);
        watcher.expect_event("pusher_internal:member_added").await;
        let removed = watcher.expect_event("pusher_internal:member_removed").await;
        assert_eq!(removed.data_json(), json!({"user_id": "ann"}));
    }
    watcher.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn connections_of_one_user_that_join_together_announce_the_arrival_once() {
    let server = start().await;
    for _ in 0..10 {
        let channel = server.channel("presence-");
        let mut watcher = server.connect().await;
        watcher
            .subscribe_presence(&channel, "watcher", json!({}))
            .await;
        let mut joins = JoinSet::new();
        for mut tab in connect_many(&server, 8).await {
            let channel = channel.clone();
            joins.spawn(async move {
                let roster = tab.subscribe_presence(&channel, "ann", json!({})).await;
                assert_eq!(roster.ids, ["ann", "watcher"]);
                tab
            });
        }
        let mut tabs = joins.join_all().await;
        watcher.expect_event("pusher_internal:member_added").await;
        watcher.expect_nothing().await;
        for tab in &mut tabs {
            tab.expect_nothing().await;
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn rosters_and_events_fit_together_while_members_come_and_go() {
    let server = start().await;
    let channel = server.channel("presence-");
    let mut watcher = server.connect().await;
    let roster = watcher
        .subscribe_presence(&channel, "watcher", json!({}))
        .await;
    let mut watched = Knowledge {
        members: BTreeSet::from_iter(roster.ids),
    };
    let mut racers = JoinSet::new();
    for (number, mut client) in connect_many(&server, RACERS).await.into_iter().enumerate() {
        let channel = channel.clone();
        racers.spawn(async move {
            for _ in 0..20 {
                let roster = join_again(&mut client, &channel, &user(number)).await;
                assert!(roster.contains(&user(number)));
                client.unsubscribe(&channel).await;
            }
            let members = join_again(&mut client, &channel, &user(number)).await;
            (client, Knowledge { members })
        });
    }
    let mut joined = racers.join_all().await;
    server
        .publish(PublishedEvent::new(&channel, "settled", ""))
        .await;
    let mut everybody: BTreeSet<String> = (0..RACERS).map(user).collect();
    everybody.insert("watcher".to_owned());
    watched.follow(&mut watcher, "settled").await;
    assert_eq!(watched.members, everybody);
    for (client, knowledge) in &mut joined {
        knowledge.follow(client, "settled").await;
        assert_eq!(knowledge.members, everybody);
    }
    server.finish().await;
}
