//! What is published on one node reaches the subscribers on all, once.

use protocol_tests::{AppConfig, Cluster, PublishedEvent, RedisServer, Request, or_skip};
use serde_json::{Value, json};

use crate::support::{
    KINDS, app, channel_name, expect_nothing, finish, info_of, member, nodes, start, subscribe,
    subscriber_of_each,
};

#[tokio::test]
async fn published_event_reaches_the_subscribers_on_every_node_once() {
    let (redis, cluster) = or_skip!(start().await);
    for kind in KINDS {
        let channel = channel_name(kind);
        let mut clients = subscriber_of_each(&cluster, &channel).await;
        for node in cluster.nodes() {
            let data = format!("{{\"from\": \"{} é\"}}", node.endpoint().authority);
            node.publish(PublishedEvent::new(&channel, "greeting", data.clone()))
                .await;
            for client in &mut clients {
                let event = client.expect_event_on(&channel, "greeting").await;
                assert_eq!(event.data_text(), data);
            }
        }
        expect_nothing(&cluster, &mut clients).await;
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn subscriber_misses_nothing_from_subscription_succeeded_on() {
    let (redis, cluster) = or_skip!(start().await);
    let mut client = cluster[1].connect().await;
    let mut publisher = cluster[0].http();
    for number in 0..50 {
        let channel = channel_name("public-");
        client.subscribe(&channel).await;
        let event = PublishedEvent::new(&channel, "at-once", number);
        let request = Request::post(cluster.app(), "/events").json(event.body());
        publisher.send(&request).await.expect_status(200);
        client.expect_event_on(&channel, "at-once").await;
        client.unsubscribe(&channel).await;
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn nothing_comes_after_an_unsubscribe() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    clients[1].unsubscribe(&channel).await;
    clients[1].ping_fence().await;
    cluster[0]
        .publish(PublishedEvent::new(&channel, "x", "y"))
        .await;
    cluster.expect_nothing(&mut clients[1]).await;
    // Again, as a page that is loaded again does it.
    clients[1].subscribe(&channel).await;
    cluster[0]
        .publish(PublishedEvent::new(&channel, "z", ""))
        .await;
    clients[1].expect_event_on(&channel, "z").await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn connection_on_another_node_can_be_excluded() {
    let (redis, cluster) = or_skip!(start().await);
    for kind in KINDS {
        let channel = channel_name(kind);
        let mut clients = subscriber_of_each(&cluster, &channel).await;
        for excluded in 0..clients.len() {
            let event = PublishedEvent::new(&channel, "x", "y");
            let event = event.excluding(&clients[excluded].socket_id);
            cluster[0].publish(event).await;
            for (position, client) in clients.iter_mut().enumerate() {
                if position != excluded {
                    client.expect_event_on(&channel, "x").await;
                }
            }
        }
        expect_nothing(&cluster, &mut clients).await;
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn batch_and_event_on_many_channels_reach_every_node_in_order() {
    let (redis, cluster) = or_skip!(start().await);
    let channels = [channel_name("a-"), channel_name("private-b-")];
    let mut clients = subscriber_of_each(&cluster, &channels[0]).await;
    for client in &mut clients {
        subscribe(client, &channels[1]).await;
    }
    let batch: Vec<Value> = (0..10)
        .map(|number| json!({"channel": channels[0], "name": "of-batch", "data": number.to_string()}))
        .collect();
    let request = Request::post(cluster.app(), "/batch_events").json(&json!({ "batch": batch }));
    cluster[2].request(&request).await.expect_status(200);
    for client in &mut clients {
        for number in 0..10 {
            let event = client.expect_event_on(&channels[0], "of-batch").await;
            assert_eq!(event.data_text(), number.to_string());
        }
    }
    let both = [channels[0].as_str(), channels[1].as_str()];
    cluster[1]
        .publish(PublishedEvent::new("", "of-many", "x").on(&both))
        .await;
    for client in &mut clients {
        let mut reached: Vec<String> = Vec::new();
        for event in client.next_events(2).await {
            assert_eq!(event.name, "of-many", "{}", event.text);
            reached.push(event.channel().to_owned());
        }
        reached.sort();
        assert_eq!(reached, both);
    }
    expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn client_event_reaches_everybody_on_every_node_but_its_sender() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("private-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    clients.extend(subscriber_of_each(&cluster, &channel).await);
    for sender in 0..clients.len() {
        let data = json!({"from": sender});
        clients[sender]
            .send_client_event(&channel, "client-typing", data.clone())
            .await;
        for (position, client) in clients.iter_mut().enumerate() {
            if position != sender {
                let event = client.expect_event_on(&channel, "client-typing").await;
                assert_eq!(event.data, data, "{}", event.text);
            }
        }
    }
    expect_nothing(&cluster, &mut clients).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn client_event_of_a_member_names_its_sender_on_every_node() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let mut ann = member(&cluster[0], &channel, "ann").await;
    let mut bob = member(&cluster[1], &channel, "bob").await;
    let added = ann.expect_event_on(&channel, "pusher_internal:member_added");
    let added = added.await.data_json();
    assert_eq!(
        added,
        json!({"user_id": "bob", "user_info": info_of("bob")})
    );
    ann.send_client_event(&channel, "client-wave", json!({}))
        .await;
    let event = bob.expect_event_on(&channel, "client-wave").await;
    assert_eq!(event.message["user_id"], "ann", "{}", event.text);
    cluster.expect_nothing(&mut ann).await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn answer_to_a_publish_counts_the_subscribers_of_every_node() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let mut ann = member(&cluster[0], &channel, "ann").await;
    let _bob = member(&cluster[1], &channel, "bob").await;
    let _tab = member(&cluster[2], &channel, "bob").await;
    ann.expect_event("pusher_internal:member_added").await;
    for node in cluster.nodes() {
        let event = PublishedEvent::new(&channel, "x", "y").info("user_count,subscription_count");
        let answer = node.publish(event).await;
        let expected = json!({"user_count": 2, "subscription_count": 3});
        assert_eq!(answer["channels"][&channel], expected, "{answer}");
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn app_gets_nothing_of_another_one_on_another_node() {
    let redis = RedisServer::start().await;
    let builder = nodes(&redis).app(AppConfig::new("20002")).nodes(2);
    let cluster = or_skip!(builder.start().await);
    let channel = channel_name("public-");
    let mut ours = cluster[1].connect().await;
    let mut theirs = cluster[1].connect_to(cluster[1].second_app()).await;
    for client in [&mut ours, &mut theirs] {
        client.subscribe(&channel).await;
    }
    let event = PublishedEvent::new(&channel, "x", "y");
    cluster[0].publish_to(cluster[0].app(), event).await;
    ours.expect_event_on(&channel, "x").await;
    theirs.expect_nothing().await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn clusters_of_different_prefixes_share_a_redis_and_nothing_else() {
    let redis = RedisServer::start().await;
    let cluster = or_skip!(nodes(&redis).nodes(2).start().await);
    let other = Cluster::builder(redis.url())
        .app(app())
        .set("cluster.prefix", "fanfare:other:")
        .nodes(2);
    let other = other.start().await.expect("the first was not foreign");
    let channel = channel_name("presence-");
    let mut ann = member(&cluster[0], &channel, "ann").await;
    let mut bob = member(&other[0], &channel, "bob").await;
    cluster[1]
        .publish(PublishedEvent::new(&channel, "x", "y"))
        .await;
    ann.expect_event_on(&channel, "x").await;
    other.expect_nothing(&mut bob).await;
    cluster.expect_nothing(&mut ann).await;
    other.finish().await;
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn node_that_is_added_takes_part_at_once() {
    let redis = RedisServer::start().await;
    let mut cluster = or_skip!(nodes(&redis).nodes(1).start().await);
    let channel = channel_name("presence-");
    let mut ann = member(&cluster[0], &channel, "ann").await;
    let added = cluster.add().await;
    let mut bob = cluster[added].connect().await;
    let roster = bob.subscribe_presence(&channel, "bob", json!({})).await;
    assert_eq!(roster.ids, ["ann", "bob"]);
    ann.expect_event("pusher_internal:member_added").await;
    for node in cluster.nodes() {
        node.publish(PublishedEvent::new(&channel, "x", "y")).await;
        for client in [&mut ann, &mut bob] {
            client.expect_event_on(&channel, "x").await;
        }
    }
    finish(cluster, &redis).await;
}
