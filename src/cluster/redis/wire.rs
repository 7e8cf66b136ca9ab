//! What nodes and scripts have in common: the letters that they write, the order of keys and arguments.
//!
//! A script gives the same names to the same things at its head. A test holds it to that.

use std::time::Duration;

/// How long Redis remembers nodes without a heartbeat, beyond the time after which they are dead.
pub(super) const REMEMBERED_FOR: Duration = Duration::from_secs(600);
/// How long a node may take at least to clean up after a dead one, before another one does.
pub(super) const LEAST_CLEANUP: Duration = Duration::from_secs(2);
/// How long channels of a dead node are left to others whose apps a node does not know.
pub(super) const LEFT_TO_OTHERS_FOR: Duration = Duration::from_secs(600);
/// How long it is remembered what nodes that are gone had, and what a node has left, in a Redis Cluster: one of its
/// servers may go back to what it had before.
pub(super) const GONE_FOR: Duration = Duration::from_secs(300);
/// How old an entry may be that is written again when its server has ended.
pub(super) const REPEATED_FOR: Duration = Duration::from_secs(1);

/// How long after a connection entries are written even where nobody is known to listen: other
/// nodes may still be on their way back, to a server that has forgotten them.
pub(super) const KEEPS_FOR: Duration = Duration::from_secs(20);

macro_rules! names {
    ($($(#[$doc:meta])* $group:ident, $prefix:literal {
        $($(#[$of_name:meta])* $name:ident = $text:literal,)*
    })*) => {
        $($(#[$doc])* pub(super) mod $group {
            $($(#[$of_name])* pub(in crate::cluster::redis) const $name: &str = $text;)*
        })*

        /// All of them as scripts call them.
        #[cfg(test)]
        const NAMES: &[(&str, &str)] = &[
            $($((concat!($prefix, stringify!($name)), $text),)*)*
        ];
    };
}

names! {
    /// Keys behind the prefix that scripts find by themselves, too.
    key, "KEY_" {
        NODES = "{nodes}",
        DEAD = "{nodes}:dead",
        MEMORY = "{nodes}:memory",
        /// The topics of a node, whose id and a brace follow.
        NODE = "{node:",
        /// Where the last entries of logs stood that are gone, behind the topic.
        ENDS = ":ends",
    }

    /// What an entry of a log is about.
    entry, "ENTRY_" {
        EVENTS = "E",
        CLOSE = "X",
        ADDED = "+",
        REMOVED = "-",
        TOTAL = "#",
        ONLINE = "O",
        OFFLINE = "F",
    }

    /// What holds for a call about a channel.
    flag, "FLAG_" {
        PRESENCE = "p",
        USER = "u",
        /// Subscribers are notified of how many they are.
        COUNTED = "c",
        /// Webhooks want to know who occupies and vacates, of members, of counts.
        REPORTS_OCCUPANCY = "o",
        REPORTS_MEMBERS = "m",
        REPORTS_COUNTS = "s",
        /// The cached event is asked for, the roster in any case, all that the node has to report.
        CACHED = "k",
        ROSTER = "r",
        ALL_DUE = "d",
        /// One entry is returned however large it is.
        ONE_AT_LEAST = "e",
        /// Nothing is asked for that has happened since.
        NOT_SINCE = "x",
        /// Nodes may not have announced again yet what was forgotten.
        DOUBTFUL = "D",
        /// Webhooks know that the node has occupied the channel, or had; or know nothing of that, and it is
        /// vacated without a report. Perhaps: it was for others to report, or in doubt, that the node had.
        OCCUPIED = "q",
        WAS_OCCUPIED = "z",
        PERHAPS_WAS_OCCUPIED = "w",
        NEVER_OCCUPIED = "y",
        /// What the node had is gone, and was reported: the server may have gone back to what it had before.
        GONE_BEFORE = "g",
    }

    /// What a call changes.
    step, "STEP_" {
        SUBSCRIBERS = "n",
        WATCHERS = "w",
        ADD = "+",
        REMOVE = "-",
        /// The same of one whom webhooks know of, even if it was forgotten, or may know of.
        ADD_REPORTED = "h",
        REMOVE_REPORTED = "g",
        REMOVE_PERHAPS_REPORTED = "i",
        WHOLE = "=",
        FLUSH = "f",
        ACKNOWLEDGE = "a",
    }

    /// What is to be reported: the first letter of a field.
    due, "DUE_" {
        OCCUPIED = "o",
        /// Vacated, and a user removed, once their time has come, and then.
        VACATING = "v",
        VACATED = "V",
        ADDED = "a",
        REMOVING = "r",
        REMOVED = "R",
        /// Occupied, and a user added, once their time has come, unless a node announces that webhooks know it.
        PERHAPS_OCCUPIED = "p",
        PERHAPS_ADDED = "b",
        COUNT = "N",
    }
}

/// A field of what is to be reported about a user.
pub(super) fn due_field(kind: &str, user_id: &str) -> String {
    [kind, user_id].concat()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::cluster::redis::script;

    /// The names that a declaration of Lua gives to what stands in this, in their order.
    fn unpacked<'c>(code: &'c str, from: &str) -> Option<Vec<&'c str>> {
        let end = code.find(&format!("= unpack({from}"))?;
        let start = code[..end].rfind("local ")? + "local ".len();
        Some(code[start..end].split(',').map(str::trim).collect())
    }

    /// The texts that a script gives names in capitals.
    fn named(code: &str) -> Vec<(&str, &str)> {
        let mut found = Vec::new();
        let is_name = |name: &&str| name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
        for declaration in code.split("local ").skip(1) {
            let Some((names, texts)) = declaration.split_once('=') else {
                continue;
            };
            let names: Vec<&str> = names.split(',').map(str::trim).collect();
            if names.iter().all(is_name) {
                let texts = texts.split('\'').skip(1).step_by(2);
                found.extend(names.iter().copied().zip(texts));
            }
        }
        found
    }

    #[test]
    fn scripts_name_their_keys_and_arguments_in_the_order_in_which_they_are_called() {
        for script in script::all() {
            let (code, names) = (script.code(), script.names());
            let keys = unpacked(code, "KEYS").unwrap_or_default();
            assert_eq!(keys, names.keys, "{code}");
            let arguments = unpacked(code, "ARGV").unwrap_or_default();
            assert_eq!(arguments, names.arguments, "{code}");
            for number in 0..10 {
                for list in ["KEYS", "ARGV"] {
                    assert!(!code.contains(&format!("{list}[{number}")), "{code}");
                }
            }
        }
    }

    #[test]
    fn scripts_and_nodes_mean_the_same_by_a_letter() {
        let known: BTreeMap<&str, &str> = NAMES.iter().copied().collect();
        let mut seen = BTreeMap::new();
        for (name, text) in script::all()
            .into_iter()
            .flat_map(|script| named(script.code()))
        {
            assert_eq!(*seen.entry(name).or_insert(text), text, "{name}");
            assert_eq!(known.get(name).copied().unwrap_or(text), text, "{name}");
        }
        let is_missing = |name: &&&str| !seen.contains_key(**name);
        let missing: BTreeSet<_> = known.keys().filter(is_missing).collect();
        assert!(missing.is_empty(), "no script knows {missing:?}");
    }
}
