//! What the Graph API answers: its body, not longer than is read, and what a refusal means.

use std::time::{Duration, SystemTime};

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::message::Failure;
use crate::message::failure::{concerns_one_customer, is_final, is_temporary};

/// Bytes of an answer that are read.
const LARGEST: usize = 64 * 1024;

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// It may be done later: there was no answer, or one that allows it.
    #[error("{error}")]
    Later {
        /// What happened.
        error: String,
        /// How long to wait at least, if that was asked for.
        retry_after: Option<Duration>,
        /// Whom that concerns.
        concerns: Concerns,
        /// Whether it may have been done all the same, as no answer says that it was not.
        may_be_done: bool,
    },
    /// It will never be done.
    #[error("{error}")]
    Never {
        /// What happened, for operators.
        error: String,
        /// What happened, for agents.
        failure: Failure,
    },
}

/// Whom it concerns that something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concerns {
    /// Nobody would have been served.
    Everybody,
    /// It is about this message or this customer; others may be served.
    OneCustomer,
}

impl GraphError {
    /// There was no answer.
    pub fn no_answer(error: reqwest::Error) -> Self {
        let may_be_done = !error.is_connect();
        Self::silence(error.without_url(), may_be_done)
    }

    pub(super) fn later(error: impl ToString) -> Self {
        Self::silence(error, true)
    }

    fn silence(error: impl ToString, may_be_done: bool) -> Self {
        Self::Later {
            error: error.to_string(),
            retry_after: None,
            concerns: Concerns::Everybody,
            may_be_done,
        }
    }
}

