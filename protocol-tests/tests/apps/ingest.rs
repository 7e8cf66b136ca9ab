//! What Laravel publishes on Redis, for an app that comes and goes.

use protocol_tests::{RedisServer, TestServer, eventually, or_skip};
use serde_json::json;

use crate::support::{expect_closed, first, second, subscriber};

#[tokio::test]
async fn events_reach_the_app_that_has_the_id_at_the_time() {
    let redis = RedisServer::start().await;
    let builder = TestServer::builder()
        .app(first())
        .app(second())
        .set("ingest.laravel_redis.enabled", true)
        .set("ingest.laravel_redis.url", redis.url())
        .set("ingest.laravel_redis.prefix", "shop_")
        .set("ingest.laravel_redis.app", "20002");
    let server = or_skip!(builder.start().await);
    eventually("the relay's connection to Redis", || async {
        let metrics = server.metrics().await;
        (metrics.sum("fanfare_ingest_connected", &[]) == 1.0).then_some(())
    })
    .await;
    let (app, channel) = (second().app(), server.channel("orders."));
    let message = json!({"event": "shipped", "data": {}, "socket": null}).to_string();
    for _ in 0..2 {
        let mut client = subscriber(&server, &app, &channel).await;
        let topic = format!("shop_{channel}");
        assert_eq!(redis.publish(&topic, &message).await, 1);
        client.expect_event_on(&channel, "shipped").await;
        server
            .serve_apps(&[first(), second().set("enabled", false)])
            .await;
        expect_closed(&mut client, 4003).await;
        server.serve_apps(&[first(), second()]).await;
    }
    // The app that is named must be there: a file without it changes nothing.
    server.write_config(&server.config_with(&[first()]));
    server.reloaded("failed", 0.0).await;
    server.finish().await;
}
