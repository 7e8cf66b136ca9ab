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

/// What came of connecting to an address.
#[derive(Clone, Debug)]
pub(in crate::doctor) enum Tried {
    /// Somebody answers, after so long.
    Answered(Duration),
    /// Nobody does.
    Failed(String),
    /// This machine has no way to it, as to IPv6 where it has none: nothing is known of the other side.
    NoRoute,
}

impl Tried {
    pub(in crate::doctor) fn is_answered(&self) -> bool {
        matches!(self, Self::Answered(_))
    }
}

/// What connecting to each address took, or why it failed.
pub(in crate::doctor) fn connections(port: u16, tried: &[(IpAddr, Tried)]) -> Finding {
    const ID: &str = "tcp";
    let times = tried.iter().filter_map(|(_, tried)| match tried {
        Tried::Answered(took) => Some(took.as_millis()),
        _ => None,
    });
    let fastest = times.min();
    let (mut failed, mut aside) = (Vec::new(), Vec::new());
    for (address, result) in tried {
        match result {
            Tried::Answered(_) => {}
            Tried::NoRoute => aside.push(format!(
                "{address} is not looked at from here, as this machine has no route to it"
            )),
            // localhost is ::1, too, and refuses at once what listens at 127.0.0.1 alone.
            Tried::Failed(_) if address.is_loopback() && fastest.is_some() => {
                aside.push(format!("{address} refuses, which clients here pass over"));
            }
            Tried::Failed(reason) => failed.push(format!("{address}: {}", shown(reason))),
        }
    }
    let failures = failed.join("; ");
    let with_asides = |text: String| {
        let parts: Vec<String> = [text].into_iter().chain(aside.clone()).collect();
        parts.join("; ")
    };
    match fastest {
        None if failed.is_empty() => Finding::error(
            ID,
            aside.join("; "),
            "ask from a machine that has one: this one may lack a network, or IPv4 or IPv6",
        ),
        None => Finding::error(
            ID,
            with_asides(format!("nothing answers at port {port} ({failures})")),
            "start the relay or the proxy there, bind it to an address that is reached from outside, and let the port through \
             firewalls",
        ),
        Some(took) if failed.is_empty() => {
            let each = if aside.is_empty() {
                "each"
            } else {
                "each other"
            };
            Finding::ok(
                ID,
                with_asides(format!(
                    "port {port} answers at {each} address, after {took} ms at best"
                )),
            )
        }
        Some(_) => Finding::warn(
            ID,
            with_asides(format!(
                "port {port} does not answer at every address ({failures})"
            )),
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

    fn level(results: &[&Tried]) -> Level {
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let tried = results.iter().map(|result| (address, (*result).clone()));
        connections(1, &tried.collect::<Vec<_>>()).level
    }

    #[test]
    fn one_address_that_does_not_answer_is_half_as_bad() {
        let good = Tried::Answered(Duration::from_millis(3));
        let bad = Tried::Failed("refused".to_owned());
        assert_eq!(level(&[&good, &good]), Level::Ok);
        assert_eq!(level(&[&good, &bad]), Level::Warn);
        assert_eq!(level(&[&bad, &bad]), Level::Error);
    }

    #[test]
    fn an_address_that_this_machine_has_no_way_to_is_no_fault_of_the_relay_s() {
        let good = Tried::Answered(Duration::from_millis(3));
        let (bad, unseen) = (Tried::Failed("refused".to_owned()), Tried::NoRoute);
        assert_eq!(level(&[&good, &unseen]), Level::Ok);
        assert_eq!(level(&[&good, &unseen, &bad]), Level::Warn);
        assert_eq!(level(&[&bad, &unseen]), Level::Error);
        assert_eq!(level(&[&unseen]), Level::Error);
        let there: IpAddr = "192.0.2.1".parse().unwrap();
        let there_not: IpAddr = "2001:db8::1".parse().unwrap();
        let found = connections(1, &[(there, good), (there_not, unseen)]);
        assert!(found.text.contains("not looked at from here"), "{found:?}");
        assert!(found.text.contains("2001:db8::1"), "{found:?}");
    }

    #[test]
    fn localhost_may_be_one_of_its_addresses_only() {
        let good = Tried::Answered(Duration::from_millis(3));
        let bad = Tried::Failed("refused".to_owned());
        let own = ["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()];
        let level = |first: &Tried, second: &Tried| {
            let tried = own.into_iter().zip([first.clone(), second.clone()]);
            connections(1, &tried.collect::<Vec<_>>()).level
        };
        assert_eq!(level(&good, &bad), Level::Ok);
        assert_eq!(level(&bad, &bad), Level::Error);
    }
}
