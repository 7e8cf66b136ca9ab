//! From a socket's bytes to what they say.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

use super::record::{Broken, Opened, Opener, length};

/// Bytes that are read at once at most.
const READ_SIZE: usize = 16 << 10;

thread_local! {
    /// Where records are opened, one connection's after the other's: an idle connection holds no buffer.
    static RECORDS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Opens what a socket receives.
#[derive(Debug)]
pub struct Receiving {
    opener: Opener,
    /// The beginning of a record that has not come whole.
    partial: Vec<u8>,
    /// The client has said that nothing follows.
    is_at_end: bool,
}

/// Gives an opener the keys that the client has changed to; the flag says whether it wants ours changed, too.
pub type UpdateKeys<'a> = &'a mut dyn FnMut(&mut Opener, bool) -> Result<(), Broken>;

impl Receiving {
    /// Opens what was `received` already, and returns what that says, too.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn begin(
        opener: Opener,
        received: Vec<u8>,
        update_keys: UpdateKeys<'_>,
    ) -> io::Result<(Self, BytesMut)> {
        let mut receiving = Self {
            opener,
            partial: Vec::new(),
            is_at_end: false,
        };
        let mut plain = BytesMut::new();
        receiving.open_all(received, &mut plain, update_keys)?;
        Ok((receiving, plain))
    }

    /// Reads until there is data, which is put behind `plain`; false at the end.
    pub fn poll_fill<R: AsyncRead + Unpin>(
        &mut self,
        reader: &mut R,
        cx: &mut Context<'_>,
        plain: &mut BytesMut,
        update_keys: UpdateKeys<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = plain.len();
        while plain.len() == before {
            if self.is_at_end {
                return Poll::Ready(Ok(false));
            }
            let mut records = self.buffer();
            let mut buffer = ReadBuf::uninit(&mut records.spare_capacity_mut()[..READ_SIZE]);
            let outcome = Pin::new(&mut *reader).poll_read(cx, &mut buffer);
            let count = buffer.filled().len();
            match outcome {
                Poll::Ready(Ok(())) if count > 0 => {
                    // SAFETY: the reader has initialised as many bytes as it says are filled.
                    unsafe { records.set_len(records.len() + count) };
                    self.open_all(records, plain, update_keys)?;
                }
                other => {
                    RECORDS.replace(records);
                    return other.map_ok(|()| false);
                }
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Puts behind `plain` what is there without asking the runtime. An end or a fault is left to
    /// [`poll_fill`](Self::poll_fill).
    pub fn fill_now(
        &mut self,
        socket: &TcpStream,
        plain: &mut BytesMut,
        update_keys: UpdateKeys<'_>,
    ) {
        if self.is_at_end {
            return;
        }
        let mut records = self.buffer();
        let received = SockRef::from(socket).recv(&mut records.spare_capacity_mut()[..READ_SIZE]);
        let count = received.unwrap_or(0);
        if count == 0 {
            RECORDS.replace(records);
            return;
        }
        // SAFETY: the socket has initialised as many bytes as it says were received.
        unsafe { records.set_len(records.len() + count) };
        if self.open_all(records, plain, update_keys).is_err() {
            self.is_at_end = true;
        }
    }

    /// Bytes that are kept of a record that has not come whole.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn waiting(&self) -> usize {
        self.partial.len()
    }

    /// The thread's buffer, which begins with what is there of a record, and has room for a read.
    fn buffer(&self) -> Vec<u8> {
        let mut records = RECORDS.take();
        records.clear();
        records.extend_from_slice(&self.partial);
        records.reserve(READ_SIZE);
        records
    }

    /// Opens all whole records, and keeps the rest.
    fn open_all(
        &mut self,
        mut records: Vec<u8>,
        plain: &mut BytesMut,
        update_keys: UpdateKeys<'_>,
    ) -> io::Result<()> {
        let opened = self.open_whole(&mut records, plain, update_keys);
        let rest = match &opened {
            Ok(opened) => &records[*opened..],
            Err(_) => &[],
        };
        if rest.is_empty() {
            self.partial = Vec::new();
        } else {
            self.partial.clear();
            self.partial.extend_from_slice(rest);
        }
        RECORDS.replace(records);
        match opened {
            Ok(_) => Ok(()),
            Err(broken) => Err(io::Error::new(io::ErrorKind::InvalidData, broken)),
        }
    }

    /// Returns how many bytes were whole records.
    fn open_whole(
        &mut self,
        records: &mut [u8],
        plain: &mut BytesMut,
        update_keys: UpdateKeys<'_>,
    ) -> Result<usize, Broken> {
        let mut start = 0;
        while let Some(length) = length(&records[start..])?
            && let Some(record) = records.get_mut(start..start + length)
        {
            start += length;
            match self.opener.open(record)? {
                Opened::Data(data) => plain.extend_from_slice(data),
                Opened::Nothing => {}
                Opened::UpdateKeys { asks_for_ours } => {
                    update_keys(&mut self.opener, asks_for_ours)?;
                }
                Opened::Closed => {
                    self.is_at_end = true;
                    return Ok(records.len());
                }
            }
        }
        Ok(start)
    }
}
