//! Which events a watcher wants.

use super::event::TapEvent;

/// What a watcher wants to see: all that is set must match. An event without a channel, say a
/// connect, does not match a filter by channel; likewise for app and event.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Id of the app.
    pub app: Option<String>,
    /// Names of channels.
    pub channel: Option<Pattern>,
    /// Names of events.
    pub event: Option<Pattern>,
}

impl Filter {
    pub(super) fn matches(&self, event: &TapEvent<'_>) -> bool {
        let app = self.app.as_deref();
        (app.is_none() || app == event.app)
            && matches(self.channel.as_ref(), event.channel)
            && matches(self.event.as_ref(), event.event)
    }
}

fn matches(pattern: Option<&Pattern>, name: Option<&str>) -> bool {
    pattern.is_none_or(|pattern| name.is_some_and(|name| pattern.matches(name)))
}

/// A name in which each `*` stands for any characters, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// Matched from the start of the name.
    first: Box<str>,
    /// What follows each `*`, in order; the last one reaches to the end of the name.
    after_stars: Box<[Box<str>]>,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// The empty text, which no name matches.
    #[error("a pattern must not be empty (* matches every name)")]
    Empty,
    /// Longer than any name.
    #[error("the pattern has {0} bytes, at most {MAX_PATTERN} are allowed")]
    TooLong(usize),
}

const MAX_PATTERN: usize = 512;

impl Pattern {
    /// Reads a pattern of at most 512 bytes.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > MAX_PATTERN {
            return Err(PatternError::TooLong(text.len()));
        }
        let (first, rest) = match text.split_once('*') {
            None => (text, None),
            Some((first, rest)) => (first, Some(rest)),
        };
        let after_stars = rest.into_iter().flat_map(|rest| rest.split('*'));
        Ok(Self {
            first: first.into(),
            after_stars: after_stars.map(Box::from).collect(),
        })
    }

    /// Whether the whole name matches. Linear in the name's length for each part of the
    /// pattern: taking the earliest place for every part never has to be taken back.
    pub fn matches(&self, name: &str) -> bool {
        let Some((last, middle)) = self.after_stars.split_last() else {
            return *self.first == *name;
        };
        let Some(mut rest) = name.strip_prefix(&*self.first) else {
            return false;
        };
        for part in middle {
            match rest.find(&**part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(&**last)
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::Kind;
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn a_star_stands_for_anything() {
        let cases = [
            ("news", "news", true),
            ("news", "news2", false),
            ("news", "anews", false),
            ("*", "", true),
            ("*", "news", true),
            ("**", "news", true),
            ("private-*", "private-", true),
            ("private-*", "private-x", true),
            ("private-*", "privat", false),
            ("*-x", "private-x", true),
            ("*-x", "private-y", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*bc*bc", "abc", false),
            ("a*bc*bc", "abcbc", true),
            ("ü*", "üö", true),
        ];
        for (text, name, expected) in cases {
            assert_eq!(pattern(text).matches(name), expected, "{text} and {name}");
        }
    }

    #[test]
    fn a_pattern_is_neither_empty_nor_endless() {
        assert_eq!(Pattern::parse(""), Err(PatternError::Empty));
        assert!(Pattern::parse(&"*".repeat(MAX_PATTERN)).is_ok());
        let too_long = "a".repeat(MAX_PATTERN + 1);
        let error = Pattern::parse(&too_long).unwrap_err();
        assert_eq!(error, PatternError::TooLong(MAX_PATTERN + 1));
    }

    #[test]
    fn all_that_is_set_must_match() {
        let event = TapEvent {
            app: Some("1"),
            channel: Some("news"),
            event: Some("made"),
            ..TapEvent::new(Kind::Publish)
        };
        let filter = |app: Option<&str>, channel: Option<&str>, event: Option<&str>| Filter {
            app: app.map(str::to_owned),
            channel: channel.map(pattern),
            event: event.map(pattern),
        };
        assert!(Filter::default().matches(&event));
        assert!(filter(Some("1"), Some("n*"), Some("*")).matches(&event));
        assert!(!filter(Some("2"), None, None).matches(&event));
        assert!(!filter(Some("1"), Some("m*"), None).matches(&event));
        assert!(!filter(None, None, Some("lost")).matches(&event));
    }

    #[test]
    fn what_an_event_does_not_have_does_not_match() {
        let event = TapEvent::new(Kind::Error);
        assert!(Filter::default().matches(&event));
        for filter in [
            Filter {
                app: Some("1".to_owned()),
                ..Filter::default()
            },
            Filter {
                channel: Some(pattern("*")),
                ..Filter::default()
            },
            Filter {
                event: Some(pattern("*")),
                ..Filter::default()
            },
        ] {
            assert!(!filter.matches(&event), "{filter:?}");
        }
    }
}
