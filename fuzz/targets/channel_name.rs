//! Names of channels, of the allowed length that the first byte says.

#![no_main]

use fanfare::fuzzing::{Access, ChannelKind, ChannelName, ChannelRef, check_name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&max_length, text)) = input.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let max_length = usize::from(max_length).clamp(1, 200);
    let checked = check_name(text, max_length);
    let name = ChannelName::parse(text, max_length);
    let borrowed = ChannelRef::parse(text.into(), max_length);
    assert_eq!(checked.is_ok(), name.is_ok());
    assert_eq!(checked.is_ok(), borrowed.is_ok());
    let Ok(kind) = checked else {
        return;
    };
    assert_eq!(kind, ChannelKind::of(text));
    assert!(!text.is_empty() && !text.chars().any(char::is_control));
    assert_eq!(text.starts_with('#'), kind.access == Access::ServerToUser);
    assert_eq!(kind.is_presence(), text.starts_with("presence-"));
    assert_eq!(
        kind.access == Access::Encrypted,
        text.starts_with("private-encrypted-")
    );
    if kind.access != Access::ServerToUser {
        assert!(text.len() <= max_length);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-=@,.;".contains(&byte);
        assert!(text.bytes().all(allowed));
    }
    assert_eq!(name.ok().as_ref().map(ChannelName::as_str), Some(text));
});
