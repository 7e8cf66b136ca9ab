//! A session whose socket has ended waits on its node, and misses nothing of what happens on others.

use protocol_tests::names::unique;
use protocol_tests::{
    Balancer, Cluster, Connection, Event, Frame, PublishedEvent, RedisServer, Skipped, TestServer,
    Upgrade, WebSocket, WsClient, eventually, or_skip,
};
use serde_json::json;

use crate::support::{app, channel_name, finish, signed_in, wait_for_users};

const STATUS: &str = "pusher_internal:watchlist_events";

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
    client.socket.send(Frame::close(1000, "")).await;
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
async fn user_who_signs_in_again_to_watch_others_before_the_first_answer_is_online_once() {
    let redis = RedisServer::start().await;
    let app = app()
        .set("resume.window", 60)
        .set("watchlist", true)
        .set("watchlist_grace", 0);
    let cluster = Cluster::builder(redis.url()).app(app).nodes(2);
    let cluster = or_skip!(cluster.start().await);
    let (token, user) = (unique("session-token-"), unique("u-"));
    let mut observer = signed_in(&cluster[1], &unique("observer-"), &[&user]).await;
    let mut status = async |name: &str| {
        let event = observer.expect_event(STATUS).await;
        let expected = json!({"events": [{"name": name, "user_ids": [user]}]});
        assert_eq!(event.data_json(), expected);
    };
    status("offline").await;
    let mut client = connect(&cluster[0], &token).await;
    redis.pause();
    let watching = |other: &str| json!({"id": user, "watchlist": [other]}).to_string();
    client.send_sign_in(&watching("a")).await;
    client.ping_fence().await;
    park(client, &cluster[0]).await;
    let mut again = connect(&cluster[0], &token).await;
    again.send_sign_in(&watching("b")).await;
    again.ping_fence().await;
    redis.resume();
    let answer = again.expect_event("pusher:signin_success").await;
    assert_eq!(answer.data["user_data"], watching("b"));
    let event = again.expect_event(STATUS).await;
    let expected = json!({"events": [{"name": "offline", "user_ids": ["b"]}]});
    assert_eq!(event.data_json(), expected);
    status("online").await;
    leave(again).await;
    status("offline").await;
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

/// Connects by way of a balancer, and returns its socket with the socket id.
async fn connect_by(balancer: &Balancer, target: &str) -> (WebSocket, String) {
    let authority = balancer.authority();
    let request = Upgrade::new(target).encode(authority, "");
    let connection = Connection::open(authority).await;
    let mut socket = WebSocket::open(connection, &request)
        .await
        .expect("an upgrade");
    let established = Event::parse(&socket.read_text().await).data_json();
    let id = established["socket_id"].as_str().expect("a socket id");
    let id = id.to_owned();
    (socket, id)
}

#[tokio::test]
async fn page_that_names_itself_comes_back_to_its_node_behind_haproxy() {
    let (redis, cluster) = or_skip!(start(60).await);
    let nodes = cluster.authorities();
    let haproxy = Balancer::haproxy(&nodes).await;
    let key = &cluster.app().key;
    let parked = async || {
        let mut parked = Vec::new();
        for node in 0..nodes.len() {
            let metrics = cluster[node].metrics().await;
            parked.push(metrics.sum("fanfare_parked_sessions", &[]));
        }
        parked
    };
    let mut pages = Vec::new();
    for number in 1..=16 {
        let token = unique("session-token-");
        let target = format!("/s/{token}/app/{key}?protocol=7&client=tests");
        let (mut socket, id) = connect_by(&haproxy, &target).await;
        socket.connection().reset_on_drop();
        drop(socket);
        eventually("the session to be parked", || async {
            (parked().await.iter().sum::<f64>() == f64::from(number)).then_some(())
        })
        .await;
        pages.push((target, id));
    }
    let nodes_with_pages = parked()
        .await
        .iter()
        .filter(|parked| **parked > 0.0)
        .count();
    assert!(nodes_with_pages > 1, "all went to one node");
    for (target, id) in pages {
        let (mut socket, same) = connect_by(&haproxy, &target).await;
        assert_eq!(same, id);
        socket.send(Frame::close(1000, "")).await;
        socket.read_close().await;
    }
    drop(haproxy);
    finish(cluster, &redis).await;
}
