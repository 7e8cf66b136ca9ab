//! Heartbeats: who is asked for a sign of life, how, and when. Pages, which say `client=js`, are asked by `pusher:ping`
//! and show by messages alone that they are there: a browser answers WebSocket pings for a page that is frozen, too.
//! Everybody else is asked by a WebSocket ping, and anything is an answer.

use std::time::{Duration, Instant};

use protocol_tests::client::channel_data;
use protocol_tests::{
    Close, Event, Frame, Opcode, PublishedEvent, Signal, Skipped, TestServer, WsClient, eventually,
    or_skip, within,
};
use serde_json::json;
use tokio::time::sleep;

use crate::support::upgrade;

const ACTIVITY_TIMEOUT: Duration = Duration::from_secs(1);
/// Timers may be coarse; a ping may come this much early.
const TOLERANCE: Duration = Duration::from_millis(150);

const PAGE: &str = "protocol=7&client=js&version=8.4.0&flash=false";
const OTHER: &str = "protocol=7&client=java-client&version=2.4.4";

/// Seconds in which a healthy client answers, however busy the machine is; one whose answers do not count is closed within
/// a test's patience.
const TO_ANSWER: i64 = 10;

async fn start(pong_timeout: i64) -> Result<TestServer, Skipped> {
    TestServer::builder()
        .set("server.activity_timeout", 1)
        .set("server.pong_timeout", pong_timeout)
        .start()
        .await
}

async fn connect(server: &TestServer, query: &str) -> WsClient {
    let app = server.app();
    server.connect_with(app, &upgrade(app, query)).await
}

/// The next thing that comes must be what asks this client for a sign of life.
async fn expect_ping(client: &mut WsClient, query: &str) {
    if query == PAGE {
        client.expect_event("pusher:ping").await;
    } else {
        let frame = client.socket.read().await.expect("the connection is open");
        assert_eq!(frame.opcode, Opcode::PING, "{frame:?}");
    }
}

async fn pong(client: &mut WsClient) {
    client.send_event("pusher:pong", json!({})).await;
}

/// The next event of a page that answers when it is asked for a sign of life, which on a busy machine it may be at any
/// time.
async fn next_event(page: &mut WsClient) -> Event {
    loop {
        let event = page.next_event().await;
        if event.name != "pusher:ping" {
            return event;
        }
        pong(page).await;
    }
}

/// Subscribes a page that answers meanwhile; to a presence channel as this user.
async fn subscribe(page: &mut WsClient, channel: &str, user: Option<&str>) {
    match user {
        Some(user) => {
            let data = channel_data(user, json!({}));
            page.send_signed_subscribe(channel, Some(&data)).await;
        }
        None => page.send_subscribe(channel, None, None).await,
    }
    let event = next_event(page).await;
    assert_eq!(
        (event.name.as_str(), event.channel.as_deref()),
        ("pusher_internal:subscription_succeeded", Some(channel)),
        "{}",
        event.text
    );
}

/// How often the client was asked for a sign of life until it was closed, and how that was.
async fn asked_until_closed(client: &mut WsClient, query: &str) -> (usize, Close) {
    let mut asked = 0;
    let closed = async {
        loop {
            let frame = client.socket.next().await.expect("the close comes first");
            asked += usize::from(match frame.opcode {
                Opcode::CLOSE => return Close::parse(&frame.payload),
                Opcode::TEXT if query == PAGE => {
                    Event::parse(frame.as_text()).name == "pusher:ping"
                }
                opcode => query != PAGE && opcode == Opcode::PING,
            });
        }
    };
    let close = within("the close", closed).await;
    (asked, close)
}

#[tokio::test]
async fn idle_client_is_pinged_after_the_activity_timeout() {
    let server = or_skip!(start(30).await);
    for query in [PAGE, OTHER] {
        let began = Instant::now();
        let mut client = connect(&server, query).await;
        assert_eq!(client.activity_timeout, 1);
        expect_ping(&mut client, query).await;
        let waited = began.elapsed();
        assert!(waited >= ACTIVITY_TIMEOUT - TOLERANCE, "{waited:?}");
    }
    server.finish().await;
}

