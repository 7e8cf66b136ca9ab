//! What cannot heal is set aside, and the conversation goes on; what can is tried again.

use protocol_tests::{TestServer, eventually};

use crate::support::database::run;
use crate::support::stand_in::Answer;
use crate::support::{Api, Database, Desk, Kind, StandIn, meta};

fn refused_content(content: &'static str, status: u16) -> impl Future<Output = StandIn> {
    StandIn::start(move |arrived| {
        let data = arrived.body["data"].as_str().unwrap_or_default();
        if data.contains(content) {
            (status, r#"{"error":"no"}"#.into())
        } else {
            (200, "{}".into())
        }
    })
}

async fn start(database: &Database, relay: &StandIn) -> (Api, Desk) {
    let app = protocol_tests::AppConfig::new("10001").app();
    let api = Api::on(database)
        .relay_at(&relay.authority, &app)
        .start()
        .await;
    let agent = api.log_in("agent@tims.local").await;
    (api, agent)
}

fn contents(relay: &StandIn) -> Vec<String> {
    let arrived = relay.arrived();
    let content = |data: &str| {
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        data["content"].as_str().unwrap().to_owned()
    };
    arrived
        .iter()
        .map(|request| content(request.body["data"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn a_refusal_that_cannot_heal_stops_only_its_event() {
    for status in [400, 403, 404, 413, 422] {
        let database = Database::seeded(Kind::Sqlite).await;
        let relay = refused_content("poison", status).await;
        let (api, mut agent) = start(&database, &relay).await;
        for content in ["one", "poison", "two"] {
            agent.write(1, content).await;
        }
        api.everything_sent().await;
        assert_eq!(contents(&relay), ["one", "poison", "two"], "{status}");
        let metrics = api.metrics().await;
        assert_eq!(
            metrics.sum("conversation_outbox_dead", &[("kind", "broadcast")]),
            1.0
        );
        let query = "SELECT payload FROM outbox WHERE dead_at IS NOT NULL AND error IS NOT NULL";
        let dead = database.texts(query).await;
        assert!(dead.len() == 1 && dead[0].contains("poison"), "{dead:?}");
        let log = api.log().join("\n");
        assert!(log.contains("this will never be sent"), "{log}");
    }
}

#[tokio::test]
async fn what_was_refused_is_sent_again_once_that_is_asked_for() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let mut refusals = 0;
        let relay = StandIn::start(move |_| {
            refusals += 1;
            if refusals <= 2 {
                (403, "{}".into())
            } else {
                (200, "{}".into())
            }
        })
        .await;
        let (api, mut agent) = start(&database, &relay).await;
        for content in ["one", "two", "three"] {
            agent.write(1, content).await;
        }
        api.everything_sent().await;
        let dead = "SELECT COUNT(*) FROM outbox WHERE dead_at IS NOT NULL";
        assert_eq!(database.number(dead).await, 2);
        let answer = run(&["outbox", "retry"], &database.url);
        assert_eq!(answer, "2 rows are on their way again.\n");
        let arrived = relay.wait_for(5).await;
        api.everything_sent().await;
        assert_eq!(contents(&relay), ["one", "two", "three", "one", "two"]);
        let key = |request: usize| arrived[request].header("idempotency-key");
        assert_eq!((key(0), key(1)), (key(3), key(4)));
        assert_eq!(database.number(dead).await, 0);
        let answer = run(&["outbox", "retry"], &database.url);
        assert_eq!(answer, "Nothing has been given up.\n");
    }
}

#[tokio::test]
async fn a_redirect_keeps_events_until_the_address_is_right() {
    let database = Database::seeded(Kind::Sqlite).await;
    let mut redirects = 0;
    let relay = StandIn::start(move |_| {
        redirects += 1;
        let (status, body) = if redirects <= 4 {
            (301, "")
        } else {
            (200, "{}")
        };
        Answer::from((status, body.to_owned())).header("Location", "https://relay.example/apps?a=b")
    })
    .await;
    let (api, _agent) = start(&database, &relay).await;
    let mut admin = api.log_in("admin@tims.local").await;
    for conversation in [1, 2] {
        admin.write(conversation, "one").await;
    }
    api.everything_sent().await;
    assert_eq!(relay.arrived().len(), 6);
    let names_it = |line: &String| {
        line.contains("nothing is being taken")
            && line.contains("points to https://relay.example/apps (")
    };
    assert!(api.log().iter().any(names_it), "{:?}", api.log());
    let metrics = api.metrics().await;
    assert_eq!(metrics.sum("conversation_outbox_dead", &[]), 0.0);
    api.stop().await;
}

#[tokio::test]
async fn what_can_heal_is_tried_again_under_the_same_key_and_holds_back_what_follows() {
    for status in [401, 408, 429, 500, 503] {
        let database = Database::seeded(Kind::Sqlite).await;
        let mut failures = 0;
        let relay = StandIn::start(move |_| {
            failures += 1;
            if failures <= 2 {
                (status, "{}".into())
            } else {
                (200, "{}".into())
            }
        })
        .await;
        let (api, mut agent) = start(&database, &relay).await;
        agent.write(1, "one").await;
        relay.wait_for(1).await;
        agent.write(1, "two").await;
        api.everything_sent().await;
        assert_eq!(contents(&relay), ["one", "one", "one", "two"], "{status}");
        let arrived = relay.arrived();
        let keys: Vec<_> = arrived
            .iter()
            .map(|request| request.header("idempotency-key"))
            .collect();
        assert!(keys[0].is_some() && keys[0] == keys[1] && keys[1] == keys[2]);
        assert_ne!(keys[2], keys[3]);
        api.stop().await;
    }
}

#[tokio::test]
async fn one_conversation_that_fails_does_not_hold_back_others() {
    let database = Database::seeded(Kind::Sqlite).await;
    let relay = refused_content("poison", 500).await;
    let (api, mut agent) = start(&database, &relay).await;
    agent.write(1, "poison").await;
    relay.wait_for(1).await;
    let mut admin = api.log_in("admin@tims.local").await;
    for number in 0..5 {
        admin.write(2, &number.to_string()).await;
    }
    eventually("the other conversation's events", || async {
        let arrived = contents(&relay);
        let others: Vec<_> = arrived
            .iter()
            .filter(|content| *content != "poison")
            .collect();
        (others == ["0", "1", "2", "3", "4"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_message_that_is_too_long_for_an_event_is_announced_cut() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let mut agent = api.log_in("agent@tims.local").await;
    let mut client = relay.connect().await;
    agent.subscribe(&mut client, "private-conversation.1").await;
    // 4096 letters of three and of four bytes each: the relay takes 10 KB.
    let long = "नमस्ते ".repeat(585);
    let payload = meta::message("wamid.1", "491701000001", "Grace", &long);
    meta::deliver(&mut agent, &payload).await.expect_status(200);
    agent.write(1, &"🚲".repeat(4096)).await;
    agent.write(1, "short").await;
    for (name, whole) in [
        ("message.received", long),
        ("message.sent", "🚲".repeat(4096)),
    ] {
        let event = client.expect_event(name).await.data_json();
        assert_eq!(event["truncated"], true);
        let shown = event["content"].as_str().unwrap();
        assert!(whole.starts_with(shown) && shown.len() > 9000);
        let path = format!("/api/messages/{}", event["id"]);
        let message = agent.get(&path).await.expect_status(200).json();
        assert_eq!(message["content"], whole);
    }
    let event = client.expect_event("message.sent").await.data_json();
    assert_eq!(event["content"], "short");
    assert_eq!(event.get("truncated"), None);
    let metrics = api.metrics().await;
    assert_eq!(metrics.sum("conversation_outbox_dead", &[]), 0.0);
    api.stop().await;
    relay.finish().await;
}
