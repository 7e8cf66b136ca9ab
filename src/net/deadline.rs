//! HTTP connections that do not wait for ever.

use std::fmt;
use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_codec::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// A stream on which every request must be answered in time, counted from its first byte to
/// the first byte of the answer: however slowly it trickles in, and on every request of the
/// connection. (actix-http watches the head of the first request alone.)
pub struct Deadline<T> {
    stream: T,
    timeout: Duration,
    /// When the first byte came that nothing was written for yet.
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> Deadline<T> {
    /// Watches a stream.
    pub fn new(stream: T, timeout: Duration) -> Self {
        Self {
            stream,
            timeout,
            waiting_since: None,
            timer: None,
        }
    }

    /// The stream, watched no longer.
    pub fn into_inner(self) -> T {
        self.stream
    }

    /// Fails when the request has been waiting for too long. The timer is not set anew for
    /// each request: it goes off now and then, and is then set to what is due by that time.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(since) = self.waiting_since else {
            return Ok(());
        };
        let due = since + self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
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
            .field("waiting_since", &self.waiting_since)
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
                this.waiting_since.get_or_insert_with(Instant::now);
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
            Poll::Ready(Ok(_)) => this.waiting_since = None,
            // An answer that nobody takes is waited for no longer than a request.
            Poll::Pending => {
                this.waiting_since.get_or_insert_with(Instant::now);
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
            this.waiting_since = None;
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

    const TIMEOUT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_request_that_trickles_in_is_cut_off() {
        let (mut client, server) = duplex(64);
        let mut server = Deadline::new(server, TIMEOUT);
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
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(started.elapsed() <= TIMEOUT + Duration::from_secs(3));
        drop(server);
        trickle.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn answered_requests_may_go_on_and_quiet_connections_wait() {
        let (mut client, server) = duplex(64);
        let mut server = Deadline::new(server, TIMEOUT);
        let answers = tokio::spawn(async move {
            let mut byte = [0];
            for _ in 0..5 {
                server.read_exact(&mut byte).await.unwrap();
                server.write_all(&byte).await.unwrap();
            }
        });
        let mut byte = [0];
        for _ in 0..5 {
            tokio::time::sleep(TIMEOUT * 2).await;
            client.write_all(b"x").await.unwrap();
            client.read_exact(&mut byte).await.unwrap();
        }
        answers.await.unwrap();
    }
}
