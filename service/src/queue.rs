//! Lines on their way to a writer that may be slow, stuck or broken.

use std::cell::Cell;
use std::io::{self, Write};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How soon a writer that would block is tried again.
const RETRY: Duration = Duration::from_millis(20);

thread_local! {
    /// Whether this thread reports lines that were dropped: what it logs then is not dropped.
    static REPORTS: Cell<bool> = const { Cell::new(false) };
}

/// A bounded queue of lines. Whoever puts one in never waits.
#[derive(Debug)]
pub(crate) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
    most_bytes: usize,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    is_writing: bool,
    /// Lines that were dropped in all.
    dropped: u64,
    /// How many of them have been reported.
    reported: u64,
}

impl Queue {
    /// A queue in which at most so many bytes wait.
    pub(crate) fn new(most_bytes: usize) -> Self {
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            written: Condvar::new(),
            most_bytes,
        }
    }

    /// Puts whole lines in, or drops and counts them if there is no room.
    pub(crate) fn push(&self, lines: &[u8]) {
        let mut state = self.state.lock();
        let has_room = state.waiting.len() + lines.len() <= self.most_bytes;
        if !has_room && !REPORTS.get() {
            state.dropped += count_lines(lines);
            return;
        }
        state.waiting.extend_from_slice(lines);
        drop(state);
        self.filled.notify_one();
    }

    /// Lines that were dropped in all.
    pub(crate) fn dropped(&self) -> u64 {
        self.state.lock().dropped
    }

    /// Waits until everything is written, or until the limit is over.
    pub(crate) fn wait_until_written(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut state = self.state.lock();
        while !state.waiting.is_empty() || state.is_writing {
            if self.written.wait_until(&mut state, deadline).timed_out() {
                return;
            }
        }
    }

    /// Writes whatever is put in. Once the writer takes lines again after some were dropped,
    /// `report` is called with their number, on this thread.
    pub(crate) fn write_for_ever(&self, mut writer: impl Write, report: impl Fn(u64)) {
        loop {
            let chunk = self.next_chunk();
            let lost = write(&mut writer, &chunk);
            let dropped = self.wrote(lost);
            if dropped > 0 {
                REPORTS.set(true);
                report(dropped);
                REPORTS.set(false);
            }
        }
    }

    /// Waits until there is something to write, and takes it.
    fn next_chunk(&self) -> Vec<u8> {
        let mut state = self.state.lock();
        while state.waiting.is_empty() {
            self.filled.wait(&mut state);
        }
        state.is_writing = true;
        std::mem::take(&mut state.waiting)
    }

    /// A chunk was written but for these lines. Returns how many lines are to be reported now.
    fn wrote(&self, lost: u64) -> u64 {
        let mut state = self.state.lock();
        state.is_writing = false;
        state.dropped += lost;
        let unreported = match lost {
            0 => state.dropped - state.reported,
            _ => 0,
        };
        state.reported += unreported;
        drop(state);
        self.written.notify_all();
        unreported
    }
}

/// Writes, for as long as it takes. Returns how many lines were not written, for a fault that is
/// more than a moment's.
fn write(writer: &mut impl Write, chunk: &[u8]) -> u64 {
    let mut rest = chunk;
    while !rest.is_empty() {
        match writer.write(rest) {
            Ok(0) => break,
            Ok(count) => rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Whoever shares the file with this process may have made it non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(RETRY),
            Err(_) => break,
        }
    }
    count_lines(rest)
}

fn count_lines(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::sync::mpsc::{self, Receiver, SyncSender};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A writer that does as it is ordered, write by write, and then passes on what it took.
    struct Obedient {
        orders: Receiver<io::Result<usize>>,
        taken: SyncSender<String>,
    }

    impl Write for Obedient {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let Ok(order) = self.orders.recv() else {
                // The test is over.
                return Ok(bytes.len());
            };
            let count = order?.min(bytes.len());
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            let _test_is_over = self.taken.send(text);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Fixture {
        queue: Arc<Queue>,
        orders: SyncSender<io::Result<usize>>,
        taken: Receiver<String>,
    }

    fn start(most_bytes: usize) -> Fixture {
        let queue = Arc::new(Queue::new(most_bytes));
        let (orders, receiver) = mpsc::sync_channel(1024);
        let (sender, taken) = mpsc::sync_channel(1024);
        let writer = Obedient {
            orders: receiver,
            taken: sender,
        };
        let (writes, reports) = (Arc::clone(&queue), Arc::clone(&queue));
        thread::spawn(move || {
            let report = |lines| reports.push(format!("{lines} dropped\n").as_bytes());
            writes.write_for_ever(writer, report);
        });
        Fixture {
            queue,
            orders,
            taken,
        }
    }

    impl Fixture {
        /// Lets the writer take as much as it is given, until all of this has come.
        fn expect(&self, text: &str) {
            let mut taken = String::new();
            while taken.len() < text.len() {
                self.orders.send(Ok(usize::MAX)).expect("it writes");
                taken += &self.taken.recv_timeout(PATIENCE).expect("it writes");
            }
            assert_eq!(taken, text);
        }

        /// Waits until the writer has begun to write what was put in.
        fn wait_until_writing(&self) {
            let begun = Instant::now();
            while !self.queue.state.lock().waiting.is_empty() {
                assert!(begun.elapsed() < PATIENCE);
                thread::yield_now();
            }
        }
    }

    #[test]
    fn lines_are_written_in_their_order() {
        let log = start(100);
        for line in ["one\n", "two\n", "three\n"] {
            log.queue.push(line.as_bytes());
        }
        log.expect("one\ntwo\nthree\n");
        log.queue.wait_until_written(PATIENCE);
        assert_eq!(log.queue.dropped(), 0);
    }

    #[test]
    fn whoever_logs_does_not_wait_for_a_writer_that_is_stuck() {
        let log = start(10);
        log.queue.push(b"first\n");
        log.wait_until_writing();
        for _ in 0..5 {
            log.queue.push(b"a\nb\nc\n");
        }
        assert_eq!(log.queue.dropped(), 12);
        // It does not end the wait, but the limit does.
        log.queue.wait_until_written(Duration::from_millis(1));
        log.expect("first\n");
        log.expect("a\nb\nc\n12 dropped\n");
    }

    #[test]
    fn lines_that_a_broken_writer_does_not_take_are_dropped_and_reported_later() {
        let log = start(100);
        let broken = || Err(io::ErrorKind::StorageFull.into());
        for order in [broken(), Ok(4), broken()] {
            log.orders.send(order).expect("it writes");
        }
        log.queue.push(b"one\ntwo\n");
        log.queue.wait_until_written(PATIENCE);
        log.queue.push(b"one\ntwo\nthree\n");
        log.queue.wait_until_written(PATIENCE);
        assert_eq!(log.taken.recv_timeout(PATIENCE).as_deref(), Ok("one\n"));
        assert_eq!(log.queue.dropped(), 4);
        log.queue.push(b"well\n");
        log.expect("well\n4 dropped\n");
    }

    #[test]
    fn a_writer_that_would_block_is_tried_again() {
        let log = start(100);
        let mut orders = VecDeque::from([Ok(2), Err(io::ErrorKind::WouldBlock.into())]);
        orders.push_back(Err(io::ErrorKind::Interrupted.into()));
        for order in orders {
            log.orders.send(order).expect("it writes");
        }
        log.queue.push(b"one\n");
        log.expect("one\n");
        assert_eq!(log.queue.dropped(), 0);
    }
}
