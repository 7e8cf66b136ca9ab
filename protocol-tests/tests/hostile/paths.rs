//! Paths that try to be something else.

use protocol_tests::{Event, Request, TestServer, Upgrade, or_skip};

use crate::support::{assert_unharmed, exchange, impatient};

/// Paths below an app's `…`, `ID` standing for its id.
const TRICKS: [&str; 32] = [
    "/../../../../etc/passwd",
    "/..%2f..%2fetc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/apps/../up",
    "/apps/ID/../../up",
    "/apps/ID/channels/..",
    "/apps/ID/channels/../events",
    "/apps/ID/channels/%2e%2e%2fevents",
    "/apps/./ID/channels",
    "/apps//ID/channels",
    "//apps/ID/channels",
    "/apps/ID//channels",
    "/apps/ID%2fchannels",
    "/apps%2fID%2fchannels",
    "/apps/ID%00/channels",
    "/apps/ID/channels%00",
    "/apps/ID/channels/a%00b",
    "/apps/ID/channels/%ff%fe",
    "/apps/ID/channels/%c0%ae%c0%ae",
    "/apps/ID/channels/%",
    "/apps/ID/channels/%2",
    "/apps/ID/channels/%zz",
    "/apps/ID/channels;jsessionid=1",
    "/apps/ID/channels/a;b/users",
    "/apps/ID\\channels",
    "/APPS/ID/channels",
    "/apps/%2e/channels",
    "/apps/ID/channels/%3Cscript%3Ealert(1)%3C/script%3E",
    "/apps/ID/channels/{{7*7}}",
    "/apps/ID/channels/'%20or%201=1--",
    "/.env",
    "/config.toml",
];

#[tokio::test]
async fn path_tricks_open_nothing() {
    let server = TestServer::start().await;
    let mut http = server.http();
    for path in TRICKS {
        let path = path.replace("ID", &server.app().id);
        for method in ["GET", "POST"] {
            let response = http.send(&Request::new(method, &path)).await;
            assert!(
                (400..500).contains(&response.status),
                "{method} {path}: {}",
                response.status
            );
            let text = response.text();
            assert!(
                !text.is_empty() && !text.contains("<script>"),
                "{method} {path}: {text}"
            );
        }
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn raw_bytes_in_paths_are_refused() {
    let server = or_skip!(impatient().start().await);
    let paths: [&[u8]; 10] = [
        b"/apps/<script>/channels",
        b"/apps/\0/channels",
        b"/apps/a\x01/channels",
        b"/apps/\xff\xfe/channels",
        b"/apps/\xc3\xa9/channels",
        b"/apps/a\x7f/channels",
        b"/apps/a\rb/channels",
        b"/apps/a\tb/channels",
        b"apps/a/channels",
        b"?",
    ];
    let inputs = paths.map(|path| [b"GET ", path, b" HTTP/1.1\r\nHost: x\r\n\r\n"].concat());
    for (path, statuses) in paths.iter().zip(exchange(&server, &inputs).await) {
        let refused = statuses.iter().all(|status| (400..500).contains(status));
        assert!(refused, "{path:?}: {statuses:?}");
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn absolute_form_is_read_as_its_path() {
    // RFC 9112 3.2.2: a server must accept it.
    let server = TestServer::start().await;
    let mut http = server.http();
    for (target, status) in [
        ("http://example.com/up", 200),
        ("http://example.com:80/up?x", 200),
        ("http://example.com/nowhere", 404),
        ("http://example.com/../up", 404),
        ("http://example.com", 200),
    ] {
        http.send_raw(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())
            .await;
        let response = http.read_response().await;
        assert_eq!(response.status, status, "{target}");
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn websocket_paths_that_are_no_app_are_closed_with_a_code_or_refused() {
    let server = TestServer::start().await;
    let key = server.app().key.clone();
    for path in [
        "/app",
        "/app/",
        "/app//",
        "/apps/KEY",
        "/APP/KEY",
        "/app/KEY/x",
        "/app/KEY/../KEY",
        "/app/../app/KEY",
        "/app/./KEY",
        "/app//KEY",
        "/app/KEY%00",
        "/app/%00",
        "/app/KEY%2f",
        "/app/%ff",
        "/app/%",
        "/app/key",
        "/",
        "/up",
        "/apps/10001/events",
    ] {
        let path = path.replace("KEY", &key);
        match server
            .open(&Upgrade::new(&format!("{path}?protocol=7")))
            .await
        {
            Err(response) => assert!(
                (400..500).contains(&response.status),
                "{path}: {}",
                response.status
            ),
            Ok(mut socket) => {
                let error = Event::parse(&socket.read_text().await);
                assert_eq!(error.name, "pusher:error", "{path}: {}", error.text);
                let close = socket.expect_close().await;
                assert!(matches!(close.code, Some(4001 | 4005)), "{path}: {close:?}");
            }
        }
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn odd_websocket_queries_are_closed_with_a_code_or_served() {
    let server = TestServer::start().await;
    let long = "x".repeat(10_000);
    for (query, codes) in [
        ("", &[4008][..]),
        ("&&&", &[4008]),
        ("protocol=", &[4006]),
        ("protocol=%00", &[4006]),
        ("protocol=7%00", &[4006]),
        ("protocol=NaN", &[4006]),
        ("protocol=-7", &[4006, 4007]),
        ("protocol=7.5", &[4006, 4007]),
        ("protocol=99999999999999999999999", &[4006, 4007]),
        ("protocol=0", &[4007]),
        (&format!("x={long}"), &[4008]),
    ] {
        let upgrade = Upgrade::new(&format!("/app/{}?{query}", server.app().key));
        let (error, close) = server.open_refused(&upgrade).await;
        let fits = close.code.is_some_and(|code| codes.contains(&code));
        assert!(fits, "{query}: {}", error.text);
    }
    for query in [
        "protocol=7&x=%ff%00",
        "protocol=7&protocol=7",
        &format!("protocol=7&client={long}"),
    ] {
        let upgrade = Upgrade::new(&format!("/app/{}?{query}", server.app().key));
        let mut client = server.connect_with(server.app(), &upgrade).await;
        client.expect_nothing().await;
    }
    assert_unharmed(&server).await;
    server.finish().await;
}
