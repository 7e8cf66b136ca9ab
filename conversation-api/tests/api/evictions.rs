//! Whoever loses a right no longer receives what it was for: the relay ends the connection at once,
//! also one that never signed in.

use protocol_tests::{TestServer, WsClient};
use serde_json::json;

use crate::support::{Api, Database, Desk, Kind, Proxy};

/// Conversation 1 is assigned to agent 5, of department 1.
const CHANNEL: &str = "private-conversation.1";

/// A client that subscribes and does nothing else.
async fn listener(relay: &TestServer, desk: &mut Desk, channel: &str) -> WsClient {
    let mut client = relay.connect().await;
    desk.subscribe(&mut client, channel).await;
    client
}

async fn assign(manager: &mut Desk, user_id: Option<i64>) {
    let body = json!({"user_id": user_id});
    manager
        .post("/api/conversations/1/assign", &body)
        .await
        .expect_status(200);
}

#[tokio::test]
async fn whoever_loses_a_conversation_must_connect_again_and_receives_nothing_more_of_it() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let api = Api::with(&database, &relay).await;
        let mut manager = api.log_in("manager@tims.local").await;
        let mut agent = api.log_in("agent@tims.local").await;
        let mut other = api.log_in("agent2@tims.local").await;
        let mut lost = listener(&relay, &mut agent, CHANNEL).await;
        let mut looking = listener(&relay, &mut agent, "presence-conversation.1").await;
        let mut stays = listener(&relay, &mut manager, CHANNEL).await;
        let mut elsewhere = listener(&relay, &mut other, "private-user.6").await;
        assign(&mut manager, Some(6)).await;
        let id = manager.write(1, "not for you").await;
        // It is the first thing that it receives: the message is not.
        lost.expect_error(Some(4200)).await;
        lost.expect_close_code(4200).await;
        looking.wait_for_event("pusher:error").await;
        looking.expect_close_code(4200).await;
        stays.expect_event("conversation.assigned").await;
        let event = stays.expect_event("message.sent").await;
        assert_eq!(event.data_json()["id"], id);
        // The new assignee is the one to be notified.
        elsewhere.expect_event("conversation.assigned").await;
        elsewhere.expect_nothing().await;
        // Who connects again is refused this one and nothing else.
        let mut again = relay.connect().await;
        agent.subscribe(&mut again, "private-department.1").await;
        agent
            .authorise(&again.socket_id.clone(), CHANNEL)
            .await
            .expect_status(403);
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn logging_out_ends_the_connections_and_other_sessions_come_back() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let mut here = api.log_in("agent@tims.local").await;
    let mut there = api.log_in("agent@tims.local").await;
    let mut client = listener(&relay, &mut here, CHANNEL).await;
    here.post("/api/auth/logout", &json!({}))
        .await
        .expect_status(200);
    client.expect_error(Some(4200)).await;
    client.expect_close_code(4200).await;
    let again = relay.connect().await;
    let socket_id = again.socket_id.clone();
    here.authorise(&socket_id, CHANNEL).await.expect_status(401);
    there
        .authorise(&socket_id, CHANNEL)
        .await
        .expect_status(200);
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn what_is_changed_in_the_database_itself_is_noticed() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        // What is done again would come between.
        let api = Api::on(&database)
            .relay(&relay)
            .set("AUTHORISATION_SECONDS", "600")
            .start()
            .await;
        for (statement, channel, code, status) in [
            (
                "UPDATE conversations SET department_id = 2 WHERE id = 3",
                "private-conversation.3",
                4200,
                403,
            ),
            (
                "UPDATE users SET department_id = 2 WHERE id = 3",
                "private-department.1",
                4200,
                403,
            ),
            (
                "UPDATE users SET role = 'agent' WHERE id = 3",
                "private-conversation.4",
                4200,
                403,
            ),
            (
                "UPDATE tokens SET expires_at = 1 WHERE user_id = 3",
                "private-user.3",
                4200,
                401,
            ),
            (
                "UPDATE users SET password = 'another' WHERE id = 5",
                CHANNEL,
                4200,
                401,
            ),
            (
                "UPDATE users SET disabled_at = 1 WHERE id = 6",
                "private-conversation.2",
                4009,
                401,
            ),
        ] {
            let email = match statement.chars().last() {
                Some('5') => "agent@tims.local",
                Some('6') => "agent2@tims.local",
                _ => "manager@tims.local",
            };
            let mut desk = api.log_in(email).await;
            let mut client = listener(&relay, &mut desk, channel).await;
            database.execute(statement).await;
            client.expect_error(Some(code.into())).await;
            client.expect_close_code(code).await;
            let again = relay.connect().await;
            desk.authorise(&again.socket_id.clone(), channel)
                .await
                .expect_status(status);
        }
        let body = json!({"email": "agent2@tims.local", "password": "password123"});
        api.stranger()
            .post("/api/auth/login", &body)
            .await
            .expect_status(401);
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn a_relay_that_is_away_and_a_process_that_is_killed_delay_it_and_the_order_stays() {
    let relay = TestServer::start().await;
    let mut proxy = Proxy::to(&relay.endpoint().authority);
    let database = Database::seeded(Kind::Sqlite).await;
    let start = Api::on(&database)
        .relay_at(&proxy.authority, relay.app())
        .doomed();
    let api = start.clone().start().await;
    let mut manager = api.log_in("manager@tims.local").await;
    let mut agent = api.log_in("agent@tims.local").await;
    let mut lost = listener(&relay, &mut agent, CHANNEL).await;
    let mut stays = listener(&relay, &mut manager, CHANNEL).await;
    proxy.refuse().await;
    let before = manager.write(1, "still for both").await;
    assign(&mut manager, None).await;
    let after = manager.write(1, "not for you").await;
    api.kill().await;
    proxy.accept();
    let api = start.start().await;
    let event = stays.expect_event("message.sent").await;
    assert_eq!(event.data_json()["id"], before);
    stays.expect_event("conversation.assigned").await;
    let event = stays.expect_event("message.sent").await;
    assert_eq!(event.data_json()["id"], after);
    // What waited may come after the end of the connection, and what was not for it never comes.
    let events = lost
        .events_until(|event| event.name == "pusher:error")
        .await;
    assert!(
        events
            .iter()
            .all(|event| !event.data_text().contains("not for you"))
    );
    lost.expect_close_code(4200).await;
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn a_signature_that_was_kept_back_is_not_worth_anything_for_long() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database)
        .relay(&relay)
        .set("AUTHORISATION_SECONDS", "6")
        .start()
        .await;
    let mut manager = api.log_in("manager@tims.local").await;
    let mut agent = api.log_in("agent@tims.local").await;
    let mut known = listener(&relay, &mut agent, "private-user.5").await;
    let mut client = relay.connect().await;
    let socket_id = client.socket_id.clone();
    let answer = agent.authorise(&socket_id, CHANNEL).await.json();
    assign(&mut manager, None).await;
    // It gets what has happened before it has to connect again.
    known.expect_event("conversation.assigned").await;
    known.expect_error(Some(4200)).await;
    api.everything_sent().await;
    let (auth, data) = (answer["auth"].as_str(), answer["channel_data"].as_str());
    client.send_subscribe(CHANNEL, auth, data).await;
    client.expect_subscribed(CHANNEL).await;
    client.expect_error(Some(4200)).await;
    client.expect_close_code(4200).await;
    api.stop().await;
    relay.finish().await;
}
