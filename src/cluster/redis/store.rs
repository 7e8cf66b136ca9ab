//! What the nodes keep together beside their channels.

use std::fmt;
use std::time::Duration;

use redis::{Cmd, Value};

use super::keys::Keys;
use super::queries::Asker;
use super::script;
use crate::hub::Unavailable;
use crate::state::common::{Answered, Common, OutOfReach};

/// Values in Redis, each with a key and an end of its own.
pub(super) struct Store {
    asker: Asker,
    keys: Keys,
}

impl Store {
    pub(super) fn new(asker: Asker, keys: Keys) -> Self {
        Self { asker, keys }
    }

    fn ask<T: Send + 'static>(
        &self,
        key: String,
        command: Cmd,
        read: impl FnOnce(&Asker, Value) -> Result<T, Unavailable> + Send + 'static,
    ) -> Answered<T> {
        let asker = self.asker.clone();
        Box::pin(async move {
            let answer = asker.ask(&key, command).await;
            answer
                .and_then(|answer| read(&asker, answer))
                .map_err(|_| OutOfReach)
        })
    }
}

impl Common for Store {
    fn get(&self, name: &str, longest: usize) -> Answered<Option<Vec<u8>>> {
        let key = self.keys.common(name);
        let mut command = redis::cmd("GETRANGE");
        // The last place counts, too.
        command.arg(&key).arg(0).arg(longest);
        self.ask(key, command, |asker, answer| {
            let value = asker.readable(script::bytes(answer))?;
            Ok(Some(value).filter(|value| !value.is_empty()))
        })
    }

    fn put(&self, name: &str, value: Vec<u8>, lasts: Duration) -> Answered<()> {
        let key = self.keys.common(name);
        let mut command = redis::cmd("SET");
        // Redis refuses a time of nothing.
        let lasts = (lasts.as_millis() as u64).max(1);
        command.arg(&key).arg(value).arg("PX").arg(lasts);
        self.ask(key, command, |_, _| Ok(()))
    }

    fn remove(&self, name: &str) -> Answered<()> {
        let key = self.keys.common(name);
        let mut command = redis::cmd("DEL");
        command.arg(&key);
        self.ask(key, command, |_, _| Ok(()))
    }

    fn lease(&self, name: &str, holder: &str, lasts: Duration) -> Answered<bool> {
        let (asker, key) = (self.asker.clone(), self.keys.common(name));
        let holder = holder.to_owned();
        Box::pin(async move {
            let leased = asker.lease(&key, &holder, lasts).await;
            leased.map_err(|_| OutOfReach)
        })
    }

    fn leased_for(&self, name: &str) -> Answered<Duration> {
        let key = self.keys.common(name);
        let mut command = redis::cmd("PTTL");
        command.arg(&key);
        self.ask(key, command, |asker, answer| {
            let left = asker.readable(script::number(answer))?;
            Ok(Duration::from_millis(left))
        })
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
