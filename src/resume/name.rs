//! A session's name among those of all apps.

use sha2::{Digest as _, Sha256};

/// A token of an app, as it is kept: a digest, which is as long for the longest token as for the shortest, and
/// from which none can be told. It is long enough for no two tokens ever to have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name([u8; 16]);

impl Name {
    pub(super) fn of(app_id: &str, token: &str) -> Self {
        let mut digest = Sha256::new();
        digest.update(app_id);
        // No token has one.
        digest.update("/");
        digest.update(token);
        let mut name = [0; 16];
        name.copy_from_slice(&digest.finalize()[..16]);
        Self(name)
    }

    /// A number by which names are spread evenly.
    pub(super) fn part(&self) -> usize {
        usize::from(self.0[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_token_of_another_app_is_another_name() {
        let name = Name::of("app", "token");
        assert_eq!(name, Name::of("app", "token"));
        assert_ne!(name, Name::of("app", "other"));
        assert_ne!(name, Name::of("other", "token"));
        assert_ne!(name, Name::of("app/token", ""));
    }
}
