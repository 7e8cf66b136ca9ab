//! What agents write besides texts.

use protocol_tests::TestServer;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::graph::{message, start_with, status_becomes};
use crate::support::stand_in::Arrived;
use crate::support::{Api, Database, Kind, StandIn};

const SEND: &str = "/api/messages/send";

/// A file of templates.
fn templates(list: &Value) -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("templates.json");
    std::fs::write(&file, list.to_string()).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (directory, file)
}

fn with(template: &Value) -> Value {
    json!({"conversation_id": 1, "type": "template", "template": template})
}

fn accepts(_: &Arrived) -> (u16, String) {
    (200, json!({"messages": [{"id": "wamid.1"}]}).to_string())
}

#[tokio::test]
async fn a_note_is_announced_and_stays_at_the_desk() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let graph = StandIn::start(accepts).await;
    let (api, mut agent) = start_with(&database, &graph, |api| api.relay(&relay)).await;
    let mut client = relay.connect().await;
    agent.subscribe(&mut client, "private-conversation.1").await;
    let note = json!({"conversation_id": 1, "type": "note", "content": "VIP"});
    let stored = agent.post(SEND, &note).await.expect_status(201).json();
    assert_eq!(stored["type"], "note");
    assert_eq!(
        (&stored["direction"], &stored["status"]),
        (&json!("outbound"), &Value::Null)
    );
    let event = client.expect_event("message.sent").await.data_json();
    assert_eq!(event, stored);
    let id = agent.write(1, "for the customer").await;
    status_becomes(&agent, id, "sent").await;
    assert_eq!(graph.arrived().len(), 1, "the note was not sent");
    let retry = format!("/api/messages/{}/retry", stored["id"]);
    agent.post(&retry, &json!({})).await.expect_status(409);
    // What is resolved stays so with a note.
    agent
        .post("/api/conversations/1/resolve", &json!({}))
        .await
        .expect_status(200);
    agent.post(SEND, &note).await.expect_status(201);
    let conversation = agent.get("/api/conversations/1").await.json();
    assert_eq!(conversation["status"], "closed");
    agent.write(1, "and again").await;
    let conversation = agent.get("/api/conversations/1").await.json();
    assert_eq!(conversation["status"], "open");
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn a_template_is_filled_in_and_sent_as_one() {
    let (_directory, file) = templates(&json!([
        {"name": "order_ready", "language": "de", "body": "Hallo {{1}}, {{2}} ist da."},
        {"name": "hello", "language": "en_US", "body": "Hello!"},
    ]));
    let database = Database::seeded(Kind::Sqlite).await;
    let graph = StandIn::start(accepts).await;
    let (api, mut agent) = start_with(&database, &graph, |api| {
        api.set("WHATSAPP_TEMPLATES", &file)
    })
    .await;
    let listed = agent.get("/api/templates").await.expect_status(200).json();
    assert_eq!(
        listed,
        json!({"data": [
            {"name": "order_ready", "language": "de", "body": "Hallo {{1}}, {{2}} ist da.", "parameters": 2},
            {"name": "hello", "language": "en_US", "body": "Hello!", "parameters": 0},
        ]})
    );
    let order =
        json!({"name": "order_ready", "language": "de", "parameters": ["Grace", "das Rad"]});
    let sent = agent
        .post(SEND, &with(&order))
        .await
        .expect_status(201)
        .json();
    assert_eq!(sent["content"], "Hallo Grace, das Rad ist da.");
    assert_eq!(sent["type"], "template");
    let arrived = graph.wait_for(1).await;
    assert_eq!(
        arrived[0].body,
        json!({
            "messaging_product": "whatsapp", "recipient_type": "individual", "to": "491701000001",
            "type": "template",
            "template": {
                "name": "order_ready", "language": {"code": "de"},
                "components": [{"type": "body", "parameters": [
                    {"type": "text", "text": "Grace"}, {"type": "text", "text": "das Rad"},
                ]}],
            },
        })
    );
    api.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_template_is_reported() {
    let (_directory, file) = templates(&json!([
        {"name": "order_ready", "language": "de", "body": "Hallo {{1}}, {{2}} ist da."},
        {"name": "hello", "language": "en_US", "body": "Hello!"},
    ]));
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database)
        .set("WHATSAPP_TEMPLATES", &file)
        .start()
        .await;
    let mut agent = api.log_in("agent@tims.local").await;
    let before = database.contents().await;
    let required = "The template field is required.";
    for (wrong, field, text) in [
        (json!(null), "template", required),
        (
            json!("hello"),
            "template",
            "The template field must be an object.",
        ),
        (json!({}), "template", "The selected template is invalid."),
        (
            json!({"name": "hello", "language": "de"}),
            "template",
            "The selected template is invalid.",
        ),
        (
            json!({"name": "order_ready", "language": "de"}),
            "template.parameters",
            "The template.parameters field must have 2 texts",
        ),
        (
            json!({"name": "order_ready", "language": "de", "parameters": ["a", ""]}),
            "template.parameters",
            "The template.parameters",
        ),
        (
            json!({"name": "order_ready", "language": "de", "parameters": ["a", 7]}),
            "template.parameters",
            "The template.parameters",
        ),
        (
            json!({"name": "order_ready", "language": "de", "parameters": ["a", "b\nc"]}),
            "template.parameters",
            "The template.parameters",
        ),
        (
            json!({"name": "order_ready", "language": "de", "parameters": "ab"}),
            "template.parameters",
            "The template.parameters",
        ),
        (
            json!({"name": "hello", "language": "en_US", "parameters": ["a"]}),
            "template.parameters",
            "The template.parameters field must have 0 texts",
        ),
    ] {
        let answer = agent
            .post(SEND, &with(&wrong))
            .await
            .expect_status(422)
            .json();
        let error = answer["errors"][field][0].as_str().unwrap_or_default();
        assert!(error.starts_with(text), "{answer}");
    }
    assert_eq!(database.contents().await, before);
    api.stop().await;
}

