//! Nobody is waited for for ever.

use h2::Reason;
use h2::client::Builder;
use protocol_tests::{Request, TestServer, eventually, or_skip, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::{Client, PREFACE, connect, head};
use crate::server::Certificates;

async fn impatient(key: &str) -> Result<(TestServer, Certificates), protocol_tests::Skipped> {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let builder = certificates
        .builder("relay")
        .set("server.request_head_timeout", 2)
        .set(key, 2);
    let server = builder.set("server.close_timeout", 1).start().await?;
    Ok((server, certificates))
}

#[tokio::test]
async fn who_takes_nothing_of_an_answer_is_given_up() {
    let (server, certificates) = or_skip!(impatient("server.write_timeout").await);
    let mut builder = Builder::new();
    builder.initial_window_size(0);
    let client = Client::built(&server, &certificates, &builder).await;
    let (response, _stream) = client.begin(&Request::new("GET", "/up"), true).await;
    let mut body = head(response).await;
    let error = within("the end", body.data()).await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Some(Reason::CANCEL));
    let metrics = server.metrics().await;
    assert_eq!(metrics.sum("fanfare_http_write_timeouts_total", &[]), 1.0);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn who_takes_nothing_of_a_fallback_stream_is_given_up() {
    let (server, certificates) = or_skip!(impatient("server.write_timeout").await);
    let mut builder = Builder::new();
    builder.initial_window_size(100);
    let client = Client::built(&server, &certificates, &builder).await;
    let path = format!(
        "/pusher/app/{}/1/session1/xhr_streaming?protocol=7&client=js&version=8.4.0&t=1&n=1",
        server.app().key
    );
    let (response, _stream) = client.begin(&Request::new("POST", &path), true).await;
    let mut body = head(response).await;
    let error = within("the end", async {
        loop {
            if let Err(error) = body.data().await.expect("no regular end") {
                return error;
            }
        }
    });
    assert_eq!(error.await.reason(), Some(Reason::CANCEL));
    eventually("the session ends", async || {
        (server.metrics().await.sum("fanfare_connections", &[]) == 0.0).then_some(())
    })
    .await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn idle_connections_are_closed_in_good_order_and_busy_ones_are_not() {
    let (server, certificates) = or_skip!(impatient("server.keep_alive").await);
    let busy = Client::new(&server, &certificates).await;
    let path = format!(
        "/pusher/app/{}/1/session1/xhr_streaming?protocol=7&client=js&version=8.4.0&t=1&n=1",
        server.app().key
    );
    let (response, stream) = busy.begin(&Request::new("POST", &path), true).await;
    let body = head(response).await;
    let client = Client::new(&server, &certificates).await;
    client.expect_healthy().await;
    let ended = within("the end", client.connection).await.unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    busy.expect_healthy().await;
    drop((busy, body, stream));
    server.finish().await;
}

#[tokio::test]
async fn heads_that_do_not_end_are_not_waited_for() {
    let (server, certificates) = or_skip!(impatient("server.keep_alive").await);
    for begun in [
        // Of the preface, of a head, and of nothing.
        &PREFACE[..10],
        &[PREFACE, b"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82"].concat(),
        PREFACE,
    ] {
        let mut stream = connect(&server, &certificates).await;
        stream.write_all(begun).await.unwrap();
        let mut ignored = Vec::new();
        let _ = within("the end", stream.read_to_end(&mut ignored)).await;
    }
    server.finish().await;
}
