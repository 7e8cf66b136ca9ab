//! SIGTERM and SIGINT.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::{io, process, thread};

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// From this call on, the first signal completes the future, and a second one ends the process
/// at once. A thread of its own sees to that, so that it works whatever the service is busy with,
/// and for signals that arrive while it starts.
pub(super) fn told_to_stop() -> io::Result<impl Future<Output = ()>> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt) = {
        let _context = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        )
    };
    let (first, told) = oneshot::channel();
    let wait = async move {
        let mut next = async || {
            poll_fn(|context| {
                let told = terminate.poll_recv(context).is_ready();
                match told || interrupt.poll_recv(context).is_ready() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
        };
        next().await;
        // Nobody listens any more when the relay has ended by itself.
        let _ = first.send(());
        next().await;
        tracing::warn!("told to stop a second time: stopped at once");
        process::exit(super::FAILURE.into());
    };
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || runtime.block_on(wait))?;
    Ok(async {
        // Without its sender, nothing can be told any more: stop, too.
        let _ = told.await;
    })
}
