//! Rotating keys: an app with several pairs.

use protocol_tests::{App, AppConfig, PublishedEvent, Request, Skipped, TestServer, or_skip};
use serde_json::json;

use crate::support::assert_served;

async fn start() -> Result<(TestServer, App, App), Skipped> {
    let config = AppConfig::new("10001").extra_key("old-key", "old-secret");
    let new = config.app();
    let old = new.with_pair("old-key", "old-secret");
    let server = TestServer::builder().app(config).start().await?;
    Ok((server, new, old))
}

#[tokio::test]
async fn either_key_connects_and_both_reach_the_same_channels() {
    let (server, new, old) = or_skip!(start().await);
    let channel = server.channel("shared-");
    let mut by_new = server.connect_to(&new).await;
    let mut by_old = server.connect_to(&old).await;
    by_new.subscribe(&channel).await;
    by_old.subscribe(&channel).await;
    for app in [&new, &old] {
        server
            .publish_to(app, PublishedEvent::new(&channel, "x", ""))
            .await;
        by_new.expect_event_on(&channel, "x").await;
        by_old.expect_event_on(&channel, "x").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn key_in_auth_picks_the_pair_whichever_key_the_socket_connected_with() {
    let (server, new, old) = or_skip!(start().await);
    for connected_with in [&new, &old] {
        for signed_with in [&new, &old] {
            let channel = server.channel("private-");
            let mut client = server.connect_to(connected_with).await;
            let auth = signed_with.channel_auth(&client.socket_id, &channel, None);
            client.send_subscribe(&channel, Some(&auth), None).await;
            client.expect_subscribed(&channel).await;
            let user_data = r#"{"id":"u1"}"#;
            let auth = signed_with.user_auth(&client.socket_id, user_data);
            let data = json!({"auth": auth, "user_data": user_data});
            client.send_event("pusher:signin", data).await;
            client.expect_event("pusher:signin_success").await;
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn one_pairs_key_with_the_others_secret_is_a_bad_signature() {
    let (server, new, old) = or_skip!(start().await);
    let channel = server.channel("private-");
    let mut client = server.connect_to(&new).await;
    let crossed = new.with_pair(&new.key, &old.secret);
    let auth = crossed.channel_auth(&client.socket_id, &channel, None);
    client.send_subscribe(&channel, Some(&auth), None).await;
    let error = client.expect_subscription_error(&channel).await;
    assert_eq!(error.data["type"], "AuthError");
    let body = json!({"name": "x", "channel": channel, "data": ""});
    let request = Request::post(&crossed, "/events").json(&body);
    server.request(&request).await.expect_status(401);
    assert_served(&server, &mut client).await;
    server.finish().await;
}
