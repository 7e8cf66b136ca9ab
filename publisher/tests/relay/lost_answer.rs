//! A publish whose answer is lost is made again, and delivered once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use publisher::{Client, Event, Retry};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{channel, config, relay};

/// Passes everything on to the relay but the answer to the first request.
async fn unreliable_proxy(relay: String) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let relay = TcpStream::connect(&relay).await.unwrap();
            match counter.fetch_add(1, Ordering::Relaxed) {
                0 => lose_answer(client, relay).await,
                _ => drop(tokio::spawn(pass_on(client, relay))),
            }
        }
    });
    (port, connections)
}

/// Waits for the answer, so that the request has been carried out.
async fn lose_answer(mut client: TcpStream, mut relay: TcpStream) {
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    while answer.is_empty() {
        tokio::select! {
            read = client.read_buf(&mut request) => {
                read.unwrap();
                relay.write_all(&request).await.unwrap();
                request.clear();
            }
            read = relay.read_buf(&mut answer) => {
                read.unwrap();
            }
        }
    }
    assert!(
        answer.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

async fn pass_on(mut client: TcpStream, mut relay: TcpStream) {
    // It ends when either side does.
    let _ = copy_bidirectional(&mut client, &mut relay).await;
}

#[tokio::test]
async fn a_retry_does_not_deliver_twice() {
    let server = relay().await;
    let channel = channel(&server, "once-");
    let mut subscriber = server.connect().await;
    subscriber.subscribe(channel.name()).await;
    let (port, connections) = unreliable_proxy(server.endpoint().authority.clone()).await;
    let retry = Retry::default().first_delay(Duration::from_millis(1));
    let client = Client::new(config(&server).port(port).retry(retry)).unwrap();

    client
        .trigger(&[channel], &Event::text("e", "d"))
        .await
        .unwrap();
    assert_eq!(connections.load(Ordering::Relaxed), 2);
    subscriber.expect_event("e").await;
    subscriber.expect_nothing().await;
    drop(client);
    server.finish().await;
}
