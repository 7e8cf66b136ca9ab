//! The data of a published event: any JSON becomes the token of a JSON string.

#![no_main]

use fanfare::fuzzing::EventData;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fuzz_target!(|text: &str| {
    check(&EventData::from_text(text), Some(text));
    let Ok(json) = serde_json::from_str::<&RawValue>(text) else {
        return;
    };
    let data = EventData::from_json(json);
    check(&data, None);
    if json.get().starts_with('"') {
        assert_eq!(data.token(), json.get(), "a string goes through as it came");
    }
});

fn check(data: &EventData<'_>, expected: Option<&str>) {
    let decoded = serde_json::from_str::<String>(data.token());
    // Escapes that stand for no text are found by the check, and by nothing else.
    assert_eq!(data.check_text().is_ok(), decoded.is_ok());
    let length = data.decoded_len();
    assert!(length <= data.token().len());
    let Ok(decoded) = decoded else {
        return;
    };
    assert_eq!(length, decoded.len());
    assert!(!data.is_surely_within(length.saturating_sub(1)) || length == 0);
    if let Some(expected) = expected {
        assert_eq!(decoded, expected);
    }
}
