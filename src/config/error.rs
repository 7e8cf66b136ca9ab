//! Why a configuration is refused.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a configuration is refused. Its text is one line and never holds a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        reason: io::Error,
    },
    /// A file is not TOML.
    #[error("{origin}: not valid TOML: {message}")]
    Syntax {
        /// Where it stops being TOML.
        origin: Origin,
        /// The parser's error.
        message: String,
    },
    /// A key that means nothing.
    #[error("{origin}: {key}: unknown key; {hint}")]
    UnknownKey {
        /// Where the key is.
        origin: Origin,
        /// The key with its whole path.
        key: String,
        /// What may have been meant.
        hint: String,
    },
    /// A key without which there is no sense in the others.
    #[error("{origin}: {key}: missing; expected {expected}")]
    Missing {
        /// Where it was looked for.
        origin: Origin,
        /// The key with its whole path.
        key: String,
        /// What it should hold.
        expected: String,
    },
    /// A value of the wrong type, out of range, or at odds with another one.
    #[error("{origin}: {key}: expected {expected}, found {found}")]
    Invalid {
        /// Where the value is.
        origin: Origin,
        /// The key with its whole path.
        key: String,
        /// What it should hold.
        expected: String,
        /// What it holds; of secrets, only the type.
        found: String,
    },
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// A line of a file.
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A file as a whole, where the matter is what it lacks.
    WholeFile(PathBuf),
    /// The process's environment.
    Environment,
    /// One variable of the environment.
    Variable(String),
    /// A flag, with its dashes.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::WholeFile(path) => write!(f, "{}", path.display()),
            Self::Environment => f.write_str("environment"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}
