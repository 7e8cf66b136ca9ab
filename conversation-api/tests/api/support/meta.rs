//! Meta's side of the webhook.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol_tests::sign::hmac_sha256_hex;
use protocol_tests::{Request, Response};
use serde_json::{Value, json};

use super::Desk;
use super::api::APP_SECRET;

/// Meta's id of the desk's number.
pub(crate) const NUMBER: &str = "15550100";

pub(crate) const PATH: &str = "/api/webhooks/whatsapp";

/// A webhook with this change.
pub(crate) fn webhook(value: Value) -> Value {
    json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "0", "changes": [{"field": "messages", "value": value}]}],
    })
}

/// A webhook with a customer's text.
pub(crate) fn message(id: &str, phone: &str, name: &str, text: &str) -> Value {
    let mut payload = other_message(id, phone, "text", json!({"body": text}));
    payload["entry"][0]["changes"][0]["value"]["contacts"][0]["profile"]["name"] = json!(name);
    payload
}

/// A webhook with a customer's message of any kind, written now.
pub(crate) fn other_message(id: &str, phone: &str, kind: &str, body: Value) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut message = json!({
        "from": phone, "id": id, "timestamp": now.as_secs().to_string(), "type": kind,
    });
    message[kind] = body;
    webhook(json!({
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "15550100", "phone_number_id": NUMBER},
        "contacts": [{"profile": {"name": "Grace"}, "wa_id": phone}],
        "messages": [message],
    }))
}

/// Changes the message of a webhook.
pub(crate) fn with(mut payload: Value, name: &str, value: Value) -> Value {
    payload["entry"][0]["changes"][0]["value"]["messages"][0][name] = value;
    payload
}

/// A webhook that reports why a message failed.
pub(crate) fn failure(id: &str, code: i64, title: &str, details: &str) -> Value {
    let error = json!({"code": code, "title": title, "message": title,
        "error_data": {"details": details}});
    webhook(json!({
        "messaging_product": "whatsapp",
        "statuses": [{"id": id, "status": "failed", "timestamp": "1", "recipient_id": "49",
            "errors": [error]}],
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
