//! What others sent, as a terminal and a log may show it.

use std::fmt::Write as _;

/// At most `max` characters, none of which does anything to a terminal but show: others are
/// written as `\u{1b}`.
pub fn safe(text: &str, max: usize) -> String {
    let mut shown = String::new();
    let mut characters = text.chars();
    for character in characters.by_ref().take(max) {
        if acts(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The same JSON, in which characters that act are written as JSON escapes. In valid JSON they
/// can only be within strings, where that makes no difference to who parses it.
pub fn safe_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if acts(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
    }
    shown
}

/// Whether a terminal may do something other than show the character: control characters (C1,
/// too, some of which start sequences as ESC does), those that change the direction of text or
/// end a line, and tags that do not show at all.
pub fn acts(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}
