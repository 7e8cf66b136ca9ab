//! What a connection receives once its handshake is over, beside what rustls makes of the same bytes.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::crypto::cipher::{AeadKey, Iv, MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::kernel::KernelConnection;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{
    ClientConfig, ConnectionTrafficSecrets, ContentType, ProtocolVersion, RootCertStore,
    ServerConfig, ServerConnection, SupportedProtocolVersion,
};

use super::certificate::provider;
use super::exchange::encode;
use super::receiving::Receiving;
use super::record::{self, Broken, LONGEST, Opener};

const NAME: &str = "relay.test";
const KEY_UPDATE: u8 = 24;
/// Bytes that a piece has more for each unit of the byte that says how large it is.
const UNIT: usize = 23;

/// What is agreed on for either version of TLS.
struct Configs {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

static CONFIGS: LazyLock<[Configs; 2]> =
    LazyLock::new(|| [&rustls::version::TLS12, &rustls::version::TLS13].map(Configs::of));

/// A client that can seal whatever it likes.
struct Client {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
    secrets: KernelConnection<ClientConnectionData>,
    /// The keys that it has changed to, and its peer has not.
    changed_to: VecDeque<ConnectionTrafficSecrets>,
}

/// Opens what a client sends after its handshake, with the relay's code in pieces, and with rustls at once. The input's first
/// byte says which version is spoken, the second how large the pieces are, and the rest what is sent.
///
/// # Panics
/// When they differ in what they open, or what waits for its rest is larger than a record: that is a finding.
pub fn records(input: &[u8]) {
    let Some((&[version, size], input)) = input.split_first_chunk() else {
        return;
    };
    let (mut client, mut theirs, opener) = shake_hands(&CONFIGS[usize::from(version & 1)]);
    let sent = client.sends(input);
    let whole = opened_by_rustls(&mut theirs, &sent);
    let pieces = sent.chunks(usize::from(size) * UNIT + 1);
    let opened = opened(&mut client, opener, pieces);
    // Where both stop need not be the same: rustls takes some records that no client sends.
    assert!(opened.starts_with(&whole) || whole.starts_with(&opened));
    if is_usual(input) {
        assert_eq!(opened, whole);
    }
}

/// What the relay opens of it.
fn opened<'p>(
    client: &mut Client,
    opener: Opener,
    pieces: impl Iterator<Item = &'p [u8]>,
) -> BytesMut {
    let suite = client.secrets.negotiated_cipher_suite();
    let mut update_keys = |opener: &mut Opener, _: bool| {
        let keys = client.changed_to.pop_front().ok_or(Broken)?;
        *opener = Opener::new(suite, (0, keys))?;
        Ok(())
    };
    let begun = Receiving::begin(opener, Vec::new(), &mut update_keys);
    let (mut receiving, mut plain) = begun.expect("there is nothing to be opened yet");
    let mut cx = Context::from_waker(Waker::noop());
    for mut piece in pieces {
        loop {
            let filled = receiving.poll_fill(&mut piece, &mut cx, &mut plain, &mut update_keys);
            assert!(receiving.waiting() <= LONGEST);
            match filled {
                Poll::Ready(Ok(true)) => {}
                // The piece has ended, or all has.
                Poll::Ready(Ok(false)) => break,
                Poll::Ready(Err(_)) => return plain,
                Poll::Pending => unreachable!("bytes in memory are there"),
            }
        }
    }
    plain
}

fn opened_by_rustls(server: &mut ServerConnection, mut sent: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while !sent.is_empty() && receive(server, &mut sent).is_ok() {
        let mut read = server.reader();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = read.read(&mut buffer) {
            plain.extend_from_slice(&buffer[..count]);
        }
    }
    plain
}

fn receive(server: &mut ServerConnection, sent: &mut &[u8]) -> io::Result<()> {
    server.read_tls(sent)?;
    let state = server.process_new_packets().map_err(io::Error::other)?;
    if state.peer_has_closed() && state.plaintext_bytes_to_read() == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Whether a client that sends this keeps to what TLS says.
fn is_usual(input: &[u8]) -> bool {
    parts(input).all(|(kind, _, payload)| kind == DATA && !payload.is_empty())
}

const DATA: u8 = 0;
const UPDATE: u8 = 1;
const ANYTHING: u8 = 2;
const UNSEALED: u8 = 3;

/// What the input says is sent: of which kind, a byte to choose by, and bytes.
fn parts(mut input: &[u8]) -> impl Iterator<Item = (u8, u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&[kind, choice, length], rest) = input.split_first_chunk()?;
        let (payload, rest) = rest.split_at(usize::from(length).min(rest.len()));
        input = rest;
        Some((kind % 4, choice, payload))
    })
}

