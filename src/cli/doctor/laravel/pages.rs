//! What Vite builds into the pages.

use super::facts::{Driver, Relay};
use crate::doctor::Finding;

/// What Vite builds into the pages.
pub(super) fn pages(driver: &Driver<'_>, relay: &Relay) -> Vec<Finding> {
    let mut findings: Vec<Finding> = leak(driver).into_iter().collect();
    let parts = ["APP_KEY", "HOST", "PORT", "SCHEME"];
    let is_used = parts.iter().any(|part| driver.of_pages(part).is_some());
    let name = |part: &str| driver.name_of(part);
    if !is_used {
        findings.push(Finding::warn(
            "laravel.pages",
            format!("no VITE_{} and the like are set: pages that Vite builds do not know the relay", name("APP_KEY")),
            format!("VITE_{0}=\"${{{0}}}\", and so for HOST, PORT and SCHEME, then build the pages again", name("APP_KEY")),
        ));
        return findings;
    }
    let mut differing = Vec::new();
    let mut absent = Vec::new();
    let place = relay.place.as_ref();
    let are_there = place.filter(|place| driver.pages_are_at(place));
    for part in parts {
        let usual = driver.of_pages_or_usual(part);
        let is_known = |own: &str| match &usual {
            Some(usual) => usual == own || are_there.is_some(),
            None => false,
        };
        match (driver.get(part), driver.of_pages(part)) {
            (Some(own), Some(pages)) if own != pages => differing.push(part),
            (Some(own), None) if !is_known(&own) => {
                absent.push(format!("VITE_{}", name(part)));
            }
            _ => {}
        }
    }
    if !absent.is_empty() {
        findings.push(Finding::warn(
            "laravel.pages",
            format!(
                "{} is not set: pages fall back to what Echo takes for granted",
                absent.join(", ")
            ),
            "set it to that of the project, and build the pages again",
        ));
    }
    if differing.contains(&"APP_KEY") {
        findings.push(Finding::error(
            "laravel.pages.key",
            format!("VITE_{0} is another key than {0}", name("APP_KEY")),
            "pages and backend must have the same app; build the pages again after it is corrected",
        ));
    }
    let places: Vec<String> = differing
        .iter()
        .filter(|part| **part != "APP_KEY")
        .map(|part| name(part))
        .collect();
    if let (Some(place), false) = (are_there, places.is_empty()) {
        let text =
            format!("pages connect to {place}, as clients do, and Laravel has a way of its own");
        findings.push(Finding::ok("laravel.pages.place", text));
    } else if !places.is_empty() {
        findings.push(Finding::warn(
            "laravel.pages.place",
            format!("pages have another {} than Laravel itself", places.join(", ")),
            "that is right where Laravel reaches the relay within its own network, and a mistake otherwise",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            "laravel.pages",
            "pages have the same key and place as Laravel itself",
        ));
    }
    findings
}

/// What everybody can read.
fn leak(driver: &Driver<'_>) -> Option<Finding> {
    let names = ["APP_SECRET", "SECRET"]
        .into_iter()
        .filter(|part| driver.of_pages(part).is_some());
    let leaks: Vec<String> = names
        .map(|part| format!("VITE_{}", driver.name_of(part)))
        .collect();
    let finding = || {
        Finding::error(
            "laravel.pages.secret",
            format!(
                "{} is built into the pages, where everybody can read it",
                leaks.join(", ")
            ),
            "remove it, and replace the secret: whoever has it can publish and join private channels",
        )
    };
    (!leaks.is_empty()).then(finding)
}
