//! Who a connection is: presence members and signed-in users, from JSON that the app signed.

use std::borrow::Cow;
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
    info_bytes: usize,
}

impl Member {
    /// A member; `user_info` is any JSON text and is passed on unchanged.
    pub fn new(user_id: &str, user_info: Option<&str>) -> Self {
        let quoted = serde_json::to_string(user_id).expect("a str is valid JSON");
        Self {
            user_id: user_id.into(),
            escaped_id: json::escaped(&quoted).into(),
            escaped_info: json::escaped(user_info.unwrap_or("{}")).into(),
            info_bytes: user_info.map_or(0, str::len),
        }
    }

    /// A member with a user_info that is escaped already, as [`Member::escaped_info`] gives it.
    pub fn from_escaped(user_id: &str, escaped_info: &str) -> Self {
        Self {
            escaped_info: escaped_info.into(),
            info_bytes: escaped_info.len(),
            ..Self::new(user_id, None)
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

    /// Fails if the user_info is too large for a member of a presence channel. (A user who signs
    /// in may have a larger one.)
    pub fn check_info(&self, limits: MemberLimits) -> Result<(), MemberError> {
        let (length, limit) = (self.info_bytes, limits.user_info_bytes);
        if length > limit {
            Err(MemberError::InfoTooLarge { length, limit })
        } else {
            Ok(())
        }
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

/// Why channel_data or user_data names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberError {
    /// Not JSON, or not an object of the expected fields.
    #[error("{field} must be a string holding a JSON object: {reason}")]
    Malformed {
        /// `channel_data` or `user_data`.
        field: &'static str,
        /// The parser's error.
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
    /// A watchlist that is no list of ids.
    #[error("user_data's watchlist must be a list of user ids")]
    BadWatchlist,
    /// The id is too long.
    #[error(
        "the user id has {length} characters, at most {limit} are allowed (presence_user_id_length)"
    )]
    IdTooLong {
        /// Characters of the id.
        length: usize,
        /// The app's limit.
        limit: usize,
    },
    /// The user_info is too large.
    #[error("user_info has {length} bytes, at most {limit} are allowed (presence_user_info_bytes)")]
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

/// Reads the channel_data of a presence subscription; a numeric user_id becomes its text. Where it
/// has no user_info and is about the user that the connection is signed in as, the user_info is
/// that of the sign-in.
pub fn parse_channel_data(
    text: &str,
    signed_in: Option<&Arc<Member>>,
    limits: MemberLimits,
) -> Result<Arc<Member>, MemberError> {
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
    let Some(user_id) = id_text(id).filter(|user_id| !user_id.is_empty()) else {
        return Err(no_id);
    };
    check_id(&user_id, limits)?;
    let user_info = json::present(data.user_info).map(RawValue::get);
    let same_user = signed_in.filter(|user| user_info.is_none() && **user.user_id() == *user_id);
    let member = match same_user {
        Some(user) => Arc::clone(user),
        None => Arc::new(Member::new(&user_id, user_info)),
    };
    member.check_info(limits)?;
    Ok(member)
}

#[derive(Deserialize)]
struct SignsIn {
    #[serde(default)]
    sign_in: bool,
}

/// Whether a subscription's channel_data says `"sign_in":true`: the connection is its user's from
/// then on, as if it had signed in. The channel_data of a private channel may be any text.
pub fn signs_in(text: &str) -> bool {
    parse_object(text, "channel_data").is_ok_and(|data: SignsIn| data.sign_in)
}

/// Users whose coming and going somebody watches, each once.
pub type Watchlist = Arc<[Arc<str>]>;

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
    check_id(&id, limits)?;
    let user_info = json::present(data.user_info).map(RawValue::get);
    Ok(SignedInUser {
        member: Arc::new(Member::new(&id, user_info)),
    })
}

#[derive(Deserialize)]
struct WatchlistData<'a> {
    #[serde(borrow)]
    watchlist: Option<&'a RawValue>,
}

/// Reads the watchlist of a sign-in's user_data: the ids of users, as text or as numbers, in the
/// order and as often as they are named.
pub fn parse_watchlist(text: &str) -> Result<Vec<Arc<str>>, MemberError> {
    let data: WatchlistData<'_> = parse_object(text, "user_data")?;
    let Some(list) = json::present(data.watchlist) else {
        return Ok(Vec::new());
    };
    let ids: Option<Vec<&RawValue>> = serde_json::from_str(list.get()).ok();
    let texts = ids.and_then(|ids| {
        let texts = ids.into_iter().map(id_text);
        texts.map(|text| text.map(Arc::from)).collect()
    });
    texts.ok_or(MemberError::BadWatchlist)
}

/// An id's string form; None if it is neither text nor number.
fn id_text(id: &RawValue) -> Option<Cow<'_, str>> {
    match json::as_string(id) {
        None if is_number(id) => Some(id.get().into()),
        text => text,
    }
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

fn check_id(user_id: &str, limits: MemberLimits) -> Result<(), MemberError> {
    let (length, limit) = (user_id.chars().count(), limits.user_id_length);
    if length > limit {
        Err(MemberError::IdTooLong { length, limit })
    } else {
        Ok(())
    }
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
            let member = parse_channel_data(data, None, LIMITS).unwrap();
            assert_eq!(&**member.user_id(), id);
            assert_eq!(member.escaped_info(), "{}");
        }
    }

    #[test]
    fn a_watchlist_names_users_by_text_or_number() {
        let list = |text: &str| parse_watchlist(text).map(|ids| ids.join(","));
        for (data, ids) in [
            (r#"{"id":"a"}"#, ""),
            (r#"{"watchlist":null}"#, ""),
            (r#"{"watchlist":[]}"#, ""),
            (r#"{"watchlist":["a",7,"\u00fc","a"]}"#, "a,7,ü,a"),
        ] {
            assert_eq!(list(data).as_deref(), Ok(ids), "{data}");
        }
        for bad in [r#""a""#, "{}", "7", "[true]", "[null]", r#"[["a"]]"#] {
            let data = format!(r#"{{"watchlist":{bad}}}"#);
            assert_eq!(list(&data), Err(MemberError::BadWatchlist), "{data}");
        }
    }

    #[test]
    fn info_is_passed_on_as_written() {
        let data = r#"{"user_id":"a","user_info":{ "n":1.0}}"#;
        let member = parse_channel_data(data, None, LIMITS).unwrap();
        assert_eq!(member.escaped_info(), r#"{ \"n\":1.0}"#);
    }

    #[test]
    fn the_user_info_of_a_sign_in_stands_in_for_a_missing_one() {
        let user = Arc::new(Member::new("7", Some("[1]")));
        let info = |data| {
            let member = parse_channel_data(data, Some(&user), LIMITS).unwrap();
            member.escaped_info().to_owned()
        };
        assert_eq!(info(r#"{"user_id":7}"#), "[1]");
        assert_eq!(info(r#"{"user_id":"7","user_info":2}"#), "2");
        assert_eq!(info(r#"{"user_id":"8"}"#), "{}");
        let large = Arc::new(Member::new("7", Some(&"9".repeat(17))));
        assert_eq!(
            parse_channel_data(r#"{"user_id":7}"#, Some(&large), LIMITS).unwrap_err(),
            MemberError::InfoTooLarge {
                length: 17,
                limit: 16
            }
        );
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
            assert!(parse_channel_data(bad, None, LIMITS).is_err(), "{bad}");
        }
        for bad in [r#"{"id":1}"#, r#"{"id":""}"#, "{", r#"{"user_id":"a"}"#] {
            assert!(parse_user_data(bad, LIMITS).is_err(), "{bad}");
        }
    }
}
