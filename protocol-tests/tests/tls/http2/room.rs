//! Connections over HTTP/2 take no more than their share.

use h2::Reason;
use protocol_tests::{Request, eventually, or_skip, within};

use super::client::{Client, head, read_until};
use crate::server::{self, Certificates};

#[tokio::test]
async fn idle_connections_give_way_to_new_ones() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let builder = certificates.builder("relay").own_process().open_files(200);
    let server = or_skip!(builder.start().await);
    let mut clients = Vec::new();
    for _ in 0..150 {
        let client = Client::new(&server, &certificates).await;
        client.expect_healthy().await;
        clients.push(client);
    }
    let metrics = server.metrics().await;
    assert!(metrics.sum("fanfare_http_closed_for_room_total", &[]) > 0.0);
    let open = metrics.sum("fanfare_http2_connections", &[]);
    assert!(open <= 110.0, "{open}");
    let last = clients.pop().unwrap();
    last.expect_healthy().await;
    drop((clients, last));
    server.finish().await;
}

#[tokio::test]
async fn requests_on_many_connections_take_no_more_than_a_workers_share() {
    const CONNECTIONS: usize = 50;
    const STREAMS: usize = 90;
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let builder = certificates
        .builder("relay")
        .set("server.workers", 1)
        .set("server.request_timeout", 600);
    let server = or_skip!(builder.start().await);
    let request = Request::post(server.app(), "/events").body("x".repeat(100));
    let mut waiting = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = Client::new(&server, &certificates).await;
        for _ in 0..STREAMS {
            waiting.push(client.begin(&request, false).await);
        }
    }
    let refused = async || {
        let metrics = server.metrics().await;
        metrics.sum("fanfare_http2_refused_total", &[("reason", "no_room")])
    };
    eventually("there is no room", async || {
        (refused().await > 0.0).then_some(())
    })
    .await;
    // The first of a connection always has some.
    let other = Client::new(&server, &certificates).await;
    other.expect_healthy().await;
    let (response, stream) = waiting.pop().unwrap();
    let error = within("a refusal", response).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM));
    drop((waiting, stream));
    other.expect_healthy().await;
    eventually("all others have ended", async || {
        let metrics = server.metrics().await;
        (metrics.sum("fanfare_http2_connections", &[]) == 1.0).then_some(())
    })
    .await;
    drop(other);
    server.finish().await;
}

#[tokio::test]
async fn connections_are_counted_as_what_they_carry() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Client::new(&server, &certificates).await;
    client.expect_healthy().await;
    let count = async |name: &str| server.metrics().await.sum(name, &[]);
    assert_eq!(count("fanfare_http2_connections").await, 1.0);
    let path = format!(
        "/pusher/app/{}/1/session1/xhr_streaming?protocol=7&client=js&version=8.4.0&t=1&n=1",
        server.app().key
    );
    let idle = count("fanfare_http_connections").await;
    let (response, stream) = client.begin(&Request::new("POST", &path), true).await;
    let mut body = head(response).await;
    read_until(&mut body, "pusher:connection_established").await;
    eventually("it is a connection of a session", async || {
        (count("fanfare_http_connections").await == idle - 1.0).then_some(())
    })
    .await;
    assert_eq!(count("fanfare_connections").await, 1.0);
    drop((body, stream));
    eventually("it is idle again", async || {
        (count("fanfare_http_connections").await == idle).then_some(())
    })
    .await;
    drop(client);
    eventually("it has ended", async || {
        (count("fanfare_http2_connections").await == 0.0).then_some(())
    })
    .await;
    server.finish().await;
}
