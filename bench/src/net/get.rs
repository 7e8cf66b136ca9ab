//! One request, on a connection of its own.

use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::Duration;

use super::response::{Answer, parse_response};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks and waits for the answer, whatever its status.
pub(crate) fn get(server: SocketAddrV4, path: &str) -> anyhow::Result<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\n\r\n");
    exchange(server, &request)
}

/// Sends a body and waits for the answer, whatever its status.
pub(super) fn post(server: SocketAddrV4, path: &str, body: &str) -> anyhow::Result<Answer> {
    let length = body.len();
    let request =
        format!("POST {path} HTTP/1.1\r\nHost: {server}\r\nContent-Length: {length}\r\n\r\n{body}");
    exchange(server, &request)
}

fn exchange(server: SocketAddrV4, request: &str) -> anyhow::Result<Answer> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    ask(&mut stream, request.as_bytes())
}

/// Sends a request on a connection that is there, and waits for the answer as long as its read timeout allows.
pub(crate) fn ask(stream: &mut TcpStream, request: &[u8]) -> anyhow::Result<Answer> {
    stream.write_all(request)?;
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let size = stream.read(&mut buffer)?;
        received.extend_from_slice(&buffer[..size]);
        let answer = parse_response(&received, size == 0).map_err(anyhow::Error::msg)?;
        match answer {
            Some(answer) => return Ok(answer),
            None if size == 0 => anyhow::bail!("end of stream"),
            None => {}
        }
    }
}
