//! Ids in paths.

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use std::future::{Ready, ready};

use super::error::Refusal;

/// The `{id}` of a path: digits. Anything else is nothing that there is.
pub(super) struct Id(pub(super) i64);

impl FromRequest for Id {
    type Error = Refusal;
    type Future = Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").unwrap_or_default();
        let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        let id = id.parse().ok().filter(|_| is_number);
        ready(id.map(Self).ok_or(Refusal::NotFound))
    }
}
