//! Paths, bodies and answers of each call.

use publisher::{Batch, Channel, Event, Info, SocketId};
use serde_json::json;

use crate::server::{Answer, Server};

#[tokio::test]
async fn an_event_goes_to_its_channels() {
    let server = Server::answering([Answer::ok("{}")]).await;
    let channels = [Channel::public("news"), Channel::private("user.1")];
    let event = Event::new("greeting", &json!({"text": "grüße"})).unwrap();
    let known = server.client().trigger(&channels, &event).await.unwrap();
    assert!(known.is_empty());

    let request = server.only_request();
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/apps/app/events");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("idempotency-key"), None);
    let body =
        r#"{"name":"greeting","data":"{\"text\":\"grüße\"}","channels":["news","private-user.1"]}"#;
    assert_eq!(request.body, body);
}

#[tokio::test]
async fn an_event_leaves_out_its_sender_and_asks_for_what_is_known() {
    let answer = r#"{"channels":{"presence-x":{"user_count":2,"subscription_count":3},"news":{"subscription_count":1,"new":[]}}}"#;
    let server = Server::answering([Answer::ok(answer)]).await;
    let channels = [Channel::presence("x"), Channel::public("news")];
    let event = Event::text("plain", "not JSON")
        .to_others(Some(SocketId::parse("1.2").unwrap()))
        .info(&[Info::UserCount, Info::SubscriptionCount])
        .idempotency_key("event-7");
    let known = server.client().trigger(&channels, &event).await.unwrap();
    assert_eq!(known["presence-x"].user_count, Some(2));
    assert_eq!(known["presence-x"].subscription_count, Some(3));
    assert_eq!(known["news"].user_count, None);

    let request = server.only_request();
    assert_eq!(request.header("idempotency-key"), Some("event-7"));
    assert_eq!(
        request.json(),
        json!({
            "name": "plain", "data": "not JSON", "channels": ["presence-x", "news"],
            "socket_id": "1.2", "info": "user_count,subscription_count",
        })
    );
}

#[tokio::test]
async fn many_channels_are_several_requests_with_keys_of_their_own() {
    let server = Server::start(|request| {
        let channels = request.json()["channels"].as_array().unwrap().clone();
        let first = channels[0].as_str().unwrap();
        Answer::ok(
            &json!({"channels": {first: {"subscription_count": channels.len()}}}).to_string(),
        )
    })
    .await;
    let names: Vec<_> = (0..201)
        .map(|number| Channel::public(format!("c{number}")))
        .collect();
    let event = Event::text("e", "")
        .info(&[Info::SubscriptionCount])
        .idempotency_key("k");
    let known = server.client().trigger(&names, &event).await.unwrap();
    let counts = ["c0", "c100", "c200"].map(|name| known[name].subscription_count);
    assert_eq!(counts, [Some(100), Some(100), Some(1)]);

    let received = server.received();
    let keys: Vec<_> = received
        .iter()
        .map(|request| request.header("idempotency-key"))
        .collect();
    assert_eq!(keys, [Some("k"), Some("k.1"), Some("k.2")]);
    let channels = received
        .iter()
        .flat_map(|request| request.json()["channels"].as_array().unwrap().clone());
    assert!(channels.eq(names.iter().map(|channel| json!(channel.name()))));
}

