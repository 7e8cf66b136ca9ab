//! Ports for servers that cannot be asked which one they got.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Below what the kernel gives to outgoing connections, so that a server that is started again finds its port free;
/// and 10,000 further up, where the nodes of a Redis Cluster listen for each other, the same holds. Browsers connect to
/// none of the ports that have a bad name, of which 10080 is the highest.
const FIRST: u32 = 10_100;
const COUNT: u32 = 9_900;

/// A port that may well be free, and another one with each call. Whoever finds it taken takes the next.
pub fn candidate() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let count = NEXT.fetch_add(1, Ordering::Relaxed);
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is later than 1970");
    // Test programs that run at the same time begin far from each other.
    let start = process::id().wrapping_mul(977) ^ (since.subsec_nanos() >> 8);
    let port = FIRST + start.wrapping_add(count) % COUNT;
    u16::try_from(port).expect("it is below 20,000")
}
