//! How many of something are under way, and when there are none left.

use std::sync::atomic::{AtomicUsize, Ordering};

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

/// One that is under way until this is dropped.
#[derive(Debug)]
pub struct UnderWay<'t>(&'t Tally);

impl Tally {
    /// Counts one in, unless that passes the limit: a rush cannot pass it either.
    pub fn try_add(&self, limit: usize) -> Result<(), Full> {
        self.count
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| {
                (count < limit).then_some(count + 1)
            })
            .map(|_| ())
            .map_err(|_| Full)
    }

    /// Counts one out that [`Tally::try_add`] counted in.
    pub fn remove(&self) {
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
        let tally = Tally::default();
        tally.emptied().await;
        assert_eq!(tally.try_add(1), Ok(()));
        assert_eq!(tally.try_add(1), Err(Full));
        let guard = tally.enter();
        let (left, ()) = tokio::join!(
            async {
                tally.emptied().await;
                tally.get()
            },
            async {
                tally.remove();
                tokio::task::yield_now().await;
                assert_eq!(tally.get(), 1);
                drop(guard);
            }
        );
        assert_eq!(left, 0);
    }
}