impl Client {
    fn sends(&mut self, input: &[u8]) -> Vec<u8> {
        let mut sent = Vec::new();
        for (kind, choice, payload) in parts(input) {
            match kind {
                DATA => {
                    // Some are as large as a record may be.
                    let payload = payload.repeat(1 + usize::from(choice) / 4);
                    self.seal(ContentType::ApplicationData, &payload, &mut sent);
                }
                UPDATE => {
                    let update = [KEY_UPDATE, 0, 0, 1, choice & 3];
                    self.seal(ContentType::Handshake, &update, &mut sent);
                    self.change_keys();
                }
                ANYTHING => self.seal(ContentType::from(20 + choice % 5), payload, &mut sent),
                _ => sent.extend_from_slice(payload),
            }
        }
        sent
    }

    fn seal(&mut self, typ: ContentType, payload: &[u8], sent: &mut Vec<u8>) {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(payload),
        };
        let sealed = self.encrypter.encrypt(message, self.sequence);
        self.sequence += 1;
        sent.extend(sealed.expect("it can be sealed").encode());
    }

    /// Only version 1.3 can.
    fn change_keys(&mut self) {
        let suite = self.secrets.negotiated_cipher_suite();
        if let Ok((sequence, keys)) = self.secrets.update_tx_secret() {
            let (own, of_peer) = twice(keys);
            self.encrypter = record::encrypter(suite, own).expect("the keys fit");
            self.sequence = sequence;
            self.changed_to.push_back(of_peer);
        }
    }
}

/// A client, rustls as its server, and what opens what it sends.
fn shake_hands(configs: &Configs) -> (Client, ServerConnection, Opener) {
    let name = ServerName::try_from(NAME).expect("it is a name");
    let client = UnbufferedClientConnection::new(Arc::clone(&configs.client), name);
    let mut client = client.expect("a client can begin");
    let server = ServerConnection::new(Arc::clone(&configs.server));
    let mut server = server.expect("a server can begin");
    let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
    while !step(&mut client, &mut incoming, &mut outgoing) || server.is_handshaking() {
        let mut sent = &*std::mem::take(&mut outgoing);
        while !sent.is_empty() {
            receive(&mut server, &mut sent).expect("a handshake");
        }
        while server.wants_write() {
            server.write_tls(&mut incoming).expect("room in memory");
        }
    }
    let secrets = client.dangerous_into_kernel_connection();
    let (extracted, secrets) = secrets.expect("secrets may be extracted");
    let suite = secrets.negotiated_cipher_suite();
    let (sequence, keys) = extracted.tx;
    let (own, of_peer) = twice(keys);
    let client = Client {
        encrypter: record::encrypter(suite, own).expect("the keys fit"),
        sequence,
        secrets,
        changed_to: VecDeque::new(),
    };
    let opener = Opener::new(suite, (sequence, of_peer)).expect("the keys fit");
    (client, server, opener)
}

/// Goes on with the client's side. Returns whether it is done.
fn step(
    client: &mut UnbufferedClientConnection,
    incoming: &mut Vec<u8>,
    outgoing: &mut Vec<u8>,
) -> bool {
    loop {
        let UnbufferedStatus { discard, state } = client.process_tls_records(incoming);
        let is_done = match state.expect("a handshake") {
            ConnectionState::EncodeTlsData(mut data) => {
                encode(&mut data, outgoing);
                None
            }
            ConnectionState::TransmitTlsData(data) => {
                data.done();
                None
            }
            ConnectionState::BlockedHandshake => Some(false),
            ConnectionState::WriteTraffic(_) => Some(true),
            other => unreachable!("{other:?}"),
        };
        incoming.drain(..discard);
        if let Some(is_done) = is_done {
            return is_done;
        }
    }
}

