//! One handshake.

use std::io;
use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError, UnbufferedStatus,
};
use rustls::{Error, HandshakeKind, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::agreement::HTTP2;
use super::certificates::ACME_TLS;
use super::receiving::Receiving;
use super::record;
use super::socket::{Secured, Socket};
use crate::metrics::TlsHandshake;

/// Bytes that are read at once.
const READ_SIZE: usize = 4 << 10;
/// Bytes of a handshake that may wait for their rest: more than any client's messages.
const MOST_INCOMING: usize = 64 << 10;
/// Bytes that are read of a connection that is being ended, so that its last answer is not lost.
const MOST_IGNORED: usize = 64 << 10;

/// A handshake, and what it has read and not written.
pub(super) struct Exchange {
    stream: TcpStream,
    connection: UnbufferedServerConnection,
    incoming: Vec<u8>,
    /// Bytes of that which the handshake may have. Of records behind it the connection of rustls must see none: it would change
    /// its keys if one of them says so, and does not say that it has.
    offered: usize,
    outgoing: Vec<u8>,
    is_begun: bool,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Failure {
    Timeout,
    /// Others needed the room.
    Displaced,
    Gone,
    /// The client began with a request in plain HTTP.
    PlainHttp,
    Tls(Error),
}

enum Step {
    Again,
    Read,
    Write,
    Done,
    Ended,
}

impl Failure {
    pub(super) fn outcome(&self) -> TlsHandshake {
        match self {
            Self::Timeout => TlsHandshake::Timeout,
            Self::Displaced => TlsHandshake::Displaced,
            Self::Gone => TlsHandshake::Gone,
            Self::PlainHttp => TlsHandshake::PlainHttp,
            Self::Tls(Error::AlertReceived(_)) => TlsHandshake::Refused,
            Self::Tls(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => {
                TlsHandshake::Incompatible
            }
            // What rustls says when there is none for the client.
            Self::Tls(Error::General(_)) => TlsHandshake::NoCertificate,
            Self::Tls(_) => TlsHandshake::Malformed,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Exchange {
    pub(super) fn new(stream: TcpStream, config: &Arc<ServerConfig>) -> Result<Self, Error> {
        Ok(Self {
            stream,
            connection: UnbufferedServerConnection::new(Arc::clone(config))?,
            incoming: Vec::new(),
            offered: 0,
            outgoing: Vec::new(),
            is_begun: false,
        })
    }

    /// Runs to the end.
    pub(super) async fn run(&mut self) -> Result<HandshakeKind, Failure> {
        loop {
            match self.step()? {
                Step::Again => {}
                Step::Read if self.offer_more() => {}
                Step::Read => self.read().await?,
                Step::Write => {
                    self.stream.write_all(&self.outgoing).await?;
                    self.outgoing.clear();
                }
                Step::Done => {
                    let kind = self.connection.handshake_kind();
                    return kind.ok_or(Failure::Tls(Error::HandshakeNotComplete));
                }
                Step::Ended => return Err(Failure::Gone),
            }
        }
    }

    /// Whether the client was an authority, which asked for its challenge.
    pub(super) fn is_challenge(&self) -> bool {
        self.connection.alpn_protocol() == Some(ACME_TLS)
    }

    /// Whether the client speaks HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.connection.alpn_protocol() == Some(HTTP2)
    }

    async fn read(&mut self) -> Result<(), Failure> {
        if self.incoming.len() >= MOST_INCOMING {
            return Err(Failure::Tls(Error::PeerSentOversizedRecord));
        }
        self.incoming.reserve(READ_SIZE);
        if self.stream.read_buf(&mut self.incoming).await? == 0 {
            return Err(Failure::Gone);
        }
        // The methods of HTTP are words in capitals, and no record begins so.
        if !self.is_begun && self.incoming[0].is_ascii_uppercase() {
            return Err(Failure::PlainHttp);
        }
        self.is_begun = true;
        Ok(())
    }

    fn step(&mut self) -> Result<Step, Failure> {
        let offered = &mut self.incoming[..self.offered];
        let UnbufferedStatus { discard, state } = self.connection.process_tls_records(offered);
        let step = match state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(&mut data, &mut self.outgoing);
                Step::Again
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                Step::Write
            }
            Ok(ConnectionState::BlockedHandshake) => Step::Read,
            Ok(ConnectionState::WriteTraffic(_)) => Step::Done,
            Ok(_) => Step::Ended,
            Err(error) => {
                self.encode_alert();
                return Err(Failure::Tls(error));
            }
        };
        self.incoming.drain(..discard);
        self.offered -= discard;
        Ok(step)
    }

    /// Gives the handshake one more record, if it has come whole.
    fn offer_more(&mut self) -> bool {
        let rest = &self.incoming[self.offered..];
        match record::length(rest) {
            Ok(Some(length)) if length <= rest.len() => self.offered += length,
            Ok(_) => return false,
            // rustls says what is wrong with it.
            Err(_) => self.offered = self.incoming.len(),
        }
        true
    }

    /// The alert that says what is wrong, if there is one.
    fn encode_alert(&mut self) {
        let status = self.connection.process_tls_records(&mut []);
        if let Ok(ConnectionState::EncodeTlsData(mut data)) = status.state {
            encode(&mut data, &mut self.outgoing);
        }
    }

    /// The connection, its handshake done.
    pub(super) fn finish(self) -> io::Result<Socket> {
        let secrets = self.connection.dangerous_into_kernel_connection();
        let (extracted, secrets) = secrets.map_err(io::Error::other)?;
        let begun = record::begin(extracted, secrets, self.outgoing);
        let (mut sealer, opener) = begun.map_err(io::Error::other)?;
        let mut update = |opener: &mut _, asks| sealer.update_received(opener, asks);
        let (receiving, plain) = Receiving::begin(opener, self.incoming, &mut update)?;
        let secured = Secured::new(receiving, sealer, plain);
        Ok(Socket::secured(self.stream, secured))
    }

    /// What was not written yet.
    pub(super) fn take_outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// An answer to a request in plain HTTP.
    pub(super) fn answer_plainly(&self, text: &str) -> Vec<u8> {
        let length = text.len();
        format!(
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{text}"
        )
        .into_bytes()
    }

    /// Writes this last, and waits until the client has read it.
    pub(super) async fn end(mut self, last: &[u8]) -> io::Result<()> {
        self.stream.write_all(last).await?;
        self.stream.shutdown().await?;
        let mut left = MOST_IGNORED;
        let mut ignored = [0; 1024];
        while left > 0 {
            let count = self.stream.read(&mut ignored).await?;
            if count == 0 {
                break;
            }
            left = left.saturating_sub(count);
        }
        Ok(())
    }
}

pub(super) fn encode<Data>(data: &mut EncodeTlsData<'_, Data>, outgoing: &mut Vec<u8>) {
    let needed = match data.encode(&mut []) {
        Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) => {
            required_size
        }
        // There was nothing, or nothing more.
        Ok(_) | Err(EncodeError::AlreadyEncoded) => return,
    };
    let start = outgoing.len();
    outgoing.resize(start + needed, 0);
    let encoded = data.encode(&mut outgoing[start..]);
    outgoing.truncate(start + encoded.unwrap_or(0));
}
