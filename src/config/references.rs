//! Variables of the environment within the values of the file.

use std::collections::{BTreeMap, HashSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;
use super::file::ConfigFile;

/// What a name stands between.
const OPENS: &str = "${";
/// What stands for that itself.
const ESCAPED: &str = "$${";

/// Where the values begin that hold variables. To the rest of the configuration they are as text that a variable
/// gives: a number may be spelt there. And which variables they are.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    starts: HashSet<usize>,
    names: HashSet<String>,
}

impl Resolved {
    /// Whether the value holds variables.
    pub(super) fn holds<T>(&self, value: &Spanned<T>) -> bool {
        self.starts.contains(&value.span().start)
    }

    /// Whether a value holds this variable.
    pub(super) fn refers_to(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

/// Puts the value of the variable `NAME` where a text has `${NAME}`, and `${` where it has `$${`.
pub(super) fn resolve(
    table: &mut DeTable<'_>,
    file: &ConfigFile,
    environment: &BTreeMap<String, String>,
) -> Result<Resolved, ConfigError> {
    let mut resolving = Resolving {
        file,
        environment,
        resolved: Resolved::default(),
    };
    resolving.table(table, "")?;
    Ok(resolving.resolved)
}

struct Resolving<'a> {
    file: &'a ConfigFile,
    environment: &'a BTreeMap<String, String>,
    resolved: Resolved,
}

impl Resolving<'_> {
    fn table(&mut self, table: &mut DeTable<'_>, path: &str) -> Result<(), ConfigError> {
        for (key, value) in table.iter_mut() {
            let key = key.get_ref().escape_debug();
            let path = if path.is_empty() {
                key.to_string()
            } else {
                format!("{path}.{key}")
            };
            self.value(value, &path)?;
        }
        Ok(())
    }

    fn value(&mut self, value: &mut Spanned<DeValue<'_>>, path: &str) -> Result<(), ConfigError> {
        let span = value.span();
        match value.get_mut() {
            DeValue::String(text) if text.contains(OPENS) => {
                let names = &mut self.resolved.names;
                let whole = resolve_text(text, self.environment, names).map_err(|mistake| {
                    let origin = self.file.origin(span.clone());
                    mistake.error(origin, path)
                })?;
                *text = whole.into();
                self.resolved.starts.insert(span.start);
            }
            DeValue::Array(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.value(item, &format!("{path}[{index}]"))?;
                }
            }
            DeValue::Table(table) => self.table(table, path)?,
            _ => {}
        }
        Ok(())
    }
}

/// What is wrong with a text that has `${`.
#[derive(Debug, PartialEq, Eq)]
enum Mistake {
    NotSet(String),
    NoName,
}

impl Mistake {
    fn error(self, origin: super::Origin, key: &str) -> ConfigError {
        let (expected, found) = match self {
            Self::NotSet(name) => (
                format!("the environment variable {name} to be set (the text itself is written $${{{name}}})"),
                "no such variable",
            ),
            Self::NoName => (
                "the name of an environment variable behind ${, such as ${NAME} (the text itself is written $${)".into(),
                "something else",
            ),
        };
        ConfigError::Invalid {
            origin,
            key: key.into(),
            expected,
            found: found.into(),
        }
    }
}

/// The text with the values of its variables, whose names are added to `names`.
fn resolve_text(
    text: &str,
    environment: &BTreeMap<String, String>,
    names: &mut HashSet<String>,
) -> Result<String, Mistake> {
    let mut whole = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        whole.push_str(before);
        if let Some(behind) = from.strip_prefix(ESCAPED) {
            whole.push_str(OPENS);
            rest = behind;
        } else if let Some(behind) = from.strip_prefix(OPENS) {
            let (name, behind) = behind.split_once('}').ok_or(Mistake::NoName)?;
            if !is_name(name) {
                return Err(Mistake::NoName);
            }
            let value = environment.get(name);
            whole.push_str(value.ok_or_else(|| Mistake::NotSet(name.into()))?);
            names.insert(name.into());
            rest = behind;
        } else {
            whole.push('$');
            rest = &from[1..];
        }
    }
    whole.push_str(rest);
    Ok(whole)
}

fn is_name(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(is_letter) && text.chars().all(|c| is_letter(c) || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Result<String, Mistake> {
        let set = [("A", "one"), ("B_2", "${A}"), ("EMPTY", "")];
        let environment = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        resolve_text(text, &environment.into(), &mut HashSet::new())
    }

    #[test]
    fn names_stand_for_their_values_and_nothing_else_does() {
        for (text, expected) in [
            ("${A}", "one"),
            ("x${A}-${B_2}y", "xone-${A}y"),
            ("${EMPTY}", ""),
            ("$${A}", "${A}"),
            ("$$${A}", "$${A}"),
            ("$A $ $$ }", "$A $ $$ }"),
        ] {
            assert_eq!(resolved(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_variable_is_a_mistake() {
        assert_eq!(resolved("${NO}"), Err(Mistake::NotSet("NO".into())));
        for text in ["${", "${}", "${A", "${1}", "${A-B}", "${ A }"] {
            assert_eq!(resolved(text), Err(Mistake::NoName), "{text}");
        }
    }
}
