//! Under which names the numbers are exported.

/// What declared names begin with, and all others in the words of this project.
pub(super) const DECLARED: &str = "fanfare_";

/// Under which names the numbers are exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSettings {
    /// What the names of the relay's own metrics begin with. `fanfare_`.
    pub prefix: Box<str>,
    /// Whether those that soketi has, too, are exported once more, under its names. No.
    pub soketi_names: bool,
}

impl Default for MetricsSettings {
    fn default() -> Self {
        Self {
            prefix: DECLARED.into(),
            soketi_names: false,
        }
    }
}

impl MetricsSettings {
    /// Characters of a prefix at most.
    const MOST: usize = 64;

    /// Whether names may begin so: letters, digits and `_`, no digit first. Names of others, `process_` and `soketi_`,
    /// are kept free for them.
    pub fn is_prefix(text: &str) -> bool {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let begins = |byte: &u8| !byte.is_ascii_digit();
        text.len() <= Self::MOST
            && text.bytes().all(is_plain)
            && text.as_bytes().first().is_some_and(begins)
            && !["process_", "soketi_"]
                .iter()
                .any(|name| text.starts_with(name))
    }

    /// A declared name, or a text that mentions some, as it is exported.
    pub(super) fn exported(&self, declared: &str) -> String {
        declared.replace(DECLARED, &self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_beginnings_of_names_that_nobody_else_uses() {
        for fits in ["fanfare_", "relay_", "Shop2_relay", "_x", "process", "p"] {
            assert!(MetricsSettings::is_prefix(fits), "{fits}");
        }
        let long = "a".repeat(65);
        for not in [
            "", "1_", "a-b_", "a:b_", "ä_", "a b", "process_", "soketi_x", &long,
        ] {
            assert!(!MetricsSettings::is_prefix(not), "{not}");
        }
    }
}
