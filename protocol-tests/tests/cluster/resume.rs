//! A session whose socket has ended waits on its node, and misses nothing of what happens on others.

use protocol_tests::names::unique;
use protocol_tests::{
    Cluster, PublishedEvent, RedisServer, Skipped, TestServer, Upgrade, WsClient, eventually,
    or_skip,
};
use serde_json::json;

use crate::support::{app, channel_name, finish, wait_for_users};

async fn start(window: i64) -> Result<(RedisServer, Cluster), Skipped> {
    let redis = RedisServer::start().await;
    let app = app().set("resume.window", window);
    let cluster = Cluster::builder(redis.url()).app(app).start().await?;
    Ok((redis, cluster))
}

async fn connect(node: &TestServer, token: &str) -> WsClient {
    let key = &node.app().key;
    let upgrade = Upgrade::new(&format!("/s/{token}/app/{key}?protocol=7&client=tests"));
    node.connect_with(node.app(), &upgrade).await
}

/// Resets the connection, and waits until its session is parked.
async fn park(mut client: WsClient, node: &TestServer) {
    client.socket.connection().reset_on_drop();
    drop(client);
    wait_until_parked(node, 1.0).await;
}

async fn wait_until_parked(node: &TestServer, count: f64) {
    eventually("the session to be parked, or not", || async {
        let parked = node.metrics().await.sum("fanfare_parked_sessions", &[]);
        (parked == count).then_some(())
    })
    .await;
}

/// Says goodbye, so that nothing waits when the test is over.
async fn leave(mut client: WsClient) {
    client
        .socket
        .send(protocol_tests::Frame::close(1000, ""))
        .await;
    client.socket.read_close().await;
}

#[tokio::test]
async fn parked_session_is_a_member_everywhere_and_misses_nothing_of_other_nodes() {
    let (redis, cluster) = or_skip!(start(60).await);
    let channel = channel_name("presence-");
    let token = unique("session-token-");
    let mut observer = cluster[1].connect().await;
    observer
        .subscribe_presence(&channel, "observer", json!({}))
        .await;
    let mut client = connect(&cluster[0], &token).await;
    let id = client.socket_id.clone();
    client.subscribe_presence(&channel, "u", json!({})).await;
    observer
        .expect_event_on(&channel, "pusher_internal:member_added")
        .await;
    park(client, &cluster[0]).await;
    for number in 0..20 {
        let event = PublishedEvent::new(&channel, "numbered", number.to_string());
        cluster[1].publish(event).await;
        let event = observer.expect_event_on(&channel, "numbered").await;
        assert_eq!(event.data_text(), number.to_string());
    }
    let both = ["observer", "u"].map(str::to_owned);
    wait_for_users(&cluster, &channel, &both).await;
    let mut again = connect(&cluster[0], &token).await;
    assert_eq!(again.socket_id, id);
    let roster = again.subscribe_presence(&channel, "u", json!({})).await;
    assert_eq!(roster.ids, ["observer", "u"]);
    // What the other node has published comes through Redis, and may come live.
    for number in 0..20 {
        let event = again.expect_event_on(&channel, "numbered").await;
        assert_eq!(event.data_text(), number.to_string());
    }
    observer.expect_nothing().await;
    leave(again).await;
    drop(observer);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn client_that_comes_back_to_another_node_is_a_new_one_and_its_user_never_leaves() {
    let (redis, cluster) = or_skip!(start(2).await);
    let channel = channel_name("presence-");
    let token = unique("session-token-");
    let mut observer = cluster[2].connect().await;
    observer
        .subscribe_presence(&channel, "observer", json!({}))
        .await;
    let mut client = connect(&cluster[0], &token).await;
    let id = client.socket_id.clone();
    client.subscribe_presence(&channel, "u", json!({})).await;
    observer
        .expect_event_on(&channel, "pusher_internal:member_added")
        .await;
    park(client, &cluster[0]).await;
    let mut elsewhere = connect(&cluster[1], &token).await;
    assert_ne!(elsewhere.socket_id, id);
    let roster = elsewhere.subscribe_presence(&channel, "u", json!({})).await;
    assert_eq!(roster.ids, ["observer", "u"]);
    wait_until_parked(&cluster[0], 0.0).await;
    let both = ["observer", "u"].map(str::to_owned);
    wait_for_users(&cluster, &channel, &both).await;
    observer.expect_nothing().await;
    leave(elsewhere).await;
    observer
        .expect_event_on(&channel, "pusher_internal:member_removed")
        .await;
    drop(observer);
    finish(cluster, &redis).await;
}
