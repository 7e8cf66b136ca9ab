//! Abuse, round after round: the server is no larger after the last round than it was after the first.

use protocol_tests::{Connection, Frame, Opcode, PublishedEvent, Request, TestServer, or_skip};
use serde_json::json;

use crate::support::{assert_unharmed, impatient, resident_memory};

const ROUNDS: usize = 8;
/// Rounds in which allocators, tables and threads may find their size.
const WARM_UP: usize = 3;

/// A bit of everything that can go wrong, by 100 clients at once.
async fn abuse(server: &TestServer, round: usize) {
    let base = server.channel("abused-");
    let mut clients = Vec::new();
    for number in 0..100 {
        let mut client = server.connect().await;
        client.subscribe(&format!("{base}-{number}")).await;
        let presence = format!("presence-{base}-{}", number % 7);
        let info = json!({"name": "x".repeat(500)});
        client
            .subscribe_presence(&presence, &format!("u{number}-{round}"), info)
            .await;
        client.send_text("nonsense").await;
        client
            .send_text(r#"{"event":"client-x","channel":"private-a","data":1}"#)
            .await;
        clients.push(client);
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let channel = format!("{base}-{number}");
        let event = PublishedEvent::new(&channel, "x", "x".repeat(8000));
        server.publish(event).await;
        let refused = Request::post(server.app(), "/events").body("x".repeat(20_000));
        server.request(&refused).await.expect_status(400);
        client.socket.send(Frame::text(&"x".repeat(60_000))).await;
    }
    for (number, client) in clients.iter_mut().enumerate() {
        match number % 4 {
            0 => client.socket.connection().reset_on_drop(),
            1 => {
                client
                    .socket
                    .send(Frame::new(Opcode::TEXT, *b"part").unfinished())
                    .await
            }
            2 => client.socket.send(Frame::new(Opcode::BINARY, *b"x")).await,
            _ => client.socket.send(Frame::close(1000, "")).await,
        }
    }
    drop(clients);
    for bytes in [&b"GET /up HTTP/1.1\r\nX: "[..], b"NONSENSE\r\n\r\n", b""] {
        for _ in 0..20 {
            let mut connection: Connection = server.connection().await;
            let _refused_early = connection.try_send(bytes).await;
        }
    }
    server.expect_nothing_left().await;
}

#[tokio::test]
async fn memory_does_not_grow_over_rounds_of_abuse() {
    let server = or_skip!(impatient().start().await);
    let mut sizes = Vec::new();
    for round in 0..ROUNDS {
        abuse(&server, round).await;
        sizes.push(resident_memory(&server));
    }
    let warm = sizes[..WARM_UP].iter().max().expect("there are rounds");
    let last = sizes[ROUNDS - 1];
    // A tenth of what the abuse of one round holds would be more.
    assert!(
        last <= warm + (3 << 20),
        "resident bytes after each round: {sizes:?}"
    );
    assert_unharmed(&server).await;
    server.finish().await;
}
