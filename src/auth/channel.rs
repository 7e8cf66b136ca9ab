//! Signatures over subscriptions and sign-ins.
//!
//! Source: Pusher Channels, "Generating the authentication string".

use super::Signer;
use crate::protocol::SocketId;

/// Why an `auth` string does not authorise. Which part failed is no secret: the signed string
/// is known to the client, and the secret cannot be derived from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthStringError {
    /// There is none.
    #[error("\"auth\" is missing: this needs a signature from the app's backend")]
    Missing,
    /// Not `KEY:SIGNATURE`.
    #[error("\"auth\" must be KEY:SIGNATURE")]
    Malformed,
    /// The key is none of this app's.
    #[error("the key in \"auth\" is not a key of this app")]
    UnknownKey,
    /// The signature is another's.
    #[error("the signature in \"auth\" does not match")]
    BadSignature,
}

/// Verifies the `auth` of a subscription. The key in it picks the pair that must have signed.
/// With `channel_data`, the signature covers exactly that text.
pub fn verify_channel(
    signers: &[Signer],
    auth: &str,
    socket_id: SocketId,
    channel: &str,
    channel_data: Option<&str>,
) -> Result<(), AuthStringError> {
    let socket_id = socket_id.to_string();
    match channel_data {
        None => verify(
            signers,
            auth,
            &[socket_id.as_bytes(), b":", channel.as_bytes()],
        ),
        Some(data) => verify(
            signers,
            auth,
            &[
                socket_id.as_bytes(),
                b":",
                channel.as_bytes(),
                b":",
                data.as_bytes(),
            ],
        ),
    }
}

/// Verifies the `auth` of a sign-in.
pub fn verify_user(
    signers: &[Signer],
    auth: &str,
    socket_id: SocketId,
    user_data: &str,
) -> Result<(), AuthStringError> {
    let socket_id = socket_id.to_string();
    verify(
        signers,
        auth,
        &[socket_id.as_bytes(), b"::user::", user_data.as_bytes()],
    )
}

fn verify(signers: &[Signer], auth: &str, parts: &[&[u8]]) -> Result<(), AuthStringError> {
    let (key, signature) = auth.split_once(':').ok_or(AuthStringError::Malformed)?;
    let signer = signers
        .iter()
        .find(|signer| signer.key() == key)
        .ok_or(AuthStringError::UnknownKey)?;
    if signer.verify(parts, signature) {
        Ok(())
    } else {
        Err(AuthStringError::BadSignature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documented() -> (Vec<Signer>, SocketId) {
        (
            vec![
                Signer::new("other", b"other-secret"),
                Signer::new("278d425bdf160c739803", b"7ad3773142a6692b25b8"),
            ],
            "1234.1234".parse().unwrap(),
        )
    }

    #[test]
    fn the_documented_channel_signature_verifies() {
        let (signers, socket_id) = documented();
        let auth = "278d425bdf160c739803:\
                    58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4";
        let verify = |channel, data| verify_channel(&signers, auth, socket_id, channel, data);
        assert_eq!(verify("private-foobar", None), Ok(()));
        assert_eq!(
            verify("private-foobaz", None),
            Err(AuthStringError::BadSignature)
        );
        assert_eq!(
            verify("private-foobar", Some("")),
            Err(AuthStringError::BadSignature)
        );
    }

    #[test]
    fn the_documented_user_signature_verifies() {
        let (signers, socket_id) = documented();
        let auth = "278d425bdf160c739803:\
                    4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba";
        assert_eq!(
            verify_user(&signers, auth, socket_id, r#"{"id":"12345"}"#),
            Ok(())
        );
    }

    #[test]
    fn the_key_picks_the_pair() {
        let (signers, socket_id) = documented();
        let verify = |auth: &str| verify_channel(&signers, auth, socket_id, "private-foobar", None);
        let signature = "58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4";
        assert_eq!(verify(signature), Err(AuthStringError::Malformed));
        assert_eq!(
            verify(&format!("other:{signature}")),
            Err(AuthStringError::BadSignature)
        );
        assert_eq!(
            verify(&format!("nobody:{signature}")),
            Err(AuthStringError::UnknownKey)
        );
    }
}
