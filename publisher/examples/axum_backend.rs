//! What pusher-js and Laravel Echo ask a backend for, and webhooks, with axum:
//!
//! ```sh
//! PUSHER_URL=http://local:local@127.0.0.1:6001/apps/local cargo run --example axum_backend
//! ```
//!
//! `LISTEN` (`127.0.0.1:3000`) is where it listens. Who asks is known by a token here, `Bearer ann`
//! or `Bearer bob`: your sessions take its place.

use std::error::Error;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Form, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use publisher::{
    Authorizer, Channel, ChannelAuth, Config, Invalid, Member, SocketId, User, UserAuth,
    WebhookVerifier,
};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

struct App {
    authorizer: Authorizer,
    verifier: WebhookVerifier,
}

type Shared = State<Arc<App>>;

/// A refusal: a status, and a sentence for whoever reads it.
type Refusal = (StatusCode, String);

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
fn user(headers: &HeaderMap) -> Result<&str, Refusal> {
    let token = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    token
        .filter(|token| ["ann", "bob"].contains(token))
        .ok_or((StatusCode::UNAUTHORIZED, "log in first".to_owned()))
}

/// Who may listen to what: the part that only you know.
fn may_listen(user: &str, channel: &Channel) -> bool {
    channel.is_presence() || *channel == Channel::private(format!("user.{user}"))
}

async fn channel_auth(
    State(app): Shared,
    headers: HeaderMap,
    Form(asked): Form<Subscription>,
) -> Result<Json<ChannelAuth>, Refusal> {
    let user = user(&headers)?;
    let (socket_id, channel) = (asked.socket_id, asked.channel_name);
    if !may_listen(user, &channel) {
        let reason = format!("{user} may not listen to {channel}");
        return Err((StatusCode::FORBIDDEN, reason));
    }
    let auth = if channel.is_presence() {
        let member = Member::new(user).info(&json!({"name": user}));
        member.and_then(|member| app.authorizer.presence(&socket_id, &channel, &member))
    } else {
        app.authorizer.private(&socket_id, &channel)
    };
    auth.map(Json).map_err(unprocessable)
}

async fn user_auth(
    State(app): Shared,
    headers: HeaderMap,
    Form(asked): Form<SignIn>,
) -> Result<Json<UserAuth>, Refusal> {
    let user = User::new(user(&headers)?);
    let auth = app.authorizer.user(&asked.socket_id, &user);
    auth.map(Json).map_err(unprocessable)
}

#[expect(clippy::print_stdout, reason = "a program for a terminal")]
async fn webhook(State(app): Shared, headers: HeaderMap, body: Bytes) -> Result<(), Refusal> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let webhook = app.verifier.verify(header, &body);
    let webhook = webhook.map_err(|error| (StatusCode::UNAUTHORIZED, error.to_string()))?;
    for event in webhook.events {
        println!("{event:?}");
    }
    Ok(())
}

fn unprocessable(error: Invalid) -> Refusal {
    (StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a program for a terminal")]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::from_process_env()?;
    let app = App {
        authorizer: config.authorizer(),
        verifier: WebhookVerifier::new([config.key_pair().clone()]),
    };
    let router = Router::new()
        .route("/broadcasting/auth", post(channel_auth))
        .route("/broadcasting/user-auth", post(user_auth))
        .route("/webhooks/pusher", post(webhook))
        .with_state(Arc::new(app));
    let address = std::env::var("LISTEN").unwrap_or("127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
