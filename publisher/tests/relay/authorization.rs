//! The relay takes what the authoriser signs.

use publisher::{Authorizer, Member, User};
use serde_json::json;

use crate::support::{channel, master_key, pair, relay, socket_id};

#[tokio::test]
async fn channels_of_every_kind_are_joined() {
    let server = relay().await;
    let authorizer = Authorizer::new(pair(server.app())).master_key(master_key());
    let mut ann = server.connect().await;
    let id = socket_id(&ann.socket_id);
    for prefix in ["private-", "private-encrypted-", "private-cache-"] {
        let channel = channel(&server, prefix);
        let auth = authorizer.private(&id, &channel).unwrap();
        ann.send_subscribe(channel.name(), Some(&auth.auth), None)
            .await;
        ann.expect_subscribed(channel.name()).await;
        if prefix.contains("cache") {
            ann.expect_event("pusher:cache_miss").await;
        }
    }
    let channel = channel(&server, "presence-");
    let member = Member::new(7).info(&json!({"name": "Ann ä/\""})).unwrap();
    let auth = authorizer.presence(&id, &channel, &member).unwrap();
    ann.send_subscribe(
        channel.name(),
        Some(&auth.auth),
        auth.channel_data.as_deref(),
    )
    .await;
    let roster = ann.expect_subscribed(channel.name()).await.data_json();
    assert_eq!(
        roster["presence"]["hash"],
        json!({"7": {"name": "Ann ä/\""}})
    );
    server.finish().await;
}

#[tokio::test]
async fn a_user_is_signed_in() {
    let server = relay().await;
    let authorizer = Authorizer::new(pair(server.app()));
    let mut ann = server.connect().await;
    let user = User::new("ann").info(&json!({"role": "agent"})).unwrap();
    let auth = authorizer.user(&socket_id(&ann.socket_id), &user).unwrap();
    ann.send_event("pusher:signin", serde_json::to_value(&auth).unwrap())
        .await;
    let event = ann.expect_event("pusher:signin_success").await;
    assert_eq!(event.data["user_data"], json!(auth.user_data));
    server.finish().await;
}

#[tokio::test]
async fn a_signature_is_for_one_connection_and_one_channel() {
    let server = relay().await;
    let authorizer = Authorizer::new(pair(server.app()));
    let (mut ann, bob) = (server.connect().await, server.connect().await);
    let [wanted, other] = [channel(&server, "private-"), channel(&server, "private-")];
    let ids = [&ann.socket_id, &bob.socket_id].map(|id| socket_id(id));
    for (id, channel) in [(&ids[1], &wanted), (&ids[0], &other)] {
        let auth = authorizer.private(id, channel).unwrap();
        ann.send_subscribe(wanted.name(), Some(&auth.auth), None)
            .await;
        ann.expect_subscription_error(wanted.name()).await;
    }
    server.finish().await;
}
