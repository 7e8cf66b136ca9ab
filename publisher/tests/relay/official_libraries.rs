//! pusher-js takes the authoriser's answers and reads what is published to it, encrypted channels
//! included; and Pusher's own server library answers and encrypts just so.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use publisher::{Authorizer, Channel, Client, Event, Member, User};
use serde_json::{Value, json};

use crate::node::Node;
use crate::support::{channel, config, master_key, pair, relay, socket_id};

/// What a backend's endpoints would answer to pusher-js.
fn answer(authorizer: &Authorizer, question: &Value) -> Value {
    let socket_id = socket_id(question["socket_id"].as_str().unwrap());
    if question["ask"] == "user" {
        let user = User::new("ann").info(&json!({"role": "agent"})).unwrap();
        return json!(authorizer.user(&socket_id, &user).unwrap());
    }
    let channel = Channel::named(question["channel_name"].as_str().unwrap());
    let auth = if channel.is_presence() {
        let member = Member::new("ann").info(&json!({"name": "Ann ä"})).unwrap();
        authorizer.presence(&socket_id, &channel, &member)
    } else {
        authorizer.private(&socket_id, &channel)
    };
    json!(auth.unwrap())
}

#[tokio::test]
async fn pusher_js_is_authorised_and_reads_what_is_published() {
    let server = relay().await;
    let client = Client::new(config(&server).master_key(master_key())).unwrap();
    let authorizer = client.authorizer();
    let channels =
        ["private-", "presence-", "private-encrypted-"].map(|prefix| channel(&server, prefix));
    let names = channels.each_ref().map(|channel| channel.name());
    let mut pusher_js = Node::start("subscriber.mjs", &server, json!({"channels": names})).await;
    let mut waiting_for = channels.len() + 1;
    while waiting_for > 0 {
        let line = pusher_js.read().await;
        if line.get("ask").is_some() {
            pusher_js.write(answer(&authorizer, &line)).await;
            continue;
        }
        waiting_for -= 1;
        if let Some(user_data) = line.get("signed_in") {
            assert_eq!(user_data, r#"{"id":"ann","user_info":{"role":"agent"}}"#);
        } else if line["subscribed"] == names[1] {
            assert_eq!(line["members"], json!({"ann": {"name": "Ann ä"}}));
        } else {
            assert!(line["subscribed"].is_string(), "{line}");
        }
    }
    let data = json!({"text": "grüße / 世界"});
    let event = Event::new("greeting", &data).unwrap();
    for channel in &channels {
        client
            .trigger(std::slice::from_ref(channel), &event)
            .await
            .unwrap();
        let received = json!({"event": "greeting", "channel": channel.name(), "data": data});
        assert_eq!(pusher_js.read().await, received);
    }
    let secret = Event::text("plain", "not JSON");
    client
        .trigger(std::slice::from_ref(&channels[2]), &secret)
        .await
        .unwrap();
    let received = json!({"event": "plain", "channel": names[2], "data": "not JSON"});
    assert_eq!(pusher_js.read().await, received);
    client.send_to_user("ann", &event).await.unwrap();
    let received = json!({"event": "greeting", "channel": "user", "data": data});
    assert_eq!(pusher_js.read().await, received);
    pusher_js.end().await;
    server.finish().await;
}

#[tokio::test]
async fn pushers_server_library_signs_and_encrypts_the_same() {
    let server = relay().await;
    let authorizer = Authorizer::new(pair(server.app())).master_key(master_key());
    let key = BASE64.encode(b"32 bytes that are a secret key..");
    let mut library = Node::start("backend.mjs", &server, json!({"master_key": key})).await;
    let mut call = async |method: &str, arguments: Value| {
        library
            .write(json!({"method": method, "arguments": arguments}))
            .await;
        library.read().await["result"].take()
    };
    let id = socket_id("1234.5678");

    for name in ["private-x", "private-encrypted-x"] {
        let theirs = call("authorizeChannel", json!(["1234.5678", name])).await;
        assert_eq!(
            theirs,
            json!(authorizer.private(&id, &Channel::named(name)).unwrap())
        );
    }
    let info = json!({"name": "Ann ä/"});
    let theirs = json!(["1234.5678", "presence-x", {"user_id": "7", "user_info": info}]);
    let theirs = call("authorizeChannel", theirs).await;
    let member = Member::new(7).info(&info).unwrap();
    assert_eq!(
        theirs,
        json!(
            authorizer
                .presence(&id, &Channel::presence("x"), &member)
                .unwrap()
        )
    );
    let theirs = json!(["1234.5678", {"id": "7", "user_info": info, "watchlist": ["8"]}]);
    let theirs = call("authenticateUser", theirs).await;
    let user = User::new(7).info(&info).unwrap().watchlist(["8"]);
    assert_eq!(theirs, json!(authorizer.user(&id, &user).unwrap()));

    let channel = channel(&server, "private-encrypted-");
    let mut subscriber = server.connect().await;
    subscriber.subscribe(channel.name()).await;
    let data = json!({"text": "grüße"});
    assert_eq!(
        call("trigger", json!([channel.name(), "e", data])).await,
        200
    );
    let event = subscriber.expect_event_on(channel.name(), "e").await;
    let text = master_key().open(&channel, event.data_text()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), data);
    library.end().await;
    server.finish().await;
}
