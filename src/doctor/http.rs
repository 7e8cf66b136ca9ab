//! One request and its answer, over a connection of its own.

use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::address::PublicUrl;
use super::finding::shown;
use super::stream::{self, Stream};

/// How long an answer may take, to its end.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a head, and of a body, that are read.
const MOST_HEAD: usize = 16 << 10;
const MOST_BODY: usize = 64 << 10;

/// What was answered.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    /// As much of it as was looked at.
    pub(super) body: String,
    /// From the request to the end of the head.
    pub(super) took: Duration,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// What it says, as it may be shown: the error in a relay's JSON, or its body as it is.
    pub(super) fn words(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        shown(body["error"].as_str().unwrap_or(&self.body))
    }

    #[cfg(test)]
    pub(super) fn made(status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        Self {
            status,
            headers: headers.iter().map(owned).collect(),
            body: body.to_owned(),
            took: Duration::ZERO,
        }
    }
}

/// Sends a request and reads the whole answer.
pub(super) fn request(
    url: &PublicUrl,
    address: IpAddr,
    method: &str,
    path: &str,
    body: &[u8],
) -> io::Result<Answer> {
    let mut stream = stream::open(url, address)?;
    let entity = match method {
        "POST" => format!(
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        ),
        _ => String::new(),
    };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: fanfare-doctor/{}\r\nAccept: */*\r\n\
         Connection: close\r\n{entity}\r\n",
        url.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    let started = Instant::now();
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()?;
    let deadline = started + PATIENCE;
    let (mut answer, mut rest) = head_of(&mut stream, started, deadline)?;
    let announced = answer.header("content-length");
    let announced = announced.and_then(|length| length.parse::<usize>().ok());
    let wanted = announced.unwrap_or(MOST_BODY).min(MOST_BODY);
    while rest.len() < wanted {
        match read_more(&mut stream, &mut rest, deadline) {
            Ok(0) => break,
            Ok(_) => {}
            // What there is of it will do.
            Err(_) => break,
        }
    }
    rest.truncate(MOST_BODY);
    let is_chunked = answer
        .header("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    let body = if is_chunked { unchunked(&rest) } else { rest };
    answer.body = String::from_utf8_lossy(&body).into_owned();
    Ok(answer)
}

/// Reads the head of an answer, and perhaps more.
pub(super) fn head_of(
    stream: &mut Stream,
    started: Instant,
    deadline: Instant,
) -> io::Result<(Answer, Vec<u8>)> {
    let mut received = Vec::new();
    loop {
        if let Some((answer, length)) = parsed(&received)? {
            let answer = Answer {
                took: started.elapsed(),
                ..answer
            };
            return Ok((answer, received.split_off(length)));
        }
        if received.len() > MOST_HEAD {
            return Err(io::Error::other("the head of the answer has no end"));
        }
        if read_more(stream, &mut received, deadline)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Reads once. 0: nothing comes any more.
pub(super) fn read_more(
    stream: &mut Stream,
    into: &mut Vec<u8>,
    deadline: Instant,
) -> io::Result<usize> {
    stream.read_until(deadline);
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer)?;
    into.extend_from_slice(&buffer[..count]);
    Ok(count)
}

/// An answer, and how long its head is; `None`: there is more to come.
fn parsed(received: &[u8]) -> io::Result<Option<(Answer, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let status = response
        .parse(received)
        .map_err(|_| io::Error::other("the answer is not HTTP"))?;
    let httparse::Status::Complete(length) = status else {
        return Ok(None);
    };
    let owned = |header: &httparse::Header<'_>| {
        let value = String::from_utf8_lossy(header.value).into_owned();
        (header.name.to_ascii_lowercase(), value)
    };
    let answer = Answer {
        status: response.code.unwrap_or_default(),
        headers: response.headers.iter().map(owned).collect(),
        ..Answer::default()
    };
    Ok(Some((answer, length)))
}

/// The body in chunks, up to where they make sense.
fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(rest) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let Some(chunk) = rest.get(start..start.saturating_add(size)) else {
            body.extend_from_slice(&rest[start..]);
            break;
        };
        if size == 0 {
            break;
        }
        body.extend_from_slice(chunk);
        rest = rest.get(start + size + 2..).unwrap_or_default();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_together() {
        assert_eq!(unchunked(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"), b"abcde");
        assert_eq!(unchunked(b"ffffffffffff\r\nabc"), b"abc");
        assert_eq!(unchunked(b"zz"), b"");
    }

    #[test]
    fn heads_are_read_as_they_come() {
        assert!(parsed(b"HTTP/1.1 200 OK\r\nServer: x").unwrap().is_none());
        let (answer, length) = parsed(b"HTTP/1.1 200 OK\r\nSERVER: x\r\n\r\nbody")
            .unwrap()
            .unwrap();
        assert_eq!(
            (answer.status, answer.header("server"), length),
            (200, Some("x"), 30)
        );
        assert!(parsed(b"SSH-2.0-OpenSSH\r\n").is_err());
    }
}
