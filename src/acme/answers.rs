//! What an authority is answered that asks over HTTP whether a name is ours (RFC 8555, 8.3).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::settings::MOST_DOMAINS;
use crate::metrics::Gauge;

/// A token is 22 characters at least; directories give twice as many.
const LONGEST_TOKEN: usize = 256;

/// The answers that are given at the moment, by token. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    by_token: Arc<RwLock<HashMap<Box<str>, Arc<str>>>>,
    /// How many they are.
    given: Gauge,
}

impl Answers {
    /// None. `given` shows how many there are.
    pub(super) fn new(given: Gauge) -> Self {
        Self {
            given,
            ..Self::default()
        }
    }

    /// The answer to whoever asks for the token.
    pub fn find(&self, token: &str) -> Option<Arc<str>> {
        self.by_token.read().get(token).cloned()
    }

    /// Gives an answer from now on. False, and nothing is done, if that can be no token or there are too
    /// many: both come from the directory.
    pub(super) fn give(&self, token: &str, answer: &str) -> bool {
        let mut by_token = self.by_token.write();
        let fits = is_token(token) && by_token.len() < MOST_DOMAINS;
        if fits {
            by_token.insert(token.into(), answer.into());
            self.given.set(by_token.len() as i64);
        }
        fits
    }

    /// Ends what [`give`](Self::give) began.
    pub(super) fn withdraw(&self, token: &str) {
        let mut by_token = self.by_token.write();
        by_token.remove(token);
        self.given.set(by_token.len() as i64);
    }
}

/// Whether a text is one that a directory may give as a token: base64url without padding.
pub(super) fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_given_until_it_is_withdrawn() {
        let answers = Answers::default();
        assert!(answers.clone().give("token-1", "token-1.thumb"));
        assert_eq!(answers.find("token-1").as_deref(), Some("token-1.thumb"));
        assert_eq!(answers.find("token"), None);
        assert_eq!(answers.given.get(), 1);
        answers.withdraw("token-1");
        assert_eq!(answers.given.get(), 0);
        assert_eq!(answers.find("token-1"), None);
    }

    #[test]
    fn what_a_directory_hands_out_is_bounded() {
        let answers = Answers::default();
        let long = "a".repeat(LONGEST_TOKEN + 1);
        for token in ["", "../secret", "a b", "ä", &long] {
            assert!(!answers.give(token, "answer"), "{token}");
        }
        for index in 0..MOST_DOMAINS {
            assert!(answers.give(&format!("token-{index}"), "answer"));
        }
        assert!(!answers.give("one-more", "answer"));
    }
}
