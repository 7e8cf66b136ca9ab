//! The header of the PROXY protocol, with which a proxy begins a connection to say for whom it is.
//!
//! Source: HAProxy, "The PROXY protocol", versions 1 and 2.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str;

/// Bytes of a header of version 1 at most, with its end.
const LONGEST_V1: usize = 107;
/// Bytes of a header of version 2 at most: addresses, and more extensions than proxies add.
pub(super) const LONGEST_V2: usize = 4096;
/// What version 1 begins with.
const V1: &[u8] = b"PROXY ";
/// What version 2 begins with.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of version 2 before the addresses.
const V2_HEAD: usize = 16;

/// A header that came whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of it.
    pub length: usize,
    /// The client, or None: the proxy speaks for itself, or does not know.
    pub client: Option<SocketAddr>,
}

/// What comes is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// Reads a header from the beginning of what has come. None: more is to come, or nothing has.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    if begins(bytes, V1) {
        parse_v1(bytes)
    } else if begins(bytes, V2) {
        parse_v2(bytes)
    } else {
        Err(Malformed)
    }
}

/// Whether bytes begin with what a header begins with, as far as they go.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    let common = bytes.len().min(with.len());
    bytes[..common] == with[..common]
}

fn parse_v1(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let line = &bytes[..bytes.len().min(LONGEST_V1)];
    let Some(end) = memchr::memchr(b'\n', line) else {
        return if line.len() < LONGEST_V1 {
            Ok(None)
        } else {
            Err(Malformed)
        };
    };
    let text = line[..end].strip_suffix(b"\r").ok_or(Malformed)?;
    let text = str::from_utf8(text).map_err(|_| Malformed)?;
    let text = text.strip_prefix("PROXY ").ok_or(Malformed)?;
    Ok(Some(Header {
        length: end + 1,
        client: v1_client(text)?,
    }))
}

fn v1_client(text: &str) -> Result<Option<SocketAddr>, Malformed> {
    // Whatever follows that is to be ignored.
    if text == "UNKNOWN" || text.starts_with("UNKNOWN ") {
        return Ok(None);
    }
    let mut words = text.split(' ');
    let mut word = || words.next().ok_or(Malformed);
    let family = word()?;
    let (source, destination) = (word()?, word()?);
    let (source_port, destination_port) = (word()?, word()?);
    let address = |text: &str| -> Result<IpAddr, Malformed> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::V6),
            _ => return Err(Malformed),
        }
        .map_err(|_| Malformed)
    };
    let (source, _) = (address(source)?, address(destination)?);
    let (port, _) = (port(source_port)?, port(destination_port)?);
    if words.next().is_some() {
        return Err(Malformed);
    }
    Ok(Some(SocketAddr::new(source, port)))
}

fn port(text: &str) -> Result<u16, Malformed> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Malformed);
    }
    text.parse().map_err(|_| Malformed)
}

fn parse_v2(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    let Some((head, rest)) = bytes.split_first_chunk::<V2_HEAD>() else {
        return Ok(None);
    };
    let (command, family) = (head[12], head[13]);
    let announced = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if V2_HEAD + announced > LONGEST_V2 {
        return Err(Malformed);
    }
    let speaks_for_itself = match command {
        0x20 => true,
        0x21 => false,
        _ => return Err(Malformed),
    };
    let Some(addresses) = rest.get(..announced) else {
        return Ok(None);
    };
    let client = if speaks_for_itself {
        None
    } else {
        v2_client(family, addresses)?
    };
    Ok(Some(Header {
        length: V2_HEAD + announced,
        client,
    }))
}

