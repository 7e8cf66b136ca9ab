//! The Graph API's side of sending, and what becomes of messages.

use protocol_tests::{WsClient, eventually};
use serde_json::{Value, json};

use super::api::Builder;
use super::stand_in::Arrived;
use super::{Api, Database, Desk, StandIn, meta};

/// A process that sends to a stand-in, and an agent who is logged in.
pub(crate) async fn start(database: &Database, graph: &StandIn) -> (Api, Desk) {
    start_with(database, graph, |api| api).await
}

/// The same, with more settings.
pub(crate) async fn start_with(
    database: &Database,
    graph: &StandIn,
    more: impl FnOnce(Builder) -> Builder,
) -> (Api, Desk) {
    let api = Api::on(database)
        .set("WHATSAPP_TOKEN", "the access token")
        .set("WHATSAPP_PHONE_NUMBER_ID", meta::NUMBER)
        .set(
            "WHATSAPP_GRAPH_URL",
            &format!("http://{}/v23.0/", graph.authority),
        );
    let api = more(api).start().await;
    let agent = api.log_in("agent@tims.local").await;
    (api, agent)
}

/// Takes every text, and calls it by it.
pub(crate) fn takes(arrived: &Arrived) -> (u16, String) {
    let text = arrived.body["text"]["body"].as_str().unwrap_or_default();
    let answer =
        json!({"messaging_product": "whatsapp", "messages": [{"id": format!("wamid.{text}")}]});
    (200, answer.to_string())
}

/// Refuses with one of Meta's errors.
pub(crate) fn refusal(status: u16, code: i64, message: &str) -> (u16, String) {
    let error = json!({"message": message, "code": code, "type": "OAuthException"});
    (status, json!({"error": error}).to_string())
}

/// A message, as it is now.
pub(crate) async fn message(desk: &mut Desk, id: i64) -> Value {
    let path = format!("/api/messages/{id}");
    desk.get(&path).await.expect_status(200).json()
}

/// Waits until a message has this status.
pub(crate) async fn status_becomes(desk: &Desk, id: i64, expected: &str) {
    eventually(&format!("message {id} to be {expected}"), || async {
        (message(&mut desk.another(), id).await["status"] == expected).then_some(())
    })
    .await;
}

/// The next `message.updated` of a message that is so, whatever comes before it.
pub(crate) async fn updated(
    client: &mut WsClient,
    id: i64,
    is_it: impl Fn(&Value) -> bool,
) -> Value {
    loop {
        let event = client.next_events(1).await.remove(0);
        let data = event.data_json();
        if event.name == "message.updated" && data["id"] == id && is_it(&data) {
            return data;
        }
    }
}
