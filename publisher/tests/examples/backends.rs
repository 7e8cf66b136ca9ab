//! The backends of the examples authorise clients of a relay and take its webhooks.

use protocol_tests::sign::hmac_sha256_hex;
use protocol_tests::subject::Endpoint;
use protocol_tests::{
    AppConfig, HttpClient, Request, Response, TestServer, WebhookConfig, WsClient, or_skip,
};
use serde_json::{Value, json};

use crate::program::Program;

/// A backend, and the relay whose app it has.
struct World {
    backend: Program,
    http: HttpClient,
    relay: TestServer,
}

impl World {
    async fn post(&mut self, path: &str, token: &str, form: &str) -> Response {
        let request = Request::new("POST", path)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .header("Authorization", &format!("Bearer {token}"))
            .body(form);
        self.http.send(&request).await
    }

    /// What the backend answers to a client that wants to subscribe.
    async fn channel_auth(&mut self, client: &WsClient, token: &str, channel: &str) -> Response {
        let form = format!("socket_id={}&channel_name={channel}", client.socket_id);
        self.post("/broadcasting/auth", token, &form).await
    }

    async fn authorises_channels(&mut self) {
        let mut ann = self.relay.connect().await;
        let auth = self.channel_auth(&ann, "ann", "private-user.ann").await;
        let auth = auth.expect_status(200).json();
        ann.send_subscribe("private-user.ann", auth["auth"].as_str(), None)
            .await;
        ann.expect_subscribed("private-user.ann").await;

        let auth = self.channel_auth(&ann, "ann", "presence-room").await;
        let auth = auth.expect_status(200).json();
        let data = auth["channel_data"].as_str();
        ann.send_subscribe("presence-room", auth["auth"].as_str(), data)
            .await;
        let roster = ann.expect_subscribed("presence-room").await.data_json();
        assert_eq!(roster["presence"]["hash"], json!({"ann": {"name": "ann"}}));

        for (token, channel, status) in [
            ("bob", "private-user.ann", 403),
            ("ann", "news", 403),
            ("eve", "presence-room", 401),
        ] {
            let refused = self.channel_auth(&ann, token, channel).await;
            refused.expect_status(status);
        }
        let form = "socket_id=1:presence-x&channel_name=presence-room";
        let refused = self.post("/broadcasting/auth", "ann", form).await;
        assert!([400, 422].contains(&refused.status), "{refused:?}");
    }

    async fn signs_users_in(&mut self) {
        let mut bob = self.relay.connect().await;
        let form = format!("socket_id={}", bob.socket_id);
        let refused = self.post("/broadcasting/user-auth", "eve", &form).await;
        refused.expect_status(401);
        let auth = self.post("/broadcasting/user-auth", "bob", &form).await;
        let auth: Value = auth.expect_status(200).json();
        bob.send_event("pusher:signin", auth).await;
        bob.expect_event("pusher:signin_success").await;
    }

    async fn takes_webhooks(&mut self) {
        let mut client = self.relay.connect().await;
        client.subscribe("private-news").await;
        let occupied = r#"ChannelOccupied { channel: "private-news" }"#;
        while self.backend.line().await != occupied {}
        let body = r#"{"time_ms":1,"events":[]}"#;
        let app = self.relay.app().clone();
        for (secret, status) in [(app.secret.as_str(), 200), ("another", 401)] {
            let request = Request::new("POST", "/webhooks/pusher")
                .header("X-Pusher-Key", &app.key)
                .header(
                    "X-Pusher-Signature",
                    &hmac_sha256_hex(secret, body.as_bytes()),
                )
                .body(body);
            self.http.send(&request).await.expect_status(status);
        }
    }
}

async fn works(example: &str) {
    let app = AppConfig::new("10001");
    let pair = app.app();
    let mut backend = Program::start(
        example,
        &[
            ("PUSHER_APP_ID", &pair.id),
            ("PUSHER_APP_KEY", &pair.key),
            ("PUSHER_APP_SECRET", &pair.secret),
            ("LISTEN", "127.0.0.1:0"),
        ],
    );
    let line = backend.line().await;
    let url = line.strip_prefix("listening on ").unwrap();
    let webhook = format!("{url}/webhooks/pusher");
    let app = app.webhook(WebhookConfig::new(&webhook, &["channel_occupied"]));
    let relay = or_skip!(TestServer::builder().app(app).start().await);
    let mut world = World {
        backend,
        http: HttpClient::new(Endpoint::parse(url)),
        relay,
    };
    world.authorises_channels().await;
    world.signs_users_in().await;
    world.takes_webhooks().await;
    world.relay.finish().await;
}

#[tokio::test]
async fn axum() {
    works("axum_backend").await;
}

#[tokio::test]
async fn actix_web() {
    works("actix_backend").await;
}
