//! TLS between a connection and its socket.

use std::io::{self, Read, Write};
use std::net::SocketAddrV4;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::sys;

/// Where a server speaks TLS, and how it is spoken to.
pub(crate) struct Tls {
    pub(crate) address: SocketAddrV4,
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// With the authority's certificate, and sessions resumed or each begun anew.
    pub(crate) fn new(
        address: SocketAddrV4,
        authority: &Path,
        name: &str,
        resumes: bool,
    ) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        let certificates = CertificateDer::pem_file_iter(authority);
        for certificate in certificates.with_context(|| format!("{}", authority.display()))? {
            roots.add(certificate?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        if !resumes {
            config.resumption = Resumption::disabled();
        }
        Ok(Self {
            address,
            config: Arc::new(config),
            name: ServerName::try_from(name.to_owned())?,
        })
    }

    pub(super) fn connection(&self) -> anyhow::Result<Box<ClientConnection>> {
        let connection = ClientConnection::new(Arc::clone(&self.config), self.name.clone())?;
        Ok(Box::new(connection))
    }
}

/// The socket, as rustls writes to it.
struct Socket(RawFd);

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sys::send(self.0, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Seals what is unsent, and writes as much as the socket takes.
pub(super) fn flush(tls: &mut ClientConnection, fd: RawFd, unsent: &mut Vec<u8>) -> io::Result<()> {
    tls.writer().write_all(unsent)?;
    unsent.clear();
    while tls.wants_write() {
        match tls.write_tls(&mut Socket(fd)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Opens what was received.
pub(super) fn open(tls: &mut ClientConnection, mut received: &[u8]) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    while !received.is_empty() {
        tls.read_tls(&mut received)?;
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let start = plain.len();
        plain.resize(start + state.plaintext_bytes_to_read(), 0);
        if plain.len() > start {
            tls.reader().read_exact(&mut plain[start..])?;
        }
    }
    Ok(plain)
}
