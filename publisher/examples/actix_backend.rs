//! What pusher-js and Laravel Echo ask a backend for, and webhooks, with actix-web:
//!
//! ```sh
//! PUSHER_URL=http://local:local@127.0.0.1:6001/apps/local cargo run --example actix_backend
//! ```
//!
//! `LISTEN` (`127.0.0.1:3000`) is where it listens. Who asks is known by a token here, `Bearer ann`
//! or `Bearer bob`: your sessions take its place.

use std::error::Error;

use actix_web::error::{ErrorForbidden, ErrorUnauthorized, ErrorUnprocessableEntity};
use actix_web::http::header::AUTHORIZATION;
use actix_web::web::{Bytes, Data, Form, Json, post};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use publisher::{
    Authorizer, Channel, ChannelAuth, Config, Member, SocketId, User, UserAuth, WebhookVerifier,
};
use serde::Deserialize;
use serde_json::json;

type Refusal = actix_web::Error;

#[derive(Deserialize)]
struct Subscription {
    socket_id: SocketId,
    channel_name: Channel,
}

#[derive(Deserialize)]
struct SignIn {
    socket_id: SocketId,
}

/// Who asks: the part that your sessions do.
fn user(request: &HttpRequest) -> Result<&str, Refusal> {
    let token = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    token
        .filter(|token| ["ann", "bob"].contains(token))
        .ok_or_else(|| ErrorUnauthorized("log in first"))
}

/// Who may listen to what: the part that only you know.
fn may_listen(user: &str, channel: &Channel) -> bool {
    channel.is_presence() || *channel == Channel::private(format!("user.{user}"))
}

async fn channel_auth(
    request: HttpRequest,
    authorizer: Data<Authorizer>,
    Form(asked): Form<Subscription>,
) -> Result<Json<ChannelAuth>, Refusal> {
    let user = user(&request)?;
    let (socket_id, channel) = (asked.socket_id, asked.channel_name);
    if !may_listen(user, &channel) {
        let reason = format!("{user} may not listen to {channel}");
        return Err(ErrorForbidden(reason));
    }
    let auth = if channel.is_presence() {
        let member = Member::new(user).info(&json!({"name": user}));
        member.and_then(|member| authorizer.presence(&socket_id, &channel, &member))
    } else {
        authorizer.private(&socket_id, &channel)
    };
    auth.map(Json).map_err(ErrorUnprocessableEntity)
}

async fn user_auth(
    request: HttpRequest,
    authorizer: Data<Authorizer>,
    Form(asked): Form<SignIn>,
) -> Result<Json<UserAuth>, Refusal> {
    let user = User::new(user(&request)?);
    let auth = authorizer.user(&asked.socket_id, &user);
    auth.map(Json).map_err(ErrorUnprocessableEntity)
}

#[expect(clippy::print_stdout, reason = "a program for a terminal")]
async fn webhook(
    request: HttpRequest,
    verifier: Data<WebhookVerifier>,
    body: Bytes,
) -> Result<HttpResponse, Refusal> {
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    let webhook = verifier.verify(header, &body).map_err(ErrorUnauthorized)?;
    for event in webhook.events {
        println!("{event:?}");
    }
    Ok(HttpResponse::Ok().finish())
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program for a terminal")]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::from_process_env()?;
    let authorizer = Data::new(config.authorizer());
    let verifier = Data::new(WebhookVerifier::new([config.key_pair().clone()]));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(authorizer.clone())
            .app_data(verifier.clone())
            .route("/broadcasting/auth", post().to(channel_auth))
            .route("/broadcasting/user-auth", post().to(user_auth))
            .route("/webhooks/pusher", post().to(webhook))
    });
    let address = std::env::var("LISTEN").unwrap_or("127.0.0.1:3000".to_owned());
    let server = server.bind(address)?;
    for address in server.addrs() {
        println!("listening on http://{address}");
    }
    server.run().await?;
    Ok(())
}
