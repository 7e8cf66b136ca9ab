//! Somebody who uses the desk: one connection, and a token after logging in.

use protocol_tests::{HttpClient, Request, Response, WsClient};
use serde_json::{Value, json};

/// A user of the endpoints.
pub(crate) struct Desk {
    http: HttpClient,
    pub(crate) token: Option<String>,
}

impl Desk {
    pub(crate) fn new(http: HttpClient) -> Desk {
        Desk { http, token: None }
    }

    /// Another connection with the same token.
    pub(crate) fn another(&self) -> Desk {
        Desk {
            http: HttpClient::new(self.http.endpoint().clone()),
            token: self.token.clone(),
        }
    }

    /// Logs in with the password of the demonstration data.
    pub(crate) async fn log_in(&mut self, email: &str) -> Value {
        let body = json!({"email": email, "password": "password123"});
        let answer = self
            .post("/api/auth/login", &body)
            .await
            .expect_status(200)
            .json();
        self.token = Some(answer["token"].as_str().expect("a token").to_owned());
        answer["user"].clone()
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.send(Request::new("GET", path)).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Response {
        self.send(Request::new("POST", path).json(body)).await
    }

    /// Sends a form.
    pub(crate) async fn form(&mut self, path: &str, body: &str) -> Response {
        let kind = "application/x-www-form-urlencoded";
        let request = Request::new("POST", path).header("Content-Type", kind);
        self.send(request.body(body)).await
    }

    /// Sends any request, with the token if there is one.
    pub(crate) async fn send(&mut self, request: Request) -> Response {
        let request = match &self.token {
            Some(token) => request.header("Authorization", &format!("Bearer {token}")),
            None => request,
        };
        self.http.send(&request).await
    }

    /// Writes in a conversation; returns the message's id.
    pub(crate) async fn write(&mut self, conversation: i64, content: &str) -> i64 {
        let body = json!({"conversation_id": conversation, "type": "text", "content": content});
        let response = self.post("/api/messages/send", &body).await;
        let message = response.expect_status(201).json();
        message["id"].as_i64().expect("an id")
    }

    /// Asks for the right to subscribe.
    pub(crate) async fn authorise(&mut self, socket_id: &str, channel: &str) -> Response {
        let body = json!({"socket_id": socket_id, "channel_name": channel});
        self.post("/broadcasting/auth", &body).await
    }

    /// Subscribes a client of the relay with this user's rights.
    pub(crate) async fn subscribe(&mut self, client: &mut WsClient, channel: &str) {
        let socket_id = client.socket_id.clone();
        let answer = self
            .authorise(&socket_id, channel)
            .await
            .expect_status(200)
            .json();
        let auth = answer["auth"].as_str();
        client
            .send_subscribe(channel, auth, answer["channel_data"].as_str())
            .await;
        client.expect_subscribed(channel).await;
    }
}
