//! How a receiver answers, well and badly.

use std::time::Duration;

use tokio::time::sleep;

use crate::connection::{Connection, Ended};

/// What a receiver does with a request that it has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Answers with this status.
    Status(u16),
    /// Answers with this status after a while, unless the other side ends the connection before.
    Late(Duration, u16),
    /// Sends the request elsewhere: a status and a Location.
    Redirect(u16, String),
    /// Answers with this status and this body, in chunks.
    Body(u16, Vec<u8>),
    /// Answers with this status, then closes the connection without having announced it.
    ThenClose(u16),
    /// Closes the connection in the middle of the head of a 200.
    Broken,
    /// Closes the connection instead.
    Close,
    /// Never answers, and waits for the other side to end the connection.
    Never,
}

impl Answer {
    /// What an endpoint should answer.
    pub const OK: Answer = Answer::Status(200);

    /// Whether the request counts as delivered once this answer is given.
    pub fn accepts(&self) -> bool {
        match self {
            Answer::Status(status)
            | Answer::Late(_, status)
            | Answer::Body(status, _)
            | Answer::ThenClose(status) => (200..300).contains(status),
            Answer::Redirect(..) | Answer::Broken | Answer::Close | Answer::Never => false,
        }
    }

    /// How long the answer is held back.
    pub(super) fn delay(&self) -> Option<Duration> {
        match self {
            Answer::Late(delay, _) => Some(*delay),
            Answer::Never => Some(Duration::MAX),
            _ => None,
        }
    }

    /// What goes over the wire.
    pub(super) fn encode(&self) -> Vec<u8> {
        match self {
            Answer::Status(status) | Answer::Late(_, status) | Answer::ThenClose(status) => {
                head(*status, "").into_bytes()
            }
            Answer::Redirect(status, location) => {
                head(*status, &format!("Location: {location}\r\n")).into_bytes()
            }
            Answer::Body(status, body) => chunked(*status, body),
            Answer::Broken => b"HTTP/1.1 200 OK\r\nContent-Le".to_vec(),
            Answer::Close | Answer::Never => Vec::new(),
        }
    }

    /// Whether the connection goes on after this answer.
    pub(super) fn keeps_alive(&self) -> bool {
        !matches!(
            self,
            Answer::ThenClose(_) | Answer::Broken | Answer::Close | Answer::Never
        )
    }
}

fn head(status: u16, fields: &str) -> String {
    // These have no body by themselves.
    let length = match status {
        204 | 304 => "",
        _ => "Content-Length: 0\r\n",
    };
    format!("HTTP/1.1 {status} Scripted\r\n{fields}{length}\r\n")
}

fn chunked(status: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status} Scripted\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    for chunk in body.chunks(16 * 1024) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

/// Waits for `delay`; an error means that the other side ended the connection meanwhile.
pub(super) async fn hold_back(connection: &mut Connection, delay: Duration) -> Result<(), Ended> {
    let ended = async {
        loop {
            if let Err(ended) = connection.receive().await {
                return ended;
            }
        }
    };
    tokio::select! {
        () = sleep(delay) => Ok(()),
        ended = ended => Err(ended),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_answers_of_2xx_accept() {
        let while_ago = Duration::from_secs(1);
        for (answer, accepts) in [
            (Answer::OK, true),
            (Answer::Status(204), true),
            (Answer::Late(while_ago, 200), true),
            (Answer::Body(200, b"x".to_vec()), true),
            (Answer::ThenClose(200), true),
            (Answer::Status(199), false),
            (Answer::Status(300), false),
            (Answer::Status(500), false),
            (Answer::Redirect(307, "/".to_owned()), false),
            (Answer::Broken, false),
            (Answer::Close, false),
            (Answer::Never, false),
        ] {
            assert_eq!(answer.accepts(), accepts, "{answer:?}");
        }
    }

    #[test]
    fn answers_are_http() {
        assert_eq!(
            Answer::Status(204).encode(),
            b"HTTP/1.1 204 Scripted\r\n\r\n"
        );
        assert_eq!(
            Answer::Redirect(307, "/b".to_owned()).encode(),
            b"HTTP/1.1 307 Scripted\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(
            Answer::Body(200, b"abc".to_vec()).encode(),
            b"HTTP/1.1 200 Scripted\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        );
    }
}
