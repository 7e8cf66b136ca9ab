//! Changes of keys, and what comes in one segment with the end of a handshake.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use protocol_tests::{Frame, TestServer, Upgrade, or_skip, within};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::server::{self};
use crate::tunnel::client;

/// Bytes of a record's header.
const HEADER: usize = 5;
/// Bytes of a sealed change of keys: four and one of the message, its type and the tag. Nothing else here
/// is so short.
const KEY_UPDATE: usize = 22;

const HEALTH: &[u8] = b"GET /up HTTP/1.1\r\nHost: relay.test\r\n\r\n";
const HEALTHY: &[u8] = b"{\"health\":\"OK\"}";

/// A client that decides itself what goes out at once.
struct ByHand {
    tls: ClientConnection,
    stream: TcpStream,
    /// All that came, sealed.
    sealed: Vec<u8>,
    /// What it said.
    plain: Vec<u8>,
}

impl ByHand {
    /// Does the handshake, but for sending the end of it.
    async fn begin(address: &str, config: &Arc<ClientConfig>) -> Self {
        let name = ServerName::try_from("relay.test").unwrap();
        let mut client = Self {
            tls: ClientConnection::new(Arc::clone(config), name).unwrap(),
            stream: TcpStream::connect(address).await.unwrap(),
            sealed: Vec::new(),
            plain: Vec::new(),
        };
        client.stream.set_nodelay(true).unwrap();
        client.flush().await;
        while client.tls.is_handshaking() {
            client.receive().await;
        }
        client
    }

    fn change_keys(&mut self) {
        self.tls.refresh_traffic_keys().unwrap();
    }

    fn write(&mut self, bytes: &[u8]) {
        self.tls.writer().write_all(bytes).unwrap();
    }

    /// Sends all in one piece.
    async fn flush(&mut self) {
        let mut all = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut all).unwrap();
        }
        self.stream.write_all(&all).await.unwrap();
    }

    async fn receive(&mut self) {
        let mut received = [0; 4096];
        let reading = within("an answer", self.stream.read(&mut received));
        let count = reading.await.unwrap();
        assert_ne!(
            count,
            0,
            "it ended: {}",
            String::from_utf8_lossy(&self.plain)
        );
        let mut received = &received[..count];
        self.sealed.extend_from_slice(received);
        while !received.is_empty() {
            self.tls.read_tls(&mut received).unwrap();
            let state = self.tls.process_new_packets().unwrap();
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            self.tls.reader().read_exact(&mut plain).unwrap();
            self.plain.extend(plain);
        }
    }

    async fn read_until(&mut self, end: &[u8]) {
        while !self.plain.windows(end.len()).any(|window| window == end) {
            self.receive().await;
        }
        self.plain.clear();
    }

    /// How often the server has changed its keys.
    fn changes_of_server(&self) -> usize {
        let mut rest = &*self.sealed;
        let mut changes = 0;
        while let [_, _, _, high, low, ..] = *rest {
            let length = usize::from(u16::from_be_bytes([high, low]));
            changes += usize::from(length == KEY_UPDATE);
            rest = rest.get(HEADER + length..).unwrap_or_default();
        }
        changes
    }
}

fn upgrade(server: &TestServer) -> Vec<u8> {
    let key = &server.app().key;
    let target = format!("/app/{key}?protocol=7&client=tests&version=1.0");
    Upgrade::new(&target).encode("relay.test", "")
}

#[tokio::test]
async fn keys_may_change_at_any_time_and_the_relay_changes_its_own_when_asked() {
    let (server, certificates) = or_skip!(server::start().await);
    let config = client(certificates.roots(), &[&rustls::version::TLS13]);
    let mut client = ByHand::begin(server.tls_authority(), &config).await;
    // The first comes with the end of the handshake.
    for changes in 1..4 {
        client.change_keys();
        client.write(HEALTH);
        client.flush().await;
        client.read_until(HEALTHY).await;
        assert_eq!(client.changes_of_server(), changes);
    }
    client.write(&upgrade(&server));
    client.flush().await;
    client.read_until(b"pusher:connection_established").await;
    for changes in 4..7 {
        client.change_keys();
        let ping = json!({"event": "pusher:ping", "data": {}}).to_string();
        client.write(&Frame::text(&ping).encode());
        client.flush().await;
        client.read_until(b"pusher:pong").await;
        assert_eq!(client.changes_of_server(), changes);
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_change_of_keys_may_come_behind_the_handshake_and_nothing_with_it() {
    let (server, certificates) = or_skip!(server::start().await);
    let config = client(certificates.roots(), &[&rustls::version::TLS13]);
    let mut client = ByHand::begin(server.tls_authority(), &config).await;
    client.change_keys();
    client.flush().await;
    client.write(HEALTH);
    client.flush().await;
    client.read_until(HEALTHY).await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn an_upgrade_may_come_in_one_piece_with_the_end_of_the_handshake() {
    let (server, certificates) = or_skip!(server::start().await);
    let config = client(certificates.roots(), &[&rustls::version::TLS13]);
    let mut client = ByHand::begin(server.tls_authority(), &config).await;
    client.write(&upgrade(&server));
    client.flush().await;
    client.read_until(b"pusher:connection_established").await;
    drop(client);
    server.finish().await;
}
