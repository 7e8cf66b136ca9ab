//! `/api/webhooks/whatsapp`: what Meta calls.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::header::ContentType;
use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use super::body::{self, Bodies};
use super::error::Refusal;
use crate::outbox::Wake;
use crate::store::Store;
use crate::store::incoming::{ReceiveMessage, Received};
use crate::store::statuses::{KeepEarly, NoteDelivery, Noted};
use crate::whatsapp::payload::{Notice, Report, report};
use crate::whatsapp::signature::{self, Claimed};

/// Bytes of a webhook: what Meta sends at most.
const LARGEST: usize = 3 * 1024 * 1024;

/// What Meta and this service share. Never printed.
#[derive(Clone, Default)]
pub struct WebhookSecrets {
    /// Signs webhooks; without it none is accepted.
    pub app_secret: Option<String>,
    /// Proves that a webhook's address is being set up by its owner; without it none can be.
    pub verify_token: Option<String>,
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WebhookSecrets")
    }
}

/// The number that the desk answers from, as Meta calls it.
#[derive(Debug)]
pub struct OwnNumber {
    id: Option<String>,
    /// Whether it was logged that something is about another.
    is_logged: AtomicBool,
}

impl OwnNumber {
    /// With this id; without one everything is about it.
    pub fn new(id: Option<&str>) -> Self {
        Self {
            id: id.map(Into::into),
            is_logged: AtomicBool::new(false),
        }
    }

    /// Logs, once a process, that something is about another number.
    fn passed_over(&self, other: &str) {
        if !self.is_logged.swap(true, Ordering::Relaxed) {
            let own = self.id.as_deref().unwrap_or_default();
            tracing::warn!(
                own,
                other,
                "webhooks of another number than WHATSAPP_PHONE_NUMBER_ID are passed over"
            );
        }
    }
}

/// The query of Meta's verification.
#[derive(Debug, Deserialize)]
pub(super) struct Verification {
    #[serde(rename = "hub.mode")]
    mode: Option<String>,
    #[serde(rename = "hub.verify_token")]
    verify_token: Option<String>,
    #[serde(rename = "hub.challenge")]
    challenge: Option<String>,
}

/// Returns the challenge to whoever knows the verify token.
pub(super) async fn verify(
    query: Query<Verification>,
    secrets: Data<WebhookSecrets>,
) -> Result<HttpResponse, Refusal> {
    let Verification {
        mode: Some(mode),
        verify_token: Some(claimed),
        challenge: Some(challenge),
    } = query.into_inner()
    else {
        return Err(Refusal::Forbidden);
    };
    let expected = secrets.verify_token.as_deref().ok_or(Refusal::Forbidden)?;
    let is_right = bool::from(expected.as_bytes().ct_eq(claimed.as_bytes()));
    if is_right && mode == "subscribe" {
        Ok(HttpResponse::Ok()
            .content_type(ContentType::plaintext())
            .body(challenge))
    } else {
        Err(Refusal::Forbidden)
    }
}

/// Stores what a webhook reports, and answers once that is safe: what fails, Meta sends again.
/// Nothing of the body is looked at before its signature has been checked.
pub(super) async fn receive(
    request: HttpRequest,
    payload: Payload,
    (secrets, number, bodies): (Data<WebhookSecrets>, Data<OwnNumber>, Data<Bodies>),
    store: Data<Store>,
    wake: Data<Wake>,
) -> Result<HttpResponse, Refusal> {
    let secret = secrets
        .app_secret
        .as_deref()
        .ok_or(Refusal::WrongSignature)?;
    let signature = request.headers().get(signature::HEADER);
    let signature = signature.and_then(|signature| signature.to_str().ok());
    let signature = signature.and_then(Claimed::parse);
    let signature = signature.ok_or(Refusal::WrongSignature)?;
    let body = body::read(&request, payload, LARGEST, &bodies.webhooks).await?;
    if !signature.is_of(secret.as_bytes(), &body) {
        return Err(Refusal::WrongSignature);
    }
    let payload: Value = serde_json::from_slice(&body).map_err(|_| Refusal::Malformed)?;
    let Report {
        notices,
        other_number,
    } = report(&payload, number.id.as_deref());
    if let Some(other) = other_number {
        number.passed_over(&other);
    }
    for notice in notices {
        if store_notice(&store, &wake, notice).await? {
            wake.all();
        }
    }
    Ok(HttpResponse::Ok().json(json!({"status": "ok"})))
}

/// Returns whether there is something to announce.
async fn store_notice(store: &Store, wake: &Wake, notice: Notice) -> Result<bool, Refusal> {
    match notice {
        Notice::Message(incoming) => {
            let has_media = incoming.media.is_some();
            let receive = ReceiveMessage {
                incoming,
                fetches_media: wake.replies(),
                event_id: crate::events::new_id(),
            };
            let received = store.write(receive).await?;
            if has_media && received == Received::Stored {
                wake.media_arrived();
            }
            Ok(received == Received::Stored)
        }
        Notice::Status {
            id,
            delivery,
            failure,
        } => {
            let note = NoteDelivery {
                whatsapp_id: id,
                delivery,
                failure,
            };
            let mut noted = store.write(note.clone()).await?;
            if noted == Noted::Unknown && wake.replies() {
                store.write(KeepEarly { note: note.clone() }).await?;
                // It may have become known while this was kept.
                noted = store.write(note).await?;
            }
            Ok(noted == Noted::Changed)
        }
    }
}
