//! How long the tests wait, in one place.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// How long anything that must happen may take before a test gives up: long enough for a busy machine, since only a
/// failing test ever waits for it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Awaits `future`, and panics with `what` when [`PATIENCE`] ends first.
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(PATIENCE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}

/// Asks `probe` again and again until it answers with a value; panics with `what` when [`PATIENCE`] ends first.
pub async fn eventually<T, F>(what: &str, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe().await {
            return value;
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain for {what}"
        );
        sleep(Duration::from_millis(5)).await;
    }
}
