//! A client's socket, over TLS or not.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use super::receiving::{Receiving, UpdateKeys};
use super::record::Sealer;
use super::writer::Writer;

/// Bytes that are sealed at once for a socket that may not take them.
const MOST_SEALED: usize = 16 << 10;

/// A client's socket, over TLS or not. `S` is `std`'s while it is on its way between threads.
#[derive(Debug)]
pub struct Socket<S = TcpStream> {
    stream: S,
    tls: Option<Box<Secured>>,
}

/// What TLS has beside its socket, between the handshake and what becomes of the connection.
#[derive(Debug)]
pub(super) struct Secured {
    pub(super) receiving: Receiving,
    pub(super) sealer: Sealer,
    /// What was opened and not read.
    pub(super) plain: BytesMut,
    /// What was sealed and not taken by the socket.
    pub(super) outgoing: BytesMut,
    is_closed: bool,
}

/// What is read of a connection that is a WebSocket from now on.
#[derive(Debug)]
pub struct Reader {
    half: OwnedReadHalf,
    tls: Option<Box<Receiving>>,
}

/// What is written to it.
#[derive(Debug)]
pub enum WriteHalf {
    /// To a socket as it is.
    Plain(tokio::net::tcp::OwnedWriteHalf),
    /// Over TLS.
    Tls(Box<Writer>),
}

impl Secured {
    pub(super) fn new(receiving: Receiving, sealer: Sealer, plain: BytesMut) -> Self {
        Self {
            receiving,
            sealer,
            plain,
            outgoing: BytesMut::new(),
            is_closed: false,
        }
    }

    /// Writes what was sealed, until the socket has taken all.
    fn poll_outgoing(&mut self, tcp: &mut TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            match ready!(Pin::new(&mut *tcp).poll_write(cx, &self.outgoing))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.outgoing.advance(written),
            }
        }
        // An idle connection holds no buffer.
        self.outgoing = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

impl Socket {
    /// A socket as it is.
    pub fn plain(stream: TcpStream) -> Self {
        Self { stream, tls: None }
    }

    /// A socket over TLS.
    pub(super) fn secured(stream: TcpStream, tls: Secured) -> Self {
        Self {
            stream,
            tls: Some(Box::new(tls)),
        }
    }

    /// Its two halves, and what was received and not read.
    pub fn into_halves(self) -> (Reader, WriteHalf, BytesMut) {
        let (reader, writer) = self.stream.into_split();
        let Some(tls) = self.tls else {
            let reader = Reader {
                half: reader,
                tls: None,
            };
            return (reader, WriteHalf::Plain(writer), BytesMut::new());
        };
        let Secured {
            receiving,
            mut sealer,
            plain,
            outgoing,
            is_closed: _,
        } = *tls;
        sealer.put_in_front(&outgoing);
        let reader = Reader {
            half: reader,
            tls: Some(Box::new(receiving)),
        };
        let writer = WriteHalf::Tls(Box::new(Writer::new(writer, sealer)));
        (reader, writer, plain)
    }

    /// As if its keys were used up after so many records.
    #[cfg(test)]
    pub(super) fn wear_out_after(&mut self, records: u64) {
        if let Some(tls) = &mut self.tls {
            tls.sealer.wear_out_after(records);
        }
    }

    /// Takes it out of its thread.
    ///
    /// # Errors
    /// When the system refuses, of a broken socket.
    pub fn into_std(self) -> io::Result<Socket<std::net::TcpStream>> {
        Ok(Socket {
            stream: self.stream.into_std()?,
            tls: self.tls,
        })
    }

    /// Takes it into the calling thread.
    ///
    /// # Errors
    /// When the system refuses, of a broken socket.
    pub fn from_std(socket: Socket<std::net::TcpStream>) -> io::Result<Self> {
        Ok(Self {
            stream: TcpStream::from_std(socket.stream)?,
            tls: socket.tls,
        })
    }
}

impl Reader {
    /// Reads once, and puts what there is behind `plain`, which has room for as much as is to be read; false at
    /// the end.
    pub fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        plain: &mut BytesMut,
        update_keys: UpdateKeys<'_>,
    ) -> Poll<bool> {
        if let Some(tls) = &mut self.tls {
            let filled = ready!(tls.poll_fill(&mut self.half, cx, plain, update_keys));
            return Poll::Ready(filled.unwrap_or(false));
        }
        let mut buffer = ReadBuf::uninit(plain.spare_capacity_mut());
        let outcome = ready!(Pin::new(&mut self.half).poll_read(cx, &mut buffer));
        let count = buffer.filled().len();
        // SAFETY: the reader has initialised as many bytes as it says are filled.
        unsafe { plain.set_len(plain.len() + count) };
        Poll::Ready(outcome.is_ok() && count > 0)
    }

    /// Puts behind `plain` what is there without asking the runtime, which may not have looked at the socket yet.
    /// An end or a fault is left to be noticed by [`poll_fill`](Self::poll_fill).
    pub fn fill_now(&mut self, plain: &mut BytesMut, update_keys: UpdateKeys<'_>) {
        let socket: &TcpStream = self.half.as_ref();
        if let Some(tls) = &mut self.tls {
            return tls.fill_now(socket, plain, update_keys);
        }
        let received = socket2::SockRef::from(socket).recv(plain.spare_capacity_mut());
        let count = received.unwrap_or(0);
        // SAFETY: the socket has initialised as many bytes as it says were received.
        unsafe { plain.set_len(plain.len() + count) };
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(tls) = &mut this.tls else {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        };
        if tls.plain.is_empty() {
            let sealer = &mut tls.sealer;
            let mut update = |opener: &mut _, asks| sealer.update_received(opener, asks);
            let filled = tls
                .receiving
                .poll_fill(&mut this.stream, cx, &mut tls.plain, &mut update);
            ready!(filled)?;
        }
        let count = tls.plain.len().min(buf.remaining());
        buf.put_slice(&tls.plain[..count]);
        tls.plain.advance(count);
        if tls.plain.is_empty() {
            tls.plain = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(tls) = &mut this.tls else {
            return Pin::new(&mut this.stream).poll_write(cx, bytes);
        };
        ready!(tls.poll_outgoing(&mut this.stream, cx))?;
        let count = bytes.len().min(MOST_SEALED);
        let sealed = tls.sealer.seal(&[&bytes[..count]]);
        let sealed = sealed.map_err(|broken| io::Error::new(io::ErrorKind::BrokenPipe, broken))?;
        tls.outgoing.extend_from_slice(&sealed);
        // What the socket does not take now goes out before anything else does.
        if let Poll::Ready(Err(error)) = tls.poll_outgoing(&mut this.stream, cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match &mut this.tls {
            None => Pin::new(&mut this.stream).poll_flush(cx),
            Some(tls) => tls.poll_outgoing(&mut this.stream, cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(tls) = &mut this.tls {
            if !tls.is_closed {
                tls.is_closed = true;
                if let Ok(sealed) = tls.sealer.seal_close() {
                    tls.outgoing.extend_from_slice(&sealed);
                }
            }
            ready!(tls.poll_outgoing(&mut this.stream, cx))?;
        }
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.tls.is_none() {
            return Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.poll_write(cx, first.map_or(&[], |slice| &**slice))
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_none()
    }
}
