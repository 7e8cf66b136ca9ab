//! Tokens: what opens the admin listener, and for what.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Characters of a token at least: 16 of them, chosen at random, are not guessed at the pace at which tries are let through.
pub const SHORTEST: usize = 16;
/// Characters of a token at most.
pub const LONGEST: usize = 512;

/// What a token must be, for people.
pub const EXPECTED: &str = "a token of at least 16 characters, of letters, digits and - . _ ~ + / = \
                            (`openssl rand -hex 32` makes one)";

/// What whoever has a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look at everything but secrets.
    Read,
    /// Look at everything, and change it.
    Write,
}

impl Role {
    /// The role of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Read, Self::Write]
            .into_iter()
            .find(|role| role.name() == name)
    }

    /// Its name in files and answers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A token, as far as it is kept: its hash. All hashes have one length, so that how long comparing takes says nothing of the
/// token's.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    hash: [u8; 32],
    role: Role,
    name: Arc<str>,
}

/// Why a text is no token. It never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It is too short to be safe, or longer than any.
    #[error("one of {0} characters")]
    Length(usize),
    /// It has a character that headers do not take.
    #[error("one with another character")]
    Character,
}

impl Token {
    /// A token that opens the listener for a role. The name is for the log.
    pub fn new(role: Role, name: &str, text: &str) -> Result<Self, InvalidToken> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if !text.bytes().all(fits) {
            return Err(InvalidToken::Character);
        }
        if !(SHORTEST..=LONGEST).contains(&text.len()) {
            return Err(InvalidToken::Length(text.len()));
        }
        Ok(Self {
            hash: Sha256::digest(text).into(),
            role,
            name: name.into(),
        })
    }

    /// What whoever has it may do.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What the log calls it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Its name and its role.
    pub fn shown(&self) -> serde_json::Value {
        serde_json::json!({ "name": &*self.name, "role": self.role.name() })
    }

    /// Whether both are the same text.
    pub fn is_same(&self, other: &Self) -> bool {
        self.hash.ct_eq(&other.hash).into()
    }
}

/// The hash does not print.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("role", &self.role)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// The tokens that there are; none: whoever reaches the listener may do everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens(Arc<[Token]>);

impl Tokens {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Token> {
        self.0.iter()
    }

    /// The token that somebody has shown. Takes as long wherever it differs, and whichever it is.
    pub(super) fn find(&self, shown: &str) -> Option<&Token> {
        let shown: [u8; 32] = Sha256::digest(shown).into();
        let mut found = None;
        for token in self.iter() {
            if token.hash.ct_eq(&shown).into() {
                found = Some(token);
            }
        }
        found
    }
}

impl From<Vec<Token>> for Tokens {
    fn from(tokens: Vec<Token>) -> Self {
        Self(tokens.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0123456789abcdef";

    #[test]
    fn a_token_is_long_and_fits_into_a_header() {
        assert!(Token::new(Role::Read, "x", TEXT).is_ok());
        for (text, expected) in [
            ("", InvalidToken::Length(0)),
            (&TEXT[1..], InvalidToken::Length(15)),
            ("0123456789abcde ", InvalidToken::Character),
            ("0123456789abcdé", InvalidToken::Character),
        ] {
            assert_eq!(Token::new(Role::Read, "x", text), Err(expected), "{text:?}");
        }
        let long = "x".repeat(LONGEST + 1);
        assert!(Token::new(Role::Read, "x", &long).is_err());
        assert!(EXPECTED.contains(&format!("at least {SHORTEST} characters")));
    }

    #[test]
    fn tokens_are_found_whole_and_do_not_print() {
        let (one, other) = ("a".repeat(20), "b".repeat(20));
        let tokens = Tokens::from(vec![
            Token::new(Role::Read, "one", &one).unwrap(),
            Token::new(Role::Write, "other", &other).unwrap(),
        ]);
        assert_eq!(&**tokens.find(&one).unwrap().name(), "one");
        assert_eq!(tokens.find(&other).unwrap().role(), Role::Write);
        for wrong in ["", &one[1..], &format!("{one}a"), TEXT] {
            assert!(tokens.find(wrong).is_none(), "{wrong}");
        }
        assert!(Tokens::default().find("").is_none());
        let printed = format!("{tokens:?}");
        assert!(
            printed.contains("other") && !printed.contains("hash"),
            "{printed}"
        );
    }
}
