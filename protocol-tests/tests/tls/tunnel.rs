//! Clients of TLS.

use std::io;
use std::sync::{Arc, Mutex};

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Both versions.
pub(crate) const BOTH: &[&SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

/// A client that trusts these authorities and speaks these versions.
pub(crate) fn client(
    roots: RootCertStore,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(16);
    Arc::new(config)
}

/// What a handshake came to.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    pub(crate) certificate: Vec<u8>,
    pub(crate) version: ProtocolVersion,
    pub(crate) kind: HandshakeKind,
}

impl Handshake {
    fn of(stream: &TlsStream<TcpStream>) -> Self {
        let (_, tls) = stream.get_ref();
        Self {
            certificate: tls.peer_certificates().unwrap()[0].to_vec(),
            version: tls.protocol_version().unwrap(),
            kind: tls.handshake_kind().unwrap(),
        }
    }
}

/// Connects once and asks for a name.
pub(crate) async fn shake_hands(
    address: &str,
    config: &Arc<ClientConfig>,
    name: &str,
) -> io::Result<(Handshake, TlsStream<TcpStream>)> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TlsConnector::from(Arc::clone(config))
        .connect(name, stream)
        .await?;
    Ok((Handshake::of(&stream), stream))
}

/// Listens for plain connections, and carries each to a server over TLS.
#[derive(Debug)]
pub(crate) struct Tunnel {
    authority: String,
    handshakes: Arc<Mutex<Vec<Handshake>>>,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// To the server at this address, which is asked for this name.
    pub(crate) async fn to(address: &str, config: Arc<ClientConfig>, name: &'static str) -> Self {
        let address = address.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let handshakes = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn({
            let handshakes = Arc::clone(&handshakes);
            async move {
                while let Ok((plain, _)) = listener.accept().await {
                    let (address, config) = (address.clone(), Arc::clone(&config));
                    let handshakes = Arc::clone(&handshakes);
                    tokio::spawn(async move {
                        carry(plain, &address, &config, name, &handshakes).await
                    });
                }
            }
        });
        Self {
            authority,
            handshakes,
            task,
        }
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn handshakes(&self) -> Vec<Handshake> {
        self.handshakes.lock().unwrap().clone()
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(
    mut plain: TcpStream,
    address: &str,
    config: &Arc<ClientConfig>,
    name: &str,
    handshakes: &Mutex<Vec<Handshake>>,
) {
    // Whoever came by the tunnel sees that it ends.
    let Ok((handshake, mut tls)) = shake_hands(address, config, name).await else {
        return;
    };
    handshakes.lock().unwrap().push(handshake);
    plain.set_nodelay(true).unwrap();
    tls.get_ref().0.set_nodelay(true).unwrap();
    let _ended = copy_bidirectional(&mut plain, &mut tls).await;
}
