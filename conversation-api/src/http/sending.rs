//! `POST /api/messages/send`.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::authenticated::Authenticated;
use super::error::Refusal;
use super::input::Input;
use super::socket::socket_id;
use crate::message::MessageType;
use crate::outbox::Wake;
use crate::store::Store;
use crate::store::messages::{SendMessage, Sent};

/// Characters of a message: what WhatsApp takes.
const LONGEST: usize = 4096;
/// The header that names a message, as the field `client_id` does.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Writes to the customer, or a note to colleagues.
pub(super) async fn send(
    request: HttpRequest,
    who: Authenticated,
    body: Payload,
    store: Data<Store>,
    wake: Data<Wake>,
) -> Result<HttpResponse, Refusal> {
    let mut input = Input::read(&request, body).await?;
    let conversation_id = input.id("conversation_id");
    let kind = match input.text("type", 20).as_str() {
        "note" => MessageType::Note,
        "text" | "" => MessageType::Text,
        _ => {
            input.unknown("type");
            MessageType::Text
        }
    };
    let content = input.text("content", LONGEST);
    let key = request.headers().get(IDEMPOTENCY_KEY);
    let client_id = input.key("client_id", key.map(|key| key.as_bytes()));
    input.check()?;
    let send = SendMessage {
        author: who.user,
        conversation_id,
        r#type: kind,
        content,
        template: None,
        client_id,
        socket_id: socket_id(&request),
        to_customer: wake.replies(),
        event_id: crate::events::new_id(),
    };
    match store.write(send).await? {
        Sent::Stored(message) => {
            wake.all();
            Ok(HttpResponse::Created().json(message))
        }
        Sent::Repeated(message) => Ok(HttpResponse::Ok().json(message)),
        Sent::Denied => Err(Refusal::Forbidden),
        Sent::ClientIdTaken => {
            input.refuse(
                "client_id",
                "The client id has already been taken by another message.",
            );
            input.check()?;
            Err(Refusal::Internal)
        }
        Sent::NoConversation => {
            input.unknown("conversation_id");
            input.check()?;
            Err(Refusal::NotFound)
        }
    }
}
