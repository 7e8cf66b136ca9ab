//! The listener for operators, and what opens it.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::super::ConfigError;
use super::super::section::Section;
use super::super::settings::Admin;
use crate::admin::{EXPECTED_TOKEN, Role, Token};

const PLACES: &str = "host:port, such as 127.0.0.1:9601, [::1]:9601 or localhost:9601, unix:/path, or nothing to \
                      turn it off";
const TOKEN_FILE: &str = "the path of a file that holds a token and nothing else";
const TOKENS_FILE: &str = "the path of a file with a line `ROLE TOKEN NAME` for each token (read or write, NAME may be left out)";
const HOSTS: &str = "names such as admin.example.com";

/// Bytes of a file of tokens at most.
const MOST_BYTES: u64 = 1 << 20;
/// More names than anybody gives one listener.
const MOST_HOSTS: usize = 64;

/// What `admin.token` is called in the log.
const OWN_NAME: &str = "admin.token";

pub(in crate::config) fn admin(section: &Section<'_>) -> Result<Admin, ConfigError> {
    let default = Admin::default();
    let listen = section.text("listen", PLACES, |text| match text {
        "" => Some(None),
        text => text.parse().ok().map(Some),
    })?;
    let own_file = path(section, "token_file", TOKEN_FILE)?;
    let others_file = path(section, "tokens_file", TOKENS_FILE)?;
    let mut tokens = own_token(section, own_file.as_deref())?;
    if let Some(path) = &others_file {
        for token in tokens_of(section, path)? {
            if tokens.iter().any(|known| known.is_same(&token)) {
                let found = format!("{} with a token for the second time", path.display());
                return Err(section.invalid("tokens_file", "each token once", found));
            }
            tokens.push(token);
        }
    }
    Ok(Admin {
        listen: listen.unwrap_or(default.listen),
        hosts: hosts(section)?,
        tokens: tokens.into(),
        token_files: own_file.into_iter().chain(others_file).collect(),
        open_metrics: section.switch("open_metrics", default.open_metrics)?,
    })
}

/// Where others than this machine can ask, they have to show something.
pub(in crate::config) fn is_guarded(
    section: &Section<'_>,
    admin: &Admin,
) -> Result<(), ConfigError> {
    match &admin.listen {
        Some(listen) if !listen.is_loopback() && admin.tokens.is_empty() => {
            let expected = "a token, in admin.token (FANFARE_ADMIN__TOKEN), admin.token_file or \
                            admin.tokens_file, where others than this machine can ask";
            Err(section.invalid("listen", expected, format!("{listen} and none")))
        }
        _ => Ok(()),
    }
}

/// The token that stands in the configuration itself, or in a file of its own.
fn own_token(section: &Section<'_>, file: Option<&Path>) -> Result<Vec<Token>, ConfigError> {
    let inline = if section.has("token") {
        let text = section.secret("token", EXPECTED_TOKEN, |_| true)?;
        Some(text).filter(|text| !text.is_empty())
    } else {
        None
    };
    let (key, text, place) = match (inline, file) {
        (None, None) => return Ok(Vec::new()),
        (Some(_), Some(_)) => {
            let expected = "either `token` or `token_file`";
            return Err(section.invalid("token_file", expected, "both"));
        }
        (Some(text), None) => ("token", text, String::new()),
        (None, Some(path)) => {
            let text = read(section, "token_file", path, TOKEN_FILE)?;
            (
                "token_file",
                text.trim().to_owned(),
                format!("{}: ", path.display()),
            )
        }
    };
    let token = Token::new(Role::Write, OWN_NAME, &text);
    let token =
        token.map_err(|error| section.invalid(key, EXPECTED_TOKEN, format!("{place}{error}")))?;
    Ok(vec![token])
}

/// The tokens of a file. What is wrong is named by its line, and never shown.
fn tokens_of(section: &Section<'_>, path: &Path) -> Result<Vec<Token>, ConfigError> {
    let key = "tokens_file";
    let text = read(section, key, path, TOKENS_FILE)?;
    let mut tokens: Vec<Token> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = format!("{}:{}", path.display(), index + 1);
        let invalid = |expected: &str, found: &str| {
            section.invalid(key, expected, format!("{place}: {found}"))
        };
        let mut words = line.split_whitespace();
        let role = words.next().and_then(Role::of_name);
        let (Some(role), Some(text)) = (role, words.next()) else {
            return Err(invalid(TOKENS_FILE, "another line"));
        };
        let name = match words.collect::<Vec<_>>().join(" ") {
            name if name.is_empty() => format!("{} of line {}", role.name(), index + 1),
            name if name.len() <= 100 && !name.contains(char::is_control) => name,
            _ => return Err(invalid(TOKENS_FILE, "a longer name")),
        };
        if tokens.iter().any(|known| **known.name() == *name) {
            return Err(invalid(
                "a name of its own for each token",
                "a name for the second time",
            ));
        }
        let token = Token::new(role, &name, text);
        tokens.push(token.map_err(|error| invalid(EXPECTED_TOKEN, &error.to_string()))?);
    }
    if tokens.is_empty() {
        let found = format!("{} with none", path.display());
        return Err(section.invalid(key, "at least one token", found));
    }
    Ok(tokens)
}

fn path(section: &Section<'_>, key: &str, expected: &str) -> Result<Option<PathBuf>, ConfigError> {
    let path = section.text(key, expected, |text| Some(PathBuf::from(text)))?;
    Ok(path.filter(|path| !path.as_os_str().is_empty()))
}

fn read(
    section: &Section<'_>,
    key: &str,
    path: &Path,
    expected: &str,
) -> Result<String, ConfigError> {
    let content = || -> io::Result<String> {
        let mut content = String::new();
        let file = fs::File::open(path)?;
        file.take(MOST_BYTES).read_to_string(&mut content)?;
        Ok(content)
    };
    content()
        .map_err(|error| section.invalid(key, expected, format!("{}: {error}", path.display())))
}

/// Names beside that which is bound, in lower case.
fn hosts(section: &Section<'_>) -> Result<Vec<Box<str>>, ConfigError> {
    let name = |text: &str| {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let fits = !text.is_empty() && text.len() <= 253 && text.bytes().all(is_name);
        fits.then(|| text.to_ascii_lowercase().into())
    };
    let hosts = section.list("hosts", HOSTS, MOST_HOSTS, name)?;
    Ok(hosts.unwrap_or_default())
}