#[tokio::test]
async fn who_is_no_page_or_sends_nothing_gets_a_websocket_ping() {
    let server = or_skip!(start(30).await);
    let mut clients = Vec::new();
    for query in [
        "protocol=7&client=java-client&version=2.4.4",
        "protocol=5&client=pusher-websocket-swift&version=10.1.5",
        "protocol=7",
        "version=1.0",
        "protocol=7&client=&version=1",
        "protocol=7&client=JS",
        // It knew no pusher:ping yet.
        "protocol=4&client=js&version=1.11",
    ] {
        clients.push(connect(&server, query).await);
    }
    for client in &mut clients {
        expect_ping(client, OTHER).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn client_that_does_not_answer_is_closed_with_4201() {
    // Soketi dropped it without a code.
    let server = or_skip!(start(1).await);
    for query in [PAGE, OTHER] {
        let began = Instant::now();
        let mut client = connect(&server, query).await;
        let channel = server.channel("public-");
        client.send_subscribe(&channel, None, None).await;
        let (asked, close) = asked_until_closed(&mut client, query).await;
        assert_eq!(close.code, Some(4201), "{close:?}");
        assert!(!close.reason.is_empty(), "a close carries a reason text");
        assert!(asked > 0, "it was not asked for a sign of life");
        let waited = began.elapsed();
        assert!(
            waited >= ACTIVITY_TIMEOUT + Duration::from_secs(1) - TOLERANCE,
            "{close:?} after {waited:?}"
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn socket_that_never_subscribed_is_treated_the_same() {
    // Reverb neither pinged nor reaped it.
    let server = or_skip!(start(1).await);
    let mut client = connect(&server, PAGE).await;
    expect_ping(&mut client, PAGE).await;
    client.expect_close_code(4201).await;
    server.finish().await;
}

#[tokio::test]
async fn client_that_answers_stays() {
    // Soketi closed it with 4201 all the same.
    let server = or_skip!(start(TO_ANSWER).await);
    let mut client = connect(&server, PAGE).await;
    subscribe(&mut client, &server.channel("public-"), None).await;
    for _ in 0..4 {
        expect_ping(&mut client, PAGE).await;
        pong(&mut client).await;
    }
    let seen = client.fence().await;
    let asks = |event: &Event| event.name == "pusher:ping";
    assert!(seen.iter().all(asks), "{seen:?}");
    server.finish().await;
}

#[tokio::test]
async fn any_message_is_a_pages_answer() {
    let server = or_skip!(start(TO_ANSWER).await);
    let mut client = connect(&server, PAGE).await;
    for answer in [
        r#"{"event":"pusher:unsubscribe","data":{"channel":"x"}}"#,
        r#"{"event":"pusher:pong","data":"{}"}"#,
    ] {
        expect_ping(&mut client, PAGE).await;
        client.send_text(answer).await;
    }
    expect_ping(&mut client, PAGE).await;
    server.finish().await;
}

#[tokio::test]
async fn anything_is_the_answer_of_others() {
    let server = or_skip!(start(TO_ANSWER).await);
    let mut client = connect(&server, OTHER).await;
    for answer in [
        Frame::new(Opcode::PONG, []),
        Frame::text(r#"{"event":"pusher:unsubscribe","data":{"channel":"x"}}"#),
        Frame::new(Opcode::PONG, *b"of its own"),
    ] {
        expect_ping(&mut client, OTHER).await;
        client.socket.send(answer).await;
    }
    expect_ping(&mut client, OTHER).await;
    client.socket.send(Frame::new(Opcode::PING, *b"?")).await;
    let pong = client.socket.read().await.unwrap();
    assert_eq!((pong.opcode, &pong.payload[..]), (Opcode::PONG, &b"?"[..]));
    expect_ping(&mut client, OTHER).await;
    server.finish().await;
}

#[tokio::test]
async fn frames_that_a_browser_sends_by_itself_are_not_a_pages_answer() {
    let server = or_skip!(start(2).await);
    let channel = server.channel("presence-");
    let mut frozen = connect(&server, PAGE).await;
    subscribe(&mut frozen, &channel, Some("frozen")).await;
    let asked = async {
        let mut asked = 0;
        let mut of_the_browser = [Opcode::PONG, Opcode::PING].into_iter().cycle();
        loop {
            tokio::select! {
                frame = frozen.socket.next() => match frame.expect("the close comes first") {
                    frame if frame.opcode == Opcode::CLOSE => return (asked, Close::parse(&frame.payload)),
                    frame if frame.opcode == Opcode::TEXT => {
                        asked += usize::from(Event::parse(frame.as_text()).name == "pusher:ping");
                    }
                    _ => {}
                },
                () = sleep(ACTIVITY_TIMEOUT / 5) => {
                    let frame = Frame::new(of_the_browser.next().expect("a cycle"), []);
                    let _may_be_closed = frozen.socket.try_send(frame).await;
                }
            }
        }
    };
    let (asked, close) = within("the close", asked).await;
    assert_eq!(close.code, Some(4201));
    // Twice where the relay itself did not run for a while.
    assert!((1..=2).contains(&asked), "asked {asked} times");
    eventually("the page to be gone", || async {
        let path = format!("/channels/{channel}/users");
        (server.get(&path, &[]).await["users"] == json!([])).then_some(())
    })
    .await;
    drop(frozen);
    server.finish().await;
}

#[tokio::test]
async fn anything_received_counts_as_activity() {
    // Many times what passes between two signs of life, however busy the machine is.
    const ACTIVITY_TIMEOUT: u32 = 3;
    let builder = TestServer::builder().set("server.activity_timeout", ACTIVITY_TIMEOUT);
    let server = or_skip!(builder.start().await);
    let unsubscribe = r#"{"event":"pusher:unsubscribe","data":{"channel":"x"}}"#;
    let in_parts = [
        Frame::text("{").unfinished(),
        Frame::new(Opcode::CONTINUATION, unsubscribe.as_bytes()[1..].to_vec()),
    ];
    let of_others = [Frame::text(unsubscribe), Frame::new(Opcode::PONG, [])];
    let timeout = Duration::from_secs(ACTIVITY_TIMEOUT.into());
    let mut pace = server.connect().await;
    // Where this test or the server did not run for so long that the clients were not active enough, they are others.
    let [mut page, mut other] = loop {
        let mut sent = Instant::now();
        let mut longest = Duration::ZERO;
        let mut clients = [connect(&server, PAGE).await, connect(&server, OTHER).await];
        // Not waiting for anything: being active now and then is what is tested.
        let began = Instant::now();
        for turn in 0..32 {
            sleep(Duration::from_millis(200)).await;
            let of_other = of_others.iter().chain(&in_parts).nth(turn % 4);
            let frames = [&in_parts[turn % 2], of_other.expect("there are four")];
            for (client, frame) in clients.iter_mut().zip(frames) {
                client.socket.send(frame.clone()).await;
            }
            pace.ping_fence().await;
            longest = longest.max(sent.elapsed());
            sent = Instant::now();
        }
        assert!(began.elapsed() > 2 * timeout);
        for client in &mut clients {
            client.send_event("pusher:ping", json!({})).await;
        }
        pace.ping_fence().await;
        if longest.max(sent.elapsed()) < timeout / 2 {
            break clients;
        }
    };
    for client in [&mut page, &mut other] {
        // An active client is not asked for a sign of life.
        let answer = Event::parse(&client.socket.read_text().await);
        assert_eq!(answer.name, "pusher:pong", "{}", answer.text);
    }
    server.finish().await;
}

#[tokio::test]
async fn receiving_is_not_activity() {
    let server = or_skip!(start(30).await);
    let channel = server.channel("public-");
    let mut client = connect(&server, PAGE).await;
    subscribe(&mut client, &channel, None).await;
    let deadline = Instant::now() + 20 * ACTIVITY_TIMEOUT;
    loop {
        server.publish(PublishedEvent::new(&channel, "x", "")).await;
        if client.next_event().await.name == "pusher:ping" {
            break;
        }
        assert!(Instant::now() < deadline, "never asked for a sign of life");
        sleep(ACTIVITY_TIMEOUT / 20).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn member_that_is_closed_has_left() {
    let server = or_skip!(start(4).await);
    let channel = server.channel("presence-");
    let mut watcher = connect(&server, PAGE).await;
    subscribe(&mut watcher, &channel, Some("watcher")).await;
    let mut silent = server.connect().await;
    silent
        .subscribe_presence(&channel, "silent", json!({}))
        .await;
    for name in [
        "pusher_internal:member_added",
        "pusher_internal:member_removed",
    ] {
        let event = within(name, next_event(&mut watcher)).await;
        assert_eq!(event.name, name, "{}", event.text);
        assert_eq!(event.data_json()["user_id"], "silent", "{}", event.text);
    }
    silent.expect_close_code(4201).await;
    server.finish().await;
}

#[tokio::test]
async fn answers_that_wait_while_the_server_is_frozen_count() {
    // As `docker pause`, or a virtual machine that is moved.
    let server = or_skip!(start(4).await);
    let mut clients = Vec::new();
    for number in 0..16 {
        let query = [PAGE, OTHER][number % 2];
        clients.push((connect(&server, query).await, query));
    }
    for (client, query) in &mut clients {
        expect_ping(client, query).await;
    }
    server.signal(Signal::Stop);
    for (client, _) in &mut clients {
        client.socket.send(Frame::new(Opcode::PONG, [])).await;
        pong(client).await;
    }
    // The freeze itself is what is tested: longer than the pong timeout.
    sleep(Duration::from_millis(5500)).await;
    server.signal(Signal::Continue);
    for (client, _) in &mut clients {
        let seen = client.ping_fence().await;
        assert!(seen.len() <= 1, "{seen:?}");
    }
    server.finish().await;
}

#[tokio::test]
async fn answers_that_come_after_the_server_was_frozen_count() {
    const PONG_TIMEOUT: i64 = 5;
    let server = or_skip!(start(PONG_TIMEOUT).await);
    let mut clients = Vec::new();
    for query in [PAGE, OTHER, PAGE, OTHER] {
        clients.push((connect(&server, query).await, query));
    }
    for (client, query) in &mut clients {
        expect_ping(client, query).await;
    }
    server.signal(Signal::Stop);
    // The freeze itself is what is tested: over shortly after the answers were due.
    sleep(Duration::from_secs(PONG_TIMEOUT as u64) + Duration::from_millis(500)).await;
    server.signal(Signal::Continue);
    // They have waited for nobody: their network was frozen, too, as on the same machine.
    for (client, query) in &mut clients {
        expect_ping(client, query).await;
        pong(client).await;
    }
    for (client, _) in &mut clients {
        client.ping_fence().await;
    }
    server.finish().await;
}
