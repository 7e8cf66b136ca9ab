//! Requests whose signature was checked.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::error::ApiError;
use crate::auth::request::{self, Query, Rules, SignedRequest};
use crate::hub::AppHub;

/// A request to an app that was signed with one of its keys. There is no other way to make
/// one than by [`Claim::check`] and [`Claim::with_body`].
#[derive(Debug)]
pub(super) struct Verified<'r> {
    app: &'r Arc<AppHub>,
    query: Query<'r>,
    body: &'r Bytes,
}

/// A request whose query is signed, and whose body may not have been read yet.
#[derive(Debug)]
pub(super) struct Claim<'r> {
    app: &'r Arc<AppHub>,
    query: Query<'r>,
}

/// What a signature covers beside the body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'r> {
    pub(super) method: &'r str,
    pub(super) path: &'r str,
    pub(super) query: &'r str,
    /// Whether a body is announced.
    pub(super) has_body: bool,
}

impl<'r> Claim<'r> {
    /// Checks the signature, which covers method, path and query, and in that the body's MD5.
    pub(super) fn check(
        app: &'r Arc<AppHub>,
        head: Head<'r>,
        path_prefix: &str,
    ) -> Result<Self, ApiError> {
        let claim = Self {
            app,
            query: Query::parse(head.query),
        };
        let signed = SignedRequest {
            method: head.method,
            path: head.path,
            query: &claim.query,
            has_body: head.has_body,
        };
        let record = app.app.record();
        let rules = Rules {
            now: unix_time(),
            window: record.limits.auth_timestamp_window.as_secs(),
            path_prefix,
        };
        request::verify(&record.keys, signed, rules)?;
        Ok(claim)
    }

    /// Checks that the body is the one that was signed.
    pub(super) fn with_body(self, body: &'r Bytes) -> Result<Verified<'r>, ApiError> {
        request::check_body(&self.query, body)?;
        Ok(Verified {
            app: self.app,
            query: self.query,
            body,
        })
    }
}

impl<'r> Verified<'r> {
    /// The app that it is for.
    pub(super) fn app(&self) -> &'r Arc<AppHub> {
        self.app
    }

    /// Its query.
    pub(super) fn query(&self) -> &Query<'r> {
        &self.query
    }

    /// Its body; empty if it has none.
    pub(super) fn body(&self) -> &'r Bytes {
        self.body
    }
}

fn unix_time() -> u64 {
    // A clock before 1970 lets no signature pass.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs())
}
