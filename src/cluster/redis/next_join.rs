//! A join that waits for its connection's sign-in.

use std::fmt;
use std::sync::Arc;

use super::request::Request;
use super::shared::Shared;
use crate::hub::{AppHub, Join};

/// A join that is to be asked for once the connection is registered as its user's.
pub(super) struct NextJoin {
    shared: Arc<Shared>,
    join: Join,
}

impl NextJoin {
    pub(super) fn new(shared: &Arc<Shared>, join: Join) -> Self {
        Self {
            shared: Arc::clone(shared),
            join,
        }
    }

    /// Asks for it, behind all that was asked for until now.
    pub(super) fn ask(self, app: &Arc<AppHub>) {
        let request = Request::Join(Arc::clone(app), self.join);
        self.shared.requests.push(request);
    }
}

impl fmt::Debug for NextJoin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.join.fmt(f)
    }
}
