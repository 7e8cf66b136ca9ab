//! An app's key and secret.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// A key and its secret. The secret is kept only as the prepared state of the MAC, and never
/// prints.
#[derive(Clone)]
pub struct KeyPair {
    key: Box<str>,
    mac: Hmac<Sha256>,
}

impl KeyPair {
    /// The pair as the server has it.
    pub fn new(key: impl Into<String>, secret: impl AsRef<[u8]>) -> Self {
        Self {
            key: key.into().into(),
            mac: Hmac::new_from_slice(secret.as_ref()).expect("HMAC takes keys of any length"),
        }
    }

    /// The public half.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// HMAC-SHA256 over the parts joined, in lower-case hex.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> String {
        let mut mac = self.mac.clone();
        for part in parts {
            mac.update(part);
        }
        hex::encode(mac.finalize().into_bytes())
    }

    /// Whether `signature` is that over the text. Takes the same time wherever it differs.
    pub(crate) fn verify(&self, text: &[u8], signature: &str) -> bool {
        self.sign(&[text])
            .as_bytes()
            .ct_eq(signature.as_bytes())
            .into()
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_do_not_print() {
        let pair = KeyPair::new("a-key", "a-very-secret");
        let printed = format!("{pair:?}");
        assert!(printed.contains("a-key") && !printed.contains("secret"));
    }

    /// Source: Pusher Channels, "Generating the authentication string", presence channels.
    #[test]
    fn the_documented_member_is_signed() {
        let pair = KeyPair::new("278d425bdf160c739803", "7ad3773142a6692b25b8");
        let text =
            r#"1234.1234:presence-foobar:{"user_id":10,"user_info":{"name":"Mr. Channels"}}"#;
        assert_eq!(
            pair.sign(&[text.as_bytes()]),
            "31935e7d86dba64c2a90aed31fdc61869f9b22ba9d8863bba239c03ca481bc80"
        );
    }

    #[test]
    fn only_the_exact_signature_verifies() {
        let pair = KeyPair::new("k", "s");
        let good = pair.sign(&[b"a", b"b"]);
        assert!(pair.verify(b"ab", &good));
        for bad in ["", &good[1..], &good.to_uppercase(), &format!("{good}0")] {
            assert!(!pair.verify(b"ab", bad), "{bad}");
        }
    }
}
