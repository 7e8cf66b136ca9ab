//! Memory that is free and still held is given back to the system.
//!
//! The allocator keeps what was freed for the thread that freed it, and returns it to the system
//! only as that thread goes on allocating. When a flood is over nobody does, and the process would
//! stay as large as it has once been.

use std::cell::Cell;
use std::fs;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often the size of the process is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How soon after one collection another is worth a try, at the least and at the most.
const PAUSES: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(300));

/// Asks the threads to give back what they do not use.
pub(super) type Requests = watch::Sender<u64>;

thread_local! {
    static IS_KEPT: Cell<bool> = const { Cell::new(false) };
}

/// Asks for memory back from now on, when that may help. This thread takes part.
pub(super) fn begin(requests: Requests) {
    keep_on_this_thread(&requests.subscribe());
    actix_rt::spawn(watch_size(requests));
}

/// Sees to it that what this thread holds and does not use is given back whenever that is asked for. Once is
/// enough, and more do nothing. Needs a local runtime around it.
pub(super) fn keep_on_this_thread(requests: &watch::Receiver<u64>) {
    if !IS_KEPT.replace(true) {
        actix_rt::spawn(on_this_thread(requests.clone()));
    }
}

async fn on_this_thread(mut requests: watch::Receiver<u64>) {
    while requests.changed().await.is_ok() {
        now();
    }
}

/// Gives back what this thread holds and does not use.
pub(super) fn now() {
    // SAFETY: it has no preconditions; it looks through the heap of the calling thread.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

/// Looks at the size of the process and asks for a collection when that may help.
async fn watch_size(requests: Requests) {
    let mut pace = Pace::new(Instant::now());
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // Where the system does not say it, nothing is asked for.
        let Some(resident) = resident_pages() else {
            return;
        };
        if pace.look(resident, Instant::now()) {
            requests.send_modify(|count| *count += 1);
        }
    }
}

/// Pages of the process in memory.
pub(super) fn resident_pages() -> Option<u64> {
    let sizes = fs::read_to_string("/proc/self/statm").ok()?;
    sizes.split(' ').nth(1)?.parse().ok()
}

/// When a collection is worth its cost: not while the process grows, and ever more rarely while
/// nothing comes of it.
#[derive(Debug)]
struct Pace {
    pause: Duration,
    next: Instant,
    /// The size when it was last looked at.
    last: u64,
    /// The size before a collection whose outcome was not looked at yet.
    before: Option<u64>,
    /// The size after the last collection.
    settled: u64,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self {
            pause: PAUSES.0,
            next: now + PAUSES.0,
            last: 0,
            before: None,
            settled: 0,
        }
    }

    /// Whether memory is to be collected now, at this size.
    fn look(&mut self, size: u64, now: Instant) -> bool {
        let grows = size > self.last;
        self.last = size;
        if let Some(before) = self.before.take() {
            self.settled = size;
            self.pause = if is_clearly_less(size, before) {
                PAUSES.0
            } else {
                (self.pause * 2).min(PAUSES.1)
            };
            self.next = now + self.pause;
        } else if is_clearly_less(self.settled, size) {
            // There was load since: what it has left is worth a look soon.
            self.next = self.next.min(now + PAUSES.0);
        }
        let is_due = !grows && now >= self.next;
        if is_due {
            self.before = Some(size);
            // Until the outcome is known.
            self.settled = size;
        }
        is_due
    }
}

/// Whether `size` is less than `other` by a twentieth or more.
fn is_clearly_less(size: u64, other: u64) -> bool {
    size < other - other / 20
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every two seconds for so many seconds, at sizes that a process of this kind has:
    /// returns when collections were asked for. `size` is given how many there were.
    fn collections(seconds: u64, size: impl Fn(u64, usize) -> u64) -> Vec<u64> {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut asked = Vec::new();
        for second in (0..seconds).step_by(2) {
            let size = size(second, asked.len());
            if pace.look(size, start + Duration::from_secs(second)) {
                asked.push(second);
            }
        }
        asked
    }

    #[test]
    fn what_a_flood_has_left_is_collected_soon_after_it() {
        let asked = collections(3000, |second, asked| match second {
            ..2000 => 1000,
            2000..2010 => second * 100,
            _ if asked > 0 && asked > before_the_flood() => 1100,
            _ => 200_900,
        });
        let soon = asked.iter().find(|second| **second >= 2010);
        assert!(soon.is_some_and(|second| *second <= 2018), "{asked:?}");
    }

    fn before_the_flood() -> usize {
        collections(2000, |_, _| 1000).len()
    }

    #[test]
    fn nothing_gained_makes_it_rare() {
        let asked = collections(7200, |_, _| 1000);
        assert!(asked.len() < 32, "{asked:?}");
    }

    #[test]
    fn a_process_that_grows_is_left_alone() {
        assert_eq!(collections(600, |second, _| 1000 + second), [0; 0]);
    }
}
