//! Upgrade headers in the forms that RFC 9110 allows and actix-http does not know.

use memchr::memmem;

const PLAIN: &[u8] = b"websocket";

/// Rewrites `Upgrade: websocket, foo` to `Upgrade: websocket`, padded with spaces, in the head of
/// a request that has arrived whole. actix-http hands over no others.
pub(super) fn offer_plainly(received: &mut [u8]) {
    let Some(end) = memmem::find(received, b"\r\n\r\n") else {
        return;
    };
    let mut at = 0;
    while let Some(length) = memmem::find(&received[at..end], b"\r\n") {
        at += length + 2;
        let rest = &mut received[at..end];
        let line = memmem::find(rest, b"\r\n").unwrap_or(rest.len());
        if let Some(value) = upgrade_value(&mut rest[..line])
            && offers_websocket(value)
            && value.trim_ascii().len() != PLAIN.len()
        {
            let (plain, padding) = value.split_at_mut(PLAIN.len());
            plain.copy_from_slice(PLAIN);
            padding.fill(b' ');
        }
    }
}

fn upgrade_value(line: &mut [u8]) -> Option<&mut [u8]> {
    const NAME: &[u8] = b"upgrade:";
    let (name, value) = line.split_at_mut_checked(NAME.len())?;
    name.eq_ignore_ascii_case(NAME).then_some(value)
}

fn offers_websocket(value: &[u8]) -> bool {
    let mut protocols = value.split(|byte| *byte == b',');
    protocols.any(|protocol| protocol.trim_ascii().eq_ignore_ascii_case(PLAIN))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rewritten(head: &str) -> String {
        let mut bytes = head.as_bytes().to_vec();
        offer_plainly(&mut bytes);
        assert_eq!(bytes.len(), head.len());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_list_that_holds_websocket_becomes_websocket() {
        for value in [
            "websocket, foo",
            "foo,WebSocket",
            " h2c , websocket ",
            "websocket,",
        ] {
            let head = rewritten(&format!(
                "GET / HTTP/1.1\r\nA: b\r\nUpgrade:{value}\r\n\r\n"
            ));
            let lines: Vec<_> = head.split("\r\n").map(str::trim_end).collect();
            assert_eq!(
                lines,
                ["GET / HTTP/1.1", "A: b", "Upgrade:websocket", "", ""]
            );
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for head in [
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade: websockets, foo\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n",
            "GET / HTTP/1.1\r\nX-Upgrade: websocket, foo\r\n\r\n",
            "GET / HTTP/1.1\r\nUpgrade: websocket, foo\r\n",
            "POST / HTTP/1.1\r\nA: b\r\n\r\nUpgrade: websocket, foo\r\n",
            "",
        ] {
            assert_eq!(rewritten(head), head);
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(mut bytes in "([uU]pgrade:|websocket|,|\r\n| |x)*") {
            bytes.push_str("\r\n\r\n");
            let _ = rewritten(&bytes);
        }
    }
}
