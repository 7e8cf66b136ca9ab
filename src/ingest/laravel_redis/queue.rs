//! What has come and waits to be delivered.

use std::cell::RefCell;
use std::collections::VecDeque;

use tokio::sync::Notify;

/// What an item takes up beside its own bytes, about.
const OVERHEAD: usize = 128;

/// Items of one thread in their order, up to so many bytes.
///
/// Redis is read whether or not there is room to deliver, so that its answers are seen and a
/// dead connection is known as one: without a bound here, a lasting flood would take all memory.
#[derive(Debug)]
pub(super) struct Queue<T> {
    waiting: RefCell<Waiting<T>>,
    limit: usize,
    arrived: Notify,
}

#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
}

impl<T> Queue<T> {
    pub(super) fn new(limit: usize) -> Self {
        let waiting = Waiting {
            items: VecDeque::new(),
            bytes: 0,
        };
        Self {
            waiting: RefCell::new(waiting),
            limit,
            arrived: Notify::new(),
        }
    }

    /// Adds an item of so many bytes; gives it back if it does not fit.
    pub(super) fn push(&self, item: T, bytes: usize) -> Result<(), T> {
        let mut waiting = self.waiting.borrow_mut();
        let bytes = bytes.saturating_add(OVERHEAD);
        if waiting.bytes.saturating_add(bytes) > self.limit {
            return Err(item);
        }
        waiting.bytes += bytes;
        waiting.items.push_back((item, bytes));
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes the oldest item; waits for one.
    pub(super) async fn next(&self) -> T {
        loop {
            if let Some(item) = self.pop() {
                return item;
            }
            self.arrived.notified().await;
        }
    }

    fn pop(&self) -> Option<T> {
        let mut waiting = self.waiting.borrow_mut();
        let (item, bytes) = waiting.items.pop_front()?;
        waiting.bytes -= bytes;
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn items_leave_in_their_order_and_make_room() {
        let queue = Queue::new(2 * OVERHEAD + 10);
        assert_eq!(queue.push(1, 4), Ok(()));
        assert_eq!(queue.push(2, 6), Ok(()));
        assert_eq!(queue.push(3, 0), Err(3));
        assert_eq!(queue.next().await, 1);
        assert_eq!(queue.push(4, 4), Ok(()));
        assert_eq!((queue.next().await, queue.next().await), (2, 4));
        assert_eq!(queue.push(5, usize::MAX), Err(5));
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_the_next_item() {
        let queue = Queue::new(1024);
        let (item, pushed) = tokio::join!(queue.next(), async {
            tokio::task::yield_now().await;
            queue.push("item", 4)
        });
        assert_eq!((item, pushed), ("item", Ok(())));
    }
}