impl Configs {
    fn of(version: &'static SupportedProtocolVersion) -> Self {
        let made = rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
        let certificate = CertificateDer::from(made.cert.der().to_vec());
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("it can be trusted");
        // Their keys have 32 bytes, as all keys have that can be made of bytes outside rustls.
        let mut long_keys = provider();
        long_keys
            .cipher_suites
            .retain(|suite| !format!("{suite:?}").contains("AES_128"));
        let long_keys = Arc::new(long_keys);
        let mut client = ClientConfig::builder_with_provider(Arc::clone(&long_keys))
            .with_protocol_versions(&[version])
            .expect("it is known")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.enable_secret_extraction = true;
        client.resumption = rustls::client::Resumption::disabled();
        let mut server = ServerConfig::builder_with_provider(long_keys)
            .with_protocol_versions(&[version])
            .expect("it is known")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key.into())
            .expect("they fit together");
        server.send_tls13_tickets = 0;
        Self {
            client: Arc::new(client),
            server: Arc::new(server),
        }
    }
}

/// The same keys, for both ends.
fn twice(keys: ConnectionTrafficSecrets) -> (ConnectionTrafficSecrets, ConnectionTrafficSecrets) {
    let copy = |key: &AeadKey, iv: &Iv| {
        let bytes: [u8; 32] = key.as_ref().try_into().expect("long keys were agreed on");
        (AeadKey::from(bytes), Iv::copy(iv.as_ref()))
    };
    match keys {
        ConnectionTrafficSecrets::Aes256Gcm { key, iv } => {
            let (other_key, other_iv) = copy(&key, &iv);
            let other = ConnectionTrafficSecrets::Aes256Gcm {
                key: other_key,
                iv: other_iv,
            };
            (ConnectionTrafficSecrets::Aes256Gcm { key, iv }, other)
        }
        ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
            let (other_key, other_iv) = copy(&key, &iv);
            let other = ConnectionTrafficSecrets::Chacha20Poly1305 {
                key: other_key,
                iv: other_iv,
            };
            (
                ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv },
                other,
            )
        }
        _ => unreachable!("long keys were agreed on"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Something that is sent; most of it is what clients do.
    fn part() -> impl Strategy<Value = Vec<u8>> {
        let kind = prop::sample::select(vec![
            super::DATA,
            super::DATA,
            super::DATA,
            super::UPDATE,
            super::ANYTHING,
            super::UNSEALED,
        ]);
        let payload = prop::collection::vec(any::<u8>(), 0..255);
        (kind, any::<u8>(), payload).prop_map(|(kind, choice, payload)| {
            let mut part = vec![kind, choice, payload.len() as u8];
            part.extend(payload);
            part
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn records_are_opened_as_rustls_opens_them(
            version in 0..2_u8,
            size in any::<u8>(),
            parts in prop::collection::vec(part(), 1..12),
        ) {
            super::records(&[vec![version, size], parts.concat()].concat());
        }

        #[test]
        fn data_of_any_length_comes_whole_however_it_is_cut(
            version in 0..2_u8,
            size in any::<u8>(),
            data in prop::collection::vec((any::<u8>(), 1..255_u8), 1..8),
        ) {
            let parts = data.into_iter().map(|(choice, length)| {
                let mut part = vec![super::DATA, choice, length];
                part.resize(3 + usize::from(length), length);
                part
            });
            let parts: Vec<Vec<u8>> = parts.collect();
            super::records(&[vec![version, size], parts.concat()].concat());
        }
    }

    #[test]
    fn keys_that_change_are_followed() {
        let mut input = vec![1, 3];
        for choice in [0, 1, 0] {
            input.extend([super::DATA, 200, 3]);
            input.extend(b"abc");
            input.extend([super::UPDATE, choice, 0]);
        }
        input.extend([super::DATA, 0, 3]);
        input.extend(b"end");
        let (mut client, mut theirs, opener) = super::shake_hands(&super::CONFIGS[1]);
        let sent = client.sends(&input[2..]);
        let opened = super::opened(&mut client, opener, sent.chunks(7));
        assert_eq!(opened.len(), 3 * 51 * 3 + 3);
        assert_eq!(opened, super::opened_by_rustls(&mut theirs, &sent));
        super::records(&input);
    }
}
