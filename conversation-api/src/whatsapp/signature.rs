//! Whether a webhook comes from Meta: HMAC-SHA256 of the raw body under the app's secret.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The header that carries it.
pub const HEADER: &str = "X-Hub-Signature-256";

/// What a header claims to be the signature of a body.
#[derive(Clone, Copy, Debug)]
pub struct Claimed([u8; 32]);

impl Claimed {
    /// Reads `sha256=` and hex digits. Nothing else can be a signature, whatever the body.
    pub fn parse(header: &str) -> Option<Self> {
        let digits = header.strip_prefix("sha256=")?;
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// Whether it is the signature of `body`. Takes the same time wherever they differ.
    pub fn is_of(&self, secret: &[u8], body: &[u8]) -> bool {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
        mac.update(body);
        mac.verify_slice(&self.0).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 4231, test case 2.
    const SIGNED: &str = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";

    fn is_valid(secret: &[u8], body: &[u8], header: &str) -> bool {
        Claimed::parse(header).is_some_and(|claimed| claimed.is_of(secret, body))
    }

    #[test]
    fn a_signature_covers_the_body() {
        let body = b"what do ya want for nothing?";
        assert!(is_valid(b"Jefe", body, SIGNED));
        assert!(!is_valid(
            b"Jefe",
            b"what do ya want for something?",
            SIGNED
        ));
        assert!(!is_valid(b"jefe", body, SIGNED));
    }

    #[test]
    fn nothing_else_is_a_signature() {
        let cut = &SIGNED[..SIGNED.len() - 2];
        let sha1 = SIGNED.replace("sha256", "sha1");
        for header in [
            "",
            "sha256=",
            "sha256=zz",
            cut,
            &sha1,
            &SIGNED["sha256=".len()..],
        ] {
            assert!(Claimed::parse(header).is_none(), "{header:?}");
        }
    }
}
