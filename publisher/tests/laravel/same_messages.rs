//! The driver `redis` publishes what Laravel's RedisBroadcaster publishes.

use publisher::{Broadcaster as _, RedisBroadcaster, RedisConfig};
use serde_json::json;

use crate::redis_server::RedisServer;
use crate::{events::cases, php};

#[tokio::test]
async fn messages_equal_those_of_laravels_redis_broadcaster() {
    let server = RedisServer::start(&[]).await;
    let mut subscriber = server.subscriber().await;
    let prefix = "tims-database-";
    let config = RedisConfig::new(&server.url()).unwrap().prefix(prefix);
    let broadcaster = RedisBroadcaster::new(config).unwrap();
    let for_php = [
        ("driver", json!("redis")),
        ("port", json!(server.port)),
        ("prefix", json!(prefix)),
    ];
    for case in cases() {
        broadcaster.broadcast(&case.broadcast()).await.unwrap();
        let ours = subscriber.next(case.channels.len()).await;
        php::run("broadcast.php", &case.for_php(&for_php)).await;
        let laravels = subscriber.next(case.channels.len()).await;
        assert_eq!(ours, laravels);
        assert!(ours.iter().all(|(channel, _)| channel.starts_with(prefix)));
    }
}
