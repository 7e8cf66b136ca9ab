//! What a user of Redis may do, and whether that is all that a node needs.

use std::fmt;

use redis::{Cmd, RedisError, Value};

use super::script;

/// What a node needs of its user.
#[derive(Clone, Debug)]
pub(super) struct Rights {
    prefix: Box<str>,
    is_cluster: bool,
}

/// Why Redis does not let a node in, or not do all that it needs. It may be shown to anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// The user, the password or the want of one is wrong.
    Login,
    /// The user may do too little: what is to be granted.
    Rights(String),
    /// The user may do too little, and Redis does not say of what.
    Unnamed,
}

impl Rights {
    pub(super) fn new(prefix: &str, is_cluster: bool) -> Self {
        Self {
            prefix: prefix.into(),
            is_cluster,
        }
    }

    /// The call that finds out what the user lacks; see [`Rights::missing`].
    pub(super) fn probe(&self) -> Cmd {
        let call = script::RIGHTS.call::<&str>(&[]);
        call.arg("prefix", &*self.prefix)
            .arg("cluster", i32::from(self.is_cluster))
            .command()
    }

    /// What the user lacks by the answer to [`Rights::probe`].
    pub(super) fn missing(&self, answer: Value) -> Option<Lack> {
        let lacks = script::texts(answer).unwrap_or_default();
        if lacks.is_empty() {
            return None;
        }
        let named = lacks.iter().map(|lack| match &**lack {
            "~" => self.pattern('~'),
            "&" => self.pattern('&'),
            command => command.to_owned(),
        });
        Some(Lack::Rights(named.collect::<Vec<_>>().join(" ")))
    }

    /// What an error says that the user lacks, if it does.
    pub(super) fn lack_of(&self, error: &RedisError) -> Option<Lack> {
        let detail = error.detail().unwrap_or_default();
        match error.code()? {
            "WRONGPASS" | "NOAUTH" => Some(Lack::Login),
            "NOPERM" => Some(self.named_in(detail)),
            // What a script may not do, in the words of Redis before 7.2.
            "ERR" if detail.contains("user executing the script can't") => {
                Some(self.named_in(detail))
            }
            _ => None,
        }
    }

    fn named_in(&self, detail: &str) -> Lack {
        let command = detail.split_once("run the '");
        let command = command.and_then(|(_, rest)| rest.split_once('\''));
        match command {
            Some((command, _)) => Lack::Rights(format!("+{command}")),
            None if detail.contains("run this") => Lack::Unnamed,
            None if detail.contains("key") => Lack::Rights(self.pattern('~')),
            None if detail.contains("channel") => Lack::Rights(self.pattern('&')),
            None => Lack::Unnamed,
        }
    }

    /// All names with the prefix, as an ACL grants them.
    fn pattern(&self, kind: char) -> String {
        let mut pattern = String::from(kind);
        for character in self.prefix.chars() {
            if "*?[]\\".contains(character) {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern + "*"
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login => f.write_str(
                "Redis refuses the relay's user or password, or the want of one (cluster.url)",
            ),
            Self::Rights(missing) => write!(
                f,
                "Redis does not let the relay do all that it needs: grant its user {missing}"
            ),
            Self::Unnamed => f.write_str(
                "Redis does not let the relay do all that it needs: its ACL LOG says what",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::{ErrorKind, ServerErrorKind};

    use super::*;

    fn lack_of(detail: &str) -> Option<Lack> {
        let kind = ErrorKind::Server(ServerErrorKind::NoPerm);
        let error = RedisError::from((kind, "NOPERM", detail.to_owned()));
        Rights::new("a[b:", false).lack_of(&error)
    }

    #[test]
    fn what_redis_refuses_is_named_as_an_acl_grants_it() {
        let rights = |text: &str| Some(Lack::Rights(text.to_owned()));
        // Redis 7.0 and 7.2.
        for (detail, lack) in [
            (
                "this user has no permissions to run the 'script|load' command",
                rights("+script|load"),
            ),
            (
                "User ann has no permissions to run the 'hkeys' command",
                rights("+hkeys"),
            ),
            (
                "this user has no permissions to access one of the keys used as arguments",
                rights("~a\\[b:*"),
            ),
            ("No permissions to access a channel", rights("&a\\[b:*")),
            ("something else", Some(Lack::Unnamed)),
        ] {
            assert_eq!(lack_of(detail), lack, "{detail}");
        }
    }

    #[test]
    fn the_script_tries_every_command_that_scripts_run() {
        let probe = include_str!("lua/rights.lua");
        for script in script::all() {
            let code = script.code();
            for call in ["redis.call('", "redis.pcall('"] {
                for (start, _) in code.match_indices(call) {
                    let rest = &code[start + call.len()..];
                    let (command, _) = rest.split_once('\'').expect("a name ends");
                    assert!(probe.contains(&format!("{{ '{command}'")), "{command}");
                }
            }
        }
    }
}
