//! The driver `redis` by itself, and with a server in trouble.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use publisher::{
    Broadcast, Broadcaster, Channel, Connection, Error, RedisBroadcaster, RedisConfig, Retry,
};
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber as Logging, span};

use crate::redis_server::{RedisServer, Subscriber};

fn broadcaster(url: &str, retry: Retry) -> RedisBroadcaster {
    let config = RedisConfig::new(url).unwrap().retry(retry);
    RedisBroadcaster::new(config).unwrap()
}

fn broadcast(channels: impl Into<Vec<Channel>>) -> Broadcast {
    Broadcast::new("e", channels, &json!({"a": 1})).unwrap()
}

fn to_one() -> Broadcast {
    broadcast([Channel::public("c")])
}

const MESSAGE: &str = r#"{"event":"e","data":{"a":1,"socket":null},"socket":null}"#;

#[tokio::test]
async fn the_environment_chooses_it() {
    let server = RedisServer::start(&["--requirepass", "p@ss"]).await;
    let environment = [
        ("BROADCAST_DRIVER", "redis".to_owned()),
        ("REDIS_PORT", server.port.to_string()),
        ("REDIS_PASSWORD", "p@ss".to_owned()),
        ("APP_NAME", "My App".to_owned()),
    ];
    let environment: HashMap<_, _> = environment
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    let broadcaster = Connection::from_env(&environment)
        .unwrap()
        .broadcaster()
        .unwrap();
    assert_eq!(broadcaster.name(), "redis");

    let url = format!("redis://:p%40ss@127.0.0.1:{}", server.port);
    let mut subscriber = Subscriber::of(&url).await;
    broadcaster.broadcast(&to_one()).await.unwrap();
    let message = ("my-app-database-c".to_owned(), MESSAGE.to_owned());
    assert_eq!(subscriber.next(1).await, [message]);
}

/// Keeps the values of warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Logging for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN && metadata.target().starts_with("publisher")
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Visit for Warnings {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.lock().unwrap().push(format!("{field}: {value:?}"));
    }
}

#[tokio::test]
async fn what_nobody_listens_for_is_logged_once() {
    let warnings = Warnings::default();
    // With this one alone, threads of other tests, which have none, could decide for all that nothing is logged.
    let _second = Dispatch::new(warnings.clone());
    let _guard = tracing::subscriber::set_default(warnings.clone());
    let server = RedisServer::start(&[]).await;
    let config = RedisConfig::new(&server.url()).unwrap().prefix("ours:");
    let broadcaster = RedisBroadcaster::new(config).unwrap();
    let mut subscriber = server.subscriber().await;
    broadcaster.broadcast(&to_one()).await.unwrap();
    subscriber.next(1).await;
    assert!(warnings.0.lock().unwrap().is_empty());
    drop(subscriber);
    protocol_tests::eventually("the subscriber to be gone", || async {
        broadcaster.broadcast(&to_one()).await.unwrap();
        (!warnings.0.lock().unwrap().is_empty()).then_some(())
    })
    .await;
    broadcaster.clone().broadcast(&to_one()).await.unwrap();
    let warnings = warnings.0.lock().unwrap().clone();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    let text = warnings.join("; ");
    assert!(text.contains(r#"prefix: "ours:""#), "{text}");
    assert!(
        text.contains("nobody listens on this Redis server"),
        "{text}"
    );
}

#[tokio::test]
async fn nowhere_needs_no_server() {
    let broadcaster = broadcaster("redis://127.0.0.1:1", Retry::none());
    broadcaster.broadcast(&broadcast([])).await.unwrap();
}

#[tokio::test]
async fn a_server_that_comes_back_is_found() {
    let mut server = RedisServer::start(&[]).await;
    let quick = Retry::default()
        .first_delay(Duration::from_millis(20))
        .times(10);
    let patient = broadcaster(&server.url(), quick);
    let impatient = broadcaster(&server.url(), Retry::none());
    patient.broadcast(&to_one()).await.unwrap();
    impatient.broadcast(&to_one()).await.unwrap();

    server.kill().await;
    let error = impatient.broadcast(&to_one()).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    let error = impatient.broadcast(&to_one()).await.unwrap_err();
    assert!(error.to_string().contains("onnection refused"), "{error}");

    server.restart().await;
    let mut subscriber = server.subscriber().await;
    patient.broadcast(&to_one()).await.unwrap();
    assert_eq!(
        subscriber.next(1).await,
        [("c".to_owned(), MESSAGE.to_owned())]
    );
}

#[tokio::test]
async fn a_try_in_vain_may_heal_while_it_is_under_way() {
    let mut server = RedisServer::start(&[]).await;
    let retry = Retry::default()
        .first_delay(Duration::from_millis(20))
        .times(100);
    let broadcaster = broadcaster(&server.url(), retry);
    server.kill().await;
    let event = to_one();
    let (broadcast, ()) = tokio::join!(broadcaster.broadcast(&event), server.restart());
    broadcast.unwrap();
}

/// A connection that waits for longer than the half second of the library, as machines may be busy.
async fn patient(url: &str) -> redis::aio::MultiplexedConnection {
    let patience = Some(Duration::from_secs(30));
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(patience)
        .set_response_timeout(patience);
    let client = redis::Client::open(url).unwrap();
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    connecting.await.unwrap()
}

#[tokio::test]
async fn a_password_that_is_put_right_is_taken() {
    let server = RedisServer::start(&["--requirepass", "right"]).await;
    let login = |password| format!("redis://:{password}@127.0.0.1:{}", server.port);
    let broadcaster = broadcaster(&login("wrong"), Retry::none());
    for _ in 0..2 {
        let error = broadcaster.broadcast(&to_one()).await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    }
    let mut connection = patient(&login("right")).await;
    let set = redis::cmd("CONFIG")
        .arg(&["SET", "requirepass", "wrong"])
        .exec_async(&mut connection)
        .await;
    set.unwrap();
    broadcaster.broadcast(&to_one()).await.unwrap();
}

#[tokio::test]
async fn a_user_without_the_right_to_gets_the_reason() {
    let server = RedisServer::start(&[]).await;
    let mut connection = patient(&server.url()).await;
    let revoked = redis::cmd("ACL")
        .arg(&["SETUSER", "default", "-eval"])
        .exec_async(&mut connection)
        .await;
    revoked.unwrap();
    let error = broadcaster(&server.url(), Retry::none())
        .broadcast(&to_one())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
}
