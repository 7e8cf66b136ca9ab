//! What nodes keep in a place that others may read, sealed with a secret that the nodes alone know.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};

const SALT: &[u8] = b"fanfare acme 1";
const KEY_BYTES: usize = 32;

/// Seals and opens. The key is derived from the secret (RFC 5869), so that the secret can be any text that is
/// hard to guess.
pub(super) struct Seal {
    key: LessSafeKey,
}

struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl Seal {
    pub(super) fn new(secret: &str) -> Self {
        let extracted = Salt::new(HKDF_SHA256, SALT).extract(secret.as_bytes());
        let mut bytes = [0; KEY_BYTES];
        let expanded = extracted
            .expand(&[b"seal"], KeyLength)
            .and_then(|key| key.fill(&mut bytes));
        let key = expanded.and_then(|()| UnboundKey::new(&AES_256_GCM, &bytes));
        // A key of 32 bytes is what HKDF with SHA-256 gives, and what AES-256 takes.
        let key = LessSafeKey::new(key.unwrap_or_else(|_| unreachable!("the lengths fit")));
        Self { key }
    }

    /// The content, sealed, for this purpose alone.
    ///
    /// At most some thousands are sealed with one secret, so that random nonces do not meet.
    pub(super) fn seal(&self, purpose: &str, content: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut sealed = content.to_vec();
        let done = self.key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(purpose),
            &mut sealed,
        );
        // Only contents of 64 GiB cannot be sealed.
        done.unwrap_or_else(|_| unreachable!("a certificate is not that long"));
        [&nonce[..], &sealed].concat()
    }

    /// What was sealed with the same secret for the same purpose; `None` for anything else.
    pub(super) fn open(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let mut content = sealed.to_vec();
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(purpose), &mut content);
        let length = opened.ok()?.len();
        content.truncate(length);
        Some(content)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_the_same_secret_for_the_same_purpose_alone() {
        let seal = Seal::new("a secret of the nodes");
        let sealed = seal.seal("certificate", b"private");
        assert!(!sealed.windows(7).any(|bytes| bytes == b"private"));
        let other_node = Seal::new("a secret of the nodes");
        assert_eq!(
            other_node.open("certificate", &sealed).as_deref(),
            Some(&b"private"[..])
        );
        assert_eq!(seal.open("proofs", &sealed), None);
        let stranger = Seal::new("another secret");
        assert_eq!(stranger.open("certificate", &sealed), None);
    }

    #[test]
    fn what_was_changed_or_cut_off_does_not_open() {
        let seal = Seal::new("a secret of the nodes");
        let sealed = seal.seal("certificate", b"private");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(seal.open("certificate", &changed), None, "byte {at}");
            assert_eq!(seal.open("certificate", &sealed[..at]), None, "{at} bytes");
        }
    }

    #[test]
    fn the_same_content_is_never_sealed_alike() {
        let seal = Seal::new("a secret of the nodes");
        assert_ne!(seal.seal("x", b"private"), seal.seal("x", b"private"));
    }
}
