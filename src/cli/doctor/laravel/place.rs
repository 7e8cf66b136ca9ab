//! Host, scheme and port that Laravel publishes to.

use super::facts::{Driver, Relay};
use crate::doctor::{Finding, shown};

/// Host, scheme and port that Laravel publishes to.
pub(super) fn place(driver: &Driver<'_>, relay: &Relay) -> Vec<Finding> {
    let name = driver.name_of("HOST");
    let Some(host) = driver.get("HOST") else {
        let id = "laravel.host";
        let remedy = format!("{name}=ws.example.com, the relay's own name");
        return vec![match (driver.name, driver.get("APP_CLUSTER")) {
            ("pusher", Some(_)) => Finding::error(
                id,
                format!(
                    "PUSHER_APP_CLUSTER is set and {name} is not: Laravel publishes to pusher.com"
                ),
                remedy,
            ),
            _ => Finding::error(
                id,
                format!("{name} is not set: Laravel does not know where the relay is"),
                remedy,
            ),
        }];
    };
    let mut findings = vec![judge_host(&name, &host)];
    let scheme = driver.get("SCHEME").unwrap_or_else(|| "https".to_owned());
    let port = driver.get("PORT").unwrap_or_else(|| "443".to_owned());
    let Some(place) = &relay.place else {
        findings.push(judge_port(driver, &scheme, &port));
        return findings;
    };
    let its = format!("{}://{}:{}", shown(&scheme), shown(&host), shown(&port));
    if place.is_at(&scheme, &host, &port) {
        // Whether TLS is spoken there is looked at.
        findings.push(Finding::ok("laravel.scheme", said(driver, &scheme, &port)));
        let text = format!("Laravel publishes to {place}, as clients connect to it");
        findings.push(Finding::ok("laravel.place", text));
        return findings;
    }
    findings.push(judge_port(driver, &scheme, &port));
    findings.push(if driver.pages_are_at(place) {
        Finding::ok(
            "laravel.place",
            format!("Laravel publishes to {its}, by a way of its own, at which nothing is looked at; pages connect to {place}"),
        )
    } else {
        Finding::warn(
            "laravel.place",
            format!("Laravel publishes to {its}, and clients are said to connect to {place}"),
            "both must be the same relay, or nodes of one cluster; within one network the addresses may well differ",
        )
    });
    findings
}

fn judge_host(name: &str, host: &str) -> Finding {
    const ID: &str = "laravel.host";
    let its = shown(host);
    if host.contains("://") {
        return Finding::error(
            ID,
            format!("{name} is {its}, with a scheme in it"),
            format!(
                "the name alone, as in {name}=ws.example.com; the scheme has a variable of its own"
            ),
        );
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if matches!(bare, "0.0.0.0" | "::" | "0") {
        return Finding::error(
            ID,
            format!("{name} is {its}, an address to listen at, which nobody can connect to"),
            format!(
                "{name} is where Laravel and pages find the relay: its public name, or 127.0.0.1 on the same machine"
            ),
        );
    }
    let has_port = host.rsplit_once(':').is_some_and(|(before, port)| {
        !before.contains(':') && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    if has_port || host.contains('/') {
        return Finding::error(
            ID,
            format!("{name} is {its}, which is more than a host"),
            "the name alone; the port has a variable of its own, and a path is set as `path` in config/broadcasting.php",
        );
    }
    Finding::ok(ID, format!("{name} is {its}"))
}

fn said(driver: &Driver<'_>, scheme: &str, port: &str) -> String {
    let (scheme_name, port_name) = (driver.name_of("SCHEME"), driver.name_of("PORT"));
    format!(
        "{scheme_name} is {}, {port_name} is {}",
        shown(scheme),
        shown(port)
    )
}

fn judge_port(driver: &Driver<'_>, scheme: &str, port: &str) -> Finding {
    const ID: &str = "laravel.scheme";
    let text = said(driver, scheme, port);
    let number: Option<u16> = port.parse().ok();
    match (scheme, number) {
        (_, None | Some(0)) => Finding::error(ID, text, "the port is a number from 1 to 65535"),
        ("http", Some(443)) => Finding::error(ID, text, "443 speaks TLS: https"),
        ("https", Some(80)) => Finding::error(ID, text, "80 speaks no TLS: port 443, or http"),
        ("https", Some(6001 | 8000 | 8080)) => Finding::warn(
            ID,
            text,
            "that port mostly speaks no TLS: http for the relay itself, or https with 443 for a proxy in front of it",
        ),
        ("http" | "https", Some(_)) => Finding::ok(ID, text),
        _ => Finding::error(ID, text, "the scheme is http or https, for WebSockets, too"),
    }
}