/// Reads an answer that is a success.
pub(super) async fn read(mut answer: Response) -> Result<Value, GraphError> {
    let status = answer.status();
    let retry_after = answer.headers().get(RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| wait(value.to_str().ok()?, SystemTime::now()));
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(GraphError::no_answer)? {
        if body.len() + piece.len() > LARGEST {
            let error = format!("the Graph API answered {status} with more than {LARGEST} bytes");
            return Err(GraphError::later(error));
        }
        body.extend_from_slice(&piece);
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status.is_success() {
        Ok(body)
    } else {
        Err(refusal(status, &body, retry_after))
    }
}

/// How long a `Retry-After` asks to wait: in seconds, or until a date.
fn wait(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let seconds = value.parse().ok().map(Duration::from_secs);
    let until = || httpdate::parse_http_date(value).ok();
    seconds.or_else(|| Some(until()?.duration_since(now).unwrap_or_default()))
}

/// What a refusal means. Its code decides, where that is known; otherwise its status.
fn refusal(status: StatusCode, body: &Value, retry_after: Option<Duration>) -> GraphError {
    let failure = failure(&body["error"]);
    let error = match &failure {
        Some(Failure {
            code: Some(code),
            message,
            ..
        }) => format!("the Graph API answered {status}: {message} (code {code})"),
        Some(Failure { message, .. }) => format!("the Graph API answered {status}: {message}"),
        None => format!("the Graph API answered {status}: no reason given"),
    };
    let code = failure.as_ref().and_then(|failure| failure.code);
    let can_heal = if body["error"]["is_transient"] == true || code.is_some_and(is_temporary) {
        true
    } else if code.is_some_and(is_final) {
        false
    } else {
        heals(status)
    };
    if can_heal {
        return GraphError::Later {
            error,
            retry_after,
            concerns: whom_it_concerns(status, code),
            may_be_done: code.is_none() && is_a_gateways(status),
        };
    }
    let failure = failure.unwrap_or_else(|| Failure::new(None, &status.to_string(), &error));
    GraphError::Never { error, failure }
}

/// Whom a temporary refusal concerns.
fn whom_it_concerns(status: StatusCode, code: Option<i64>) -> Concerns {
    match code {
        Some(code) if concerns_one_customer(code) => Concerns::OneCustomer,
        Some(code) if is_temporary(code) => Concerns::Everybody,
        _ if heals(status) => Concerns::Everybody,
        _ => Concerns::OneCustomer,
    }
}

/// Whether somebody on the way answers who has not seen an answer of WhatsApp's.
fn is_a_gateways(status: StatusCode) -> bool {
    [StatusCode::BAD_GATEWAY, StatusCode::GATEWAY_TIMEOUT].contains(&status)
}

/// Whether a status says nothing about what was asked for.
fn heals(status: StatusCode) -> bool {
    let heals = [
        StatusCode::UNAUTHORIZED,
        StatusCode::REQUEST_TIMEOUT,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    !status.is_client_error() || heals.contains(&status)
}

/// Reads an error of Meta's, of an answer or of a webhook; none where nothing is said.
pub(super) fn failure(error: &Value) -> Option<Failure> {
    let text = |value: &Value| value.as_str().unwrap_or_default().trim().to_owned();
    let code = error["code"].as_i64();
    let message = text(&error["message"]);
    let titles = [text(&error["title"]), text(&error["error_user_title"])];
    let title = titles.into_iter().find(|title| !title.is_empty());
    let details = [
        text(&error["error_data"]["details"]),
        text(&error["error_user_msg"]),
        message.clone(),
    ];
    let details = details.into_iter().find(|details| !details.is_empty());
    if code.is_none() && title.is_none() && details.is_none() {
        return None;
    }
    let title = title.or((!message.is_empty()).then_some(message));
    let title = title.unwrap_or_else(|| "Message not delivered".into());
    let details = details.unwrap_or_else(|| title.clone());
    Some(Failure::new(code, &title, &details))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(status: u16, body: &Value) -> GraphError {
        refusal(StatusCode::from_u16(status).unwrap(), body, None)
    }

    #[test]
    fn what_cannot_heal_is_distinguished_from_what_can() {
        let body = json!({"error": {"message": "Recipient not in allowed list", "code": 131_030}});
        let never = refused(400, &body);
        assert_eq!(
            never.to_string(),
            "the Graph API answered 400 Bad Request: Recipient not in allowed list (code 131030)"
        );
        assert!(matches!(never, GraphError::Never { failure, .. } if failure.can_retry()));
        for status in [401, 408, 429, 500, 503, 302] {
            let later = refused(status, &Value::Null);
            assert!(matches!(later, GraphError::Later { .. }), "{status}");
        }
    }

    #[test]
    fn whoever_asks_to_be_left_alone_names_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sat, 28 Nov 2026 10:00:00 GMT").unwrap();
        let seconds = |value| wait(value, now).map(|wait| wait.as_secs());
        assert_eq!(seconds(" 7 "), Some(7));
        assert_eq!(seconds("Sat, 28 Nov 2026 10:01:30 GMT"), Some(90));
        assert_eq!(seconds("Fri, 27 Nov 2026 10:00:00 GMT"), Some(0));
        for nothing in ["", "soon", "-1", "1.5"] {
            assert_eq!(seconds(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_code_says_more_than_a_status() {
        for code in [130_429, 131_056, 80007, 1, 2, 4, 190, 131_016] {
            for status in [400, 403, 500] {
                let later = refused(status, &json!({"error": {"code": code}}));
                assert!(matches!(later, GraphError::Later { .. }), "{status} {code}");
            }
        }
        let transient = json!({"error": {"code": 368, "is_transient": true}});
        assert!(matches!(refused(400, &transient), GraphError::Later { .. }));
        for status in [400, 500] {
            let never = refused(status, &json!({"error": {"code": 131_047}}));
            assert!(matches!(never, GraphError::Never { failure, .. } if !failure.can_retry()));
        }
    }

    fn concerns(status: u16, body: &Value) -> Concerns {
        match refused(status, body) {
            GraphError::Later { concerns, .. } => concerns,
            never => panic!("{never}"),
        }
    }

    #[test]
    fn what_is_about_one_customer_says_nothing_of_the_others() {
        for status in [400, 429, 500] {
            let body = json!({"error": {"code": 131_056}});
            assert_eq!(concerns(status, &body), Concerns::OneCustomer, "{status}");
            let body = json!({"error": {"code": 130_429}});
            assert_eq!(concerns(status, &body), Concerns::Everybody, "{status}");
        }
        let transient = json!({"error": {"code": 368, "is_transient": true}});
        assert_eq!(concerns(400, &transient), Concerns::OneCustomer);
        for status in [401, 408, 429, 500, 503, 302] {
            assert_eq!(concerns(status, &Value::Null), Concerns::Everybody);
            assert_eq!(concerns(status, &transient), Concerns::Everybody);
        }
    }

    #[test]
    fn a_gateway_does_not_know_what_became_of_a_request() {
        let may_be_done = |status, body: &Value| match refused(status, body) {
            GraphError::Later { may_be_done, .. } => may_be_done,
            never => panic!("{never}"),
        };
        for (status, expected) in [(502, true), (504, true), (500, false), (429, false)] {
            assert_eq!(may_be_done(status, &Value::Null), expected, "{status}");
        }
        assert!(!may_be_done(504, &json!({"error": {"code": 131_016}})));
    }

    #[test]
    fn reasons_are_read_wherever_meta_writes_them() {
        let answer = json!({"message": "(#131047) Re-engagement message", "code": 131_047,
            "error_data": {"details": "More than 24 hours have passed."}});
        assert_eq!(
            failure(&answer),
            Some(Failure::new(
                Some(131_047),
                "(#131047) Re-engagement message",
                "More than 24 hours have passed."
            ))
        );
        let webhook = json!({"code": 131_026, "title": "Message undeliverable"});
        assert_eq!(
            failure(&webhook),
            Some(Failure::new(
                Some(131_026),
                "Message undeliverable",
                "Message undeliverable"
            ))
        );
        for nothing in [json!(null), json!({}), json!({"code": "x", "title": 7})] {
            assert_eq!(failure(&nothing), None, "{nothing}");
        }
    }
}
