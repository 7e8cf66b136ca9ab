//! Mistakes in masses: each is answered, none is logged, and who does not read the answers is dropped.

use protocol_tests::{
    AppConfig, Close, Frame, HttpClient, Opcode, PublishedEvent, Request, TestServer, WsClient,
    eventually, within,
};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{assert_log_is_quiet, assert_unharmed, scrape, series};

const MISTAKES: [&str; 8] = [
    "nonsense",
    "{}",
    r#"{"event":"pusher:nonsense"}"#,
    r#"{"event":"pusher:subscribe"}"#,
    r#"{"event":"pusher:subscribe","data":{"channel":"private-a","auth":"key-10001:00"}}"#,
    r#"{"event":"pusher:subscribe","data":{"channel":"bad name"}}"#,
    r#"{"event":"client-x","channel":"private-a","data":1}"#,
    r#"{"event":"nonsense","channel":"a","data":"x"}"#,
];

#[tokio::test]
async fn flood_of_bad_messages_is_answered_one_by_one_and_not_logged() {
    let Some(server) = TestServer::builder().own_process().start().await else {
        return;
    };
    let mut client = server.connect().await;
    for _ in 0..100 {
        let mut bytes = Vec::new();
        for _ in 0..20 {
            for mistake in MISTAKES {
                bytes.extend(Frame::text(mistake).encode());
            }
        }
        client.socket.send_bytes(&bytes).await;
        for event in client.next_events(20 * MISTAKES.len()).await {
            let is_refusal =
                ["pusher:error", "pusher:subscription_error"].contains(&event.name.as_str());
            assert!(is_refusal, "{}", event.text);
        }
    }
    client.expect_nothing().await;
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn flood_of_bad_sign_ins_and_upgrades_is_not_logged() {
    let Some(server) = TestServer::builder().own_process().start().await else {
        return;
    };
    for number in 0..200 {
        let mut client = server.connect().await;
        let data = json!({"auth": "key-10001:00", "user_data": "{\"id\":\"u1\"}"});
        client.send_event("pusher:signin", data).await;
        client.expect_close_code(4009).await;
        let unknown = protocol_tests::Upgrade::new(&format!("/app/unknown-{number}?protocol=7"));
        let (_, close) = server.open_refused(&unknown).await;
        assert_eq!(close.code, Some(4001));
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

/// Sends until the server ends the connection, reading nothing.
async fn send_until_dropped(client: &mut WsClient, message: &str) {
    let bytes = Frame::text(message).encode().repeat(500);
    within("the server to drop a client that does not read", async {
        while client.socket.connection().try_send(&bytes).await.is_ok() {}
    })
    .await;
}

#[tokio::test]
async fn flood_whose_answers_are_not_read_is_dropped_and_harms_nobody() {
    let app = AppConfig::new("10001").limit("outbox_bytes", 64 << 10);
    let Some(server) = TestServer::builder()
        .app(app)
        .set("server.workers", 1)
        .set("server.close_timeout", 1)
        .start()
        .await
    else {
        return;
    };
    let mut healthy = server.connect().await;
    for message in ["nonsense", r#"{"event":"pusher:ping"}"#] {
        let mut flooder = server.connect().await;
        send_until_dropped(&mut flooder, message).await;
        healthy.expect_nothing().await;
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn flood_of_client_events_is_held_to_its_rate() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let mut sender = server.connect().await;
    let mut receiver = server.connect().await;
    sender.subscribe(&channel).await;
    receiver.subscribe(&channel).await;
    let started = Instant::now();
    let message = json!({"event": "client-flood", "channel": channel, "data": "x"}).to_string();
    let bytes = Frame::text(&message).encode().repeat(100);
    for _ in 0..20 {
        sender.socket.send_bytes(&bytes).await;
    }
    let refusals = sender.ping_fence().await;
    for refusal in &refusals {
        assert_eq!(refusal.error_code(), Some(4301), "{}", refusal.text);
    }
    let forwarded = 2000 - refusals.len();
    // Ten at once and ten a second; the clock ran on until the last was read.
    let allowed = 10 + 10 * (started.elapsed().as_secs() as usize + 1);
    assert!(
        (10..=allowed).contains(&forwarded),
        "{forwarded} of at most {allowed}"
    );
    let received = receiver.next_events(forwarded).await;
    assert!(received.iter().all(|event| event.name == "client-flood"));
    receiver.expect_nothing().await;
    assert_unharmed(&server).await;
    server.finish().await;
}

async fn send_bad_requests(server: &TestServer, http: &mut HttpClient, count: usize) {
    let app = server.app();
    let event = PublishedEvent::new("public", "x", "");
    for number in 0..count {
        let event = event
            .clone()
            .with("name", format!("pusher:{number}").into());
        let (request, status) = match number % 6 {
            0 => (Request::post(app, "/events").json(event.body()), 400),
            1 => (Request::post(app, "/events").body("nonsense"), 400),
            2 => (Request::get(app, "/channels").secret("a guess"), 401),
            3 => (
                Request::get(app, "/channels").timestamp(&number.to_string()),
                401,
            ),
            4 => (Request::new("GET", &format!("/nowhere/{number}")), 404),
            _ => (
                Request::new("GET", &format!("/apps/unknown-{number}/channels")),
                404,
            ),
        };
        http.send(&request).await.expect_status(status);
    }
}

#[tokio::test]
async fn flood_of_bad_requests_is_answered_and_neither_logged_nor_counted_by_name() {
    let Some(server) = TestServer::builder().own_process().start().await else {
        return;
    };
    let mut http = server.http();
    send_bad_requests(&server, &mut http, 6).await;
    let before = series(&scrape(&server).await);
    send_bad_requests(&server, &mut http, 3000).await;
    let after = scrape(&server).await;
    assert_eq!(series(&after), before, "no label set was added");
    assert!(!after.contains("unknown-"), "{after}");
    assert_eq!(http.opened(), 1);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn flood_of_malformed_heads_is_not_logged() {
    let Some(server) = TestServer::builder().own_process().start().await else {
        return;
    };
    for _ in 0..300 {
        let mut connection = server.connection().await;
        let _refused_early = connection.try_send(b"NONSENSE\0\r\n\r\n").await;
        connection.receive_to_end().await;
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn subscribing_and_leaving_in_a_flood_keeps_the_counts_right() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut watcher = server.connect().await;
    watcher
        .subscribe_presence(&channel, "watcher", json!({}))
        .await;
    let mut client = server.connect().await;
    let subscribe = {
        let channel_data = r#"{"user_id":"u1"}"#;
        let auth = client
            .app
            .channel_auth(&client.socket_id, &channel, Some(channel_data));
        let data = json!({"channel": channel, "auth": auth, "channel_data": channel_data});
        Frame::text(&json!({"event": "pusher:subscribe", "data": data}).to_string()).encode()
    };
    let leave = json!({"event": "pusher:unsubscribe", "data": {"channel": channel}});
    let leave = Frame::text(&leave.to_string()).encode();
    let bytes = [subscribe, leave].concat().repeat(500);
    client.socket.send_bytes(&bytes).await;
    client.ping_fence().await;
    let path = format!("/channels/{channel}");
    let info = [("info", "user_count,subscription_count")];
    let alone = json!({"occupied": true, "user_count": 1, "subscription_count": 1});
    // A leave that overtakes the answer to its subscription is done when that comes.
    eventually("the flood to have left", || async {
        (server.get(&path, &info).await == alone).then_some(())
    })
    .await;
    let mut present = false;
    for event in watcher.fence().await {
        let came = event.name == "pusher_internal:member_added";
        assert_ne!(came, present, "{}", event.text);
        present = came;
    }
    assert!(!present);
    assert_log_is_quiet(&server);
    server.finish().await;
}

#[tokio::test]
async fn leaving_and_coming_back_as_another_user_in_one_write_is_being_that_user() {
    let server = TestServer::start().await;
    for _ in 0..20 {
        let channel = server.channel("presence-");
        let mut client = server.connect().await;
        let subscribe = |user: &str| {
            let channel_data = json!({"user_id": user}).to_string();
            let auth = client
                .app
                .channel_auth(&client.socket_id, &channel, Some(&channel_data));
            let data = json!({"channel": channel, "auth": auth, "channel_data": channel_data});
            Frame::text(&json!({"event": "pusher:subscribe", "data": data}).to_string()).encode()
        };
        let leave = json!({"event": "pusher:unsubscribe", "data": {"channel": channel}});
        let leave = Frame::text(&leave.to_string()).encode();
        let bytes = [subscribe("first"), leave, subscribe("second")].concat();
        client.socket.send_bytes(&bytes).await;
        client.ping_fence().await;
        let path = format!("/channels/{channel}/users");
        let second = json!({"users": [{"id": "second"}]});
        eventually("the second user, and no other, to be present", || async {
            (server.get(&path, &[]).await == second).then_some(())
        })
        .await;
    }
    assert_log_is_quiet(&server);
    server.finish().await;
}

#[tokio::test]
async fn closes_in_a_flood_end_each_connection_once() {
    let Some(server) = TestServer::builder().own_process().start().await else {
        return;
    };
    for _ in 0..100 {
        let mut client = server.connect().await;
        let bytes = Frame::close(1000, "bye").encode().repeat(50);
        let _closed_meanwhile = client.socket.connection().try_send(&bytes).await;
        let frame = client.socket.read().await;
        let frame = frame.unwrap_or_else(|ended| panic!("no close frame: {ended}"));
        assert_eq!(frame.opcode, Opcode::CLOSE);
        assert_eq!(Close::parse(&frame.payload).code, Some(1000));
    }
    assert_unharmed(&server).await;
    server.finish().await;
}
