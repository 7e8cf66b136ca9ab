//! What the relay says of key, origin and signature; round trips.

use std::time::Duration;

use serde_json::Value;

use super::super::finding::{Finding, shown};
use super::super::http::Answer;
use super::codes;

/// Milliseconds of a publish, until it has come, from which on that is said.
const SLOW: u128 = 1000;

/// Ids of refusals that show a relay which serves the path.
pub(in crate::doctor) const REFUSALS: [&str; 3] = ["key", "origin", "connect"];

/// Why the relay did not let a client in, by the code of its `pusher:error`.
pub(in crate::doctor) fn refused(code: u64, words: &str, origin: Option<&str>) -> Finding {
    let words = shown(words);
    match code {
        4001 => Finding::error(
            "key",
            format!("the relay does not know the app's key: {words}"),
            codes::remedy(code, &words),
        ),
        4003 => Finding::error("key", format!("the app is disabled: {words}"), codes::remedy(code, &words)),
        4009 => Finding::error(
            "origin",
            match origin {
                Some(origin) => format!("pages of {} may not connect: {words}", shown(origin)),
                None => format!("clients without an Origin may not connect: {words}"),
            },
            match origin {
                Some(origin) => format!("add {:?} to allowed_origins of the app, if pages there are meant to", shown(origin)),
                None => "ask as a page does, with --origin https://…; programs need allow_missing_origin = true".to_owned(),
            },
        ),
        4005 => Finding::error(
            "path_prefix",
            format!("the relay serves nothing under this path: {words}"),
            "have the proxy pass the path on as it is, or set server.path_prefix to what it puts in front",
        ),
        _ => Finding::error(
            "connect",
            format!("the relay refuses the client with {code}: {words}"),
            codes::remedy(code, &words),
        ),
    }
}

/// What came of a signed request to the API.
pub(in crate::doctor) fn signature(app: &str, answer: &Answer) -> Finding {
    const ID: &str = "signature";
    let words = answer.words();
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    // No channels are an empty list to PHP.
    let are_listed = body["channels"].is_object() || body["channels"].is_array();
    match answer.status {
        200 if are_listed => {
            Finding::ok(ID, format!("the API accepts what app {} signs", shown(app)))
        }
        401 => Finding::error(
            ID,
            format!("the API refuses the signature: {words}"),
            "use the app's own id, key and secret; a proxy must pass path and query on unchanged, as the signature covers both",
        ),
        404 => Finding::error(
            ID,
            format!("the API does not know the app {}: {words}", shown(app)),
            "use the id of an app that this relay has, or give the relay that app",
        ),
        429 => Finding::warn(
            ID,
            format!("the API asks to wait: {words}"),
            "try again, or raise requests_per_second",
        ),
        status => Finding::error(
            ID,
            format!("the API answers with {status}, and not as a relay does: {words}"),
            "have every proxy pass /apps/ on to the relay, too, with its path and query",
        ),
    }
}

/// How long an event took from publish to client.
pub(in crate::doctor) fn delivered(
    id: &'static str,
    kind: &str,
    took: Duration,
    join: Duration,
) -> Finding {
    let (took, join) = (took.as_millis(), join.as_millis());
    let text = format!(
        "{kind} channel: subscribed after {join} ms, an event published and delivered in {took} ms"
    );
    if took > SLOW {
        let remedy = "look at the way to the relay (it is longer for clients than for its neighbours) and at its CPU; \
                      fanfare_publish_to_write_seconds has its own part of it";
        return Finding::warn(id, text, remedy);
    }
    Finding::ok(id, text)
}

/// What of a round trip came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::doctor) enum Step {
    Subscription,
    /// The publish was not answered.
    Publish,
    /// It was not accepted.
    Acceptance,
    Delivery,
}

impl Step {
    fn words(self) -> &'static str {
        match self {
            Self::Subscription => "the subscription is not confirmed",
            Self::Publish => "the publish is not answered",
            Self::Acceptance => "the publish is refused",
            Self::Delivery => "the event does not come",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Self::Subscription => {
                "use the app's own key and secret, which sign subscriptions, and see to the limit that the relay names, if it names one"
            }
            Self::Publish => "have every proxy pass /apps/ on to the relay, too, also with POST",
            Self::Acceptance => {
                "see to what the answer names: the signature (a proxy must pass path, query and body on unchanged), a limit of the \
                 app, or what the relay waits for"
            }
            Self::Delivery => {
                "what clients and publishers use must lead to the same relay, or to nodes of one cluster (cluster.driver = \"redis\")"
            }
        }
    }
}

/// Why a round trip did not come to its end.
pub(in crate::doctor) fn not_delivered(
    id: &'static str,
    kind: &str,
    step: Step,
    reason: &str,
) -> Finding {
    let (what, reason) = (step.words(), shown(reason));
    Finding::error(
        id,
        format!("{kind} channel: {what}: {reason}"),
        step.remedy(),
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Level;
    use super::*;

    #[test]
    fn refusals_are_about_what_their_code_says() {
        assert_eq!(refused(4001, "", None).id, "key");
        assert_eq!(refused(4003, "", None).id, "key");
        assert_eq!(refused(4005, "", None).id, "path_prefix");
        assert_eq!(refused(4100, "", None).id, "connect");
        let foreign = refused(4009, "", Some("https://evil.test"));
        assert!(foreign.id == "origin" && foreign.remedy.unwrap().contains("https://evil.test"));
        assert!(refused(4009, "", None).remedy.unwrap().contains("--origin"));
    }

    #[test]
    fn only_a_list_of_channels_accepts_a_signature() {
        let level = |status| signature("1", &Answer::made(status, &[], "<html>")).level;
        let listed = Answer::made(200, &[], r#"{"channels":{}}"#);
        assert_eq!(signature("1", &listed).level, Level::Ok);
        // Many sites answer whatever they are asked with a page of theirs.
        assert_eq!(level(200), Level::Error);
        assert_eq!(level(429), Level::Warn);
        assert_eq!([level(401), level(404), level(502)], [Level::Error; 3]);
    }

    #[test]
    fn slow_deliveries_are_said_so() {
        let level = |ms| {
            delivered(
                "private",
                "a private",
                Duration::from_millis(ms),
                Duration::ZERO,
            )
            .level
        };
        assert_eq!((level(20), level(1500)), (Level::Ok, Level::Warn));
        let lost = not_delivered("private", "a", Step::Delivery, "c");
        assert_eq!(lost.level, Level::Error);
    }
}
