//! SIGTERM, SIGINT and SIGHUP.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::{io, process, thread};

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, oneshot};

use crate::log;

/// From this call on, the first SIGTERM or SIGINT completes the future, and a second one ends the
/// process at once, with this exit code. SIGHUP is logged. A thread of its own sees to that, so
/// that it works whatever the program is busy with, and for signals that arrive while it starts.
///
/// # Errors
/// When the system refuses a thread or the signals.
pub fn stop_requested(exit_code: u8) -> io::Result<impl Future<Output = ()>> {
    watch_signals(exit_code, || {
        tracing::warn!("SIGHUP: nothing is reloaded, restart to change the configuration");
    })
}

/// The same; each SIGHUP notifies whoever waits for it, and several at once may do so together.
///
/// # Errors
/// When the system refuses a thread or the signals.
pub fn stop_or_reload_requested(
    exit_code: u8,
) -> io::Result<(impl Future<Output = ()>, Arc<Notify>)> {
    let hang_up = Arc::new(Notify::new());
    let notify = Arc::clone(&hang_up);
    let stop = watch_signals(exit_code, move || notify.notify_one())?;
    Ok((stop, hang_up))
}

fn watch_signals(
    exit_code: u8,
    on_hang_up: impl Fn() + Send + Sync + 'static,
) -> io::Result<impl Future<Output = ()>> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _context = runtime.enter();
        Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        }
    };
    let (first, requested) = oneshot::channel();
    let wait = async move {
        signals.next_stop(&on_hang_up).await;
        // Nobody listens any more when the program has ended by itself.
        let _ = first.send(());
        signals.next_stop(&on_hang_up).await;
        tracing::warn!("asked to stop a second time: stopped at once");
        log::finish();
        process::exit(exit_code.into());
    };
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || runtime.block_on(wait))?;
    Ok(async {
        // Without its sender, nothing can be requested any more: stop, too.
        let _ = requested.await;
    })
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Waits for SIGTERM or SIGINT.
    async fn next_stop(&mut self, on_hang_up: &impl Fn()) {
        poll_fn(|context| {
            while self.hang_up.poll_recv(context).is_ready() {
                on_hang_up();
            }
            let is_asked = self.terminate.poll_recv(context).is_ready();
            if is_asked || self.interrupt.poll_recv(context).is_ready() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
