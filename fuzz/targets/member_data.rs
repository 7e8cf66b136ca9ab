//! The JSON that an app signs: channel_data of a presence subscription, user_data of a sign-in.

#![no_main]

use fanfare::fuzzing::{
    Member, MemberLimits, parse_channel_data, parse_user_data, parse_watchlist,
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const LIMITS: MemberLimits = MemberLimits {
    user_id_length: 128,
    user_info_bytes: 1024,
};

fuzz_target!(|text: &str| {
    if let Ok(member) = parse_channel_data(text, None, LIMITS) {
        assert!(member.user_id().chars().count() <= LIMITS.user_id_length);
        check(&member);
    }
    if let Ok(user) = parse_user_data(text, LIMITS) {
        check(&user.member);
    }
    let _ = parse_watchlist(text);
});

/// What is kept of a member goes into the data string of other clients' messages as it is.
fn check(member: &Member) {
    assert!(!member.user_id().is_empty());
    let data = format!(
        r#""{{\"user_id\":{},\"user_info\":{}}}""#,
        member.escaped_id(),
        member.escaped_info()
    );
    let data: String = serde_json::from_str(&data).expect("it is a JSON string");
    // Numbers beyond any type and escapes beyond Unicode are the app's own affair.
    if let Ok(data) = serde_json::from_str::<Value>(&data) {
        assert_eq!(data["user_id"], **member.user_id());
    }
}
