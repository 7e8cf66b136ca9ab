//! Reading HTTP requests: at the floor, and at the receiver of webhooks.

const MOST_HEADERS: usize = 32;

/// A whole request at the start of a buffer; `size` is how much of the buffer it takes.
pub(crate) struct Request<'a> {
    /// Without a body, whatever its headers declare.
    pub(crate) is_get: bool,
    pub(crate) path: &'a str,
    /// What an upgrade to WebSocket is asked with.
    pub(crate) websocket_key: Option<&'a str>,
    pub(crate) body: &'a [u8],
    pub(crate) size: usize,
}

/// Reads the request at the start of a buffer; None while it is incomplete.
pub(crate) fn parse(input: &[u8]) -> Result<Option<Request<'_>>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let head = match request.parse(input) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err("not HTTP"),
    };
    let header = |name: &str| {
        let mut headers = request.headers.iter();
        let found = headers.find(|h| h.name.eq_ignore_ascii_case(name));
        found.and_then(|h| std::str::from_utf8(h.value).ok())
    };
    let is_get = request.method == Some("GET");
    let length = if is_get {
        0
    } else {
        let length = header("content-length").ok_or("no Content-Length")?;
        length.trim().parse().map_err(|_| "bad Content-Length")?
    };
    let size = head.checked_add(length).ok_or("bad Content-Length")?;
    let websocket_key = is_get.then(|| header("sec-websocket-key")).flatten();
    Ok(input.get(head..size).map(|body| Request {
        is_get,
        path: request.path.unwrap_or_default(),
        websocket_key,
        body,
        size,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_once_they_are_whole() {
        let input = b"POST /a?b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /up HTTP/1.1\r\n\r\n";
        let first = parse(input).unwrap().unwrap();
        assert_eq!(
            (first.is_get, first.path, first.body),
            (false, "/a?b", &b"abc"[..])
        );
        assert!(parse(&input[..first.size - 1]).unwrap().is_none());
        let second = parse(&input[first.size..]).unwrap().unwrap();
        assert_eq!((second.is_get, second.path), (true, "/up"));
        assert_eq!(first.size + second.size, input.len());
    }

    #[test]
    fn an_upgrade_has_its_key_and_a_body_its_length() {
        let upgrade = b"GET / HTTP/1.1\r\nSec-WebSocket-Key: x\r\n\r\n";
        let upgrade = parse(upgrade).unwrap().unwrap();
        assert_eq!(upgrade.websocket_key, Some("x"));
        assert!(parse(b"POST / HTTP/1.1\r\n\r\n").is_err());
        assert!(parse(b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n").is_err());
    }
}
