//! Calls of scripts as they reach Redis: their arguments by the names that the scripts give them.

use crate::cluster::redis::script::Known;

/// One call of a script.
pub(super) struct Called<'a> {
    names: &'static [&'static str],
    arguments: &'a [Vec<u8>],
}

impl<'a> Called<'a> {
    /// The command, if it calls this script.
    pub(super) fn of(script: &Known, command: &'a [Vec<u8>]) -> Option<Self> {
        let [name, hash, keys, rest @ ..] = command else {
            return None;
        };
        if name != b"EVALSHA" || *hash != script.hash().as_bytes() {
            return None;
        }
        let keys: usize = text(keys).parse().unwrap();
        Some(Self {
            names: script.names().arguments,
            arguments: &rest[keys..],
        })
    }

    /// The argument that the script calls so.
    pub(super) fn argument(&self, name: &str) -> &'a [u8] {
        let place = self.names.iter().position(|known| *known == name);
        &self.arguments[place.unwrap()]
    }

    /// What follows those that have a name.
    pub(super) fn rest(&self) -> &'a [Vec<u8>] {
        &self.arguments[self.names.len()..]
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
