//! Upgrade headers of several lines.

use actix_http::header::{HeaderMap, HeaderValue, UPGRADE};

/// Makes one line of several: they mean what one with all their values means (RFC 9110 §5.3), and a handshake is looked
/// for in the first.
pub fn join(headers: &mut HeaderMap) {
    if headers.get_all(UPGRADE).nth(1).is_none() {
        return;
    }
    let lines: Vec<&[u8]> = headers
        .get_all(UPGRADE)
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(line) = HeaderValue::from_bytes(&lines.join(&b", "[..])) {
        headers.insert(UPGRADE, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(lines: &[&'static str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(UPGRADE, HeaderValue::from_static(line));
        }
        join(&mut headers);
        let lines = headers.get_all(UPGRADE);
        lines.map(|line| line.to_str().unwrap().into()).collect()
    }

    #[test]
    fn several_lines_become_one() {
        assert_eq!(joined(&["h2c", "websocket"]), ["h2c, websocket"]);
        assert_eq!(joined(&["a", "b, c", "d"]), ["a, b, c, d"]);
        assert_eq!(joined(&["websocket"]), ["websocket"]);
        assert!(joined(&[]).is_empty());
    }
}
