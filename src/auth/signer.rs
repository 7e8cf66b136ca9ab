//! One key pair of an app.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// Signs and verifies with one key pair. The secret is kept only as the prepared state of the
/// MAC, and is never printed.
#[derive(Clone)]
pub struct Signer {
    key: Box<str>,
    mac: Hmac<Sha256>,
}

impl Signer {
    /// A signer for a pair of key and secret.
    pub fn new(key: &str, secret: &[u8]) -> Self {
        Self {
            key: key.into(),
            mac: Hmac::new_from_slice(secret).expect("HMAC takes keys of any length"),
        }
    }

    /// The public half of the pair.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The signature over the parts joined, as lower-case hex.
    pub fn sign(&self, parts: &[&[u8]]) -> String {
        let mut hex = [0; HEX];
        self.write_hex(parts, &mut hex);
        String::from_utf8(hex.to_vec()).expect("hex is ASCII")
    }

    /// Whether `signature` is the one over the parts joined. Takes the same time wherever it
    /// differs.
    pub fn verify(&self, parts: &[&[u8]], signature: &str) -> bool {
        let mut hex = [0; HEX];
        self.write_hex(parts, &mut hex);
        hex.ct_eq(signature.as_bytes()).into()
    }

    fn write_hex(&self, parts: &[&[u8]], hex: &mut [u8; HEX]) {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(part);
        }
        let digest = mac.finalize().into_bytes();
        hex::encode_to_slice(digest, hex).expect("a SHA-256 digest is 32 bytes");
    }
}

/// Whether both have the same key and secret.
impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        // The secret itself is not kept: what both make of the same text shows whether it is the same.
        const TEXT: &[&[u8]] = &[b"the same secret"];
        self.key == other.key && self.verify(TEXT, &other.sign(TEXT))
    }
}

impl Eq for Signer {}

/// Length of a SHA-256 digest in hex.
const HEX: usize = 64;

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let signer = Signer::new("a-key", b"a-very-secret");
        assert!(!format!("{signer:?}").contains("secret"));
    }

    #[test]
    fn pairs_are_the_same_with_the_same_key_and_secret() {
        let signer = Signer::new("k", b"s");
        assert_eq!(signer, Signer::new("k", b"s"));
        assert_ne!(signer, Signer::new("k", b"t"));
        assert_ne!(signer, Signer::new("l", b"s"));
    }

    #[test]
    fn only_the_exact_signature_verifies() {
        let signer = Signer::new("k", b"s");
        let good = signer.sign(&[b"a", b"b"]);
        assert!(signer.verify(&[b"ab"], &good));
        for bad in ["", &good[1..], &good.to_uppercase(), &format!("{good}0")] {
            assert!(!signer.verify(&[b"ab"], bad), "{bad}");
        }
    }
}
