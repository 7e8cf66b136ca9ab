//! Mistakes in masses: each is answered, none is logged, and who does not read the answers is dropped.

use std::time::Duration;

use protocol_tests::{
    AppConfig, Close, Frame, HttpClient, Opcode, PublishedEvent, Request, TestServer, WsClient,
    eventually, or_skip, within,
};
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::support::{assert_log_is_quiet, assert_unharmed, resident_memory, scrape, series};

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
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let mut client = server.connect().await;
    // No more than may be sent at once.
    for _ in 0..15 {
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
    let server = or_skip!(TestServer::builder().own_process().start().await);
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
    let app = AppConfig::new("10001")
        .limit("outbox_bytes", 64 << 10)
        .limit("overrun_timeout", 1);
    let server = or_skip!(
        TestServer::builder()
            .app(app)
            .set("server.workers", 1)
            .set("server.close_timeout", 1)
            .start()
            .await
    );
    let mut healthy = server.connect().await;
    for message in ["nonsense", r#"{"event":"pusher:ping"}"#] {
        let mut flooder = server.connect().await;
        send_until_dropped(&mut flooder, message).await;
        healthy.expect_nothing().await;
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

/// Reads to the close, whatever comes before it.
async fn read_to_close(client: &mut WsClient) -> Close {
    within("the close", async {
        loop {
            let frame = client.socket.next().await;
            let frame = frame.unwrap_or_else(|ended| panic!("no close frame: {ended}"));
            if frame.opcode == Opcode::CLOSE {
                return Close::parse(&frame.payload);
            }
        }
    })
    .await
}

#[tokio::test]
async fn flood_of_any_kind_is_made_to_wait_and_closed_when_it_goes_on() {
    let app = AppConfig::new("10001")
        .limit("messages_per_second", 50)
        .limit("channels_per_connection", 10)
        .limit("overrun_timeout", 1);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let subscribe = |channel: &str| {
        json!({"event": "pusher:subscribe", "data": {"channel": channel}}).to_string()
    };
    let leave = json!({"event": "pusher:unsubscribe", "data": {"channel": "a"}}).to_string();
    let text = |message: &str| Frame::text(message).encode();
    let pair = [text(&subscribe("a")), text(&leave)].concat();
    let part = Frame::new(Opcode::CONTINUATION, *b"").unfinished().encode();
    let first = Frame::new(Opcode::TEXT, *b"{").unfinished().encode();
    let ping = Frame::new(Opcode::PING, *b"").encode();
    let pong = Frame::new(Opcode::PONG, *b"").encode();
    for (kind, before, message) in [
        ("ping", vec![], text(r#"{"event":"pusher:ping"}"#)),
        ("control", vec![], ping),
        ("control", vec![], pong),
        ("fragment", first, part),
        ("subscribe", vec![], text(&subscribe("a"))),
        ("subscribe", vec![], text(&subscribe("private-a"))),
        ("unsubscribe", vec![], text(&leave)),
        ("", vec![], pair),
        ("client_event", vec![], text(MISTAKES[6])),
        ("malformed", vec![], text("nonsense")),
    ] {
        let mut flooder = server.connect().await;
        let mut healthy = server.connect().await;
        let overruns = || async {
            let metrics = server.metrics().await;
            metrics.sum("fanfare_overruns_total", &[("kind", kind)])
        };
        let before_it = if kind.is_empty() {
            0.0
        } else {
            overruns().await
        };
        // What may come at once, and a few seconds' worth more.
        let bytes = [before, message.repeat(520 + 200)].concat();
        flooder.socket.send_bytes(&bytes).await;
        healthy.ping_fence().await;
        let close = read_to_close(&mut flooder).await;
        assert_eq!(close.code, Some(4100), "{kind}: {close:?}");
        assert!(close.reason.contains("messages_per_second"), "{close:?}");
        if !kind.is_empty() {
            assert_eq!(overruns().await, before_it + 1.0, "{kind}");
        }
    }
    let metrics = server.metrics().await;
    assert!(metrics.sum("fanfare_reads_paused_total", &[]) >= 10.0);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn flood_is_counted_once_however_long_its_client_takes_to_close() {
    let app = AppConfig::new("10001")
        .limit("messages_per_second", 50)
        .limit("channels_per_connection", 10)
        .limit("overrun_timeout", 1);
    let builder = TestServer::builder()
        .app(app)
        .set("server.close_timeout", 2);
    let server = or_skip!(builder.start().await);
    let mut flooder = server.connect().await;
    let ping = Frame::text(r#"{"event":"pusher:ping"}"#).encode();
    flooder.socket.send_bytes(&ping.repeat(520 + 200)).await;
    assert_eq!(read_to_close(&mut flooder).await.code, Some(4100));
    // It does not answer, and so has all the time that there is for that.
    flooder.socket.expect_end().await;
    let metrics = server.metrics().await;
    assert_eq!(metrics.sum("fanfare_overruns_total", &[]), 1.0);
    server.finish().await;
}

#[tokio::test]
async fn client_that_sends_too_much_for_a_moment_is_answered_to_the_last_message() {
    let app = AppConfig::new("10001")
        .limit("messages_per_second", 200)
        .limit("channels_per_connection", 10);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let mut client = server.connect().await;
    let count = 2020 + 200;
    let ping = Frame::text(r#"{"event":"pusher:ping"}"#).encode();
    client.socket.send_bytes(&ping.repeat(count)).await;
    for pong in client.next_events(count).await {
        assert_eq!(pong.name, "pusher:pong");
    }
    let metrics = server.metrics().await;
    assert!(metrics.sum("fanfare_reads_paused_total", &[("kind", "ping")]) >= 1.0);
    client.expect_nothing().await;
    server.finish().await;
}

/// Sends the same for some seconds as fast as the server takes it.
async fn flood(client: &mut WsClient, bytes: &[u8]) {
    let started = Instant::now();
    while started.elapsed().as_secs() < 3 {
        let sent = client.socket.connection().try_send(bytes);
        if !matches!(timeout(Duration::from_secs(1), sent).await, Ok(Ok(()))) {
            break;
        }
    }
}

#[tokio::test]
async fn flood_without_a_rate_starves_nobody_and_is_not_collected() {
    let app = AppConfig::new("10001").limit("messages_per_second", 1_000_000);
    let server = or_skip!(
        TestServer::builder()
            .app(app)
            .own_process()
            .set("server.workers", 1)
            .start()
            .await
    );
    let mut healthy = server.connect().await;
    let ping = Frame::new(Opcode::PING, *b"").encode();
    let again = json!({"event": "pusher:subscribe", "data": {"channel": "again"}}).to_string();
    let before = resident_memory(&server);
    for message in [Frame::text(&again).encode(), ping] {
        let mut flooder = server.connect().await;
        let bytes = message.repeat(1000);
        let mut took = Vec::new();
        tokio::join!(flood(&mut flooder, &bytes), async {
            for _ in 0..10 {
                let started = Instant::now();
                healthy.fence().await;
                took.push(started.elapsed());
            }
        });
        // All of them would take long for somebody who is starved; the machine may have been busy with one.
        took.sort();
        assert!(took[took.len() / 2] < Duration::from_secs(2), "{took:?}");
        let grown = resident_memory(&server).saturating_sub(before);
        assert!(grown < 32 << 20, "{grown} bytes more");
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
    let server = or_skip!(TestServer::builder().own_process().start().await);
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
    let server = or_skip!(TestServer::builder().own_process().start().await);
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
async fn coming_and_leaving_is_slowed_down_by_the_tabs_that_are_notified_and_not_by_their_users() {
    const TABS: usize = 60;
    /// More than may come at once, which is 30 messages' worth: each costs two, and twice four for the tabs.
    const PAIRS: usize = 4;
    let app = AppConfig::new("10001")
        .limit("messages_per_second", 1)
        .limit("channels_per_connection", 10);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let channel = server.channel("presence-");
    let mut tabs = Vec::new();
    for _ in 0..TABS {
        let mut tab = server.connect().await;
        tab.subscribe_presence(&channel, "u", json!({})).await;
        tabs.push(tab);
    }
    let mut guest = server.connect().await;
    for _ in 0..PAIRS {
        guest.subscribe_presence(&channel, "guest", json!({})).await;
        guest.unsubscribe(&channel).await;
    }
    eventually("the guest to be made to wait", || async {
        let metrics = server.metrics().await;
        let paused = metrics.sum("fanfare_reads_paused_total", &[]);
        (paused >= 1.0).then_some(())
    })
    .await;
    drop((guest, tabs));
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
    let server = or_skip!(TestServer::builder().own_process().start().await);
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