#[tokio::test]
async fn a_batch_keeps_its_order() {
    let server = Server::start(|request| {
        let batch = request.json()["batch"].as_array().unwrap().clone();
        let number =
            |event: &serde_json::Value| event["data"].as_str().unwrap().parse::<u64>().unwrap();
        let infos: Vec<_> = batch
            .iter()
            .map(|event| json!({"subscription_count": number(event)}))
            .collect();
        Answer::ok(&json!({"batch": infos}).to_string())
    })
    .await;
    let mut batch = Batch::new().idempotency_key("b");
    for number in 0..12 {
        let event = Event::text("e", number.to_string()).info(&[Info::SubscriptionCount]);
        batch = batch.event(Channel::public("c"), event);
    }
    let known = server.client().trigger_batch(&batch).await.unwrap();
    let counts: Vec<_> = known.iter().map(|info| info.subscription_count).collect();
    assert!(counts.iter().copied().eq((0..12).map(Some)), "{counts:?}");

    let received = server.received();
    let sizes: Vec<_> = received
        .iter()
        .map(|request| request.json()["batch"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [10, 2]);
    assert_eq!(received[1].path, "/apps/app/batch_events");
    assert_eq!(received[1].header("idempotency-key"), Some("b.1"));
    let body = r#"{"name":"e","data":"10","channel":"c","info":"subscription_count"}"#;
    assert!(
        received[1]
            .body
            .starts_with(&format!(r#"{{"batch":[{body},"#)),
        "{}",
        received[1].body
    );
}

#[tokio::test]
async fn a_batch_without_info_is_answered_for_each_event() {
    let server = Server::answering([Answer::ok("{}")]).await;
    let event = || Event::text("e", "");
    let batch = Batch::new()
        .event(Channel::public("a"), event())
        .event(Channel::public("b"), event());
    assert_eq!(
        server.client().trigger_batch(&batch).await.unwrap().len(),
        2
    );
    assert_eq!(
        server
            .client()
            .trigger_batch(&Batch::new())
            .await
            .unwrap()
            .len(),
        0
    );
    server.only_request();
}

#[tokio::test]
async fn users_are_sent_to_and_closed_by_their_ids() {
    let server = Server::answering([Answer::ok("{}")]).await;
    let client = server.client();
    client
        .send_to_user("ann@x y", &Event::text("e", "d"))
        .await
        .unwrap();
    client.terminate_connections("ann/x y").await.unwrap();
    client.force_reconnect("ä").await.unwrap();

    let received = server.received();
    let body = json!({"name": "e", "data": "d", "channels": ["#server-to-user-ann@x y"]});
    assert_eq!(received[0].json(), body);
    assert_eq!(
        received[1].path,
        "/apps/app/users/ann%2Fx%20y/terminate_connections"
    );
    assert_eq!(received[1].json(), json!({}));
    assert_eq!(received[2].path, "/apps/app/users/%C3%A4/force_reconnect");
}

#[tokio::test]
async fn channels_are_asked_for() {
    let answers = [
        r#"{"channels":{"presence-a":{"user_count":1},"presence-b":{}}}"#,
        r#"{"channels":{}}"#,
        r#"{"occupied":true,"subscription_count":3,"cache":{"data":"{}","ttl":60}}"#,
        r#"{"occupied":false,"cache":null}"#,
        r#"{"users":[{"id":"1"},{"id":"2"}]}"#,
    ];
    let server = Server::answering(answers.map(Answer::ok)).await;
    let client = server.client();
    let channels = client
        .channels("presence-", &[Info::UserCount])
        .await
        .unwrap();
    assert_eq!(channels["presence-a"].user_count, Some(1));
    assert_eq!(channels["presence-b"].user_count, None);
    assert!(client.channels("", &[]).await.unwrap().is_empty());

    let cache = Channel::public("cache-a;b");
    let state = client
        .channel(&cache, &[Info::SubscriptionCount, Info::Cache])
        .await
        .unwrap();
    assert!(state.occupied);
    assert_eq!(state.info.subscription_count, Some(3));
    let event = state.info.cache.unwrap();
    assert_eq!((event.data.as_str(), event.ttl), ("{}", 60));
    let state = client.channel(&cache, &[Info::Cache]).await.unwrap();
    assert!(!state.occupied && state.info.cache.is_none());
    assert_eq!(
        client.users(&Channel::presence("x")).await.unwrap(),
        ["1", "2"]
    );

    let received = server.received();
    assert!(
        received
            .iter()
            .all(|request| request.method == "GET" && request.body.is_empty())
    );
    assert_eq!(received[0].path, "/apps/app/channels");
    assert_eq!(received[0].parameter("filter_by_prefix"), "presence-");
    assert_eq!(received[0].parameter("info"), "user_count");
    assert!(
        !received[1]
            .query
            .iter()
            .any(|(name, _)| !name.starts_with("auth_"))
    );
    assert_eq!(received[2].path, "/apps/app/channels/cache-a%3Bb");
    assert_eq!(received[2].parameter("info"), "subscription_count,cache");
    assert_eq!(received[4].path, "/apps/app/channels/presence-x/users");
}

#[tokio::test]
async fn connections_are_used_again() {
    let refusal = Answer::Reply(400, "", "no".into());
    let server = Server::answering([Answer::ok("{}"), refusal, Answer::ok("{}")]).await;
    let client = server.client();
    for _ in 0..3 {
        let _ = client
            .clone()
            .trigger(&[Channel::public("c")], &Event::text("e", ""))
            .await;
    }
    let connections: Vec<_> = server
        .received()
        .iter()
        .map(|request| request.connection)
        .collect();
    assert_eq!(connections, [0, 0, 0]);
}
