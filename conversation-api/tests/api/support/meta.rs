//! Meta's side of the webhook.

use protocol_tests::sign::hmac_sha256_hex;
use protocol_tests::{Request, Response};
use serde_json::{Value, json};

use super::Desk;
use super::api::APP_SECRET;

pub(crate) const PATH: &str = "/api/webhooks/whatsapp";

/// A webhook with this change.
pub(crate) fn webhook(value: Value) -> Value {
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "0", "changes": [{"field": "messages", "value": value}]}],
    })
}

/// A webhook with a customer's message.
pub(crate) fn message(id: &str, phone: &str, name: &str, text: &str) -> Value {
    webhook(json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550100", "phone_number_id": "1"},
        "contacts": [{"profile": {"name": name}, "wa_id": phone}],
        "messages": [{
            "from": phone, "id": id, "timestamp": "1700000000", "type": "text",
            "text": {"body": text},
        }],
    }))
}

/// A webhook that reports what became of a message.
pub(crate) fn status(id: &str, status: &str) -> Value {
    webhook(json!({
        "messaging_product": "whatsapp",
        "statuses": [{"id": id, "status": status, "timestamp": "1", "recipient_id": "49"}],
    }))
}

/// The request that Meta would make.
pub(crate) fn signed(body: impl Into<Vec<u8>>) -> Request {
    let body = body.into();
    let signature = format!("sha256={}", hmac_sha256_hex(APP_SECRET, &body));
    Request::new("POST", PATH)
        .header("X-Hub-Signature-256", &signature)
        .body(body)
}

/// Delivers a webhook.
pub(crate) async fn deliver(desk: &mut Desk, payload: &Value) -> Response {
    desk.send(signed(payload.to_string())).await
}
