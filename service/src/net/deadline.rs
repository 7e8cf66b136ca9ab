//! HTTP connections that do not wait for ever, and do not hoard.

use std::fmt;
use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};
use prometheus_client::metrics::counter::Counter;
use tokio::time::{Instant, Sleep, sleep_until};

use super::entry::{Entry, HeadMark, Waiting};
use super::upgrade;

/// How long an HTTP connection may wait.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// For the end of a request's head, from its first byte.
    pub head: Duration,
    /// For an answer, from the first byte of a request to the first byte of the answer.
    pub request: Duration,
    /// For the next request.
    pub idle: Duration,
    /// For the peer to take anything of what waits to be written.
    pub write: Duration,
}

/// Bytes that are read before the dispatcher has its turn: it takes apart all that it gets, and
/// a request of twenty bytes costs it more than a thousand.
const READ_AT_ONCE: usize = 8 << 10;

/// Bytes a second that a peer must take, on average, while answers wait for it.
const SLOWEST: u64 = 1024;

/// A stream on which every request must arrive and be answered in time, however slowly it
/// trickles in (actix-http watches the head of a connection's first request alone), and which
/// does not idle for ever. While a write waits for the peer, nothing is read: the dispatcher of
/// actix-http would go on answering what it reads, and keep the answers.
///
/// The one timer is not set anew for each request. It goes off now and then, and is then set
/// to what is due by that time.
pub struct Deadline<T> {
    stream: T,
    waits: Waits,
    entry: Entry,
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes read since the dispatcher last came to its answers.
    unanswered: usize,
    blocked: Option<Blocked>,
    /// A read was refused while a write waited, and nothing else wakes whoever reads.
    refused: bool,
    /// Nothing was read yet.
    is_new: bool,
    write_timeouts: Counter,
}

/// A write that the peer does not take.
#[derive(Clone, Copy, Debug)]
struct Blocked {
    since: Instant,
    progress: Instant,
    taken: u64,
    /// Whether the last attempt came to nothing.
    is_full: bool,
}

impl Blocked {
    /// Nothing must be taken for too long, and what is taken must be worth the wait.
    fn due(&self, patience: Duration) -> Instant {
        let earned = Duration::from_secs(self.taken / SLOWEST);
        (self.progress + patience).min(self.since + patience + earned)
    }
}

impl<T> Deadline<T> {
    /// What the stream is to be told by.
    pub fn head_mark(&self) -> HeadMark {
        self.entry.head_mark()
    }

    /// Watches a stream from now on. `write_timeouts` counts peers that took nothing.
    pub fn new(stream: T, waits: Waits, entry: Entry, write_timeouts: Counter) -> Self {
        Self {
            stream,
            waits,
            entry,
            timer: None,
            unanswered: 0,
            blocked: None,
            refused: false,
            is_new: true,
            write_timeouts,
        }
    }

    /// The stream, watched no longer, and what counts it among the HTTP connections.
    pub fn into_parts(self) -> (T, Entry) {
        (self.stream, self.entry)
    }

    fn due(&self) -> Instant {
        if let Some(blocked) = &self.blocked {
            return blocked.due(self.waits.write);
        }
        self.entry.since()
            + match self.entry.waiting() {
                Waiting::FirstRequest | Waiting::NextRequest | Waiting::Close => self.waits.idle,
                Waiting::Head => self.waits.head,
                Waiting::Answer => self.waits.request,
            }
    }

