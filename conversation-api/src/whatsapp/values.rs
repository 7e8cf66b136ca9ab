//! What is read of Meta's JSON, whatever it is about.

use serde_json::Value;

/// Bytes of an id that are plausible.
pub(super) const LONGEST_ID: usize = 255;

/// Whether a text can be the id of a message.
pub(super) fn is_plausible_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= LONGEST_ID && !id.contains('\0')
}

/// Without the one character that PostgreSQL cannot store.
pub(super) fn clean(text: &str) -> String {
    text.replace('\0', "")
}

/// What is in an array; nothing, where there is none.
pub(super) fn items<'v>(value: &'v Value, name: &str) -> impl Iterator<Item = &'v Value> {
    value[name].as_array().into_iter().flatten()
}
