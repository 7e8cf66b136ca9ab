//! Who asks.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::tokens::Role;

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Who {
    /// The name of the token; None: there are no tokens, or none was needed.
    pub(super) token: Option<Arc<str>>,
    /// What they may do.
    pub(super) role: Role,
    /// Where they are; None: on this machine, by a Unix socket.
    pub(super) address: Option<IpAddr>,
}

/// As the log has it.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token.as_deref().unwrap_or("somebody without a token"))?;
        match self.address {
            Some(address) => write!(f, " at {address}"),
            None => f.write_str(" on this machine"),
        }
    }
}
