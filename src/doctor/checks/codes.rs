//! What to do about the codes with which a relay refuses clients, or closes their connections.

/// What helps against a code, with which these words came. They are the relay's, which names the key of a limit in them.
pub(in crate::doctor) fn remedy(code: u64, words: &str) -> &'static str {
    match code {
        1001 | 4200..=4299 => {
            "it asks clients to connect again, as it does when it is stopped: ask once more when it, or another node, is there"
        }
        1000..=1015 => {
            "something on the way changes what is sent over WebSockets: look for proxies and filters that look into them"
        }
        4001 => "give clients the key of an app that this relay has, or the relay that app",
        4003 => {
            "set enabled = true in the app's block, or where else it is kept: in the database of apps (the console has a switch)"
        }
        4004 => {
            "raise max_connections in the app's limits (0: no limit), or find out what keeps so many connections: \
             fanfare_connections has their number, the console has each of them"
        }
        4006..=4008 => {
            "the version of the protocol is in the query of the URL (?protocol=7): have every proxy pass the query on as it \
             is. (nginx: proxy_pass without a URI behind host and port)"
        }
        4009 => {
            "what authorises clients is the app's: its secret, allowed_origins, authorized_connections_timeout. An operator may \
             have ended the connection, too"
        }
        4100..=4199 => no_room(words),
        4000..=4099 => {
            "clients do not come back after this code: correct what its words name, in the app's settings or in what clients \
             connect with"
        }
        _ => {
            "this is no code of Fanfare's: see what it is that answers at this address, another relay or a proxy"
        }
    }
}

/// What helps a relay that has no room for a client.
fn no_room(words: &str) -> &'static str {
    const CAUSES: [(&str, &str); 6] = [
        (
            "_per_address",
            "behind a proxy all clients have its address until server.trusted_proxies names it: set that first. Where they \
             really share one (an office, a phone network), raise the limit that is named; 0 takes it away",
        ),
        (
            "memory_bytes",
            "give the relay more memory and raise server.memory_bytes; it takes clients again once a twentieth of it is free",
        ),
        (
            "max_connections",
            "raise server.max_connections (0: as many as the limit on open files leaves room for), or put more nodes behind \
             the load balancer",
        ),
        (
            "database of apps",
            "start the database that apps_database.url names, or correct the URL: /ready and the log have what is wrong with it. \
             Clients come back by themselves",
        ),
        (
            "going away",
            "the relay is being stopped: ask once more when it, or another node, is there",
        ),
        (
            "outbox_bytes",
            "the way to this machine is slower than what the app's channels send: see to that, or raise outbox_bytes",
        ),
    ];
    let cause = CAUSES.iter().find(|(sign, _)| words.contains(sign));
    cause.map_or(
        "the relay has no room at the moment: its words name what is used up, and fanfare_connections_refused_total counts it. \
         Clients come back by themselves",
        |(_, remedy)| remedy,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::CloseCode;

    #[test]
    fn each_code_has_a_remedy_that_needs_no_other_page() {
        let known = CloseCode::ALL.map(|code| u64::from(code.code()));
        for code in known
            .into_iter()
            .chain([0, 1006, 4002, 4050, 4150, 4250, 9999])
        {
            let remedy = remedy(code, "");
            assert!(remedy.len() > 40 && !remedy.contains("docs/"), "{code}");
        }
        assert!(remedy(4008, "").contains("proxy_pass"));
        assert!(remedy(4004, "").contains("max_connections"));
    }

    #[test]
    fn what_is_used_up_is_named() {
        for (words, expected) in [
            ("(server.connections_per_address)", "trusted_proxies"),
            ("(server.new_connections_per_address)", "trusted_proxies"),
            ("(server.memory_bytes)", "memory"),
            ("(server.max_connections)", "nodes"),
            ("the database of apps cannot be read", "apps_database.url"),
            ("the relay is going away", "stopped"),
            ("something else", "fanfare_connections_refused_total"),
        ] {
            let remedy = remedy(4100, words);
            assert!(remedy.contains(expected), "{words}: {remedy}");
        }
    }
}
