//! Which addresses the doctor may connect to.

use std::net::{IpAddr, Ipv6Addr};

use crate::webhooks::is_public;

/// Which addresses it may connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Any: whoever asks could connect to it themselves.
    Anywhere,
    /// Any but those of the link, where clouds serve a machine's credentials to whoever asks on it.
    BeyondTheLink,
    /// Those of the public internet.
    Public,
}

impl Reach {
    /// Whether the address is one of them.
    pub fn has(self, address: IpAddr) -> bool {
        match self {
            Self::Anywhere => true,
            Self::BeyondTheLink => !is_of_the_link(address.to_canonical()),
            Self::Public => is_public(address),
        }
    }
}

fn is_of_the_link(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local() || is_metadata(address),
    }
}

/// Where EC2 has what stands at 169.254.169.254 otherwise: fd00:ec2::/32.
fn is_metadata(address: Ipv6Addr) -> bool {
    address.segments()[..2] == [0xfd00, 0x0ec2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reaches_less_than_the_one_before() {
        for (address, beyond_the_link, public) in [
            ("203.0.113.7", true, false),
            ("1.1.1.1", true, true),
            ("2606:4700::1", true, true),
            ("127.0.0.1", true, false),
            ("10.0.0.1", true, false),
            ("169.254.169.254", false, false),
            ("::ffff:169.254.169.254", false, false),
            ("fe80::1", false, false),
            ("fd00:ec2::254", false, false),
        ] {
            let parsed: IpAddr = address.parse().unwrap();
            assert!(Reach::Anywhere.has(parsed), "{address}");
            assert_eq!(
                Reach::BeyondTheLink.has(parsed),
                beyond_the_link,
                "{address}"
            );
            assert_eq!(Reach::Public.has(parsed), public, "{address}");
        }
    }
}
