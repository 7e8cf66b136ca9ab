use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);
const CLOSE: Duration = Duration::from_secs(2);

fn pair(capacity: usize) -> (DuplexStream, Multiplexed<DuplexStream>, Counter) {
    let (peer, stream) = duplex(capacity);
    let timeouts = Counter::default();
    let stream = Multiplexed::new(stream, PATIENCE, CLOSE, timeouts.clone());
    (peer, stream, timeouts)
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up() {
    let (_peer, mut stream, timeouts) = pair(10);
    let begin = Instant::now();
    stream.write_all(&[0; 10]).await.unwrap();
    let error = stream.write_all(&[0; 10]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(begin.elapsed().as_secs(), PATIENCE.as_secs());
    assert_eq!(timeouts.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_floods_is_read_no_further() {
    let (mut peer, mut stream, _) = pair(1 << 20);
    let allowance = stream.allowance();
    peer.write_all(&[0; 24]).await.unwrap();
    let mut buffer = [0; 1024];
    assert_eq!(stream.read(&mut buffer).await.unwrap(), 24);
    // Each is a PING, and all of them are more than may come at once.
    let ping = b"\x00\x00\x00\x06\x00\x00\x00\x00\x00";
    peer.write_all(&ping.repeat(10_000)).await.unwrap();
    let reading = async { while stream.read(&mut buffer).await.unwrap() > 0 {} };
    assert!(tokio::time::timeout(CLOSE, reading).await.is_err());
    assert!(allowance.is_spent());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_shut_down_is_read_until_its_peer_ends_it() {
    let (mut peer, mut stream, _) = pair(100);
    stream.write_all(b"the last").await.unwrap();
    let (said, ended) = tokio::join!(
        async {
            let mut said = String::new();
            peer.read_to_string(&mut said).await.unwrap();
            peer.write_all(&[0; 1000]).await.unwrap();
            drop(peer);
            said
        },
        stream.shutdown()
    );
    assert_eq!(said, "the last");
    assert!(ended.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_end_the_stream_or_goes_on_sending_is_not_waited_for() {
    let (_peer, mut stream, _) = pair(100);
    let begin = Instant::now();
    stream.shutdown().await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), CLOSE.as_secs());
    let (mut peer, mut stream, _) = pair(1 << 20);
    peer.write_all(&vec![0; MOST_LEFT * 2]).await.unwrap();
    let begin = Instant::now();
    stream.shutdown().await.unwrap();
    assert_eq!(begin.elapsed().as_secs(), 0);
}