#[tokio::test]
async fn a_failed_template_goes_again_as_a_template() {
    let (_directory, file) =
        templates(&json!([{"name": "hello", "language": "en_US", "body": "Hello {{1}}!"}]));
    let database = Database::seeded(Kind::Sqlite).await;
    let mut number = 0;
    let graph = StandIn::start(move |arrived| {
        number += 1;
        match number {
            1 => (400, "{}".into()),
            _ => accepts(arrived),
        }
    })
    .await;
    let (api, mut agent) = start_with(&database, &graph, |api| {
        api.set("WHATSAPP_TEMPLATES", &file)
    })
    .await;
    let body = json!({"conversation_id": 1, "type": "template",
        "template": {"name": "hello", "language": "en_US", "parameters": ["Ada"]}});
    let sent = agent.post(SEND, &body).await.expect_status(201).json();
    let id = sent["id"].as_i64().unwrap();
    status_becomes(&agent, id, "failed").await;
    let retry = format!("/api/messages/{id}/retry");
    agent.post(&retry, &json!({})).await.expect_status(200);
    status_becomes(&agent, id, "sent").await;
    assert_eq!(message(&mut agent, id).await["content"], "Hello Ada!");
    let arrived = graph.arrived();
    assert_eq!(arrived[0].body, arrived[1].body);
    api.stop().await;
}

#[tokio::test]
async fn without_templates_there_are_none_and_a_wrong_file_is_named() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut agent = api.log_in("agent@tims.local").await;
    let listed = agent.get("/api/templates").await.expect_status(200).json();
    assert_eq!(listed, json!({"data": []}));
    api.stranger()
        .get("/api/templates")
        .await
        .expect_status(401);
    api.stop().await;
    let exit = Api::on(&database)
        .set("WHATSAPP_TEMPLATES", "/nowhere.json")
        .start_and_exit()
        .await;
    assert_eq!(exit.code, Some(64));
    assert!(
        exit.log.join("\n").contains("WHATSAPP_TEMPLATES: "),
        "{:?}",
        exit.log
    );
}
