//! `POST /api/auth/login` and `/api/auth/logout`.

use std::time::Instant;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::json;

use super::authenticated::Authenticated;
use super::client::TrustedProxies;
use super::error::Refusal;
use super::input::Input;
use crate::auth::attempts::Attempts;
use crate::auth::password::Passwords;
use crate::auth::sessions::Sessions;
use crate::outbox::Wake;
use crate::store::Store;

/// Characters of a password.
const LONGEST_PASSWORD: usize = 1024;

/// Gives out a token for an e-mail address and its password.
pub(super) async fn login(
    request: HttpRequest,
    body: Payload,
    (store, sessions): (Data<Store>, Data<Sessions>),
    (passwords, attempts): (Data<Passwords>, Data<Attempts>),
    proxies: Data<TrustedProxies>,
) -> Result<HttpResponse, Refusal> {
    let mut input = Input::read(&request, body).await?;
    let email = input.email("email");
    let password = input.secret("password", LONGEST_PASSWORD);
    input.check()?;
    let client = proxies.client(&request);
    attempts.begin(client, &email, Instant::now())?;
    let (user, hash) = match store.credentials(&email).await? {
        Some(credentials) => (Some(credentials.user), Some(credentials.password)),
        None => (None, None),
    };
    let is_right = passwords.is_right(password, hash).await?;
    let user = user.filter(|_| is_right).ok_or(Refusal::WrongCredentials)?;
    attempts.succeeded(client, &email);
    let token = sessions.begin(user.id).await?;
    Ok(HttpResponse::Ok().json(json!({"token": token.reveal(), "user": user})))
}

/// Revokes the token that the request carries.
pub(super) async fn logout(
    who: Authenticated,
    sessions: Data<Sessions>,
    wake: Data<Wake>,
) -> Result<HttpResponse, Refusal> {
    sessions.end(&who.token).await?;
    wake.rights_changed();
    Ok(HttpResponse::Ok().json(json!({"message": "Logged out."})))
}
