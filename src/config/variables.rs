//! What the name of a variable means: a key, nothing, or a mistake.
//!
//! A name that is ignored leaves a default where something else was meant. So every name that
//! begins like the relay's own and is none is refused, with the right one. What platforms
//! add on their own is left alone, and so is what the file refers to.

use std::cmp::Reverse;

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

/// What else begins so in this project: it is for scripts and tests, which start relays that need not mind.
const OF_OTHERS: &[&str] = &[
    FILE_VARIABLE,
    TOKEN_VARIABLE,
    "FANFARE_BIN",
    "FANFARE_SIMULATIONS",
    "FANFARE_VERSION",
    "FANFARE_WRITE_DOCS",
];

/// What is meant by names of which no key reminds.
const MEANT: &[(&str, &[&str])] = &[
    (
        "REDISURL",
        &["FANFARE_CLUSTER__URL", "FANFARE_INGEST__LARAVEL_REDIS__URL"],
    ),
    (
        "REDIS",
        &["FANFARE_CLUSTER__URL", "FANFARE_INGEST__LARAVEL_REDIS__URL"],
    ),
];

/// Names that a hint lists at most.
const MOST_NAMES: usize = 4;

/// In how many letters a name may differ from another to be taken for a slip.
const SLIP: usize = 2;

/// The key that a variable sets, if it sets any. `is_used`: whether the file refers to the variable.
pub(super) fn key_of(
    name: &str,
    value: &str,
    is_used: bool,
) -> Result<Option<String>, ConfigError> {
    let upper = name.to_ascii_uppercase();
    let Some(rest) = upper.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    let key = rest.replace("__", ".").to_ascii_lowercase();
    if variables().any(|known| known == name) {
        return Ok(Some(key));
    }
    if is_used || OF_OTHERS.contains(&name) || is_of_platform(name, value) {
        return Ok(None);
    }
    Err(ConfigError::UnknownKey {
        origin: Origin::Variable(name.into()),
        key,
        hint: hint(&upper, rest),
    })
}

/// Whether Kubernetes, or Docker with `--link`, makes such a variable for a service that is
/// called `fanfare`, `fanfare-admin` or the like: `…_SERVICE_HOST`, `…_SERVICE_PORT`,
/// `…_SERVICE_PORT_HTTP`, `…_PORT`, `…_PORT_6001_TCP`, `…_PORT_6001_TCP_ADDR`, `…_NAME`, `…_ENV_PATH`.
fn is_of_platform(name: &str, value: &str) -> bool {
    let is_url = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| value.starts_with(scheme));
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_url)
        || (name.ends_with("_NAME") && value.starts_with('/'))
        || name.contains("_ENV_")
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

/// What may have been meant by a name in upper case, of which `rest` stands behind the prefix.
fn hint(name: &str, rest: &str) -> String {
    let plain = squashed(rest);
    let known: Vec<String> = variables().collect();
    let with_prefix = format!("FANFARE{plain}");
    if let Some(same) = known.iter().find(|known| squashed(known) == with_prefix) {
        return did_you_mean(&[same]);
    }
    if name == FILE_VARIABLE {
        return did_you_mean(&[FILE_VARIABLE]);
    }
    if let Some(variable) = credential(&plain) {
        return did_you_mean(&[variable]);
    }
    if ADDRESSES.contains(&&*plain) {
        return "did you mean `FANFARE_SERVER__LISTEN`, a host and a port?".into();
    }
    if let Some((_, names)) = MEANT.iter().find(|(meant, _)| *meant == plain) {
        return did_you_mean(names);
    }
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    named_so(&known, &plain)
        .or_else(|| of_an_app(rest))
        .or_else(|| of_a_section(&plain))
        .or_else(|| slip(name, &known))
        .or_else(|| slip_of_key(&plain, &known))
        .or_else(|| with_words_of(name, rest, &known))
        .unwrap_or_else(|| {
            format!(
                "expected {PREFIX}SECTION__KEY of the sections {}",
                sections()
            )
        })
}

/// The variables of keys that are called so.
fn named_so(known: &[&str], plain: &str) -> Option<String> {
    let of_key: Vec<&str> = known
        .iter()
        .copied()
        .filter(|known| last_part(known) == plain)
        .collect();
    (!of_key.is_empty()).then(|| did_you_mean(&of_key))
}

/// The variables of a section whose name stands alone.
fn of_a_section(plain: &str) -> Option<String> {
    let mut sections = SINGLE.iter();
    let (section, keys) =
        sections.find(|(section, _)| squashed(&section.to_uppercase()) == plain)?;
    let section = section.replace('.', "__").to_uppercase();
    let keys = keys.join(", ").to_uppercase();
    Some(format!(
        "expected {PREFIX}{section}__KEY with one of the keys {keys}"
    ))
}

/// The variable that differs least, in a few letters.
fn slip(name: &str, known: &[&str]) -> Option<String> {
    let near = nearest(name, known.iter().copied())?;
    (strsim::damerau_levenshtein(name, near) <= SLIP).then(|| did_you_mean(&[near]))
}

/// The variable of a key that is spelt almost so.
fn slip_of_key(plain: &str, known: &[&str]) -> Option<String> {
    let is_near = |known: &&&str| nearest(plain, [&*last_part(known)].into_iter()).is_some();
    known.iter().find(is_near).map(|near| did_you_mean(&[near]))
}

/// The variables with the most words of this one and the fewest others, of which the nearest come first.
fn with_words_of(name: &str, rest: &str, known: &[&str]) -> Option<String> {
    let rank = |known: &str| {
        let common = words(rest).filter(|word| has_word(known, word)).count();
        (common, Reverse(words(known).count()))
    };
    let best = known.iter().map(|known| rank(known)).max()?;
    let mut names: Vec<&str> = known
        .iter()
        .copied()
        .filter(|known| rank(known) == best)
        .collect();
    names.sort_by_key(|known| strsim::damerau_levenshtein(name, known));
    names.truncate(MOST_NAMES);
    (best.0 > 0).then(|| did_you_mean(&names))
}

/// The words of a name that say something.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split('_').filter(|word| word.len() > 1)
}

/// Whether a word of a variable, behind the prefix, begins like this one.
fn has_word(variable: &str, word: &str) -> bool {
    let mut words = words(variable.strip_prefix(PREFIX).unwrap_or(variable));
    words.any(|known| known.starts_with(word) || word.starts_with(known))
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
    let mut of_app = APP.iter().filter(|_| key.len() > 2);
    if let Some(whole) = of_app.find(|known| known.ends_with(&format!("_{key}"))) {
        return Some(format!(
            "expected `{whole}` below [[apps]] in a configuration file"
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
