//! Passwords, as argon2id hashes in PHC format.

use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How long a log-in waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Checks passwords, a few at a time: a check takes some 20 MB and tens of milliseconds of a core.
#[derive(Clone, Debug)]
pub struct Passwords {
    turns: Arc<Semaphore>,
    /// A hash that belongs to nobody, so that an unknown address takes as long as a known one.
    nobodys: Arc<str>,
}

/// Why a password was neither right nor wrong.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too many others are being checked.
    #[error("too many passwords are being checked")]
    Busy,
    /// The hash cannot be made or read.
    #[error("password hash: {0}")]
    Hash(String),
}

impl Passwords {
    /// Checks at most so many at a time.
    pub fn new(at_a_time: usize) -> Result<Self, PasswordError> {
        Ok(Self {
            turns: Arc::new(Semaphore::new(at_a_time.max(1))),
            nobodys: hash("a password that is nobody's")?.into(),
        })
    }

    /// Whether `password` is the one with this hash. Without a hash the answer is no, after the
    /// same time.
    pub async fn is_right(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, PasswordError> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = timeout(PATIENCE, turn)
            .await
            .map_err(|_| PasswordError::Busy)?;
        let turn = turn.map_err(|_| PasswordError::Busy)?;
        let known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobodys.as_ref().into());
        let checked = spawn_blocking(move || {
            let right = check(&password, &hash);
            drop(turn);
            right
        });
        let right = checked
            .await
            .map_err(|error| PasswordError::Hash(error.to_string()))??;
        Ok(right && known)
    }
}

/// Hashes a password with a salt of its own. Takes a while.
pub fn hash(password: &str) -> Result<String, PasswordError> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    Ok(hash
        .map_err(|error| PasswordError::Hash(error.to_string()))?
        .to_string())
}

fn check(password: &str, hash: &str) -> Result<bool, PasswordError> {
    let hash = PasswordHash::new(hash).map_err(|error| PasswordError::Hash(error.to_string()))?;
    Ok(Argon2::default()
        .verify_password(password.as_bytes(), &hash)
        .is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_distinguished_from_others() {
        let passwords = Passwords::new(2).unwrap();
        let hash = hash("password123").unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        let check = async |password: &str, hash: Option<&String>| {
            passwords
                .is_right(password.into(), hash.cloned())
                .await
                .unwrap()
        };
        assert!(check("password123", Some(&hash)).await);
        assert!(!check("password124", Some(&hash)).await);
        assert!(!check("", Some(&hash)).await);
        assert!(!check("a password that is nobody's", None).await);
    }

    #[tokio::test]
    async fn a_hash_that_is_none_is_an_error() {
        let passwords = Passwords::new(1).unwrap();
        let result = passwords.is_right("x".into(), Some("plain".into())).await;
        assert!(matches!(result, Err(PasswordError::Hash(_))));
    }
}
