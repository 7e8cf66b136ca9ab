//! Why clients do not connect.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::doctor::{Asked, Desk};
use super::super::refusal::Refusal;
use super::super::routes::Found;
use super::super::state::AdminState;
use super::super::who::Who;
use super::apps::named;
use crate::doctor::{PublicUrl, Reach, Request, Subject, Survey, is_origin};

/// Bytes of what is asked for at most.
pub(in crate::admin) const MOST_BYTES: usize = 8 << 10;

/// How long a run takes at most, but for the step that is under way then.
const LONGEST: Duration = Duration::from_secs(60);
/// How much longer where a silent connection is looked at.
const PATIENT: Duration = Duration::from_secs(140);

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    url: String,
    origin: Option<String>,
    #[serde(default)]
    patient: bool,
}

pub(in crate::admin) fn start(
    state: &AdminState,
    desk: &Desk,
    found: &Found<'_>,
    who: &Who,
    body: &[u8],
) -> Result<Value, Refusal> {
    let hub = named(&state.relay, found)?;
    let body: Body = serde_json::from_slice(body)
        .map_err(|error| Refusal::Invalid(format!("the body cannot be used: {error}")))?;
    let setting = |key: &str, text: String| Refusal::Setting {
        key: key.to_owned(),
        text: format!("{key}: {text}"),
    };
    let url = PublicUrl::parse(&body.url).map_err(|error| setting("url", error.to_string()))?;
    if body
        .origin
        .as_deref()
        .is_some_and(|origin| !is_origin(origin))
    {
        let text = "expected a scheme and a host, such as https://shop.example.com";
        return Err(setting("origin", text.to_owned()));
    }
    let app = hub.app.full_record();
    let asked = Asked {
        app: app.id.to_string(),
        url: url.to_string(),
        origin: body.origin.clone(),
        patient: body.patient,
        by: who.to_string(),
    };
    // Whoever may not have webhooks lead to private machines may not look at them from here, either.
    let settings = state.relay_settings.clone();
    let reach = if settings.webhooks.private_addresses {
        Reach::BeyondTheLink
    } else {
        Reach::Public
    };
    let subject = Subject {
        url,
        app_id: app.id.to_string(),
        signer: app.keys.signing().clone(),
        app: Some((*app).clone()),
    };
    let survey = Survey::new(subject, Some(settings), reach);
    let request = Request {
        origin: body.origin,
        patient: body.patient,
    };
    let longest = if request.patient {
        LONGEST + PATIENT
    } else {
        LONGEST
    };
    desk.start(asked, survey, request, Instant::now() + longest)
}

/// The last run, if there was one.
pub(in crate::admin) fn last(desk: &Desk) -> Value {
    json!({ "run": desk.last() })
}
