//! What the name of a variable means: a key, nothing, or a mistake.
//!
//! A name that is ignored leaves a default where something else was meant. So every name that
//! begins like the relay's own and resembles one is refused with the right one. What platforms
//! add on their own is left alone, and so is what resembles nothing.

use super::file::FILE_VARIABLE;
use super::keys::{APP, LIMITS, SINGLE, nearest};
use super::{ConfigError, Origin};

/// What commands show to the admin listener of a relay; the relay's own is `FANFARE_ADMIN__TOKEN`.
pub const TOKEN_VARIABLE: &str = "FANFARE_ADMIN_TOKEN";

/// Begins the name of every variable that sets a key: `FANFARE_SERVER__LISTEN` is
/// `server.listen`.
const PREFIX: &str = "FANFARE_";

/// What other servers call the address to listen on.
const ADDRESSES: &[&str] = &[
    "HOST",
    "PORT",
    "ADDRESS",
    "ADDR",
    "BIND",
    "SERVERHOST",
    "SERVERPORT",
];

/// Keys whose names say too little: others may well use them for programs beside the relay.
const VAGUE: &[&str] = &[
    "url", "app", "enabled", "prefix", "key", "minimum", "schema", "table",
];

/// The key that a variable sets, if it sets any.
pub(super) fn key_of(name: &str, value: &str) -> Result<Option<String>, ConfigError> {
    let upper = name.to_ascii_uppercase();
    let Some(rest) = upper.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    let key = rest.replace("__", ".").to_ascii_lowercase();
    if variables().any(|known| known == name) {
        return Ok(Some(key));
    }
    if name == FILE_VARIABLE || name == TOKEN_VARIABLE || is_of_platform(name, value) {
        return Ok(None);
    }
    match right_name(&upper, rest) {
        Some(hint) => Err(ConfigError::UnknownKey {
            origin: Origin::Variable(name.into()),
            key,
            hint,
        }),
        None => Ok(None),
    }
}

/// Whether Kubernetes, or Docker with `--link`, makes such a variable for a service that is
/// called `fanfare`, `fanfare-admin` or the like: `…_SERVICE_HOST`, `…_SERVICE_PORT`,
/// `…_SERVICE_PORT_HTTP`, `…_PORT`, `…_PORT_6001_TCP`, `…_PORT_6001_TCP_ADDR`.
fn is_of_platform(name: &str, value: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_url)
        || name.split("_PORT_").skip(1).any(is_port_and_protocol)
}

fn is_port_and_protocol(text: &str) -> bool {
    let mut words = text.split('_');
    let port = words.next().unwrap_or_default();
    let protocol = words.next().unwrap_or_default();
    !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && ["TCP", "UDP", "SCTP"].contains(&protocol)
}

/// What was meant by a name in upper case, of which `rest` stands behind the prefix; None if it
/// resembles nothing.
fn right_name(name: &str, rest: &str) -> Option<String> {
    let plain = squashed(rest);
    let known: Vec<String> = variables().collect();
    let with_prefix = format!("FANFARE{plain}");
    if let Some(same) = known.iter().find(|known| squashed(known) == with_prefix) {
        return Some(did_you_mean(&[same]));
    }
    if name == FILE_VARIABLE {
        return Some(did_you_mean(&[FILE_VARIABLE]));
    }
    if let Some(variable) = credential(&plain) {
        return Some(did_you_mean(&[variable]));
    }
    if ADDRESSES.contains(&&*plain) {
        return Some("did you mean `FANFARE_SERVER__LISTEN`, a host and a port?".into());
    }
    let vague = VAGUE.contains(&&*plain.to_lowercase());
    let of_key: Vec<&str> = known
        .iter()
        .filter(|known| last_part(known) == plain && !vague)
        .map(String::as_str)
        .collect();
    if !of_key.is_empty() {
        return Some(did_you_mean(&of_key));
    }
    if let Some(hint) = of_an_app(rest) {
        return Some(hint);
    }
    if let Some(near) = nearest(name, known.iter().map(String::as_str)) {
        return Some(did_you_mean(&[near]));
    }
    let slip_of_key = |known: &&String| nearest(&plain, [&*last_part(known)].into_iter()).is_some();
    if let Some(near) = known.iter().find(slip_of_key).filter(|_| !vague) {
        return Some(did_you_mean(&[near]));
    }
    rest.contains("__").then(|| {
        format!(
            "expected {PREFIX}SECTION__KEY of the sections {}",
            sections()
        )
    })
}

/// The variable for the app's credentials, which are called as in Laravel projects.
fn credential(plain: &str) -> Option<&'static str> {
    let plain = plain.strip_prefix("PUSHER").unwrap_or(plain);
    match plain {
        "APPID" => Some("PUSHER_APP_ID"),
        "APPKEY" | "KEY" => Some("PUSHER_APP_KEY"),
        "APPSECRET" | "SECRET" => Some("PUSHER_APP_SECRET"),
        _ => None,
    }
}

/// Where a setting of an app belongs.
fn of_an_app(rest: &str) -> Option<String> {
    let in_list = rest.starts_with("APPS_");
    let words = rest.strip_prefix("APPS_").or(rest.strip_prefix("APP_"));
    let words = words.unwrap_or(rest).trim_matches('_');
    let words = words.strip_prefix("LIMITS_").unwrap_or(words);
    let key = words.trim_matches('_').to_lowercase();
    if LIMITS.contains(&&*key) {
        return Some(format!(
            "expected `{key}` below [apps.limits] in a configuration file"
        ));
    }
    if APP.contains(&&*key) && !["id", "enabled", "limits"].contains(&&*key) {
        return Some(format!(
            "expected `{key}` below [[apps]] in a configuration file"
        ));
    }
    in_list.then(|| {
        "expected apps in a configuration file, or PUSHER_APP_ID, PUSHER_APP_KEY and \
         PUSHER_APP_SECRET"
            .into()
    })
}

fn did_you_mean(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("did you mean {}?", names.join(" or "))
}

fn squashed(name: &str) -> String {
    name.replace(['_', '-', '.'], "")
}

/// The key in the name of a variable, without underscores.
fn last_part(known: &str) -> String {
    squashed(known.rsplit("__").next().unwrap_or(known))
}

/// The names of all sections that variables reach, as they stand in variables.
fn sections() -> String {
    let names: Vec<String> = SINGLE
        .iter()
        .map(|(section, _)| section.replace('.', "__"))
        .collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The variables of all keys that have one.
fn variables() -> impl Iterator<Item = String> {
    SINGLE.iter().flat_map(|(section, keys)| {
        let section = section.replace('.', "__").to_uppercase();
        keys.iter()
            .map(move |key| format!("{PREFIX}{section}__{}", key.to_uppercase()))
    })
}
