//! Credentials of an app.

use std::fmt;

/// The key pairs of one app. There is always at least one; the first signs, all verify.
#[derive(Clone, Debug)]
pub struct Keys(Vec<KeyPair>);

impl Keys {
    /// The pair that signs, and others that are still accepted while keys are rotated.
    pub fn new(signing: KeyPair, others: Vec<KeyPair>) -> Self {
        let mut pairs = others;
        pairs.insert(0, signing);
        Self(pairs)
    }

    /// The pair that signs what the relay sends.
    pub fn signing(&self) -> &KeyPair {
        &self.0[0]
    }

    /// The pair with this key.
    pub fn find(&self, key: &str) -> Option<&KeyPair> {
        self.0.iter().find(|pair| *pair.key == *key)
    }

    /// All pairs, the signing one first.
    pub fn iter(&self) -> std::slice::Iter<'_, KeyPair> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Keys {
    type Item = &'a KeyPair;
    type IntoIter = std::slice::Iter<'a, KeyPair>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// A public key and the secret that belongs to it.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// What clients connect with and name in signatures; public, not empty.
    pub key: Box<str>,
    /// What signatures are made with.
    pub secret: Secret,
}

impl KeyPair {
    /// A pair of this key and this secret.
    pub fn new(key: impl Into<Box<str>>, secret: impl Into<Box<str>>) -> Self {
        Self {
            key: key.into(),
            secret: Secret::new(secret),
        }
    }
}

/// A secret. It never prints, and it has no `==`: whoever compares secrets or signatures must
/// do so in constant time.
#[derive(Clone)]
pub struct Secret(Box<str>);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<Box<str>>) -> Self {
        Self(secret.into())
    }

    /// The bytes that a signature is made with.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Keys::new(
            KeyPair::new("new", "s3cr3t-new"),
            vec![KeyPair::new("old", "s3cr3t-old")],
        )
    }

    #[test]
    fn the_first_pair_signs_and_all_are_found() {
        let keys = keys();
        assert_eq!(&*keys.signing().key, "new");
        assert_eq!(keys.find("old").unwrap().secret.as_bytes(), b"s3cr3t-old");
        assert!(keys.find("unknown").is_none());
        let order: Vec<&str> = keys.iter().map(|pair| &*pair.key).collect();
        assert_eq!(order, ["new", "old"]);
    }

    #[test]
    fn secrets_do_not_print() {
        let printed = format!("{:?} {:#?}", keys(), keys());
        assert!(
            printed.contains("new") && !printed.contains("s3cr3t"),
            "{printed}"
        );
    }
}
