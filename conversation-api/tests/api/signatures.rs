//! How subscriptions and log-ins at the relay are signed, and for whom not.

use protocol_tests::{Request, TestServer};
use serde_json::json;

use crate::support::{Api, Database, Kind};

#[tokio::test]
async fn signatures_are_what_the_relay_accepts() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let mut desk = api.log_in("agent@tims.local").await;
    let mut client = relay.connect().await;
    desk.subscribe(&mut client, "private-conversation.1").await;
    desk.subscribe(&mut client, "private-department.1").await;
    desk.subscribe(&mut client, "private-user.5").await;
    desk.subscribe(&mut client, "presence-conversation.1").await;
    let members = relay
        .get("/channels/presence-conversation.1/users", &[])
        .await;
    assert_eq!(members, json!({"users": [{"id": "5"}]}));
    let mut watching = relay.connect().await;
    let socket_id = watching.socket_id.clone();
    let answer = desk
        .authorise(&socket_id, "presence-conversation.1")
        .await
        .json();
    let data = answer["channel_data"].as_str().unwrap();
    let expected = json!({
        "user_id": "5", "user_info": {"name": "Amir Agent", "role": "agent"}, "sign_in": true,
    });
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(data).unwrap(),
        expected
    );

    let body = format!("socket_id={socket_id}");
    let answer = desk
        .form("/broadcasting/user-auth", &body)
        .await
        .expect_status(200)
        .json();
    watching.send_event("pusher:signin", answer.clone()).await;
    let signed_in = watching.expect_event("pusher:signin_success").await;
    assert_eq!(signed_in.data["user_data"], answer["user_data"]);
    let user_data = answer["user_data"].as_str().unwrap();
    let expected = json!({"id": "5", "user_info": {"name": "Amir Agent", "role": "agent"}});
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(user_data).unwrap(),
        expected
    );
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn a_page_learns_the_key_that_it_connects_with() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let answer = api
        .stranger()
        .get("/broadcasting/config")
        .await
        .expect_status(200);
    let expected = json!({"broadcaster": "pusher", "key": relay.app().key});
    assert_eq!(answer.json(), expected);
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn forms_and_json_are_both_read() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let mut desk = api.log_in("agent@tims.local").await;
    let form = "socket_id=1.2&channel_name=private-conversation.1";
    let by_form = desk
        .form("/broadcasting/auth", form)
        .await
        .expect_status(200)
        .json();
    let by_json = desk
        .authorise("1.2", "private-conversation.1")
        .await
        .expect_status(200)
        .json();
    assert_eq!(by_form, by_json);
    let data = by_form["channel_data"].as_str().unwrap();
    assert_eq!(data, r#"{"user_id":"5","sign_in":true}"#);
    assert_eq!(
        by_form["auth"],
        relay
            .app()
            .channel_auth("1.2", "private-conversation.1", Some(data))
    );
    for (socket_id, channel) in [("", "private-conversation.1"), ("1.2", "")] {
        desk.authorise(socket_id, channel).await.expect_status(422);
    }
    for socket_id in ["1", "1.2:private-conversation.2", "a.b", "1.2\n"] {
        let response = desk.authorise(socket_id, "private-conversation.1").await;
        let status = if socket_id.trim() == "1.2" { 200 } else { 422 };
        response.expect_status(status);
    }
    desk.form("/broadcasting/user-auth", "")
        .await
        .expect_status(422);
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn without_a_token_nothing_is_signed() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let mut stranger = api.stranger();
    for path in ["/broadcasting/auth", "/broadcasting/user-auth"] {
        let body = json!({"socket_id": "1.2", "channel_name": "private-conversation.1"});
        let response = stranger.post(path, &body).await.expect_status(401);
        assert_eq!(response.json(), json!({"message": "Unauthenticated."}));
        let request = Request::new("POST", path).header("Authorization", "Bearer nonsense");
        stranger.send(request.json(&body)).await.expect_status(401);
    }
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn without_a_relay_the_refusal_names_that() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut desk = api.log_in("agent@tims.local").await;
    let response = desk
        .authorise("1.2", "private-conversation.1")
        .await
        .expect_status(503);
    assert!(
        response.text().contains("PUSHER_APP_KEY"),
        "{}",
        response.text()
    );
    desk.authorise("1.2", "private-conversation.2")
        .await
        .expect_status(403);
    api.stop().await;
}
