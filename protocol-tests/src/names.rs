//! Names that tests do not share.

use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// A name that no other test, run or process uses, beginning with `prefix`.
pub fn unique(prefix: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is later than 1970");
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!(
        "{prefix}{:x}-{:x}-{count:x}",
        since.as_millis(),
        process::id()
    )
}
