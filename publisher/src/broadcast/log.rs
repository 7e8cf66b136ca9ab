//! The driver `log`.

use std::fmt;
use std::sync::Arc;

use super::{Broadcast, BroadcastFuture, Broadcaster};
use crate::json::to_pretty_php;
use crate::{Channel, Error};

/// Writes to the log what would be broadcast, in the words of Laravel's `LogBroadcaster`. The
/// payload is in it: a driver for development.
#[derive(Clone)]
pub struct LogBroadcaster {
    sink: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Default for LogBroadcaster {
    fn default() -> Self {
        Self::new()
    }
}

impl LogBroadcaster {
    /// Logs with `tracing`, at info.
    pub fn new() -> Self {
        Self::to(|text| tracing::info!("{text}"))
    }

    /// Hands over the text of each event instead: of several lines, without a newline at the end.
    pub fn to(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let sink = Arc::new(sink);
        Self { sink }
    }

    fn log(&self, broadcast: &Broadcast) -> Result<(), Error> {
        if broadcast.channels().is_empty() {
            return Ok(());
        }
        let channels: Vec<_> = broadcast.channels().iter().map(Channel::name).collect();
        let payload = to_pretty_php(&broadcast.payload_with_socket()?);
        (self.sink)(&format!(
            "Broadcasting [{}] on channels [{}] with payload:\n{payload}",
            broadcast.event(),
            channels.join(", "),
        ));
        Ok(())
    }
}

impl Broadcaster for LogBroadcaster {
    fn name(&self) -> &'static str {
        "log"
    }

    fn broadcast<'a>(&'a self, broadcast: &'a Broadcast) -> BroadcastFuture<'a> {
        Box::pin(std::future::ready(self.log(broadcast)))
    }
}

impl fmt::Debug for LogBroadcaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogBroadcaster").finish_non_exhaustive()
    }
}
