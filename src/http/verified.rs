//! Requests whose signature was checked.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::error::ApiError;
use crate::auth::request::{self, Query, Rules, SignedRequest};
use crate::hub::AppHub;

/// A request to an app that was signed with one of its keys. There is no other way to make
/// one than [`Verified::check`].
#[derive(Debug)]
pub(super) struct Verified<'r> {
    pub(super) app: &'r Arc<AppHub>,
    pub(super) query: Query<'r>,
    pub(super) body: &'r Bytes,
}

impl<'r> Verified<'r> {
    /// Checks the signature over method, path, query and body.
    pub(super) fn check(
        app: &'r Arc<AppHub>,
        method: &str,
        path: &str,
        query: &'r str,
        body: &'r Bytes,
        path_prefix: &str,
    ) -> Result<Self, ApiError> {
        let query = Query::parse(query);
        let signed = SignedRequest {
            method,
            path,
            query: &query,
            body,
        };
        let rules = Rules {
            now: unix_time(),
            window: app.app.limits.auth_timestamp_window.as_secs(),
            path_prefix,
        };
        request::verify(&app.app.keys, signed, rules)?;
        Ok(Self { app, query, body })
    }
}

fn unix_time() -> u64 {
    // A clock before 1970 lets no signature pass.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}
