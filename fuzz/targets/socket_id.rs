//! Socket ids that publishers name.

#![no_main]

use fanfare::fuzzing::SocketId;
use libfuzzer_sys::fuzz_target;

fn is_well_formed(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('.')
        .is_some_and(|(high, low)| is_number(high) && is_number(low))
}

fuzz_target!(|text: &str| {
    let parsed = text.parse::<SocketId>();
    assert_eq!(parsed.is_ok(), is_well_formed(text));
    if let Ok(id) = parsed {
        let shown = id.to_string();
        assert!(is_well_formed(&shown));
        assert_eq!(shown.parse(), Ok(id));
    }
});
