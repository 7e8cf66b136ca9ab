//! What is wrong is reported before anything is sent.

use publisher::{Batch, Channel, Client, Config, Error, Event, MasterKey, Retry, Scheme};

use crate::server::{Answer, Server};

fn field(result: Result<impl Sized, Error>) -> &'static str {
    match result {
        Err(Error::Invalid(invalid)) => invalid.field,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was sent"),
    }
}

#[tokio::test]
async fn a_wrong_call_is_never_sent() {
    let server = Server::answering([Answer::ok("{}")]).await;
    let client = server.client();
    let channel = Channel::public("c");
    let good = Event::text("e", "");
    let of = |channels: &[&str]| channels.iter().map(Channel::named).collect::<Vec<_>>();

    for channels in [&["a b"][..], &["c", ""], &[&"c".repeat(201)], &["#x"]] {
        assert_eq!(field(client.trigger(&of(channels), &good).await), "channel");
    }
    assert_eq!(field(client.trigger(&[], &good).await), "channels");
    for name in ["", "pusher:x", "pusher_internal:x", &"e".repeat(201)] {
        let event = Event::text(name, "");
        assert_eq!(
            field(client.trigger(std::slice::from_ref(&channel), &event).await),
            "name"
        );
    }
    let key = |length: usize| good.clone().idempotency_key("k".repeat(length));
    for (channels, event) in [(1, key(0)), (1, key(256)), (101, key(254))] {
        let channels = vec![channel.clone(); channels];
        assert_eq!(
            field(client.trigger(&channels, &event).await),
            "idempotency_key"
        );
    }
    let batch = Batch::new().event(channel.clone(), key(1));
    assert_eq!(field(client.trigger_batch(&batch).await), "idempotency_key");
    let batch = Batch::new()
        .event(channel.clone(), good.clone())
        .event(Channel::named("ä"), good.clone());
    assert_eq!(field(client.trigger_batch(&batch).await), "channel");

    for user_id in ["", "a\nb"] {
        assert_eq!(field(client.send_to_user(user_id, &good).await), "user_id");
    }
    for user_id in ["", ".", "..", "a\0"] {
        assert_eq!(
            field(client.terminate_connections(user_id).await),
            "user_id"
        );
    }
    assert_eq!(field(client.users(&Channel::named("")).await), "channel");
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn encrypted_channels_need_a_key_and_to_be_alone() {
    let server = Server::answering([Answer::ok("{}")]).await;
    let secret = Channel::encrypted("x");
    let event = Event::text("e", "hidden");
    let none = server
        .client()
        .trigger(std::slice::from_ref(&secret), &event)
        .await;
    assert_eq!(field(none), "master_key");

    let config = server
        .config()
        .retry(Retry::none())
        .master_key(MasterKey::new([1; 32]));
    let client = Client::new(config).unwrap();
    let pair = [secret.clone(), Channel::public("c")];
    assert_eq!(field(client.trigger(&pair, &event).await), "channels");
    assert!(server.received().is_empty());

    client.trigger(&[secret], &event).await.unwrap();
    let data = server.only_request().json()["data"]
        .as_str()
        .unwrap()
        .to_owned();
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    assert!(
        data["nonce"].is_string() && data["ciphertext"].is_string(),
        "{data}"
    );
}

#[test]
fn settings_that_cannot_work_are_named() {
    let config = || Config::new("app", "key", "secret").scheme(Scheme::Http);
    let field = |config| Client::new(config).unwrap_err().field;
    assert_eq!(field(Config::new("", "key", "secret")), "app_id");
    assert_eq!(field(Config::new("..", "key", "secret")), "app_id");
    assert_eq!(field(Config::new("app", "", "secret")), "key");
    assert_eq!(field(config().host("http://x")), "host");
    assert_eq!(field(config().cluster("a b")), "host");
}
