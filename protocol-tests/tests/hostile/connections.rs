//! Connections in masses, and connections that end in every way there is.

use protocol_tests::{AppConfig, Event, Frame, Request, TestServer, Upgrade, eventually, or_skip};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{assert_unharmed, impatient, resident_memory};

async fn connections(server: &TestServer) -> f64 {
    server.metrics().await.sum("fanfare_connections", &[])
}

#[tokio::test]
async fn flood_up_to_max_connections_of_the_server_is_closed_with_4100_beyond_it() {
    let server = or_skip!(
        TestServer::builder()
            .set("server.max_connections", 50)
            .start()
            .await
    );
    for _ in 0..3 {
        let mut admitted = Vec::new();
        for _ in 0..50 {
            admitted.push(server.connect().await);
        }
        for _ in 0..100 {
            let upgrade = Upgrade::new(&format!("/app/{}?protocol=7", server.app().key));
            let (_, close) = server.open_refused(&upgrade).await;
            assert_eq!(close.code, Some(4100));
        }
        assert_eq!(connections(&server).await, 50.0);
        // Publishers and probes are none of those.
        server
            .request(&Request::new("GET", "/up"))
            .await
            .expect_status(200);
        server.get("/channels", &[]).await;
        for client in &mut admitted {
            client.expect_nothing().await;
        }
        drop(admitted);
        server.expect_nothing_left().await;
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn connections_that_come_at_once_never_exceed_the_apps_limit() {
    let app = AppConfig::new("10001").limit("max_connections", 20);
    let server = or_skip!(
        TestServer::builder()
            .app(app)
            .app(AppConfig::new("20002"))
            .set("server.workers", 4)
            .start()
            .await
    );
    let server = std::sync::Arc::new(server);
    let mut attempts = JoinSet::new();
    for _ in 0..100 {
        let server = std::sync::Arc::clone(&server);
        attempts.spawn(async move {
            let upgrade = Upgrade::new(&format!("/app/{}?protocol=7", server.app().key));
            let mut socket = server
                .open(&upgrade)
                .await
                .expect("quotas have close codes");
            let first = Event::parse(&socket.read_text().await);
            if first.name == "pusher:connection_established" {
                return Some(socket);
            }
            assert_eq!(first.error_code(), Some(4004), "{}", first.text);
            socket.expect_close().await;
            None
        });
    }
    let admitted: Vec<_> = attempts.join_all().await.into_iter().flatten().collect();
    assert_eq!(admitted.len(), 20);
    assert_eq!(connections(&server).await, 20.0);
    let mut other_app = server.connect_to(server.second_app()).await;
    other_app.expect_nothing().await;
    drop(admitted);
    drop(other_app);
    server.expect_nothing_left().await;
    assert_unharmed(&server).await;
    let server = std::sync::Arc::into_inner(server).expect("the attempts have ended");
    server.finish().await;
}

#[tokio::test]
async fn half_open_connections_are_ended_and_counted_no_longer() {
    let server = or_skip!(impatient().start().await);
    let channel = server.channel("presence-");
    let mut halves = Vec::new();
    for number in 0..100 {
        let mut client = server.connect().await;
        client
            .subscribe_presence(&channel, &format!("u{number}"), json!({}))
            .await;
        // No more will come of it; it still listens.
        client.socket.connection().finish_sending();
        halves.push(client);
    }
    server.expect_nothing_left().await;
    let users = server.get(&format!("/channels/{channel}/users"), &[]).await;
    assert_eq!(users, json!({"users": []}));
    drop(halves);
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn connections_that_are_reset_at_any_moment_leave_nothing_behind() {
    let server = or_skip!(impatient().set("server.workers", 4).start().await);
    let upgrade = Upgrade::new(&format!("/app/{}?protocol=7", server.app().key));
    let endpoint = server.endpoint().clone();
    let upgrade = upgrade.encode(&endpoint.authority, &endpoint.prefix);
    let subscribe =
        Frame::text(r#"{"event":"pusher:subscribe","data":{"channel":"public"}}"#).encode();
    let bytes = [upgrade, subscribe.repeat(3)].concat();
    for cut in (0..bytes.len()).step_by(3).chain([bytes.len()]) {
        let mut connection = server.connection().await;
        connection.reset_on_drop();
        let _ended_early = connection.try_send(&bytes[..cut]).await;
        // Some are reset at once, some when the server has begun to answer.
        if cut % 2 == 0 && cut > bytes.len() / 2 {
            let _ended = connection.receive().await;
        }
    }
    server.expect_nothing_left().await;
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn members_whose_connections_are_reset_have_left() {
    let server = or_skip!(impatient().start().await);
    let channel = server.channel("presence-");
    let mut watcher = server.connect().await;
    watcher
        .subscribe_presence(&channel, "watcher", json!({}))
        .await;
    for number in 0..50 {
        let mut client = server.connect().await;
        client
            .subscribe_presence(&channel, &format!("u{number}"), json!({}))
            .await;
        client.socket.connection().reset_on_drop();
        drop(client);
        watcher.expect_event("pusher_internal:member_added").await;
        watcher.expect_event("pusher_internal:member_removed").await;
    }
    watcher.expect_nothing().await;
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn thousands_of_short_connections_leave_nothing_behind() {
    let server = or_skip!(impatient().start().await);
    let open_files = || {
        let pid = server
            .process_id()
            .expect("the server has a process of its own");
        std::fs::read_dir(format!("/proc/{pid}/fd"))
            .expect("the process lives")
            .count()
    };
    let round = async || {
        for number in 0..500 {
            let mut connection = server.connection().await;
            match number % 3 {
                0 => {}
                1 => connection.send(b"GET /up HTTP/1.1\r\n\r\n").await,
                _ => drop(server.connect().await),
            }
        }
        server.expect_nothing_left().await;
    };
    round().await;
    let files = open_files();
    let memory = resident_memory(&server);
    for _ in 0..3 {
        round().await;
    }
    // Sockets are closed soon after their clients are gone.
    eventually("the sockets to be closed", || async {
        (open_files() <= files + 5).then_some(())
    })
    .await;
    let grown = resident_memory(&server).saturating_sub(memory);
    assert!(grown < 8 << 20, "{grown} bytes more");
    assert_unharmed(&server).await;
    server.finish().await;
}
