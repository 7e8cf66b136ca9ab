//! Records: what bytes are on their way over TLS, once its handshake is over.
//!
//! rustls does the handshake, its ciphers seal and open the records, and it keeps the secrets that keys are made
//! of. Its connection itself is given up: it keeps buffers, which would cost more than all else that an
//! idle connection has.

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks,
    OutboundPlainMessage,
};
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{
    ConnectionTrafficSecrets, ContentType, ExtractedSecrets, ProtocolVersion, SupportedCipherSuite,
};

/// Bytes of a record's header.
pub(super) const HEADER: usize = 5;
/// Bytes that a record carries at most.
const MAX_PLAIN: usize = 1 << 14;
/// Bytes that sealing may add to them (RFC 5246 §6.2.3; TLS 1.3 allows less).
const MAX_EXPANSION: usize = 2048;
/// Bytes of a record at most.
pub(super) const LONGEST: usize = HEADER + MAX_PLAIN + MAX_EXPANSION;
/// How long before its end the keys of a connection count as used up: what is to be sent at once, and a farewell, fit in.
const MARGIN: u64 = 1 << 16;
/// Records without data that may follow one another: they cost work, and no allowance counts them.
const MOST_EMPTY: u8 = 32;

const KEY_UPDATE: u8 = 24;
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;
const WARNING: u8 = 1;

/// Why a connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the records of the connection cannot be read, or must not be sent")]
pub struct Broken;

/// Seals what is sent.
pub struct Sealer {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
    secrets: KernelConnection<ServerConnectionData>,
    /// What must go out in front of all that is sealed from now on.
    front: Vec<u8>,
    /// The client has asked for new keys. It is owed them with the next data, however often it asks (RFC 8446
    /// §4.6.3).
    update_pending: bool,
    /// From this record on there should be other keys.
    fresh_until: u64,
    /// This one is not sealed any more: more of them would give away what is in them (RFC 8446 §5.5).
    limit: u64,
}

/// Opens what is received.
pub struct Opener {
    decrypter: Box<dyn MessageDecrypter>,
    sequence: u64,
    empty: u8,
}

/// What a record held.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened<'a> {
    Data(&'a [u8]),
    Nothing,
    /// The client seals with other keys from the next record on, and may ask that we do.
    UpdateKeys {
        asks_for_ours: bool,
    },
    /// Nothing follows.
    Closed,
}

/// Both directions, as a handshake has left them. `front` was sealed and not written.
pub(super) fn begin(
    extracted: ExtractedSecrets,
    secrets: KernelConnection<ServerConnectionData>,
    front: Vec<u8>,
) -> Result<(Sealer, Opener), Broken> {
    let suite = secrets.negotiated_cipher_suite();
    let (sent, received) = (extracted.tx, extracted.rx);
    let limit = match suite {
        SupportedCipherSuite::Tls12(suite) => suite.common.confidentiality_limit,
        SupportedCipherSuite::Tls13(suite) => suite.common.confidentiality_limit,
    };
    let opener = Opener::new(suite, received)?;
    let sealer = Sealer {
        encrypter: encrypter(suite, sent.1)?,
        sequence: sent.0,
        secrets,
        front,
        update_pending: false,
        fresh_until: limit.saturating_sub(MARGIN),
        limit,
    };
    Ok((sealer, opener))
}

impl Sealer {
    /// The parts, one behind the other, in as few records as they fit into, behind whatever must come first.
    ///
    /// # Errors
    /// When nothing more can be sent with the keys that there are.
    pub fn seal(&mut self, parts: &[&[u8]]) -> Result<Vec<u8>, Broken> {
        if self.update_pending || (self.sequence >= self.fresh_until && self.knows_new_keys()) {
            self.update_own()?;
        }
        let mut sealed = std::mem::take(&mut self.front);
        let mut rest = OutboundChunks::new(parts);
        while !rest.is_empty() {
            if self.sequence >= self.limit {
                return Err(Broken);
            }
            let (now, later) = rest.split_at(MAX_PLAIN);
            let record = self.seal_one(ContentType::ApplicationData, now)?;
            if sealed.is_empty() {
                sealed = record;
            } else {
                sealed.extend_from_slice(&record);
            }
            rest = later;
        }
        Ok(sealed)
    }

    /// Whether the keys are nearly used up and there are no new ones, as in TLS 1.2: what is still to be sent should be the
    /// last.
    pub(super) fn is_worn(&self) -> bool {
        self.sequence >= self.fresh_until && !self.knows_new_keys()
    }

    fn knows_new_keys(&self) -> bool {
        self.secrets.protocol_version() == ProtocolVersion::TLSv1_3
    }

    /// As if its keys were used up after so many records.
    #[cfg(test)]
    pub(super) fn wear_out_after(&mut self, records: u64) {
        self.fresh_until = records;
        self.limit = records + MARGIN;
    }

    /// The record that says that nothing follows.
    pub(super) fn seal_close(&mut self) -> Result<Vec<u8>, Broken> {
        let mut sealed = std::mem::take(&mut self.front);
        let alert = OutboundChunks::Single(&[WARNING, CLOSE_NOTIFY]);
        sealed.extend(self.seal_one(ContentType::Alert, alert)?);
        Ok(sealed)
    }

    /// What was sealed and not written goes out before all else.
    pub(super) fn put_in_front(&mut self, sealed: &[u8]) {
        self.front.extend_from_slice(sealed);
    }

