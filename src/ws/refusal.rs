//! A WebSocket that is opened only to say why it is closed: clients see no other error.

use std::io::IoSlice;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::protocol::{Frame, server};
use crate::session::CloseReason;
use crate::tls::Socket;

/// Answers the upgrade, says why, closes, and waits for the client to have read it.
pub(super) async fn refuse(
    mut stream: Socket,
    accepted: Bytes,
    reason: CloseReason,
    close_timeout: Duration,
) {
    let code = reason.code.code();
    let error = server::error(Some(code), &reason.text);
    let close = Frame::close(code, &reason.text);
    let said = async {
        let mut parts = [
            IoSlice::new(&accepted),
            IoSlice::new(error.bytes()),
            IoSlice::new(close.bytes()),
        ];
        let mut rest = &mut parts[..];
        while !rest.is_empty() {
            let written = stream.write_vectored(rest).await?;
            IoSlice::advance_slices(&mut rest, written);
        }
        // What the client still sends is read, so that closing does not reset the connection
        // before it has read the reason.
        stream.shutdown().await?;
        let mut ignored = [0; 1024];
        while stream.read(&mut ignored).await? > 0 {}
        std::io::Result::Ok(())
    };
    // A client that goes away or does not listen is of no interest any more.
    let _ = tokio::time::timeout(close_timeout, said).await;
}
