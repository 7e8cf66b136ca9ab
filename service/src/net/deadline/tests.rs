use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;
use crate::net::connections::Connections;
use crate::net::room::{Numbers, Room};

const WAITS: Waits = Waits {
    head: Duration::from_secs(5),
    request: Duration::from_secs(10),
    idle: Duration::from_secs(60),
    write: Duration::from_secs(7),
};

fn watch<T>(stream: T) -> Deadline<T> {
    Deadline::new(stream, WAITS, Entry::alone(), Counter::default())
}

async fn wait_for_body(mark: &RequestMark, missing: Option<usize>) {
    std::future::poll_fn(|cx| {
        mark.wait_for_body(missing, cx);
        Poll::Ready(())
    })
    .await;
}

async fn cut_off_after(head_arrives: bool) -> Duration {
    let (mut client, server) = duplex(64);
    let mut server = watch(server);
    let mark = server.request_mark();
    let trickle = tokio::spawn(async move {
        while client.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
    });
    let started = Instant::now();
    let mut byte = [0];
    let mut handled = None;
    let error = loop {
        if let Err(error) = server.read_exact(&mut byte).await {
            break error;
        }
        if head_arrives && handled.is_none() {
            handled = Some(mark.enter());
            wait_for_body(&mark, None).await;
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let elapsed = started.elapsed();
    drop(server);
    trickle.await.unwrap();
    elapsed
}

#[tokio::test(start_paused = true)]
async fn a_request_that_trickles_in_is_cut_off() {
    let slack = Duration::from_millis(10);
    let elapsed = cut_off_after(false).await;
    assert!(
        elapsed >= WAITS.head && elapsed <= WAITS.head + slack,
        "{elapsed:?}"
    );
    let elapsed = cut_off_after(true).await;
    assert!(
        elapsed >= WAITS.request && elapsed <= WAITS.request + slack,
        "{elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn answered_requests_may_go_on_and_quiet_connections_wait() {
    let (mut client, server) = duplex(64);
    let mut server = watch(server);
    let answers = async {
        let mut byte = [0];
        for _ in 0..5 {
            server.read_exact(&mut byte).await.unwrap();
            server.write_all(&byte).await.unwrap();
        }
    };
    let requests = async {
        let mut byte = [0];
        for _ in 0..5 {
            tokio::time::sleep(WAITS.request * 2).await;
            client.write_all(b"x").await.unwrap();
            client.read_exact(&mut byte).await.unwrap();
        }
    };
    tokio::join!(answers, requests);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_cut_off_after_its_last_answer() {
    let (mut client, server) = duplex(64);
    let mut server = watch(server);
    let mut byte = [0];
    tokio::time::sleep(WAITS.idle / 2).await;
    client.write_all(b"x").await.unwrap();
    server.read_exact(&mut byte).await.unwrap();
    server.write_all(b"y").await.unwrap();
    let answered = Instant::now();
    let error = server.read_exact(&mut byte).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let idle = answered.elapsed();
    assert!(
        idle >= WAITS.idle && idle < WAITS.idle + Duration::from_secs(1),
        "{idle:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_held_may_last_until_its_peer_is_gone() {
    let (mut client, server) = duplex(64);
    let mut server = watch(server);
    let mark = server.request_mark();
    let mut byte = [0];
    client.write_all(b"x").await.unwrap();
    server.read_exact(&mut byte).await.unwrap();
    server.flush().await.unwrap();
    drop(mark.enter());
    let held = mark.hold();
    let long = WAITS.idle * 10;
    let next = tokio::time::timeout(long, server.read_exact(&mut byte)).await;
    assert!(next.is_err(), "{next:?}");
    client.shutdown().await.unwrap();
    let error = server.read(&mut byte).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_held_idles_from_its_end() {
    let (mut client, server) = duplex(64);
    let mut server = watch(server);
    let mark = server.request_mark();
    let mut byte = [0];
    client.write_all(b"x").await.unwrap();
    server.read_exact(&mut byte).await.unwrap();
    let held = mark.hold();
    let next = tokio::time::timeout(WAITS.idle * 2, server.read_exact(&mut byte)).await;
    assert!(next.is_err(), "{next:?}");
    drop(held);
    server.write_all(b"y").await.unwrap();
    let answered = Instant::now();
    let error = server.read_exact(&mut byte).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(answered.elapsed() >= WAITS.idle);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_held_counts_while_its_peer_takes_nothing() {
    let numbers = Numbers::default();
    let connections = Connections::new(Arc::new(Room::new(80, numbers.clone())));
    let (mut client, server) = duplex(64);
    let mut server = Deadline::new(server, WAITS, connections.enter(0), Counter::default());
    let held = server.request_mark().hold();
    server.flush().await.unwrap();
    assert_eq!(numbers.open.get(), 0);
    let answer = [b'x'; 100];
    let (written, ()) = tokio::join!(server.write_all(&answer), async {
        tokio::time::sleep(WAITS.write / 2).await;
        assert_eq!(numbers.open.get(), 1);
        client.read_exact(&mut [0; 100]).await.unwrap();
    });
    written.unwrap();
    server.flush().await.unwrap();
    assert_eq!(numbers.open.get(), 0);
    drop((held, server));
    assert_eq!(numbers.open.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_in_parts_is_not_idle() {
    let (mut client, server) = duplex(64);
    let mut server = watch(server);
    let mut byte = [0];
    client.write_all(b"x").await.unwrap();
    server.read_exact(&mut byte).await.unwrap();
    for _ in 0..5 {
        server.write_all(b"part").await.unwrap();
        let meanwhile = WAITS.idle / 2;
        let next = tokio::time::timeout(meanwhile, server.read_exact(&mut byte)).await;
        assert!(next.is_err(), "{next:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_while_a_write_waits_for_the_peer() {
    let (mut client, server) = duplex(64);
    let mut server = watch(server);
    client.write_all(b"request").await.unwrap();
    let mut waker = Context::from_waker(std::task::Waker::noop());
    let mut pinned = Pin::new(&mut server);
    let full = [b'x'; 64];
    assert!(pinned.as_mut().poll_write(&mut waker, &full).is_ready());
    assert!(pinned.as_mut().poll_write(&mut waker, b"y").is_pending());
    let mut space = [0; 16];
    let mut space = ReadBuf::new(&mut space);
    assert!(
        pinned
            .as_mut()
            .poll_read(&mut waker, &mut space)
            .is_pending()
    );
    let mut taken = [0; 64];
    client.read_exact(&mut taken).await.unwrap();
    assert!(pinned.as_mut().poll_write(&mut waker, b"y").is_ready());
    assert!(pinned.as_mut().poll_flush(&mut waker).is_ready());
    assert!(pinned.poll_read(&mut waker, &mut space).is_ready());
    assert_eq!(space.filled(), b"request");
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_was_refused_is_woken_when_all_is_written() {
    let (mut client, server) = duplex(64);
    let mut server = watch(server);
    client.write_all(b"request").await.unwrap();
    let mut written = 0;
    let served = std::future::poll_fn(|cx| {
        let mut space = [0; 16];
        let mut space = ReadBuf::new(&mut space);
        let mut server = Pin::new(&mut server);
        // As the dispatcher does it: read, then write what there is.
        if written > 0 && server.as_mut().poll_read(cx, &mut space).is_ready() {
            return Poll::Ready(space.filled().len());
        }
        while written < 100 {
            match server.as_mut().poll_write(cx, &[b'x'; 100][written..]) {
                Poll::Ready(taken) => written += taken.unwrap(),
                Poll::Pending => return Poll::Pending,
            }
        }
        let _ = server.poll_flush(cx);
        Poll::Pending
    });
    let mut taken = [0; 100];
    let (served, _) = tokio::join!(served, client.read_exact(&mut taken));
    assert_eq!(served, 7);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_or_next_to_nothing_is_cut_off() {
    for every in [None, Some(Duration::from_secs(2))] {
        let (mut client, server) = duplex(64);
        let mut server = watch(server);
        let count = server.write_timeouts.clone();
        let reading = tokio::spawn(async move {
            let Some(every) = every else {
                return std::future::pending::<()>().await;
            };
            let mut byte = [0];
            loop {
                tokio::time::sleep(every).await;
                client.read_exact(&mut byte).await.unwrap();
            }
        });
        let started = Instant::now();
        let error = server.write_all(&[b'x'; 4096]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() < WAITS.write + Duration::from_secs(1));
        assert_eq!(count.get(), 1);
        reading.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_gets_a_long_answer() {
    let (mut client, server) = duplex(1024);
    let mut server = watch(server);
    let reading = tokio::spawn(async move {
        let mut some = [0; 2048];
        for _ in 0..32 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            client.read_exact(&mut some).await.unwrap();
        }
    });
    server.write_all(&[b'x'; 64 << 10]).await.unwrap();
    server.flush().await.unwrap();
    reading.await.unwrap();
}

/// Reads all that may be read in one turn, with more space than that.
fn read_turn<T: AsyncRead + Unpin>(server: &mut Deadline<T>, cx: &mut Context<'_>) -> usize {
    let mut all = 0;
    loop {
        let mut space = [0; 64 << 10];
        let mut space = ReadBuf::new(&mut space);
        match Pin::new(&mut *server).poll_read(cx, &mut space) {
            Poll::Ready(outcome) => {
                outcome.unwrap();
                match space.filled().len() {
                    0 => return all,
                    count => all += count,
                }
            }
            Poll::Pending => return all,
        }
    }
}

/// The bytes of each turn until so many are read, with a flush behind each as the dispatcher has it.
async fn turns<T: AsyncRead + AsyncWrite + Unpin>(
    server: &mut Deadline<T>,
    bytes: usize,
) -> Vec<usize> {
    let mut turns = Vec::new();
    std::future::poll_fn(|cx| {
        turns.push(read_turn(server, cx));
        assert!(Pin::new(&mut *server).poll_flush(cx).is_ready());
        if turns.iter().sum::<usize>() >= bytes {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    turns
}

#[tokio::test(start_paused = true)]
async fn many_requests_are_read_in_short_turns() {
    let (mut client, server) = duplex(256 << 10);
    let mut server = watch(server);
    client.write_all(&[b'x'; 20 << 10]).await.unwrap();
    let turns = turns(&mut server, 20 << 10).await;
    assert_eq!(turns, [8192, 2048, 2048, 2048, 2048, 2048, 2048]);
}

#[tokio::test(start_paused = true)]
async fn body_is_read_in_long_turns() {
    let (mut client, server) = duplex(256 << 10);
    let mut server = watch(server);
    client.write_all(&[b'x'; 100 << 10]).await.unwrap();
    let mark = server.request_mark();
    let _handled = mark.enter();
    wait_for_body(&mark, None).await;
    let turns = turns(&mut server, 100 << 10).await;
    assert_eq!(turns, [32 << 10, 32 << 10, 32 << 10, 4 << 10]);
}

#[tokio::test(start_paused = true)]
async fn body_is_read_to_its_end_and_no_further() {
    let (mut client, server) = duplex(256 << 10);
    let mut server = watch(server);
    client.write_all(&[b'x'; 20 << 10]).await.unwrap();
    let mark = server.request_mark();
    let _handled = mark.enter();
    wait_for_body(&mark, Some(10_000)).await;
    let mut waker = Context::from_waker(std::task::Waker::noop());
    for read in [10_000, 0] {
        assert_eq!(read_turn(&mut server, &mut waker), read);
        assert!(Pin::new(&mut server).poll_flush(&mut waker).is_ready());
    }
}

#[tokio::test(start_paused = true)]
async fn turn_that_ends_within_the_body_of_a_later_request_is_prolonged() {
    let (mut client, server) = duplex(256 << 10);
    let mut server = watch(server);
    let requests = format!(
        "GET /{} HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 2000\r\n\r\n{}",
        "x".repeat(7000),
        "y".repeat(2000),
    );
    client.write_all(requests.as_bytes()).await.unwrap();
    client.write_all(&[b'z'; 100]).await.unwrap();
    let turns = turns(&mut server, requests.len() + 100).await;
    assert_eq!(turns, [requests.len(), 100]);
}

#[tokio::test(start_paused = true)]
async fn requests_behind_one_that_is_handled_wait_for_its_answer() {
    let (mut client, server) = duplex(64 << 10);
    let mut server = watch(server);
    client.write_all(&[b'x'; 20 << 10]).await.unwrap();
    let mark = server.request_mark();
    let mut handled = Some(mark.enter());
    let mut waker = Context::from_waker(std::task::Waker::noop());
    let mut read = 0;
    for _ in 0..5 {
        read += read_turn(&mut server, &mut waker);
        assert!(Pin::new(&mut server).poll_flush(&mut waker).is_ready());
    }
    assert_eq!(read, 8 << 10);
    // The answer wakes whoever was refused.
    let mut polls = 0;
    std::future::poll_fn(|cx| {
        polls += 1;
        read += read_turn(&mut server, cx);
        if handled.take().is_some() {
            assert!(Pin::new(&mut server).poll_write(cx, b"y").is_ready());
        }
        assert!(Pin::new(&mut server).poll_flush(cx).is_ready());
        if read == 20 << 10 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    assert!(polls > 1);
}

#[tokio::test(start_paused = true)]
async fn handler_that_comes_to_its_body_wakes_who_was_refused() {
    let (mut client, server) = duplex(64 << 10);
    let mut server = watch(server);
    client.write_all(&[b'x'; 20 << 10]).await.unwrap();
    let mark = server.request_mark();
    let _handled = mark.enter();
    let mut read = 0;
    let reading = std::future::poll_fn(|cx| {
        read += read_turn(&mut server, cx);
        if read == 20 << 10 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    let handler = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        wait_for_body(&mark, None).await;
    };
    tokio::join!(reading, handler);
}

#[tokio::test(start_paused = true)]
async fn what_came_while_the_process_stood_still_is_read_before_it_is_judged() {
    let (mut client, server) = duplex(64);
    let mut server = watch(server);
    let mut byte = [0];
    client.write_all(b"x").await.unwrap();
    server.read_exact(&mut byte).await.unwrap();
    let mut waker = Context::from_waker(std::task::Waker::noop());
    let mut poll = |server: &mut Deadline<_>| {
        let mut space = [0; 16];
        let mut space = ReadBuf::new(&mut space);
        let poll = Pin::new(server).poll_read(&mut waker, &mut space);
        poll.map(|outcome| outcome.map(|()| space.filled().len()))
    };
    assert!(poll(&mut server).is_pending());
    tokio::time::advance(WAITS.head * 3).await;
    client.write_all(b"y").await.unwrap();
    assert!(matches!(poll(&mut server), Poll::Ready(Ok(1))));
    assert!(poll(&mut server).is_pending());
    // It has begun anew, once.
    tokio::time::advance(WAITS.head * 3).await;
    assert!(matches!(poll(&mut server), Poll::Ready(Err(_))));
}

#[tokio::test(start_paused = true)]
async fn peer_that_took_what_was_written_while_the_process_stood_still_is_not_cut_off() {
    let (mut client, server) = duplex(64);
    let mut server = watch(server);
    let mut waker = Context::from_waker(std::task::Waker::noop());
    let mut pinned = Pin::new(&mut server);
    assert!(
        pinned
            .as_mut()
            .poll_write(&mut waker, &[b'x'; 64])
            .is_ready()
    );
    assert!(pinned.as_mut().poll_write(&mut waker, b"y").is_pending());
    tokio::time::advance(WAITS.write * 3).await;
    client.read_exact(&mut [0; 64]).await.unwrap();
    let mut space = [0; 16];
    let mut space = ReadBuf::new(&mut space);
    assert!(
        pinned
            .as_mut()
            .poll_read(&mut waker, &mut space)
            .is_pending()
    );
    assert!(matches!(
        pinned.poll_write(&mut waker, b"y"),
        Poll::Ready(Ok(1))
    ));
}
