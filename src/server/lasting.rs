//! Tasks that last as long as the process: one that ends by a fault is missed by nobody, unless it is logged.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use actix_rt::task::JoinHandle;
use futures_util::FutureExt as _;
use tokio::task::spawn_blocking;
use tokio::time::{MissedTickBehavior, interval};

use crate::throttle::Throttle;

/// Runs a task on this thread. That a fault has ended it is logged; the rest of the process goes on without it.
pub(super) fn begin(
    what: &'static str,
    task: impl Future<Output = ()> + 'static,
) -> JoinHandle<()> {
    actix_rt::spawn(async move {
        if let Err(fault) = AssertUnwindSafe(task).catch_unwind().await {
            let reason = reason(&*fault);
            tracing::error!(
                what,
                reason,
                "a fault of the relay has ended one of its tasks, which is not done any more: start the relay again"
            );
        }
    })
}

/// Does something every so often, on a thread that may wait for it. What a fault keeps from being done is logged, and done
/// the next time.
pub(super) async fn repeat<T: Send + 'static>(
    what: &'static str,
    every: Duration,
    mut state: T,
    step: impl Fn(&mut T) + Clone + Send + 'static,
) {
    let mut complaints = Throttle::default();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let step = step.clone();
        let done = spawn_blocking(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| step(&mut state)));
            (state, outcome)
        });
        let Ok((kept, outcome)) = done.await else {
            // The runtime is stopping.
            return;
        };
        state = kept;
        if let Err(fault) = outcome
            && complaints.lets_through(Instant::now())
        {
            let reason = reason(&*fault);
            tracing::error!(
                what,
                reason,
                "a fault of the relay has kept it from doing this; it is tried again"
            );
        }
    }
}

/// What a fault says of itself.
fn reason(fault: &(dyn Any + Send)) -> &str {
    let text = fault.downcast_ref::<&str>().copied();
    let owned = || fault.downcast_ref::<String>().map(String::as_str);
    text.or_else(owned).unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_a_fault_keeps_from_being_done_is_done_the_next_time() {
        let (done, mut is_done) = mpsc::channel(1);
        let step = move |count: &mut u32| {
            *count += 1;
            assert!(*count > 1, "the first time");
            // Nobody waits for further ones.
            let _ = done.try_send(*count);
        };
        let repeated = repeat("test", Duration::from_millis(1), 0, step);
        tokio::select! {
            () = repeated => panic!("it ends"),
            count = is_done.recv() => assert_eq!(count, Some(2)),
        }
    }

    #[test]
    fn a_fault_of_a_task_ends_no_more_than_the_task() {
        let system = actix_rt::System::new();
        let ended = system.block_on(async { begin("test", async { panic!("a fault") }).await });
        ended.unwrap();
    }

    #[test]
    fn a_fault_is_named() {
        let reason_of = |fault: Box<dyn Any + Send>| reason(&*fault).to_owned();
        assert_eq!(reason_of(Box::new("text")), "text");
        assert_eq!(reason_of(Box::new("owned".to_owned())), "owned");
        assert_eq!(reason_of(Box::new(1)), "unknown");
    }
}
