//! Laravel's slugs.

/// The slug of a name of ASCII characters, as `Str::slug($name)` makes it; `None` for other
/// names, whose letters Laravel would first look up in tables of transcription.
///
/// Source: laravel/framework, `Illuminate\Support\Str::slug`; the tests compare it with it.
pub(super) fn slug(name: &str) -> Option<String> {
    if !name.is_ascii() {
        return None;
    }
    let name = name
        .replace('_', "-")
        .replace('@', "-at-")
        .to_ascii_lowercase();
    let kept = |c: &char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || *c == '-';
    let name: String = name.chars().filter(kept).collect();
    let words = name.split(|c: char| c == '-' || c.is_ascii_whitespace());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    Some(words.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_lower_case_words_joined_by_hyphens() {
        for (name, slug_of_it) in [
            ("Laravel", "laravel"),
            ("  My_App -- (v2.0)!", "my-app-v20"),
            ("me@home", "me-at-home"),
            ("!!!", ""),
        ] {
            assert_eq!(slug(name).as_deref(), Some(slug_of_it));
        }
        assert_eq!(slug("Käse"), None);
    }
}
