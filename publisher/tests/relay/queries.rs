//! What the relay reports of channels.

use publisher::{Error, Event, Info};
use serde_json::json;

use crate::support::{channel, client, relay};

#[tokio::test]
async fn occupied_channels_are_listed() {
    let server = relay().await;
    let client = client(&server);
    let presence = channel(&server, "presence-room-");
    let public = channel(&server, "news-");
    let mut ann = server.connect().await;
    ann.subscribe_presence(presence.name(), "ann", json!({}))
        .await;
    ann.subscribe(public.name()).await;

    let all = client.channels("", &[]).await.unwrap();
    assert!(all.keys().eq([public.name(), presence.name()]), "{all:?}");
    let rooms = client
        .channels("presence-", &[Info::UserCount])
        .await
        .unwrap();
    assert_eq!(rooms.len(), 1);
    assert_eq!(rooms[presence.name()].user_count, Some(1));
    let error = client.channels("", &[Info::UserCount]).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Rejected {
                status: Some(400),
                ..
            }
        ),
        "{error}"
    );
    server.finish().await;
}

#[tokio::test]
async fn a_channel_is_described() {
    let server = relay().await;
    let client = client(&server);
    let presence = channel(&server, "presence-room-");
    let counts = [Info::UserCount, Info::SubscriptionCount];
    let state = client.channel(&presence, &counts).await.unwrap();
    assert!(!state.occupied);
    assert_eq!(state.info.user_count, Some(0));

    let (mut ann, mut too) = (server.connect().await, server.connect().await);
    for connection in [&mut ann, &mut too] {
        connection
            .subscribe_presence(presence.name(), "ann", json!({}))
            .await;
    }
    let state = client.channel(&presence, &counts).await.unwrap();
    assert!(state.occupied);
    assert_eq!(state.info.user_count, Some(1));
    assert_eq!(state.info.subscription_count, Some(2));
    assert_eq!(client.users(&presence).await.unwrap(), ["ann"]);
    server.finish().await;
}

#[tokio::test]
async fn a_cache_channel_reports_what_it_keeps() {
    let server = relay().await;
    let client = client(&server);
    let cache = channel(&server, "cache-");
    let empty = client.channel(&cache, &[Info::Cache]).await.unwrap();
    assert_eq!(empty.info.cache, None);
    let event = Event::text("e", "kept").info(&[Info::Cache]);
    let known = client
        .trigger(std::slice::from_ref(&cache), &event)
        .await
        .unwrap();
    assert_eq!(known[cache.name()].cache.as_ref().unwrap().data, "kept");
    let kept = client
        .channel(&cache, &[Info::Cache])
        .await
        .unwrap()
        .info
        .cache
        .unwrap();
    assert_eq!(kept.data, "kept");
    assert!((1..=1800).contains(&kept.ttl), "{}", kept.ttl);
    server.finish().await;
}
