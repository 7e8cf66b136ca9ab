//! A certificate that an authority issues.

use std::path::PathBuf;

use super::super::ConfigError;
use super::super::section::{Listed, Section};
use crate::acme::{Challenge, LETS_ENCRYPT, MOST_DOMAINS, Secret, Settings};
use crate::tls::Name;

const DOMAINS: &str =
    "names of hosts such as [\"ws.example.com\"], without wildcards, each once, 100 at most";
const CONTACT: &str = "an address such as mailto:ops@example.com, or nothing";
const DIRECTORY: &str = "a URL that begins with https://";
const CHALLENGE: &str = "`tls-alpn-01` or `http-01`";
const CLUSTER_SECRET: &str = "a text of 32 characters or more that nobody can guess, such as `openssl rand -hex 32` \
                              prints, or nothing";
const SHORTEST_SECRET: usize = 32;
const CERTIFICATES: &str = "the path of a PEM file, or nothing";

/// What is ordered; `None` if no name is given.
pub(in crate::config) fn acme(section: &Section<'_>) -> Result<Option<Settings>, ConfigError> {
    let domains = domains(section)?;
    let contact = section.text("contact", CONTACT, |text| match text {
        "" => Some(None),
        text => is_contact(text).then(|| Some(text.into())),
    })?;
    let directory = section.text("directory", DIRECTORY, |text| {
        is_directory(text).then(|| text.into())
    })?;
    let challenge = section.text("challenge", CHALLENGE, |text| match text {
        "tls-alpn-01" => Some(Challenge::TlsAlpn01),
        "http-01" => Some(Challenge::Http01),
        _ => None,
    })?;
    let certificates = section.text("ca_certificates", CERTIFICATES, |text| {
        Some(text.to_owned())
    })?;
    let cluster_secret = cluster_secret(section)?;
    if domains.is_empty() {
        return Ok(None);
    }
    Ok(Some(Settings {
        domains,
        contact: contact.flatten(),
        directory: directory.unwrap_or_else(|| LETS_ENCRYPT.into()),
        challenge: challenge.unwrap_or_default(),
        ca_certificates: certificates
            .filter(|path| !path.is_empty())
            .map(PathBuf::from),
        cluster_secret,
    }))
}

fn cluster_secret(section: &Section<'_>) -> Result<Option<Secret>, ConfigError> {
    const KEY: &str = "cluster_secret";
    if !section.has(KEY) {
        return Ok(None);
    }
    let fits = |text: &str| text.is_empty() || text.chars().count() >= SHORTEST_SECRET;
    let text = section.secret(KEY, CLUSTER_SECRET, fits)?;
    Ok((!text.is_empty()).then(|| Secret::new(&text)))
}

/// A list in the file, commas between them in a variable.
fn domains(section: &Section<'_>) -> Result<Vec<Name>, ConfigError> {
    const KEY: &str = "domains";
    let given = match section.secret_list(KEY, DOMAINS, |text| domain(text).is_some())? {
        None | Some(Listed::One("")) => Vec::new(),
        Some(Listed::One(one)) => vec![one],
        Some(Listed::Many(many)) => many,
    };
    let mut domains = Vec::new();
    for text in given {
        match domain(text).filter(|name| !domains.contains(name)) {
            Some(name) if domains.len() < MOST_DOMAINS => domains.push(name),
            _ => return Err(section.invalid(KEY, DOMAINS, format!("{text:?}"))),
        }
    }
    Ok(domains)
}

/// Authorities issue for what can be looked up by everybody: a name with a dot in it, and no number at its end.
fn domain(text: &str) -> Option<Name> {
    let name = Name::parse(text)?;
    let (_, last) = name.as_str().rsplit_once('.')?;
    let is_address = last.bytes().all(|byte| byte.is_ascii_digit());
    let fits = !name.is_wildcard() && !is_address && !text.contains('_');
    fits.then_some(name)
}

fn is_contact(text: &str) -> bool {
    let address = text.strip_prefix("mailto:");
    let parts = address.and_then(|address| address.split_once('@'));
    let fits = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b",?@".contains(&byte))
    };
    parts.is_some_and(|(user, host)| fits(user) && fits(host))
}

fn is_directory(text: &str) -> bool {
    let url = url::Url::parse(text);
    url.is_ok_and(|url| {
        url.scheme() == "https" && url.host().is_some() && url.username().is_empty()
    })
}
