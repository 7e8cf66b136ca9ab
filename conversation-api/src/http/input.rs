//! Fields of a request, from JSON or a form, with Laravel's words for what is wrong with them.

use actix_web::HttpRequest;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, Bytes, Query};
use serde_json::{Map, Value};

use super::body::{self, Bodies};
use super::error::Refusal;
use super::field_errors::Errors;

/// Bytes of a request with fields.
const LARGEST: usize = 64 * 1024;
/// Characters of a name that a client chose.
const LONGEST_KEY: usize = 64;

/// The fields of a request, and what has been found wrong with them so far.
pub(super) struct Input {
    fields: Map<String, Value>,
    errors: Errors,
}

impl Input {
    /// Reads the fields. What is neither JSON nor a form has none, as Laravel sees it.
    pub(super) async fn read(
        request: &HttpRequest,
        payload: web::Payload,
    ) -> Result<Self, Refusal> {
        let bodies = request.app_data::<web::Data<Bodies>>();
        let bodies = bodies.expect("every endpoint has the bodies' budgets");
        let body = body::read(request, payload, LARGEST, &bodies.fields).await?;
        Ok(Self {
            fields: fields(request, &body),
            errors: Errors::default(),
        })
    }

    /// Fields of a query.
    pub(super) fn of<const N: usize>(fields: [(&str, Option<String>); N]) -> Self {
        let fields = fields.into_iter();
        let fields = fields.filter_map(|(name, text)| Some((name.into(), Value::String(text?))));
        Self {
            fields: fields.collect(),
            errors: Errors::default(),
        }
    }

    /// A text that need not be there, without the spaces around it; nothing but spaces is as good
    /// as none.
    pub(super) fn optional_text(&mut self, name: &'static str, longest: usize) -> Option<String> {
        match self.fields.get(name) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.trim().is_empty() => None,
            Some(_) => Some(self.text(name, longest)),
        }
    }

    /// Whether something is asked for: `1` or `true`, or not: `0`, `false` or nothing.
    pub(super) fn flag(&mut self, name: &'static str) -> bool {
        match self.optional_text(name, 10).as_deref() {
            Some("1" | "true") => true,
            None | Some("0" | "false") => false,
            Some(_) => {
                let text = format!("The {} field must be true or false.", shown(name));
                self.wrong(name, text);
                false
            }
        }
    }

    /// A text that must be there, without the spaces around it.
    pub(super) fn text(&mut self, name: &'static str, longest: usize) -> String {
        let text = self.secret(name, longest);
        text.trim().to_owned()
    }

    /// A text that must be there, as it was sent.
    pub(super) fn secret(&mut self, name: &'static str, longest: usize) -> String {
        let shown = shown(name);
        let text = match self.fields.get(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => text.clone(),
            None | Some(Value::Null | Value::String(_)) => {
                return self.wrong(name, format!("The {shown} field is required."));
            }
            Some(_) => return self.wrong(name, format!("The {shown} field must be a string.")),
        };
        if text.chars().count() > longest {
            let text = format!("The {shown} field must not be greater than {longest} characters.");
            return self.wrong(name, text);
        }
        if text.contains('\0') {
            return self.wrong(name, format!("The {shown} field format is invalid."));
        }
        text
    }

    /// An e-mail address that must be there, in lower case.
    pub(super) fn email(&mut self, name: &'static str) -> String {
        let email = self.text(name, 254).to_lowercase();
        let is_address = email.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty() && !host.is_empty() && !host.contains('@')
        }) && !email.contains(char::is_whitespace);
        if !email.is_empty() && !is_address {
            let text = format!("The {} field must be a valid email address.", shown(name));
            return self.wrong(name, text);
        }
        email
    }

    /// An id that must be there.
    pub(super) fn id(&mut self, name: &'static str) -> i64 {
        match self.optional_id(name) {
            Some(id) => id,
            None if self.is_wrong(name) => 0,
            None => {
                self.wrong(name, format!("The {} field is required.", shown(name)));
                0
            }
        }
    }

    /// An id, a number or the digits of one; `None` when it is absent or wrong.
    pub(super) fn optional_id(&mut self, name: &'static str) -> Option<i64> {
        let id = match self.fields.get(name) {
            None | Some(Value::Null) => return None,
            Some(Value::String(text)) if text.trim().is_empty() => return None,
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(value) => value.as_i64(),
        };
        if id.is_none() {
            self.wrong(
                name,
                format!("The {} field must be an integer.", shown(name)),
            );
        }
        id
    }

    /// A name that a client chose for what it sends, from the field or, without one, a header.
    pub(super) fn key(&mut self, name: &'static str, header: Option<&[u8]>) -> Option<String> {
        let key = match (self.fields.get(name), header) {
            (None | Some(Value::Null), None) => return None,
            (None | Some(Value::Null), Some(header)) => std::str::from_utf8(header).ok(),
            (Some(value), _) => value.as_str(),
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_key =
            |key: &&str| (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(is_plain);
        let key = key.filter(is_key).map(str::to_owned);
        if key.is_none() {
            let shown = shown(name);
            let text = format!(
                "The {shown} field must have 1 to {LONGEST_KEY} letters, digits, dashes and underscores."
            );
            self.wrong(name, text);
        }
        key
    }

    /// Whether a field is there at all, even as null.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Refuses a field's value as not one of those that there are.
    pub(super) fn unknown(&mut self, name: &'static str) {
        self.wrong(name, format!("The selected {} is invalid.", shown(name)));
    }

    /// A field as it was sent.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// Refuses a field's value for this reason.
    pub(super) fn refuse(&mut self, name: &'static str, text: String) {
        self.errors.add(name, text);
    }

    /// The refusal of the request for a field's value alone.
    pub(super) fn refused(mut self, name: &'static str, text: String) -> Refusal {
        self.errors.add(name, text);
        Refusal::Invalid(self.errors)
    }

    /// Refuses the request if anything was wrong.
    pub(super) fn check(&mut self) -> Result<(), Refusal> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Invalid(std::mem::take(&mut self.errors)))
        }
    }

    fn is_wrong(&self, name: &str) -> bool {
        self.errors.contains(name)
    }

    fn wrong(&mut self, name: &'static str, text: String) -> String {
        self.errors.add(name, text);
        String::new()
    }
}

