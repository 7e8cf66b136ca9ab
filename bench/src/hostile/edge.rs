//! Attacks on what stands before a connection: the limits of an address, and TLS.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::attack::Attack;
use super::connection::upgrade;
use crate::certificate::{self, Certificate};
use crate::compare::server::APP_ID;
use crate::sys;

/// Where attackers come from: not where the healthy do.
const ATTACKERS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Where a server speaks TLS, with a certificate of its own.
pub(super) struct Secured {
    address: SocketAddrV4,
    certificate: Certificate,
    config: Arc<ClientConfig>,
}

impl Secured {
    /// For clients that speak this protocol, if any.
    pub(super) fn new(alpn: Option<&[u8]>) -> anyhow::Result<Self> {
        let certificate = Certificate::new()?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.into_iter().map(<[u8]>::to_vec).collect();
        config.resumption = rustls::client::Resumption::disabled();
        // A port of this moment: whoever takes it before the server does ends the measurement.
        let (_refusing, address) = sys::refusing_port()?;
        Ok(Self {
            address,
            certificate,
            config: Arc::new(config),
        })
    }

    /// What the server is configured with.
    pub(super) fn variables(&self) -> [(String, String); 3] {
        self.certificate.variables(self.address)
    }

    /// A connection whose handshake has not begun.
    pub(super) fn connect(&self) -> anyhow::Result<(TcpStream, ClientConnection)> {
        let name = ServerName::try_from(certificate::NAME)?;
        let tls = ClientConnection::new(Arc::clone(&self.config), name)?;
        Ok((connect(self.address)?, tls))
    }
}

/// One attempt, and how it ended. What is held is returned.
pub(super) fn attempt(
    attack: Attack,
    server: SocketAddrV4,
    secured: Option<&Secured>,
) -> anyhow::Result<(String, Option<TcpStream>)> {
    let ended = |end: &str| Ok((end.to_owned(), None));
    match attack {
        Attack::Requests => Ok((request(connect(server)?)?, None)),
        Attack::Connects => {
            let (_dropped, _) = upgrade(connect(server)?)?;
            ended("opened")
        }
        Attack::Connections => {
            let (held, _) = upgrade(connect(server)?)?;
            Ok(("opened".into(), Some(held)))
        }
        _ => {
            let secured = secured.context("the server speaks no TLS")?;
            let (mut stream, mut tls) = secured.connect()?;
            if attack == Attack::HalfHandshakes {
                let mut hello = Vec::new();
                tls.write_tls(&mut hello)?;
                stream.write_all(&hello[..hello.len() / 2])?;
                return Ok(("begun".into(), Some(stream)));
            }
            shake_hands(&mut stream, &mut tls)?;
            ended("handshake")
        }
    }
}

pub(super) fn shake_hands(
    stream: &mut TcpStream,
    tls: &mut ClientConnection,
) -> anyhow::Result<()> {
    while tls.is_handshaking() {
        let (read, _) = tls.complete_io(stream)?;
        ensure!(read > 0 || !tls.is_handshaking(), "end of stream");
    }
    Ok(())
}

fn connect(server: SocketAddrV4) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::from(sys::connect(ATTACKERS, server, None)?);
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    Ok(stream)
}

/// An unsigned request; the status of its answer.
fn request(mut stream: TcpStream) -> anyhow::Result<String> {
    let request =
        format!("GET /apps/{APP_ID}/channels HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).context("no answer")?;
    Ok(format!("status {status}"))
}
