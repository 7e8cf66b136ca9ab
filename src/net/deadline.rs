//! HTTP connections that do not wait for ever.

use std::cell::Cell;
use std::fmt;
use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long an HTTP connection may wait.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// For the end of a request's head, from its first byte.
    pub head: Duration,
    /// For an answer, from the first byte of a request to the first byte of the answer.
    pub request: Duration,
    /// For the next request.
    pub idle: Duration,
}

/// A stream on which every request must arrive and be answered in time, however slowly it
/// trickles in (actix-http watches the head of a connection's first request alone), and which
/// does not idle for ever.
///
/// The one timer is not set anew for each request. It goes off now and then, and is then set
/// to what is due by that time.
pub struct Deadline<T> {
    stream: T,
    waits: Waits,
    waiting: Waiting,
    since: Instant,
    head: HeadMark,
    timer: Option<Pin<Box<Sleep>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// For the first byte of a request.
    ForRequest,
    /// For an answer, or for the peer to take it.
    ForAnswer,
}

/// Says that the head of the request under way has arrived: the stream cannot tell.
#[derive(Clone, Debug, Default)]
pub struct HeadMark(Rc<Cell<bool>>);

impl HeadMark {
    /// The head has arrived.
    pub fn set(&self) {
        self.0.set(true);
    }
}

impl<T> Deadline<T> {
    /// What the stream is to be told by.
    pub fn head_mark(&self) -> HeadMark {
        self.head.clone()
    }

    /// Watches a stream from now on.
    pub fn new(stream: T, waits: Waits) -> Self {
        Self {
            stream,
            waits,
            waiting: Waiting::ForRequest,
            since: Instant::now(),
            head: HeadMark::default(),
            timer: None,
        }
    }

    /// The stream, watched no longer.
    pub fn into_inner(self) -> T {
        self.stream
    }

    fn wait(&mut self, waiting: Waiting) {
        if self.waiting != waiting {
            self.waiting = waiting;
            self.since = Instant::now();
            self.head.0.set(false);
        }
    }

    fn due(&self) -> Instant {
        self.since
            + match self.waiting {
                Waiting::ForRequest => self.waits.idle,
                Waiting::ForAnswer if self.head.0.get() => self.waits.request,
                Waiting::ForAnswer => self.waits.head,
            }
    }

    /// Fails when it has been waited for too long.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let due = self.due();
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        // It may be set for later than what is due now: idling is usually allowed for longer.
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= due {
                return Err(io::ErrorKind::TimedOut.into());
            }
            timer.as_mut().reset(due);
        }
        Ok(())
    }
}

impl<T> fmt::Debug for Deadline<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline")
            .field("waiting", &self.waiting)
            .field("since", &self.since)
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
        let outcome = Pin::new(&mut this.stream).poll_read(cx, buf);
        match outcome {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                this.wait(Waiting::ForAnswer);
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
        match outcome {
            Poll::Ready(Ok(_)) => this.wait(Waiting::ForRequest),
            // An answer that nobody takes is waited for no longer than a request.
            Poll::Pending => {
                this.wait(Waiting::ForAnswer);
                this.head.set();
                if let Err(error) = this.poll_timer(cx) {
                    return Poll::Ready(Err(error));
                }
            }
            Poll::Ready(Err(_)) => {}
        }
        outcome
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
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
        if let Poll::Ready(Ok(_)) = outcome {
            this.wait(Waiting::ForRequest);
        }
        outcome
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
    };

    async fn cut_off_after(head_arrives: bool) -> Duration {
        let (mut client, server) = duplex(64);
        let mut server = Deadline::new(server, WAITS);
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
        let mut server = Deadline::new(server, WAITS);
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
        let mut server = Deadline::new(server, WAITS);
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
}