fn fields(request: &HttpRequest, body: &Bytes) -> Map<String, Value> {
    let kind = request.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // curl declares everything to be a form. The names of one do not begin with a brace.
    let is_json = body.trim_ascii_start().starts_with(b"{");
    if kind.starts_with("application/x-www-form-urlencoded") && !is_json {
        let text = String::from_utf8_lossy(body);
        let pairs = Query::<Vec<(String, String)>>::from_query(&text);
        let pairs = pairs.map(Query::into_inner).unwrap_or_default();
        let field = |(name, value)| (name, Value::String(value));
        return pairs.into_iter().map(field).collect();
    }
    serde_json::from_slice(body).unwrap_or_default()
}

/// A field's name in a sentence.
fn shown(name: &str) -> String {
    name.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn input(fields: Value) -> Input {
        Input {
            fields: serde_json::from_value(fields).unwrap(),
            errors: Errors::default(),
        }
    }

    fn refusal(mut input: Input) -> Value {
        match input.check() {
            Err(Refusal::Invalid(errors)) => serde_json::to_value(errors).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_wrong_is_reported_as_laravel_reports_it() {
        let mut wrong = input(json!({"email": "nobody", "conversation_id": 1.5}));
        wrong.email("email");
        wrong.secret("password", 100);
        wrong.id("conversation_id");
        assert_eq!(
            refusal(wrong),
            json!({
                "message": "The email field must be a valid email address. (and 2 more errors)",
                "errors": {
                    "email": ["The email field must be a valid email address."],
                    "password": ["The password field is required."],
                    "conversation_id": ["The conversation id field must be an integer."],
                },
            })
        );
    }

    #[test]
    fn texts_have_a_length_and_a_kind() {
        let mut wrong = input(json!({"a": "ééé", "b": 7, "c": "x\0", "d": " "}));
        for name in ["a", "b", "c", "d"] {
            wrong.text(name, 2);
        }
        let errors = &refusal(wrong)["errors"];
        assert_eq!(
            errors["a"][0],
            "The a field must not be greater than 2 characters."
        );
        assert_eq!(errors["b"][0], "The b field must be a string.");
        assert_eq!(errors["c"][0], "The c field format is invalid.");
        assert_eq!(errors["d"][0], "The d field is required.");
    }

    #[test]
    fn ids_are_numbers_or_their_digits() {
        let mut right = input(json!({"a": 7, "b": " 8 ", "c": null, "d": ""}));
        assert_eq!(right.id("a"), 7);
        assert_eq!(right.id("b"), 8);
        assert_eq!(right.optional_id("c"), None);
        assert_eq!(right.optional_id("d"), None);
        assert_eq!(right.optional_id("e"), None);
        assert!(right.check().is_ok());
    }
}
