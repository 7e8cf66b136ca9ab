//! Who a connection is: presence members and signed-in users, from JSON that the app signed.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::json;

/// One member of a presence channel. Its JSON is kept ready as it stands inside the string
/// that carries presence data, so that a roster is put together by copying.
#[derive(Debug)]
pub struct Member {
    user_id: Arc<str>,
    escaped_id: Box<str>,
    escaped_info: Box<str>,
}

impl Member {
    /// A member; `user_info` is any JSON text and is passed on unchanged.
    pub fn new(user_id: &str, user_info: Option<&str>) -> Self {
        let quoted = serde_json::to_string(user_id).expect("a str is valid JSON");
        Self {
            user_id: user_id.into(),
            escaped_id: json::escaped(&quoted).into(),
            escaped_info: json::escaped(user_info.unwrap_or("{}")).into(),
        }
    }

    /// The user's id, in its string form.
    pub fn user_id(&self) -> &Arc<str> {
        &self.user_id
    }

    /// The id as a JSON string, escaped for its place inside another string.
    pub fn escaped_id(&self) -> &str {
        &self.escaped_id
    }

    /// The user_info, escaped for its place inside a string.
    pub fn escaped_info(&self) -> &str {
        &self.escaped_info
    }
}

/// The limits of presence data.
#[derive(Clone, Copy, Debug)]
pub struct MemberLimits {
    /// Characters of a user id.
    pub user_id_length: usize,
    /// Bytes of user_info as JSON text.
    pub user_info_bytes: usize,
}

/// Why channel_data or user_data says nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// Not JSON, or not an object of the expected fields.
    #[error("{field} must be a string holding a JSON object: {reason}")]
    Malformed {
        /// `channel_data` or `user_data`.
        field: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// No id, or one that is neither text nor number.
    #[error("{field} needs {id_field}, a non-empty {expected}")]
    NoId {
        /// `channel_data` or `user_data`.
        field: &'static str,
        /// `user_id` or `id`.
        id_field: &'static str,
        /// The JSON types allowed.
        expected: &'static str,
    },
    /// The id is too long.
    #[error("the user id has {length} characters, at most {limit} are allowed")]
    IdTooLong {
        /// Characters of the id.
        length: usize,
        /// The app's limit.
        limit: usize,
    },
    /// The user_info is too large.
    #[error("user_info has {length} bytes, at most {limit} are allowed")]
    InfoTooLarge {
        /// Bytes of the JSON text.
        length: usize,
        /// The app's limit.
        limit: usize,
    },
}

#[derive(Deserialize)]
struct ChannelData<'a> {
    #[serde(borrow)]
    user_id: Option<&'a RawValue>,
    #[serde(borrow)]
    user_info: Option<&'a RawValue>,
}

/// Reads the channel_data of a presence subscription; a numeric user_id becomes its text.
pub fn parse_channel_data(text: &str, limits: MemberLimits) -> Result<Member, MemberError> {
    const FIELD: &str = "channel_data";
    let data: ChannelData<'_> = parse_object(text, FIELD)?;
    let no_id = MemberError::NoId {
        field: FIELD,
        id_field: "user_id",
        expected: "string or number",
    };
    let Some(id) = json::present(data.user_id) else {
        return Err(no_id);
    };
    let user_id = match json::as_string(id) {
        Some(text) => text,
        None if is_number(id) => id.get().into(),
        None => return Err(no_id),
    };
    if user_id.is_empty() {
        return Err(no_id);
    }
    check_sizes(&user_id, json::present(data.user_info), limits)?;
    Ok(Member::new(
        &user_id,
        json::present(data.user_info).map(RawValue::get),
    ))
}

/// A user as the app signed them in.
#[derive(Debug)]
pub struct SignedInUser {
    /// The user as a presence member: id and user_info.
    pub member: Arc<Member>,
}

#[derive(Deserialize)]
struct UserData<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    user_info: Option<&'a RawValue>,
}

/// Reads the user_data of a sign-in; its id must be a non-empty string.
pub fn parse_user_data(text: &str, limits: MemberLimits) -> Result<SignedInUser, MemberError> {
    const FIELD: &str = "user_data";
    let data: UserData<'_> = parse_object(text, FIELD)?;
    let id = json::present(data.id)
        .and_then(json::as_string)
        .filter(|id| !id.is_empty())
        .ok_or(MemberError::NoId {
            field: FIELD,
            id_field: "id",
            expected: "string",
        })?;
    check_sizes(&id, None, limits)?;
    let user_info = json::present(data.user_info).map(RawValue::get);
    Ok(SignedInUser {
        member: Arc::new(Member::new(&id, user_info)),
    })
}

fn parse_object<'a, T: Deserialize<'a>>(
    text: &'a str,
    field: &'static str,
) -> Result<T, MemberError> {
    let malformed = |reason: String| MemberError::Malformed { field, reason };
    // serde would also read a struct from an array.
    if !text.trim_start().starts_with('{') {
        return Err(malformed("it is not an object".into()));
    }
    serde_json::from_str(text).map_err(|error| malformed(error.to_string()))
}

fn check_sizes(
    user_id: &str,
    user_info: Option<&RawValue>,
    limits: MemberLimits,
) -> Result<(), MemberError> {
    let length = user_id.chars().count();
    if length > limits.user_id_length {
        return Err(MemberError::IdTooLong {
            length,
            limit: limits.user_id_length,
        });
    }
    let info = user_info.map_or(0, |info| info.get().len());
    if info > limits.user_info_bytes {
        return Err(MemberError::InfoTooLarge {
            length: info,
            limit: limits.user_info_bytes,
        });
    }
    Ok(())
}

/// Whether the value is a JSON number.
fn is_number(value: &RawValue) -> bool {
    value
        .get()
        .starts_with(|c: char| c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: MemberLimits = MemberLimits {
        user_id_length: 8,
        user_info_bytes: 16,
    };

    #[test]
    fn ids_are_used_in_their_string_form() {
        for (data, id) in [
            (r#"{"user_id":7}"#, "7"),
            (r#"{"user_id":"7"}"#, "7"),
            (r#"{"user_id":"\u00fc","user_info":null}"#, "ü"),
        ] {
            let member = parse_channel_data(data, LIMITS).unwrap();
            assert_eq!(&**member.user_id(), id);
            assert_eq!(member.escaped_info(), "{}");
        }
    }

    #[test]
    fn info_is_passed_on_as_written() {
        let member =
            parse_channel_data(r#"{"user_id":"a","user_info":{ "n":1.0}}"#, LIMITS).unwrap();
        assert_eq!(member.escaped_info(), r#"{ \"n\":1.0}"#);
    }

    #[test]
    fn data_without_a_usable_id_is_refused() {
        for bad in [
            "",
            "[]",
            "[1,2]",
            "{}",
            r#"{"user_id":null}"#,
            r#"{"user_id":""}"#,
            r#"{"user_id":true}"#,
            r#"{"user_id":{}}"#,
            r#"{"user_id":"123456789"}"#,
            r#"{"user_id":"a","user_info":"0123456789abcdef"}"#,
            r#"{"user_id":"\ud800"}"#,
        ] {
            assert!(parse_channel_data(bad, LIMITS).is_err(), "{bad}");
        }
        for bad in [r#"{"id":1}"#, r#"{"id":""}"#, "{", r#"{"user_id":"a"}"#] {
            assert!(parse_user_data(bad, LIMITS).is_err(), "{bad}");
        }
    }
}
