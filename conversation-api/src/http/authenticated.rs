//! The user whose token a request carries.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};

use super::error::Refusal;
use crate::auth::sessions::Sessions;
use crate::auth::token::Token;
use crate::people::User;

/// A request by somebody who is logged in. Handlers that take one cannot be reached by others.
pub(super) struct Authenticated {
    pub(super) user: User,
    pub(super) token: Token,
}

impl FromRequest for Authenticated {
    type Error = Refusal;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Refusal>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let sessions = request.app_data::<Data<Sessions>>().cloned();
        let token = request.headers().get(AUTHORIZATION);
        let token = token.and_then(|token| Token::from_header(token.to_str().ok()?));
        Box::pin(async move {
            let token = token.ok_or(Refusal::Unauthenticated)?;
            let sessions = sessions.ok_or(Refusal::Internal)?;
            let user = sessions.user(&token).await?;
            let user = user.ok_or(Refusal::Unauthenticated)?;
            Ok(Self { user, token })
        })
    }
}
