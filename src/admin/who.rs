//! Who asks.

use std::fmt;
use std::net::IpAddr;

use super::tokens::{Role, Token};

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// The token; None: there are no tokens, or none was needed.
    pub(super) token: Option<Token>,
    /// What they may do.
    pub(super) role: Role,
    /// Where they are; None: on this machine, by a Unix socket.
    pub(super) address: Option<IpAddr>,
}

impl Who {
    /// The name of the token, if one was shown.
    pub(super) fn token_name(&self) -> Option<&str> {
        self.token.as_ref().map(|token| &**token.name())
    }
}

/// As the log has it.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token_name().unwrap_or("somebody without a token"))?;
        match self.address {
            Some(address) => write!(f, " at {address}"),
            None => f.write_str(" on this machine"),
        }
    }
}
