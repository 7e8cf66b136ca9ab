//! `POST /api/messages/send` and `/api/messages/{id}/retry`, and `GET /api/templates`.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::authenticated::Authenticated;
use super::error::Refusal;
use super::input::Input;
use super::messages::visible_message;
use super::path::Id;
use super::socket::socket_id;
use crate::message::MessageType;
use crate::outbox::Wake;
use crate::store::Store;
use crate::store::messages::{SendMessage, Sent};
use crate::store::retry::{Retried, RetryMessage};
use crate::whatsapp::Template;
use crate::whatsapp::templates::Templates;

/// Characters of a message: what WhatsApp takes.
const LONGEST: usize = 4096;
/// Characters of what is filled into a template: what WhatsApp takes.
const LONGEST_PARAMETER: usize = 1024;
/// The header that names a message, as the field `client_id` does.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// What is to be written.
#[derive(Debug)]
struct Draft {
    r#type: MessageType,
    content: String,
    template: Option<Template>,
}

/// Writes to the customer, or a note to colleagues.
pub(super) async fn send(
    request: HttpRequest,
    who: Authenticated,
    body: Payload,
    templates: Data<Templates>,
    (store, wake): (Data<Store>, Data<Wake>),
) -> Result<HttpResponse, Refusal> {
    let mut input = Input::read(&request, body).await?;
    let conversation_id = input.id("conversation_id");
    let draft = draft(&mut input, &templates);
    let key = request.headers().get(IDEMPOTENCY_KEY);
    let client_id = input.key("client_id", key.map(|key| key.as_bytes()));
    input.check()?;
    let send = SendMessage {
        database: store.database(),
        author: who.user,
        conversation_id,
        r#type: draft.r#type,
        content: draft.content,
        template: draft.template,
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
            let text = "The client id has already been taken by another message.";
            Err(input.refused("client_id", text.into()))
        }
        Sent::NoConversation => {
            let text = "The selected conversation id is invalid.";
            Err(input.refused("conversation_id", text.into()))
        }
    }
}

fn draft(input: &mut Input, templates: &Templates) -> Draft {
    let kind = input.text("type", 20);
    let kind = match kind.as_str() {
        "template" => MessageType::Template,
        "note" => MessageType::Note,
        // Without one, that is wrong already.
        "text" | "" => MessageType::Text,
        _ => {
            input.unknown("type");
            MessageType::Text
        }
    };
    if kind == MessageType::Template {
        return filled_in(input, templates).unwrap_or(Draft {
            r#type: kind,
            content: String::new(),
            template: None,
        });
    }
    Draft {
        r#type: kind,
        content: input.text("content", LONGEST),
        template: None,
    }
}

/// A template of those that there are; `None` where something is wrong with it.
fn filled_in(input: &mut Input, templates: &Templates) -> Option<Draft> {
    let template = match input.value("template") {
        Some(template @ Value::Object(_)) => template.clone(),
        None | Some(Value::Null) => {
            input.refuse("template", "The template field is required.".into());
            return None;
        }
        Some(_) => {
            input.refuse("template", "The template field must be an object.".into());
            return None;
        }
    };
    let text = |name: &str| template[name].as_str().unwrap_or_default();
    let Some(known) = templates.find(text("name"), text("language")) else {
        input.unknown("template");
        return None;
    };
    let number = known.parameters();
    let Some(parameters) = parameters(&template["parameters"], number) else {
        let text = format!(
            "The template.parameters field must have {number} texts of 1 to {LONGEST_PARAMETER} \
             characters without line breaks."
        );
        input.refuse("template.parameters", text);
        return None;
    };
    Some(Draft {
        r#type: MessageType::Template,
        content: known.filled_in(&parameters),
        template: Some(Template {
            name: known.name.clone(),
            language: known.language.clone(),
            parameters,
        }),
    })
}

fn parameters(value: &Value, number: usize) -> Option<Vec<String>> {
    let values = match value {
        Value::Null => &[],
        value => value.as_array()?.as_slice(),
    };
    let is_right = |text: &&str| {
        (1..=LONGEST_PARAMETER).contains(&text.chars().count()) && !text.contains(char::is_control)
    };
    let text = |value: &Value| {
        value
            .as_str()
            .map(str::trim)
            .filter(is_right)
            .map(str::to_owned)
    };
    let texts: Option<Vec<String>> = values.iter().map(text).collect();
    texts.filter(|texts| texts.len() == number)
}

/// Sends a message again that failed.
pub(super) async fn retry(
    who: Authenticated,
    Id(message_id): Id,
    (store, wake): (Data<Store>, Data<Wake>),
) -> Result<HttpResponse, Refusal> {
    if !wake.replies() {
        visible_message(&store, &who, message_id).await?;
        return Err(Refusal::NotSetUp(
            "Messages are not sent to WhatsApp: WHATSAPP_TOKEN and WHATSAPP_PHONE_NUMBER_ID are not set.",
        ));
    }
    let retry = RetryMessage {
        author: who.user,
        message_id,
        event_id: crate::events::new_id(),
    };
    match store.write(retry).await? {
        Retried::Pending(message) => {
            wake.all();
            Ok(HttpResponse::Ok().json(message))
        }
        Retried::NotFailed => Err(Refusal::Conflict("The message has not failed.".into())),
        Retried::NoMessage => Err(Refusal::NotFound),
        Retried::Denied => Err(Refusal::Forbidden),
    }
}

/// The templates that may be sent.
pub(super) async fn templates(_: Authenticated, templates: Data<Templates>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"data": templates.all()}))
}
