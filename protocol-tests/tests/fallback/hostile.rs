//! What strangers may try.

use protocol_tests::{
    AppConfig, HttpClient, PublishedEvent, TestServer, eventually, or_skip, within,
};
use serde_json::json;

use crate::client::{BOTH, FallbackClient, Line, Session, Stream, Transport, start};

/// Opens a session over polls, and returns the code that it is refused with, if it is.
async fn open(http: &mut HttpClient, session: &mut Session) -> Option<u16> {
    let response = http.send(&session.receive(Transport::Polling)).await;
    match &Line::all(&response.expect_status(200).text())[..] {
        [Line::Open, Line::Messages(_)] => None,
        [Line::Open, Line::Close(code, _)] => Some(*code),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn whoever_takes_all_places_keeps_nobody_out() {
    let builder = TestServer::builder()
        .open_files(1024)
        .set("server.fallback_timeout", 3600);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("orders-");
    let mut pages = Vec::new();
    for transport in BOTH {
        let page = FallbackClient::on(&server, transport, &channel).await;
        pages.push(page);
    }
    let mut http = server.http();
    for opened in 0..2000 {
        let mut session = Session::new(server.app());
        assert_eq!(open(&mut http, &mut session).await, None);
        // A page is never without a request for long; these make theirs only when they are read.
        if opened % 50 == 0 {
            for page in &mut pages {
                assert!(page.fence().await.is_empty(), "{:?}", page.transport);
            }
        }
    }
    // The pages that were there are, and others come.
    pages.push(FallbackClient::connect(&server, Transport::Streaming).await);
    pages[2].subscribe(&channel, None).await;
    server
        .publish(PublishedEvent::new(&channel, "still-here", "yes"))
        .await;
    for page in &mut pages {
        page.expect_event(&channel, "still-here").await;
        assert!(page.fence().await.is_empty(), "{:?}", page.transport);
    }
    let metrics = server.metrics().await;
    let displaced = metrics.sum("fanfare_fallback_displaced_total", &[]);
    assert!(displaced >= 1000.0, "{displaced}");
    eventually("sessions that were displaced to be gone", async || {
        let metrics = server.metrics().await;
        let left = metrics.sum("fanfare_fallback_sessions", &[]);
        (left + displaced <= 2010.0).then_some(())
    })
    .await;
    // Those that are left would stay for an hour.
    drop(pages);
    server.signal(protocol_tests::Signal::Kill);
    server.exited().await;
}

#[tokio::test]
async fn when_all_sessions_are_in_use_others_are_refused_and_may_try_again() {
    let builder = TestServer::builder().open_files(700);
    let server = or_skip!(builder.start().await);
    let endpoint = server.endpoint().clone();
    let mut waiting = Vec::new();
    let code = loop {
        assert!(waiting.len() < 600, "there is always room");
        let (mut http, mut session) = (server.http(), Session::new(server.app()));
        if let Some(code) = open(&mut http, &mut session).await {
            break code;
        }
        let poll = session.receive(Transport::Polling);
        let poll = poll.encode(&endpoint.authority, &endpoint.prefix);
        http.send_raw(&poll).await;
        waiting.push(http);
    };
    assert_eq!(code, 4100);
    assert!(waiting.len() > 50, "{}", waiting.len());
    // Others are served as before.
    let channel = server.channel("orders-");
    let mut socket = server.connect().await;
    socket.subscribe(&channel).await;
    // As soon as one is not in use any more, there is room.
    drop(waiting.pop());
    eventually("a place to be free", async || {
        let opened = open(&mut server.http(), &mut Session::new(server.app())).await;
        opened.is_none().then_some(())
    })
    .await;
    server
        .publish(PublishedEvent::new(&channel, "still-here", "yes"))
        .await;
    socket.expect_event_on(&channel, "still-here").await;
    drop((socket, waiting));
    server.finish().await;
}

#[tokio::test]
async fn small_messages_find_room_when_large_bodies_have_all_they_may() {
    // A quarter of it is for what clients send.
    const BACKLOG: u32 = 1 << 20;
    let builder = TestServer::builder()
        .set("server.http_backlog_bytes", BACKLOG)
        .set("server.fallback_timeout", 10);
    let server = or_skip!(builder.start().await);
    let mut client = FallbackClient::connect(&server, Transport::Polling).await;
    let mut unfinished = Vec::new();
    for _ in 0..20 {
        let (mut http, mut session) = (server.http(), Session::new(server.app()));
        assert_eq!(open(&mut http, &mut session).await, None);
        let request = session.send(&"x".repeat(50_000));
        let endpoint = server.endpoint();
        let bytes = request.encode(&endpoint.authority, &endpoint.prefix);
        let mut connection = server.connection().await;
        connection.send(&bytes[..bytes.len() - 1]).await;
        unfinished.push(connection);
        // Nobody knows when what was sent is there. It is when there is room for no more.
        client.subscribe(&server.channel("orders-"), None).await;
        assert!(client.fence().await.is_empty());
    }
    drop((unfinished, client));
    server.finish().await;
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_closed_and_forgotten() {
    let app = AppConfig::new("10001").limit("outbox_bytes", 200_000);
    let builder = TestServer::builder()
        .app(app)
        .set("server.fallback_timeout", 2)
        .set("server.close_timeout", 1)
        .set("server.write_timeout", 2);
    let server = or_skip!(builder.start().await);
    for transport in BOTH {
        let channel = server.channel("orders-");
        let client = FallbackClient::on(&server, transport, &channel).await;
        let data = "x".repeat(8000);
        eventually("the reader to be forgotten", async || {
            server
                .publish(PublishedEvent::new(&channel, "large", data.as_str()))
                .await;
            let metrics = server.metrics().await;
            (metrics.sum("fanfare_fallback_sessions", &[]) == 0.0).then_some(())
        })
        .await;
        drop(client);
    }
    server.finish().await;
}

#[tokio::test]
async fn a_client_that_sends_too_much_is_slowed_down_and_notified() {
    let app = AppConfig::new("10001")
        .limit("messages_per_second", 1)
        .limit("channels_per_connection", 1)
        .limit("overrun_timeout", 2);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let mut client = FallbackClient::connect(&server, Transport::Polling).await;
    let ping = json!({"event": "pusher:ping", "data": {}}).to_string();
    let many = json!(vec![ping; 200]).to_string();
    let mut session = client.session.clone();
    session.number += 1000;
    let flood = session.send(&many);
    let (answer, code) = tokio::join!(server.request(&flood), async {
        loop {
            match client.next_line().await {
                Line::Close(code, _) => return code,
                _ => continue,
            }
        }
    });
    assert_eq!(code, 4100);
    assert!(
        matches!(answer.status, 204 | 404 | 429),
        "{}",
        answer.status
    );
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn streams_that_break_off_leave_nothing() {
    let builder = TestServer::builder().set("server.fallback_timeout", 1);
    let server = or_skip!(builder.start().await);
    for round in 0..50 {
        let mut session = Session::new(server.app());
        let request = session.receive(Transport::Streaming);
        let stream = Stream::open(&server, &request).await;
        match round % 3 {
            0 => stream.connection.reset_on_drop(),
            1 => stream.connection.finish_sending(),
            _ => {}
        }
        drop(stream);
    }
    eventually("the sessions to be gone", async || {
        let metrics = server.metrics().await;
        let left = metrics.sum("fanfare_fallback_sessions", &[]);
        (left == 0.0).then_some(())
    })
    .await;
    server.finish().await;
}

#[tokio::test]
async fn bodies_that_are_announced_and_do_not_come_take_no_room() {
    // A quarter of it is for what clients send.
    const BACKLOG: u32 = 1 << 20;
    let builder = TestServer::builder()
        .set("server.http_backlog_bytes", BACKLOG)
        .set("server.fallback_timeout", 10);
    let server = or_skip!(builder.start().await);
    let mut client = FallbackClient::connect(&server, Transport::Polling).await;
    let mut session = client.session.clone();
    let body = "x".repeat(BACKLOG as usize / 16);
    let mut announced = Vec::new();
    for _ in 0..4 {
        let request = session.send(&body).header("Expect", "100-continue");
        let endpoint = server.endpoint();
        let bytes = request.encode(&endpoint.authority, &endpoint.prefix);
        let mut connection = server.connection().await;
        connection.send(&bytes[..bytes.len() - body.len()]).await;
        within("the body to be asked for", async {
            while !connection.buffered().ends_with(b"\r\n\r\n") {
                connection.receive().await.expect("an answer");
            }
        })
        .await;
        assert!(connection.buffered().starts_with(b"HTTP/1.1 100 "));
        announced.push(connection);
    }
    assert!(client.fence().await.is_empty());
    drop(announced);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_page_learns_that_there_was_no_room_for_its_message() {
    // A quarter of it is for what clients send.
    const BACKLOG: u32 = 1 << 20;
    /// Two of them leave room for the page's messages, and none for a third.
    const UNFINISHED: usize = 50_000;
    let builder = TestServer::builder()
        .set("server.http_backlog_bytes", BACKLOG)
        .set("server.fallback_timeout", 30)
        .set("server.close_timeout", 30);
    let server = or_skip!(builder.start().await);
    let mut client = FallbackClient::connect(&server, Transport::Polling).await;
    let mut session = client.session.clone();
    let mut unfinished = Vec::new();
    let ping = json!({"event": "pusher:ping", "data": {"padding": "x".repeat(7_500)}}).to_string();
    let pings = json!([ping, ping, ping, ping]).to_string();
    loop {
        assert!(unfinished.len() < 100, "there is always room");
        let request = session.send(&"x".repeat(UNFINISHED));
        let endpoint = server.endpoint();
        let bytes = request.encode(&endpoint.authority, &endpoint.prefix);
        let mut connection = server.connection().await;
        connection.send(&bytes[..bytes.len() - 1]).await;
        unfinished.push(connection);
        // It may come before what was sent above. Then that finds no room, and ends the session as well.
        let response = server.request(&session.send(&pings)).await;
        if response.status != 204 {
            assert!(matches!(response.status, 404 | 503), "{response:?}");
            break;
        }
    }
    let (code, reason) = client.expect_close().await;
    assert_eq!(code, 4100, "{reason}");
    let held = async || {
        let metrics = server.metrics().await;
        metrics.sum("fanfare_fallback_backlog_bytes", &[])
    };
    assert!((1.0..=f64::from(BACKLOG / 4)).contains(&held().await));
    drop(unfinished);
    drop(client);
    eventually("nothing to be held any more", async || {
        (held().await == 0.0).then_some(())
    })
    .await;
    server.finish().await;
}

#[tokio::test]
async fn a_page_whose_name_was_made_to_stand_for_this_machine_opens_nothing_with_known_credentials()
{
    let app = AppConfig::new("local")
        .set("key", "local")
        .set("secret", "local");
    let server = or_skip!(TestServer::builder().app(app).start().await);
    for transport in [Transport::Polling, Transport::Streaming] {
        // Such a page is of the same origin: browsers may send no Origin with what it asks.
        let mut session = Session::new(server.app()).header("Host", "evil.example:6001");
        let response = server.request(&session.receive(transport)).await;
        assert_eq!(response.status, 421, "{transport:?}");
        assert!(response.text().contains("evil.example"), "{response:?}");
    }
    let metrics = server.metrics().await;
    assert_eq!(metrics.sum("fanfare_fallback_sessions", &[]), 0.0);
    let mut session = Session::new(server.app()).header("Host", "localhost:6001");
    let response = server.request(&session.receive(Transport::Polling)).await;
    assert_eq!(response.status, 200);
    server.finish().await;
}

#[tokio::test]
async fn an_origin_that_no_page_has_is_not_kept() {
    let server = or_skip!(start().await);
    for transport in [Transport::Polling, Transport::Streaming] {
        let long = format!("https://{}.example.com", "x".repeat(100_000));
        let mut session = Session::new(server.app()).header("Origin", &long);
        let response = server.request(&session.receive(transport)).await;
        assert_eq!(response.status, 400, "{transport:?}");
    }
    let metrics = server.metrics().await;
    assert_eq!(metrics.sum("fanfare_fallback_sessions", &[]), 0.0);
    server.finish().await;
}
