//! Names and addresses.

use std::net::IpAddr;
use std::time::Duration;

use super::super::finding::{Finding, shown};

/// What a host name stands for.
pub(in crate::doctor) fn name(host: &str, found: &Result<Vec<IpAddr>, String>) -> Finding {
    const ID: &str = "dns";
    match found {
        Ok(_) if host.parse::<IpAddr>().is_ok() => Finding::ok(
            ID,
            format!("{host} is an address, and no name is looked up"),
        ),
        Ok(addresses) if !addresses.is_empty() => {
            let list: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            Finding::ok(ID, format!("{host} is {}", list.join(", ")))
        }
        Ok(_) => Finding::error(
            ID,
            format!("{host} has no address"),
            "add an A or AAAA record for it, or correct the host",
        ),
        Err(reason) => Finding::error(
            ID,
            format!("{host} cannot be looked up: {}", shown(reason)),
            "correct the host, or add a record for it; a new record may take a while until it is known everywhere",
        ),
    }
}

/// A host of which nothing may be connected to from here.
pub(in crate::doctor) fn out_of_reach(host: &str) -> Finding {
    Finding::error(
        "reach",
        format!("{host} has no address that the relay connects to for whoever asks it"),
        "ask from a machine of yours: `fanfare doctor --url …`. The relay looks at no link-local address, and with \
         webhooks.private_addresses = false at public ones alone",
    )
}

/// What connecting to each address took, or why it failed.
pub(in crate::doctor) fn connections(
    port: u16,
    tried: &[(IpAddr, Result<Duration, String>)],
) -> Finding {
    const ID: &str = "tcp";
    let failed: Vec<String> = tried
        .iter()
        .filter_map(|(address, result)| {
            let reason = result.as_ref().err()?;
            Some(format!("{address}: {}", shown(reason)))
        })
        .collect();
    let fastest = tried.iter().filter_map(|(_, result)| result.as_ref().ok());
    match (fastest.min(), &failed[..]) {
        (None, _) => Finding::error(
            ID,
            format!("nothing answers at port {port} ({})", failed.join("; ")),
            "start the relay or the proxy there, bind it to an address that is reached from outside, and let the port through \
             firewalls",
        ),
        (Some(took), []) => Finding::ok(
            ID,
            format!(
                "port {port} answers at each address, after {} ms at best",
                took.as_millis()
            ),
        ),
        (Some(_), failed) => Finding::warn(
            ID,
            format!(
                "port {port} does not answer at every address ({})",
                failed.join("; ")
            ),
            "clients that try such an address first wait or fail: serve it there, too, or take the address out of the name's \
             records",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Level;
    use super::*;

    #[test]
    fn a_name_needs_an_address() {
        let level = |found: Result<Vec<IpAddr>, String>| name("h", &found).level;
        assert_eq!(level(Ok(vec!["::1".parse().unwrap()])), Level::Ok);
        assert_eq!(level(Ok(Vec::new())), Level::Error);
        assert_eq!(level(Err("no such name".into())), Level::Error);
    }

    #[test]
    fn one_address_that_does_not_answer_is_half_as_bad() {
        let (good, bad) = (Ok(Duration::from_millis(3)), Err("refused".to_owned()));
        let address: IpAddr = "::1".parse().unwrap();
        let level = |results: &[&Result<Duration, String>]| {
            let tried = results.iter().map(|result| (address, (*result).clone()));
            connections(1, &tried.collect::<Vec<_>>()).level
        };
        assert_eq!(level(&[&good, &good]), Level::Ok);
        assert_eq!(level(&[&good, &bad]), Level::Warn);
        assert_eq!(level(&[&bad, &bad]), Level::Error);
    }
}
