//! How many of something are under way, and when there are none left.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Counts what is under way. One atomic step each way.
#[derive(Debug, Default)]
pub struct Tally {
    count: AtomicUsize,
    emptied: Notify,
}

/// As many are under way as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// One that is under way until this is dropped, wherever that is.
#[derive(Debug)]
#[must_use = "it counts until it is dropped"]
pub struct Permit(Arc<Tally>);

/// One that is under way until this is dropped.
#[derive(Debug)]
pub struct UnderWay<'t>(&'t Tally);

impl Tally {
    /// Counts one in for as long as the permit lives, unless that passes the limit: a rush cannot
    /// pass it either.
    pub fn try_enter(self: &Arc<Self>, limit: usize) -> Result<Permit, Full> {
        self.count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                (count < limit).then_some(count + 1)
            })
            .map(|_| Permit(Arc::clone(self)))
            .map_err(|_| Full)
    }

    /// Counts one in for as long as the permit lives, whatever the limit.
    pub fn enter_anyway(self: &Arc<Self>) -> Permit {
        self.count.fetch_add(1, Ordering::AcqRel);
        Permit(Arc::clone(self))
    }

    fn remove(&self) {
        if self.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.emptied.notify_waiters();
        }
    }

    /// Counts one in for as long as the guard lives.
    pub fn enter(&self) -> UnderWay<'_> {
        self.count.fetch_add(1, Ordering::AcqRel);
        UnderWay(self)
    }

    /// How many are under way.
    pub fn get(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Waits until none is under way.
    pub async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            // Enabled before looking, so that the last one cannot leave unnoticed.
            emptied.as_mut().enable();
            if self.get() == 0 {
                return;
            }
            emptied.await;
        }
    }
}

/// The HTTP requests under way, counted by each worker for itself.
#[derive(Debug, Default)]
pub struct Requests(Mutex<Vec<Arc<Tally>>>);

impl Requests {
    /// A count for one more worker.
    pub fn of_worker(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally::default());
        self.0.lock().push(Arc::clone(&tally));
        tally
    }

    /// How many are under way.
    pub fn get(&self) -> usize {
        self.0.lock().iter().map(|tally| tally.get()).sum()
    }

    /// Waits until each worker has had none under way.
    pub async fn emptied(&self) {
        let tallies = self.0.lock().clone();
        for tally in tallies {
            tally.emptied().await;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.remove();
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_to_leave_is_noticed() {
        let tally = Arc::new(Tally::default());
        tally.emptied().await;
        let permit = tally.try_enter(1).unwrap();
        assert_eq!(tally.try_enter(1).unwrap_err(), Full);
        let guard = tally.enter();
        let (left, ()) = tokio::join!(
            async {
                tally.emptied().await;
                tally.get()
            },
            async {
                drop(permit);
                tokio::task::yield_now().await;
                assert_eq!(tally.get(), 1);
                drop(guard);
            }
        );
        assert_eq!(left, 0);
    }
}