/// The first of two addresses, whose ports follow both.
fn v2_client(family: u8, addresses: &[u8]) -> Result<Option<SocketAddr>, Malformed> {
    match family {
        // Not known, or of a Unix socket.
        0x00 => Ok(None),
        0x31 | 0x32 if addresses.len() >= 216 => Ok(None),
        0x11 | 0x12 => {
            let (ends, _) = addresses.split_first_chunk::<12>().ok_or(Malformed)?;
            let [a, b, c, d, _, _, _, _, high, low, ..] = *ends;
            let port = u16::from_be_bytes([high, low]);
            Ok(Some(SocketAddr::from(([a, b, c, d], port))))
        }
        0x21 | 0x22 => {
            let (ends, _) = addresses.split_first_chunk::<36>().ok_or(Malformed)?;
            let (address, _) = ends.split_first_chunk::<16>().ok_or(Malformed)?;
            let port = u16::from_be_bytes([ends[32], ends[33]]);
            Ok(Some(SocketAddr::from((*address, port))))
        }
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v1(client: SocketAddr) -> Vec<u8> {
        let (family, to) = match client {
            SocketAddr::V4(_) => ("TCP4", "192.0.2.1"),
            SocketAddr::V6(_) => ("TCP6", "2001:db8::1"),
        };
        let (address, port) = (client.ip(), client.port());
        format!("PROXY {family} {address} {to} {port} 443\r\n").into_bytes()
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = V2.to_vec();
        header.extend([command, family]);
        header.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
        header.extend(rest);
        header
    }

    fn v2_of(client: SocketAddr, extensions: &[u8]) -> Vec<u8> {
        let mut rest = Vec::new();
        let family = match client.ip() {
            IpAddr::V4(address) => {
                rest.extend(address.octets());
                rest.extend([192, 0, 2, 1]);
                0x11
            }
            IpAddr::V6(address) => {
                rest.extend(address.octets());
                rest.extend([0; 16]);
                0x21
            }
        };
        rest.extend(client.port().to_be_bytes());
        rest.extend(443_u16.to_be_bytes());
        rest.extend(extensions);
        v2(0x21, family, &rest)
    }

    fn client(bytes: &[u8]) -> Result<Option<Option<SocketAddr>>, Malformed> {
        Ok(parse(bytes)?.map(|header| header.client))
    }

    #[test]
    fn version_1_names_a_client_or_nobody() {
        let named = |text: &str| client(text.as_bytes());
        let address = "1.2.3.4:5678".parse().ok();
        assert_eq!(
            named("PROXY TCP4 1.2.3.4 5.6.7.8 5678 80\r\n"),
            Ok(Some(address))
        );
        let address = "[2001:db8::1]:1".parse().ok();
        assert_eq!(
            named("PROXY TCP6 2001:db8::1 ::1 1 2\r\nGET"),
            Ok(Some(address))
        );
        assert_eq!(named("PROXY UNKNOWN\r\n"), Ok(Some(None)));
        assert_eq!(named("PROXY UNKNOWN ::1 whatever\r\n"), Ok(Some(None)));
    }

    #[test]
    fn version_2_names_a_client_or_nobody() {
        let address = "1.2.3.4:5678".parse().unwrap();
        assert_eq!(client(&v2_of(address, b"")), Ok(Some(Some(address))));
        assert_eq!(client(&v2(0x20, 0, b"")), Ok(Some(None)));
        assert_eq!(client(&v2(0x20, 0xff, b"whatever")), Ok(Some(None)));
        assert_eq!(client(&v2(0x21, 0, b"whatever")), Ok(Some(None)));
        assert_eq!(client(&v2(0x21, 0x31, &[0; 216])), Ok(Some(None)));
    }

    #[test]
    fn anything_else_is_refused_as_soon_as_it_shows() {
        for text in [
            "G",
            "PROXY\r\n",
            "PROXY \r\n",
            "PROXY UNKNOWN\n",
            "PROXY UNKNOWNS\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 5678\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 5678 80 1\r\n",
            "PROXY TCP4 1.2.3.4  5.6.7.8 5678 80\r\n",
            "PROXY TCP4 ::1 ::1 5678 80\r\n",
            "PROXY TCP6 1.2.3.4 5.6.7.8 5678 80\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 65536 80\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 +1 80\r\n",
            "PROXY UDP4 1.2.3.4 5.6.7.8 1 80\r\n",
            "proxy UNKNOWN\r\n",
            "\r\n\r\nGET",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(Malformed), "{text:?}");
        }
        for (command, family, length) in [
            (0x11, 0x11, 12),
            (0x22, 0x11, 12),
            (0x21, 0x11, 11),
            (0x21, 0x21, 35),
            (0x21, 0x31, 215),
            (0x21, 0x41, 300),
            (0x21, 0x13, 300),
            (0x21, 0x01, 300),
            (0x20, 0x00, LONGEST_V2 - V2_HEAD + 1),
        ] {
            let header = v2(command, family, &vec![0; length]);
            assert_eq!(
                parse(&header),
                Err(Malformed),
                "{command:x} {family:x} {length}"
            );
        }
    }

    #[test]
    fn headers_without_end_are_refused() {
        let endless = format!("PROXY UNKNOWN {}", "x".repeat(LONGEST_V1));
        let refused_at = (1..endless.len()).find(|end| parse(&endless.as_bytes()[..*end]).is_err());
        assert_eq!(refused_at, Some(LONGEST_V1));
        // It is refused before its bytes have come.
        let mut announced = v2(0x21, 0x11, b"");
        announced[14..16].copy_from_slice(&u16::MAX.to_be_bytes());
        assert_eq!(parse(&announced), Err(Malformed));
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_refused(
            start in prop_oneof![Just(&b""[..]), Just(V1), Just(V2), Just(&b"PROXY TCP4 "[..])],
            bytes: Vec<u8>,
        ) {
            let bytes = [start, &bytes].concat();
            if let Ok(Some(header)) = parse(&bytes) {
                prop_assert!(header.length <= bytes.len());
                // What follows it is nothing to it.
                prop_assert_eq!(parse(&bytes[..header.length]), Ok(Some(header)));
            }
        }

        #[test]
        fn own_headers_are_read_when_they_are_there_whole(
            client: SocketAddr,
            extensions in proptest::collection::vec(any::<u8>(), 0..64),
            follows: Vec<u8>,
        ) {
            let client = SocketAddr::new(client.ip(), client.port());
            for header in [v1(client), v2_of(client, &extensions)] {
                for end in 0..header.len() {
                    prop_assert_eq!(parse(&header[..end]), Ok(None));
                }
                let expected = Header { length: header.len(), client: Some(client) };
                let all = [&header[..], &follows].concat();
                prop_assert_eq!(parse(&all), Ok(Some(expected)));
            }
        }
    }
}
