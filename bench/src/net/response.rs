//! Reading HTTP responses.

pub(super) fn header<'a>(response: &httparse::Response<'_, 'a>, name: &str) -> Option<&'a [u8]> {
    response
        .headers
        .iter()
        .find(|h| h.name.eq_ignore_ascii_case(name))
        .map(|h| h.value)
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) closes: bool,
}

/// Reads one HTTP response; None while it is incomplete.
pub(crate) fn parse_response(received: &[u8], at_end: bool) -> Result<Option<Answer>, String> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let start = match response.parse(received) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(format!("bad HTTP response: {error}")),
    };
    let text = |name| header(&response, name).and_then(|value| std::str::from_utf8(value).ok());
    let rest = &received[start..];
    let chunked = text("transfer-encoding").is_some_and(|v| v.eq_ignore_ascii_case("chunked"));
    let body = if chunked {
        unchunk(rest)?
    } else if let Some(length) = text("content-length") {
        let length: usize = length
            .trim()
            .parse()
            .map_err(|_| "bad Content-Length".to_string())?;
        rest.get(..length).map(<[u8]>::to_vec)
    } else if at_end {
        Some(rest.to_vec())
    } else {
        None
    };
    let closes = match text("connection") {
        Some(value) => value.eq_ignore_ascii_case("close"),
        // HTTP/1.0 closes by default.
        None => response.version == Some(0),
    };
    let status = response.code.unwrap_or(0);
    let body = if status == 204 {
        Some(Vec::new())
    } else {
        body
    };
    Ok(body.map(|body| Answer {
        status,
        body,
        closes,
    }))
}

fn unchunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut body = Vec::new();
    loop {
        let (size_line, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete(found)) => found,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err("bad chunk size".into()),
        };
        let end = size_line + size as usize;
        let Some(chunk) = rest.get(size_line..end) else {
            return Ok(None);
        };
        if rest.len() < end + 2 {
            return Ok(None);
        }
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend_from_slice(chunk);
        rest = &rest[end + 2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_read_by_length_chunks_or_end() {
        let by_length = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        let answer = parse_response(by_length, false).unwrap().unwrap();
        assert_eq!(
            (answer.status, answer.body.as_slice(), answer.closes),
            (200, &b"{}"[..], false)
        );
        assert!(
            parse_response(&by_length[..by_length.len() - 1], false)
                .unwrap()
                .is_none()
        );

        let chunked = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
        assert_eq!(parse_response(chunked, false).unwrap().unwrap().body, b"{}");
        assert!(
            parse_response(&chunked[..chunked.len() - 4], false)
                .unwrap()
                .is_none()
        );

        let until_end = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc";
        assert!(parse_response(until_end, false).unwrap().is_none());
        let answer = parse_response(until_end, true).unwrap().unwrap();
        assert!(answer.closes && answer.body == b"abc");
    }
}
