//! What the Graph API answers: its body, not longer than is read, and what a refusal means.

use std::time::{Duration, SystemTime};

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::message::Failure;
use crate::message::failure::{is_final, is_temporary};

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

impl GraphError {
    /// There was no answer.
    pub fn no_answer(error: reqwest::Error) -> Self {
        Self::later(error.without_url())
    }

    pub(super) fn later(error: impl ToString) -> Self {
        Self::Later {
            error: error.to_string(),
            retry_after: None,
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
        return GraphError::Later { error, retry_after };
    }
    let failure = failure.unwrap_or_else(|| Failure::new(None, &status.to_string(), &error));
    GraphError::Never { error, failure }
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
        for code in [130_429, 131_056, 80007, 1, 2, 4, 131_016] {
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
