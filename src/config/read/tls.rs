//! TLS in the relay itself.

use crate::config::keys::{ACME, CERTIFICATE};
use crate::config::section::Section;
use crate::config::settings::Tls;
use crate::config::{Address, ConfigError};
use crate::tls::{Minimum, Name, Pair, Setting};

use super::acme::acme;
use super::{ADDRESS, WAIT};

const SERVED: &str =
    "where the certificate of tls.acme.domains is served: host:port, such as 0.0.0.0:443";
const FILE: &str = "the path of a file in PEM";
const NAMES: &str = "names of hosts, such as [\"ws.example.com\", \"*.example.com\"]";
const TABLES: &str = "tables of certificate and key: [[tls.certificates]]";

pub(in crate::config) fn tls(section: &Section<'_>) -> Result<Tls, ConfigError> {
    let default = Tls::default();
    let expected = format!("{ADDRESS}, or nothing to turn it off");
    let listen = section.text("listen", &expected, |text| match text {
        "" => Some(None),
        text => text.parse::<Address>().ok().map(Some),
    })?;
    let listen = listen.unwrap_or(default.listen);
    let minimum = section.text("minimum", "`1.2` or `1.3`", |text| match text {
        "1.2" => Some(Minimum::Tls12),
        "1.3" => Some(Minimum::Tls13),
        _ => None,
    })?;
    let mut pairs = Vec::new();
    if is_given(section, "certificate")? || is_given(section, "key")? {
        pairs.push(pair(section, Vec::new())?);
    }
    for more in section.children("certificates", CERTIFICATE, TABLES)? {
        let names = more.texts("names", NAMES, |text| Name::parse(text).is_some())?;
        let names = names.into_iter().filter_map(Name::parse).collect();
        pairs.push(pair(&more, names)?);
    }
    let acme = acme(&section.child("acme", ACME)?)?;
    match (&listen, &acme) {
        (Some(_), None) if pairs.is_empty() => return Err(section.missing("certificate", FILE)),
        (None, Some(_)) => return Err(section.missing("listen", SERVED)),
        _ => {}
    }
    Ok(Tls {
        listen,
        pairs,
        proxy_protocol: section.switch("proxy_protocol", default.proxy_protocol)?,
        http2: section.switch("http2", default.http2)?,
        acme,
        minimum: minimum.unwrap_or(default.minimum),
        handshake_timeout: section.seconds("handshake_timeout", default.handshake_timeout, WAIT)?,
    })
}

/// Whether a path is given; an empty text stands for none.
fn is_given(section: &Section<'_>, key: &str) -> Result<bool, ConfigError> {
    let given = section.text(key, FILE, |text| Some(!text.is_empty()))?;
    Ok(given.unwrap_or(false))
}

fn pair(section: &Section<'_>, names: Vec<Name>) -> Result<Pair, ConfigError> {
    let setting = |key: &str| {
        let path = section.required(key, FILE, |text| (!text.is_empty()).then(|| text.into()))?;
        let key = section.place(key).key;
        Ok(Setting { key, path })
    };
    Ok(Pair {
        certificate: setting("certificate")?,
        key: setting("key")?,
        names,
    })
}
