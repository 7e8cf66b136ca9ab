//! What is left of a request's body when its handler wants no more of it.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use tokio::time::timeout;

/// How long a client that still sends may take to read its answer. Then its stream is reset, and some clients (curl 7) would
/// see nothing else if both came at once.
const TIME_TO_READ: Duration = Duration::from_millis(200);

/// Where a body is left.
#[derive(Clone, Default)]
pub(super) struct Rest(Rc<Shared>);

#[derive(Default)]
struct Shared {
    body: Cell<Option<RecvStream>>,
    is_wanted: Cell<bool>,
}

impl Rest {
    pub(super) fn leave(&self, body: RecvStream) {
        self.0.body.set(Some(body));
    }

    /// The request's handler reads the body.
    pub(super) fn want(&self) {
        self.0.is_wanted.set(true);
    }

    /// Whether it does.
    pub(super) fn is_wanted(&self) -> bool {
        self.0.is_wanted.get()
    }

    /// Drops it, and all of it that comes.
    pub(super) fn drop_now(&self) {
        self.0.body.take();
    }

    /// Waits until the client that was just answered sends no more, or has had time to notice. If it still sends, its stream is reset
    /// with NO_ERROR (RFC 9113 §8.1) once this and the stream are dropped.
    pub(super) async fn let_go(self, stream: &mut SendStream<Bytes>) {
        let Some(mut body) = self.0.body.take() else {
            return;
        };
        if body.is_end_stream() {
            return;
        }
        let end = poll_fn(|cx| {
            if stream.poll_reset(cx).is_ready() {
                return Poll::Ready(());
            }
            // What has come is dropped, and the client is not asked for more.
            while let Some(Ok(_)) = ready!(body.poll_data(cx)) {}
            Poll::Ready(())
        });
        // Either is fine.
        let _ = timeout(TIME_TO_READ, end).await;
    }
}