    /// The client has changed its keys; the opener is to have these.
    ///
    /// # Errors
    /// When the version of TLS knows no such change.
    pub fn update_received(
        &mut self,
        opener: &mut Opener,
        asks_for_ours: bool,
    ) -> Result<(), Broken> {
        let suite = self.secrets.negotiated_cipher_suite();
        let (sequence, keys) = self.secrets.update_rx_secret().map_err(|_| Broken)?;
        opener.decrypter = decrypter(suite, keys)?;
        opener.sequence = sequence;
        self.update_pending |= asks_for_ours;
        Ok(())
    }

    fn update_own(&mut self) -> Result<(), Broken> {
        if !self.knows_new_keys() {
            return Err(Broken);
        }
        let update = OutboundChunks::Single(&[KEY_UPDATE, 0, 0, 1, 0]);
        let update = self.seal_one(ContentType::Handshake, update)?;
        self.front.extend(update);
        let suite = self.secrets.negotiated_cipher_suite();
        let (sequence, keys) = self.secrets.update_tx_secret().map_err(|_| Broken)?;
        self.encrypter = encrypter(suite, keys)?;
        self.sequence = sequence;
        self.update_pending = false;
        Ok(())
    }

    fn seal_one(
        &mut self,
        typ: ContentType,
        payload: OutboundChunks<'_>,
    ) -> Result<Vec<u8>, Broken> {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_2,
            payload,
        };
        let sealed = self.encrypter.encrypt(message, self.sequence);
        self.sequence += 1;
        Ok(sealed.map_err(|_| Broken)?.encode())
    }
}

impl Opener {
    /// For records that are sealed with these keys, the first of which has this number.
    pub(super) fn new(
        suite: SupportedCipherSuite,
        (sequence, keys): (u64, ConnectionTrafficSecrets),
    ) -> Result<Self, Broken> {
        Ok(Self {
            decrypter: decrypter(suite, keys)?,
            sequence,
            empty: 0,
        })
    }

    /// Opens a record, in its place.
    pub(super) fn open<'a>(&mut self, record: &'a mut [u8]) -> Result<Opened<'a>, Broken> {
        let (header, payload) = record.split_at_mut_checked(HEADER).ok_or(Broken)?;
        let typ = ContentType::from(header[0]);
        let sealed = InboundOpaqueMessage::new(typ, ProtocolVersion::TLSv1_2, payload);
        let plain = self.decrypter.decrypt(sealed, self.sequence);
        let plain = plain.map_err(|_| Broken)?;
        self.sequence += 1;
        if plain.typ == ContentType::ApplicationData && !plain.payload.is_empty() {
            self.empty = 0;
            return Ok(Opened::Data(plain.payload));
        }
        self.empty += 1;
        if self.empty > MOST_EMPTY {
            return Err(Broken);
        }
        match (plain.typ, plain.payload) {
            (ContentType::ApplicationData, _) => Ok(Opened::Nothing),
            (ContentType::Alert, [_, CLOSE_NOTIFY]) => Ok(Opened::Closed),
            (ContentType::Alert, [_, USER_CANCELED] | [WARNING, _]) => Ok(Opened::Nothing),
            (ContentType::Handshake, [KEY_UPDATE, 0, 0, 1, asks @ (0 | 1)]) => {
                Ok(Opened::UpdateKeys {
                    asks_for_ours: *asks == 1,
                })
            }
            _ => Err(Broken),
        }
    }
}

/// How long the record is that begins here, with its header, as soon as that is known.
pub(super) fn length(bytes: &[u8]) -> Result<Option<usize>, Broken> {
    let Some(&[typ, major, _, high, low]) = bytes.first_chunk() else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    let fits = (20..=23).contains(&typ) && major == 3 && HEADER + length <= LONGEST;
    fits.then_some(Some(HEADER + length)).ok_or(Broken)
}

/// A key, and what nonces are made of.
fn key_and_iv(keys: ConnectionTrafficSecrets) -> Result<(AeadKey, Iv), Broken> {
    match keys {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => Ok((key, iv)),
        _ => Err(Broken),
    }
}

pub(super) fn encrypter(
    suite: SupportedCipherSuite,
    keys: ConnectionTrafficSecrets,
) -> Result<Box<dyn MessageEncrypter>, Broken> {
    let (key, iv) = key_and_iv(keys)?;
    Ok(match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.encrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => {
            let fixed = suite.aead_alg.key_block_shape().fixed_iv_len;
            let (fixed, explicit) = iv.as_ref().split_at_checked(fixed).ok_or(Broken)?;
            suite.aead_alg.encrypter(key, fixed, explicit)
        }
    })
}

fn decrypter(
    suite: SupportedCipherSuite,
    keys: ConnectionTrafficSecrets,
) -> Result<Box<dyn MessageDecrypter>, Broken> {
    let (key, iv) = key_and_iv(keys)?;
    Ok(match suite {
        SupportedCipherSuite::Tls13(suite) => suite.aead_alg.decrypter(key, iv),
        SupportedCipherSuite::Tls12(suite) => {
            let fixed = suite.aead_alg.key_block_shape().fixed_iv_len;
            let (fixed, _) = iv.as_ref().split_at_checked(fixed).ok_or(Broken)?;
            suite.aead_alg.decrypter(key, fixed)
        }
    })
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealer")
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener")
            .field("sequence", &self.sequence)
            .finish_non_exhaustive()
    }
}
