//! Traffic of every kind, so that everything that is counted is.

use protocol_tests::{App, PublishedEvent, Request, TestServer, WsClient};
use serde_json::json;

/// Two clients on a private and a presence channel.
pub(crate) struct Traffic<'a> {
    server: &'a TestServer,
    first: WsClient,
    second: WsClient,
    private: String,
}

impl<'a> Traffic<'a> {
    pub(crate) async fn start(server: &'a TestServer) -> Traffic<'a> {
        let (private, presence) = (server.channel("private-"), server.channel("presence-"));
        let mut first = server.connect().await;
        let mut second = server.connect().await;
        for (client, user) in [(&mut first, "1"), (&mut second, "2")] {
            client.subscribe(&private).await;
            client
                .subscribe_presence(&presence, user, json!(null))
                .await;
        }
        first.wait_for_event("pusher_internal:member_added").await;
        Traffic {
            server,
            first,
            second,
            private,
        }
    }

    /// A publish that reaches both, a client event that reaches one, and what is refused of either kind.
    pub(crate) async fn go_on(&mut self) {
        let (server, private) = (self.server, &self.private);
        server
            .publish(PublishedEvent::new(private, "greeting", "hello"))
            .await;
        self.first.wait_for_event("greeting").await;
        self.first
            .send_client_event(private, "client-typing", json!({}))
            .await;
        self.second.wait_for_event("client-typing").await;
        self.second
            .send_subscribe("private-x", Some("wrong:signature"), None)
            .await;
        self.second.expect_subscription_error("private-x").await;
        let stranger = App {
            secret: "wrong".to_owned(),
            ..server.app().clone()
        };
        let event = PublishedEvent::new(private, "greeting", "hello");
        let request = Request::post(&stranger, "/events").json(event.body());
        server.request(&request).await.expect_status(401);
        let request = Request::post(server.app(), "/events").json(&json!({"name": "x"}));
        server.request(&request).await.expect_status(400);
    }
}
