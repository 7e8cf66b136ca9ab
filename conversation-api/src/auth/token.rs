//! Tokens: opaque to whoever carries them, and known to the database by their hash alone.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Characters of a token.
const LENGTH: usize = 64;

/// A token in clear text, which does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token")
    }
}

impl Token {
    /// A new one, from 256 random bits.
    pub fn random() -> Self {
        Self(hex::encode(rand::random::<[u8; 32]>()))
    }

    /// Reads the value of an `Authorization` header. `None` for what cannot be a token.
    pub fn from_header(value: &str) -> Option<Self> {
        let (scheme, token) = value.split_once(' ')?;
        let token = token.trim();
        let is_token = scheme.eq_ignore_ascii_case("Bearer")
            && token.len() == LENGTH
            && token.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_token.then(|| Self(token.into()))
    }

    /// In clear text, for its bearer.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// SHA-256 in hex. The token is random enough that a plain hash cannot be reversed, and so
    /// that how long a look-up takes reveals nothing.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_from_the_header() {
        let token = Token::random();
        let read = |value: &str| Token::from_header(value);
        assert_eq!(
            read(&format!("Bearer {}", token.reveal())),
            Some(token.clone())
        );
        assert_eq!(
            read(&format!("bearer  {}", token.reveal())),
            Some(token.clone())
        );
        for value in ["", "Bearer", "Bearer ", "Bearer x", token.reveal()] {
            assert_eq!(read(value), None, "{value:?}");
        }
        assert_eq!(read(&format!("Basic {}", token.reveal())), None);
        assert_eq!(read(&format!("Bearer {}0", token.reveal())), None);
    }

    #[test]
    fn tokens_differ_and_do_not_print() {
        let token = Token::random();
        assert_ne!(token, Token::random());
        assert_eq!(format!("{token:?}"), "Token");
        assert_eq!(token.hash().len(), 64);
        assert!(!token.hash().contains(token.reveal()));
    }
}
