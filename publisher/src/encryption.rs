//! End-to-end encrypted channels.
//!
//! Source: Pusher Channels, "End-to-end encryption", and the official libraries: the key of a
//! channel is SHA-256(channel ‖ master key), the cipher XSalsa20-Poly1305 (NaCl's secretbox), and
//! what is published `{"nonce":…,"ciphertext":…}`, both in base64.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crypto_secretbox::aead::Aead as _;
use crypto_secretbox::{KeyInit as _, Nonce, XSalsa20Poly1305};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Channel, Invalid};

/// Bytes of a nonce.
const NONCE: usize = 24;

/// The key from which those of all encrypted channels are made. Whoever has it can read them all;
/// the relay never gets it. It never prints.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

/// What was published as encrypted cannot be read: it is not of the expected form, or was not
/// encrypted with this key for this channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not encrypted with this key for this channel")]
#[non_exhaustive]
pub struct Undecryptable;

#[derive(Serialize, Deserialize)]
struct Sealed {
    nonce: String,
    ciphertext: String,
}

impl MasterKey {
    /// A key of 32 bytes that nobody can guess.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// A key as the official libraries are given it, such as by `openssl rand -base64 32`.
    pub fn from_base64(text: &str) -> Result<Self, Invalid> {
        let key = BASE64.decode(text).ok();
        key.and_then(|key| key.try_into().ok())
            .map(Self)
            .ok_or_else(|| Invalid::new("master_key", "must be 32 bytes in base64"))
    }

    pub(crate) fn missing() -> Invalid {
        Invalid::new("master_key", "encrypted channels need one")
    }

    /// The key of a channel, which its subscribers are given when they are authorised.
    pub(crate) fn shared_secret(&self, channel: &Channel) -> [u8; 32] {
        let digest = Sha256::new()
            .chain_update(channel.name())
            .chain_update(self.0);
        digest.finalize().into()
    }

    /// Encrypts what is published on a channel.
    pub fn seal(&self, channel: &Channel, text: &[u8]) -> String {
        // A random nonce of 24 bytes is never the same twice.
        self.seal_with(channel, text, rand::random())
    }

    fn seal_with(&self, channel: &Channel, text: &[u8], nonce: [u8; NONCE]) -> String {
        let ciphertext = self
            .cipher(channel)
            .encrypt(Nonce::from_slice(&nonce), text)
            .expect("it is far from the cipher's limit of 256 GiB");
        let sealed = Sealed {
            nonce: BASE64.encode(nonce),
            ciphertext: BASE64.encode(ciphertext),
        };
        serde_json::to_string(&sealed).expect("strings can be put into JSON")
    }

    /// Decrypts what was published on a channel.
    pub fn open(&self, channel: &Channel, sealed: &str) -> Result<Vec<u8>, Undecryptable> {
        let sealed: Sealed = serde_json::from_str(sealed).map_err(|_| Undecryptable)?;
        let nonce = BASE64.decode(sealed.nonce).map_err(|_| Undecryptable)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| Undecryptable)?;
        let ciphertext = BASE64
            .decode(sealed.ciphertext)
            .map_err(|_| Undecryptable)?;
        self.cipher(channel)
            .decrypt(Nonce::from_slice(&nonce), ciphertext.as_slice())
            .map_err(|_| Undecryptable)
    }

    fn cipher(&self, channel: &Channel) -> XSalsa20Poly1305 {
        XSalsa20Poly1305::new(&self.shared_secret(channel).into())
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with tweetnacl, the implementation that pusher-js uses.
    const SEALED: &str = r#"{"nonce":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYX","ciphertext":"FjoDx2U1jYaxEGSoZNiQrL+S3T/uoz7bE5+JZCXyul2pKw=="}"#;
    const TEXT: &str = r#"{"text":"grüße"}"#;

    fn keys() -> (MasterKey, Channel) {
        let key = MasterKey::from_base64("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        (key.unwrap(), Channel::encrypted("news"))
    }

    #[test]
    fn another_implementation_seals_the_same() {
        let (key, channel) = keys();
        assert_eq!(
            BASE64.encode(key.shared_secret(&channel)),
            "SKOjqTKFvCP7oCowNlEjHf9IO05lukVYqoA06boZ66E="
        );
        let nonce = std::array::from_fn(|index| index as u8);
        assert_eq!(key.seal_with(&channel, TEXT.as_bytes(), nonce), SEALED);
        assert_eq!(key.open(&channel, SEALED).unwrap(), TEXT.as_bytes());
    }

    #[test]
    fn nothing_is_sealed_the_same_twice() {
        let (key, channel) = keys();
        let sealed = key.seal(&channel, b"x");
        assert_ne!(sealed, key.seal(&channel, b"x"));
        assert_eq!(key.open(&channel, &sealed).unwrap(), b"x");
    }

    #[test]
    fn only_the_right_key_and_channel_open() {
        let (key, channel) = keys();
        assert!(MasterKey::new([8; 32]).open(&channel, SEALED).is_err());
        assert!(key.open(&Channel::encrypted("other"), SEALED).is_err());
        for garbled in [
            "",
            "{}",
            r#"{"nonce":"AAEC","ciphertext":""}"#,
            &SEALED.replace("Fj", "fj"),
            &SEALED.replace("AAEC", "!!!!"),
        ] {
            assert_eq!(key.open(&channel, garbled), Err(Undecryptable), "{garbled}");
        }
    }

    #[test]
    fn a_key_is_32_bytes() {
        for bad in ["", "BwcH", "not base64", &"B".repeat(44)] {
            let error = MasterKey::from_base64(bad).unwrap_err();
            assert_eq!(error.field, "master_key", "{bad}");
        }
    }
}
