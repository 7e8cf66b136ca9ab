//! What can go wrong, shaped by what the caller can do about it.

use std::borrow::Cow;
use std::time::Duration;

/// A value that will never be accepted, found before anything was sent: a bug of the caller's, or a
/// mistake in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
#[non_exhaustive]
pub struct Invalid {
    /// Which value: a field of the protocol, a setting, or an environment variable.
    pub field: &'static str,
    /// What is expected of it.
    pub reason: Cow<'static, str>,
}

impl Invalid {
    /// Names a value and what is expected of it, such as in a
    /// [`Broadcaster`](crate::Broadcaster) of your own.
    pub fn new(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        let reason = reason.into();
        Self { field, reason }
    }
}

/// Why a call failed.
///
/// The `message`s are a server's own words, in one line of bounded length: of JSON its `message` or
/// `error`, of a page of HTML its title. Secrets are never in them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing was sent: the call itself is wrong.
    #[error("invalid {0}")]
    Invalid(#[from] Invalid),
    /// The server does not take the credentials, or the clocks differ by more than it tolerates
    /// (status 401). The call was right, and succeeds once that is mended.
    #[error("not authorised (check the credentials and the clock): {message}")]
    Unauthorized {
        /// The server's words.
        message: String,
    },
    /// The event, or the whole request, is larger than the server takes (status 413).
    #[error("too large: {message}")]
    TooLarge {
        /// The server's words.
        message: String,
    },
    /// The server refuses, and will refuse again.
    #[error("refused{}: {message}", status.map(|status| format!(" with status {status}")).unwrap_or_default())]
    Rejected {
        /// The HTTP status, where the server speaks HTTP.
        status: Option<u16>,
        /// The server's words.
        message: String,
    },
    /// There was no answer, or one that says that it is the server's trouble or that there is too
    /// much at the moment (status 408, 429 or 5xx), or that the server is elsewhere (3xx). It may have been done all the same: whoever
    /// calls again should do so with the same idempotency key.
    #[error("unavailable: {message}")]
    Unavailable {
        /// How long the server wants to be left alone, if it says so.
        retry_after: Option<Duration>,
        /// What happened.
        message: String,
    },
}

impl Error {
    /// Whether the same call, unchanged, may succeed later: what is unavailable comes back, and
    /// credentials and clocks are put right. Everything else belongs with the events that somebody
    /// has to look at.
    pub fn can_retry(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Unauthorized { .. })
    }

    /// How long to wait at least before the same call is made again, if the server says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::Unavailable {
            retry_after: None,
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_what_happened() {
        let rejected = Error::Rejected {
            status: Some(404),
            message: "no such app".into(),
        };
        assert_eq!(rejected.to_string(), "refused with status 404: no such app");
        let invalid = Error::from(Invalid::new("socket_id", "must not be empty"));
        assert_eq!(invalid.to_string(), "invalid socket_id: must not be empty");
    }

    #[test]
    fn what_may_heal_can_be_tried_again() {
        let message = String::new;
        let unauthorized = Error::Unauthorized { message: message() };
        let too_large = Error::TooLarge { message: message() };
        let status = Some(400);
        let message = message();
        assert!(Error::unavailable("gone").can_retry());
        assert!(unauthorized.can_retry());
        assert!(!too_large.can_retry());
        assert!(!Error::Rejected { status, message }.can_retry());
        assert!(!Error::from(Invalid::new("name", "is empty")).can_retry());
    }
}
