//! Credentials of an app.

use std::ops::Deref;

use crate::auth::Signer;

/// The key pairs of one app. There is always at least one; the first signs, all verify.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys(Box<[Signer]>);

impl Keys {
    /// The pair that signs, and others that are still accepted while keys are rotated.
    pub fn new(signing: Signer, others: Vec<Signer>) -> Self {
        let mut pairs = others;
        pairs.insert(0, signing);
        Self(pairs.into())
    }

    /// The pair that signs what the relay sends.
    pub fn signing(&self) -> &Signer {
        &self.0[0]
    }
}

/// All pairs, the signing one first.
impl Deref for Keys {
    type Target = [Signer];

    fn deref(&self) -> &[Signer] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pair_signs_and_all_are_listed() {
        let keys = Keys::new(Signer::new("new", b"n"), vec![Signer::new("old", b"o")]);
        assert_eq!(keys.signing().key(), "new");
        let order: Vec<&str> = keys.iter().map(Signer::key).collect();
        assert_eq!(order, ["new", "old"]);
    }
}
