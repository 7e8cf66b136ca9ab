//! A raw WebSocket: the opening handshake and frames, good ones and bad ones.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::connection::{Connection, Ended};
use crate::deflate::inflate;
use crate::event::Close;
use crate::frame::{Frame, Opcode};
use crate::http::{self, Response};
use crate::wait::within;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The request that asks for a WebSocket. As built it is a good one; headers can be changed.
#[derive(Clone, Debug)]
pub struct Upgrade {
    /// Request method, `GET`.
    pub method: String,
    /// Path and query, without the server's prefix.
    pub target: String,
    /// Header fields in order, Host excepted.
    pub headers: Vec<(String, String)>,
}

impl Upgrade {
    /// A good request for `target` (path and query).
    pub fn new(target: &str) -> Upgrade {
        let headers = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", KEY),
            ("Sec-WebSocket-Version", "13"),
        ];
        Upgrade {
            method: "GET".to_owned(),
            target: target.to_owned(),
            headers: headers.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
        }
    }

    /// Sets a header field, in place of one of that exact name if there is one.
    pub fn header(mut self, name: &str, value: &str) -> Upgrade {
        match self.headers.iter_mut().find(|(known, _)| known == name) {
            Some(field) => field.1 = value.to_owned(),
            None => self.headers.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// Removes a header field.
    pub fn without(mut self, name: &str) -> Upgrade {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// The request as it goes over the wire.
    pub fn encode(&self, host: &str, prefix: &str) -> Vec<u8> {
        let mut head = format!(
            "{} {prefix}{} HTTP/1.1\r\nHost: {host}\r\n",
            self.method, self.target
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// An open WebSocket, frame by frame. Nothing is answered by itself: no pong, no close.
#[derive(Debug)]
pub struct WebSocket {
    connection: Connection,
    /// The answer to the upgrade.
    pub response: Response,
    /// How many messages came compressed. [`next`](Self::next) inflates them.
    pub inflated: usize,
    /// Bytes of the payloads of all frames that came, as they came.
    pub received_bytes: usize,
}

impl WebSocket {
    /// Sends `request` (see [`Upgrade::encode`]) over `connection` and reads the answer, which is the error when it is
    /// no 101.
    ///
    /// # Panics
    /// When a 101 carries a wrong Sec-WebSocket-Accept, or an extension that was not asked for. Also when the connection ends
    /// without an answer.
    pub async fn open(connection: Connection, request: &[u8]) -> Result<WebSocket, Response> {
        WebSocket::try_open(connection, request)
            .await
            .unwrap_or_else(|ended| panic!("no answer to the upgrade: {ended}"))
    }

    /// As [`open`](Self::open); the outer error means that the connection has ended before an answer came.
    ///
    /// # Panics
    /// As [`open`](Self::open).
    pub async fn try_open(
        mut connection: Connection,
        request: &[u8],
    ) -> Result<Result<WebSocket, Response>, Ended> {
        connection.try_send(request).await?;
        let response = http::read_response(&mut connection, "GET").await?;
        if response.status != 101 {
            return Ok(Err(response));
        }
        assert_eq!(
            response.header("sec-websocket-accept"),
            Some(accept(KEY).as_str())
        );
        let head = String::from_utf8_lossy(request).to_lowercase();
        if !head.contains("\r\nsec-websocket-extensions:") {
            assert_eq!(response.header("sec-websocket-extensions"), None);
        }
        Ok(Ok(WebSocket {
            connection,
            response,
            inflated: 0,
            received_bytes: 0,
        }))
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: Frame) {
        self.connection.send(&frame.encode()).await;
    }

    /// Sends a frame; an error means that the server has ended the connection.
    pub async fn try_send(&mut self, frame: Frame) -> Result<(), Ended> {
        self.connection.try_send(&frame.encode()).await
    }

    /// Sends bytes as they are, a part of a frame, for example.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.connection.send(bytes).await;
    }

    /// The extension that the server has agreed to.
    pub fn extension(&self) -> Option<&str> {
        self.response.header("sec-websocket-extensions")
    }

    /// The next frame. A compressed message is inflated where that was agreed on. No time limit; nothing is lost when
    /// it is dropped early.
    pub async fn next(&mut self) -> Result<Frame, Ended> {
        loop {
            if let Some((mut frame, length)) = Frame::decode(self.connection.buffered()) {
                self.connection.take(length);
                assert_eq!(frame.mask, None, "a server must not mask its frames");
                self.received_bytes += frame.payload.len();
                if frame.rsv == Frame::RSV1
                    && frame.opcode == Opcode::TEXT
                    && self.extension().is_some()
                {
                    frame.payload = inflate(&frame.payload);
                    frame.rsv = 0;
                    self.inflated += 1;
                }
                assert_eq!(frame.rsv, 0, "no extension was negotiated");
                return Ok(frame);
            }
            self.connection.receive().await?;
        }
    }

    /// The next frame, or how the connection ended.
    pub async fn read(&mut self) -> Result<Frame, Ended> {
        within("a frame", self.next()).await
    }

    /// The next text message; panics when something else comes.
    pub async fn read_text(&mut self) -> String {
        match self.read().await {
            Ok(frame) if frame.opcode == Opcode::TEXT && frame.fin => frame.as_text().to_owned(),
            Ok(frame) if frame.opcode == Opcode::CLOSE => {
                panic!(
                    "expected text, was closed: {:?}",
                    Close::parse(&frame.payload)
                )
            }
            Ok(frame) => panic!("expected text, got {frame:?}"),
            Err(ended) => panic!("expected text: {ended}"),
        }
    }

    /// Reads on to the close frame, passing over whatever comes before it. Neither echoes it nor waits for the end of
    /// the connection.
    pub async fn read_close(&mut self) -> Close {
        within("a close frame", async {
            loop {
                match self.next().await {
                    Ok(frame) if frame.opcode == Opcode::CLOSE => {
                        return Close::parse(&frame.payload);
                    }
                    Ok(_) => {}
                    Err(ended) => panic!("no close frame: {ended}"),
                }
            }
        })
        .await
    }

    /// Waits for the end of the TCP connection, after which no frame may come.
    pub async fn expect_end(&mut self) -> Ended {
        let (rest, ended) = self.connection.receive_to_end().await;
        assert!(rest.is_empty(), "{} bytes came after the close", rest.len());
        ended
    }

    /// Reads to the close frame, echoes it and waits until the server has ended the TCP connection.
    pub async fn expect_close(&mut self) -> Close {
        let close = self.read_close().await;
        let echo = match close.code {
            Some(code) => Frame::close(code, ""),
            None => Frame::new(Opcode::CLOSE, []),
        };
        // After a protocol error the server may have stopped reading, and have closed by now.
        let _ended_already = self.try_send(echo).await;
        self.expect_end().await;
        close
    }

    /// The connection below.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }
}

fn accept(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_value_of_the_rfc() {
        assert_eq!(accept(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
