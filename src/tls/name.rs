//! Names that certificates are for.

use std::fmt;

/// The name of a host in lower case, or of all hosts one label below it: `a.example` or `*.example`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<str>);

/// The longest name of a host.
const MAX_LENGTH: usize = 253;

impl Name {
    /// Of a text; None if it cannot be the name of a host.
    pub fn parse(text: &str) -> Option<Self> {
        let host = text.strip_prefix("*.").unwrap_or(text);
        let fits = text.len() <= MAX_LENGTH && host.split('.').all(is_label);
        fits.then(|| Self(text.to_ascii_lowercase().into()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for all hosts one label below a name.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len()) && label.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_hosts() {
        for name in ["a", "a.example", "*.example", "x-1._y.example"] {
            assert_eq!(Name::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(Name::parse("A.Example").unwrap().as_str(), "a.example");
        let long = format!("{}.example", "a".repeat(64));
        for text in [
            "", "*", "*.", "a..b", ".a", "a.", "a b", "*.*.a", "a.*", &long,
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