    /// Fails when it has been waited for too long, or others need the room.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.entry.must_end(cx) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let due = self.due();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // It may be set for later than what is due now: idling is usually allowed for longer.
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                if self.blocked.is_some() {
                    self.write_timeouts.inc();
                }
                return Err(io::ErrorKind::TimedOut.into());
            }
            timer.as_mut().reset(due);
        }
        Ok(())
    }

    /// Whether nothing may be read now; whoever wants to is woken when it may.
    fn refuses_reads(&mut self, cx: &mut Context<'_>) -> bool {
        if self.blocked.is_some_and(|blocked| blocked.is_full) {
            self.refused = true;
            return true;
        }
        if self.unanswered >= READ_AT_ONCE {
            self.unanswered = 0;
            wake_after_others(cx);
            return true;
        }
        false
    }

    /// Takes note of what became of an attempt to write.
    fn wrote(
        &mut self,
        outcome: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.unanswered = 0;
        match &outcome {
            Poll::Ready(Ok(taken)) => {
                self.entry.on_written();
                if let Some(blocked) = &mut self.blocked {
                    blocked.is_full = false;
                    blocked.progress = Instant::now();
                    blocked.taken += *taken as u64;
                }
            }
            Poll::Pending => {
                let blocked = self.blocked.get_or_insert_with(|| {
                    let now = Instant::now();
                    Blocked {
                        since: now,
                        progress: now,
                        taken: 0,
                        is_full: true,
                    }
                });
                blocked.is_full = true;
                self.entry.set_blocked(true);
                if let Err(error) = self.poll_timer(cx) {
                    return Poll::Ready(Err(error));
                }
            }
            Poll::Ready(Err(_)) => {}
        }
        outcome
    }

    /// Takes note that the peer has taken all there was.
    fn flushed(&mut self, cx: &mut Context<'_>) {
        self.unanswered = 0;
        self.blocked = None;
        self.entry.set_blocked(false);
        if std::mem::take(&mut self.refused) {
            wake_after_others(cx);
        }
    }
}

/// Wakes the task when the others, and the sockets that became ready meanwhile, have had their
/// turn. A task that wakes itself outright is polled dozens of times before anything is accepted.
fn wake_after_others(cx: &mut Context<'_>) {
    let yielded = pin!(tokio::task::yield_now());
    let _later = yielded.poll(cx);
}

impl<T> fmt::Debug for Deadline<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline")
            .field("waiting", &self.entry.waiting())
            .field("since", &self.entry.since())
            .finish_non_exhaustive()
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Deadline<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let outcome = match this.refuses_reads(cx) {
            true => Poll::Pending,
            false => Pin::new(&mut this.stream).poll_read(cx, buf),
        };
        match outcome {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                if this.is_new {
                    this.is_new = false;
                    upgrade::offer_plainly(&mut buf.filled_mut()[before..]);
                }
                this.unanswered += buf.filled().len() - before;
                this.entry.on_read();
                outcome
            }
            Poll::Pending => match this.poll_timer(cx) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
            other => other,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Deadline<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.wrote(outcome, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_flush(cx);
        match &outcome {
            Poll::Ready(Ok(())) => this.flushed(cx),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => return this.wrote(Poll::Pending, cx).map_ok(|_| ()),
        }
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(cx, slices);
        this.wrote(outcome, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const WAITS: Waits = Waits {
        head: Duration::from_secs(5),
        request: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        write: Duration::from_secs(7),
    };

    fn watch<T>(stream: T) -> Deadline<T> {
        Deadline::new(stream, WAITS, Entry::alone(), Counter::default())
    }

    async fn cut_off_after(head_arrives: bool) -> Duration {
        let (mut client, server) = duplex(64);
        let mut server = watch(server);
        let mark = server.head_mark();
        let trickle = tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
        });
        let started = Instant::now();
        let mut byte = [0];
        let error = loop {
            if let Err(error) = server.read_exact(&mut byte).await {
                break error;
            }
            if head_arrives {
                mark.set();
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

    #[tokio::test(start_paused = true)]
    async fn much_is_read_in_turns_with_what_is_answered() {
        let (mut client, server) = duplex(256 << 10);
        let mut server = watch(server);
        client.write_all(&[b'x'; 200 << 10]).await.unwrap();
        let mut most_at_once = 0;
        let mut all = 0;
        std::future::poll_fn(|cx| {
            let mut at_once = 0;
            loop {
                let mut space = [0; 4096];
                let mut space = ReadBuf::new(&mut space);
                match Pin::new(&mut server).poll_read(cx, &mut space) {
                    Poll::Ready(outcome) => {
                        outcome.unwrap();
                        at_once += space.filled().len();
                    }
                    Poll::Pending => break,
                }
            }
            most_at_once = at_once.max(most_at_once);
            all += at_once;
            match all == 200 << 10 {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
        assert_eq!(most_at_once, READ_AT_ONCE);
    }
}
