//! What is of one node, and what of all, in a cluster.

use protocol_tests::{AppConfig, Cluster, RedisServer, or_skip};
use serde_json::json;

use crate::support::{Admin, TOKEN, logged, reason};

#[tokio::test]
async fn channels_and_users_are_those_of_all_nodes_and_connections_those_of_one() {
    let redis = RedisServer::start().await;
    let cluster = Cluster::builder(redis.url()).app(AppConfig::new("1"));
    let cluster = cluster.set("admin.token", TOKEN).nodes(2);
    let cluster = or_skip!(cluster.start().await);
    let (one, other) = (&cluster[0], &cluster[1]);
    let mut clients = [one.connect().await, other.connect().await];
    let channel = one.channel("presence-");
    for (client, user) in clients.iter_mut().zip(["ada", "ben"]) {
        client.sign_in(user).await;
        client.subscribe_presence(&channel, user, json!({})).await;
    }
    let base = format!("/api/apps/{}", cluster.app().id);
    for (node, client) in [one, other].into_iter().zip(&clients) {
        let mut admin = Admin::of(node);
        let room = admin.get(&format!("{base}/channels/{channel}")).await;
        assert_eq!(
            (&room["subscribers"], &room["users"]),
            (&json!(2), &json!(2))
        );
        let members = admin
            .get(&format!("{base}/channels/{channel}/members"))
            .await;
        assert_eq!(members["total"], 2);
        let connections = admin.get(&format!("{base}/connections")).await;
        assert_eq!(connections["total"], 1);
        assert_eq!(
            connections["connections"][0]["socket_id"],
            *client.socket_id
        );
        let nodes = admin.get("/api/nodes").await;
        assert_eq!(nodes["cluster"].as_array().unwrap().len(), 2);
        assert_eq!(nodes["this"]["cluster"], true);
    }
    let elsewhere = format!("{base}/connections/{}", clients[1].socket_id);
    Admin::of(one).refused("DELETE", &elsewhere, 404).await;
    let ben = format!("{base}/users/ben/connections");
    Admin::of(one).expect("DELETE", &ben, 204).await;
    let [_ada, bens] = &mut clients;
    bens.expect_close_code(4009).await;
    drop(clients);
    cluster.finish().await;
}

#[tokio::test]
async fn an_app_that_the_other_nodes_would_not_know_is_not_made() {
    let redis = RedisServer::start().await;
    let cluster = Cluster::builder(redis.url()).app(AppConfig::new("1"));
    let cluster = cluster.set("admin.token", TOKEN).nodes(2);
    let cluster = or_skip!(cluster.start().await);
    let mut admin = Admin::of(&cluster[0]);
    let refused = admin.post("/api/apps", &json!({ "id": "shop" })).await;
    let text = reason(&refused.expect_status(409));
    assert!(text.contains("apps_database.url"), "{text}");
    assert_eq!(admin.get("/api/nodes").await["this"]["warnings"], json!([]));
    cluster.finish().await;
}

#[tokio::test]
async fn a_node_that_has_apps_of_its_own_warns_of_them() {
    let state = tempfile::tempdir().unwrap();
    let alone = protocol_tests::TestServer::builder()
        .app(AppConfig::new("1"))
        .set("admin.token", TOKEN)
        .set("server.state_dir", state.path().to_str().unwrap());
    let server = or_skip!(alone.start().await);
    let made = Admin::of(&server)
        .post("/api/apps", &json!({ "id": "shop" }))
        .await;
    made.expect_status(201);
    assert_eq!(
        Admin::of(&server).get("/api/nodes").await["this"]["warnings"],
        json!([])
    );
    server.finish().await;
    let redis = RedisServer::start().await;
    let cluster = Cluster::builder(redis.url())
        .app(AppConfig::new("1"))
        .set("admin.token", TOKEN)
        .set("server.state_dir", state.path().to_str().unwrap());
    let cluster = or_skip!(cluster.nodes(1).start().await);
    logged(
        &cluster[0],
        &["known to this node alone", "apps_database.url"],
    )
    .await;
    let mut admin = Admin::of(&cluster[0]);
    let nodes = admin.get("/api/nodes").await;
    let warnings = nodes["this"]["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    // What is there can still be put right.
    admin.expect("DELETE", "/api/apps/shop", 204).await;
    cluster.finish().await;
}
