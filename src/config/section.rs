//! One table of the configuration, read key by key; the only place that turns what people
//! wrote into types, and so the only one that words their mistakes.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::ConfigFile;
use super::keys::hint;
use super::overrides::Overrides;
use super::references::Resolved;
use super::value::{Given, found, kind, quoted};
use super::{ConfigError, Origin};

/// The layers that a key is looked up in.
pub(super) struct Layers<'a> {
    pub(super) file: Option<&'a ConfigFile>,
    pub(super) resolved: &'a Resolved,
    pub(super) overrides: &'a Overrides<'a>,
}

/// A table, with the flags and variables that reach into it.
pub(super) struct Section<'a> {
    layers: &'a Layers<'a>,
    path: String,
    origin: Origin,
    table: Option<&'a DeTable<'a>>,
}

/// One text, or several.
pub(super) enum Listed<'a> {
    One(&'a str),
    Many(Vec<&'a str>),
}

/// A place in the configuration, to speak of later.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) origin: Origin,
    pub(super) key: String,
}

impl<'a> Section<'a> {
    /// The whole file, which may have only these tables.
    pub(super) fn root(
        layers: &'a Layers<'a>,
        table: Option<&'a DeTable<'a>>,
        known: &[&str],
    ) -> Result<Self, ConfigError> {
        let origin = match layers.file {
            Some(file) => Origin::WholeFile(file.path().into()),
            None => Origin::Default,
        };
        let root = Self {
            layers,
            path: String::new(),
            origin,
            table,
        };
        root.refuse_unknown(known)?;
        Ok(root)
    }

    /// The table `[key]`, which may have only the known keys; an empty one if there is none.
    pub(super) fn child(&self, key: &str, known: &[&str]) -> Result<Section<'a>, ConfigError> {
        let path = self.path_of(key);
        let (origin, table) = match self.in_file(key) {
            None => (self.origin.clone(), None),
            Some(value) => match value.get_ref() {
                DeValue::Table(table) => (self.origin_at(value), Some(table)),
                other => {
                    let header = format!("a table, such as [{key}]");
                    return Err(self.invalid(key, header, kind(other)));
                }
            },
        };
        let child = Section {
            layers: self.layers,
            path,
            origin,
            table,
        };
        child.refuse_unknown(known)?;
        Ok(child)
    }

    /// The tables of a list, each of which may have only the known keys.
    pub(super) fn children(
        &self,
        key: &str,
        known: &[&str],
        expected: &str,
    ) -> Result<Vec<Section<'a>>, ConfigError> {
        let mut children = Vec::new();
        for (index, item) in self.items(key, expected)?.into_iter().enumerate() {
            let DeValue::Table(table) = item.get_ref() else {
                return Err(self.invalid(key, expected, kind(item.get_ref())));
            };
            let child = Section {
                layers: self.layers,
                path: format!("{}[{index}]", self.path_of(key)),
                origin: self.origin_at(item),
                table: Some(table),
            };
            child.refuse_unknown(known)?;
            children.push(child);
        }
        Ok(children)
    }

    /// A text that `parse` understands.
    pub(super) fn text<T>(
        &self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(given) = self.given(key) else {
            return Ok(None);
        };
        match given.as_text().and_then(parse) {
            Some(value) => Ok(Some(value)),
            None => Err(self.invalid(key, expected, given.found())),
        }
    }

    /// A text that must be there and that `parse` understands.
    pub(super) fn required<T>(
        &self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        self.text(key, expected, parse)?
            .ok_or_else(|| self.missing(key, expected))
    }

    /// A text that must be there and must not be shown.
    pub(super) fn secret(
        &self,
        key: &str,
        expected: &str,
        fits: impl FnOnce(&str) -> bool,
    ) -> Result<String, ConfigError> {
        let given = self.given(key).ok_or_else(|| self.missing(key, expected))?;
        match given.as_text() {
            Some(text) if fits(text) => Ok(text.to_owned()),
            Some("") => Err(self.invalid(key, expected, "an empty one")),
            Some(_) => Err(self.invalid(key, expected, "another text")),
            None => Err(self.invalid(key, expected, given.kind())),
        }
    }

    /// A text, or a list of texts; they must not be shown. A text with commas or spaces between
    /// parts that all are `items` is a list too: that of a variable.
    pub(super) fn secret_list(
        &self,
        key: &str,
        expected: &str,
        is_item: impl Fn(&str) -> bool,
    ) -> Result<Option<Listed<'a>>, ConfigError> {
        let text = match self.given(key) {
            None => return Ok(None),
            Some(Given::Text(text)) => text,
            Some(Given::Toml(DeValue::String(text))) => text,
            Some(Given::Toml(_)) => {
                let items = self.items(key, expected)?;
                let texts = items.iter().map(|item| match item.get_ref() {
                    DeValue::String(text) => Ok(&**text),
                    other => Err(self.invalid(key, expected, kind(other))),
                });
                return Ok(Some(Listed::Many(texts.collect::<Result<_, _>>()?)));
            }
        };
        let parts = text.split([',', ' ']).filter(|part| !part.is_empty());
        let parts: Vec<&str> = parts.collect();
        Ok(Some(
            if text.contains([',', ' ']) && parts.iter().all(|part| is_item(part)) {
                Listed::Many(parts)
            } else {
                Listed::One(text)
            },
        ))
    }

    /// Names and texts of a table, in which any name may stand; the texts must not be shown.
    pub(super) fn secret_table(
        &self,
        key: &str,
        expected: &str,
    ) -> Result<Vec<(&'a str, &'a str)>, ConfigError> {
        let table = match self.in_file(key).map(Spanned::get_ref) {
            None => return Ok(Vec::new()),
            Some(DeValue::Table(table)) => table,
            Some(other) => return Err(self.invalid(key, expected, kind(other))),
        };
        let entries = table.iter().map(|(name, value)| match value.get_ref() {
            DeValue::String(text) => Ok((&**name.get_ref(), &**text)),
            other => {
                let found = format!("{:?} with {}", name.get_ref(), kind(other));
                Err(self.invalid(key, expected, found))
            }
        });
        entries.collect()
    }

    /// `true` or `false`.
    pub(super) fn switch(&self, key: &str, default: bool) -> Result<bool, ConfigError> {
        let Some(given) = self.given(key) else {
            return Ok(default);
        };
        given
            .as_switch()
            .ok_or_else(|| self.invalid(key, "true or false", given.found()))
    }

    /// A whole number in a range.
    pub(super) fn whole<T>(
        &self,
        key: &str,
        default: T,
        range: RangeInclusive<T>,
    ) -> Result<T, ConfigError>
    where
        T: TryFrom<u64> + PartialOrd + Display,
    {
        let Some(given) = self.given(key) else {
            return Ok(default);
        };
        let number = given.as_whole().and_then(|number| T::try_from(number).ok());
        match number {
            Some(number) if range.contains(&number) => Ok(number),
            _ => {
                let expected = format!("a whole number from {} to {}", range.start(), range.end());
                Err(self.invalid(key, expected, given.found()))
            }
        }
    }

    /// A whole number up to a maximum, where 0 stands for none.
    pub(super) fn optional(&self, key: &str, max: usize) -> Result<Option<usize>, ConfigError> {
        let number = self.whole(key, 0, 0..=max)?;
        Ok((number != 0).then_some(number))
    }

    /// The same, in fewer bits.
    pub(super) fn optional_u32(&self, key: &str, max: u32) -> Result<Option<u32>, ConfigError> {
        let number = self.whole(key, 0, 0..=max)?;
        Ok((number != 0).then_some(number))
    }

    /// A duration in whole seconds.
    pub(super) fn seconds(
        &self,
        key: &str,
        default: Duration,
        range: RangeInclusive<u64>,
    ) -> Result<Duration, ConfigError> {
        self.whole(key, default.as_secs(), range)
            .map(Duration::from_secs)
    }

    /// Texts that `parse` understands, so many at most: a list, or one text with commas between them.
    pub(super) fn list<T>(
        &self,
        key: &str,
        expected: &str,
        most: usize,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        let texts: Vec<&str> = match self.given(key) {
            None => return Ok(None),
            Some(Given::Toml(DeValue::Array(_))) => self.texts(key, expected, |_| true)?,
            Some(Given::Text("")) => Vec::new(),
            Some(Given::Text(text)) => text.split(',').map(str::trim).collect(),
            Some(Given::Toml(DeValue::String(text))) => text.split(',').map(str::trim).collect(),
            Some(given) => return Err(self.invalid(key, expected, given.found())),
        };
        if texts.len() > most {
            let found = format!("{} of them, which is more than {most}", texts.len());
            return Err(self.invalid(key, expected, found));
        }
        let values = texts
            .iter()
            .map(|text| parse(text).ok_or_else(|| self.invalid(key, expected, quoted(text))));
        values.collect::<Result<_, _>>().map(Some)
    }

    /// The `true` or `false` that a key is set to, if it is.
    pub(super) fn as_switch(&self, key: &str) -> Option<bool> {
        self.given(key)?.as_switch()
    }

    /// A list of texts, empty if there is none; each must fit.
    pub(super) fn texts(
        &self,
        key: &str,
        expected: &str,
        fits: impl Fn(&str) -> bool,
    ) -> Result<Vec<&'a str>, ConfigError> {
        let items = self.items(key, expected)?;
        let texts = items.iter().map(|item| match item.get_ref() {
            DeValue::String(text) if fits(text) => Ok(&**text),
            other => Err(self.invalid(key, expected, found(other))),
        });
        texts.collect()
    }

    /// Whether something sets the key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.given(key).is_some()
    }

    /// Where a key is set, or where it could have been.
    pub(super) fn place(&self, key: &str) -> Place {
        let path = self.path_of(key);
        let origin = if let Some((_, origin)) = self.layers.overrides.get(&path) {
            origin
        } else if let Some((name, _)) = self.entry(key) {
            self.origin_at(name)
        } else {
            Origin::Default
        };
        Place { origin, key: path }
    }

    /// The error that a key's value is not what was expected.
    pub(super) fn invalid(
        &self,
        key: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> ConfigError {
        self.place(key).invalid(expected, found)
    }

    /// The error that a key is not there.
    pub(super) fn missing(&self, key: &str, expected: &str) -> ConfigError {
        ConfigError::Missing {
            origin: self.origin.clone(),
            key: self.path_of(key),
            expected: expected.into(),
        }
    }

    fn refuse_unknown(&self, known: &[&str]) -> Result<(), ConfigError> {
        let Some(table) = self.table else {
            return Ok(());
        };
        // The table is sorted by name; people read a file from the top.
        let unknown = table
            .keys()
            .filter(|key| !known.contains(&&**key.get_ref()))
            .min_by_key(|key| key.span().start);
        match unknown {
            None => Ok(()),
            Some(key) => Err(ConfigError::UnknownKey {
                origin: self.origin_at(key),
                key: self.path_of(&key.get_ref().escape_debug().to_string()),
                hint: hint(key.get_ref(), known),
            }),
        }
    }

    fn items(
        &self,
        key: &str,
        expected: &str,
    ) -> Result<Vec<&'a Spanned<DeValue<'a>>>, ConfigError> {
        match self.in_file(key).map(Spanned::get_ref) {
            None => Ok(Vec::new()),
            Some(DeValue::Array(items)) => Ok(items.iter().collect()),
            Some(other) => Err(self.invalid(key, expected, kind(other))),
        }
    }

    fn given(&self, key: &str) -> Option<Given<'a>> {
        let path = self.path_of(key);
        if let Some((text, _)) = self.layers.overrides.get(&path) {
            return Some(Given::Text(text));
        }
        let value = self.in_file(key)?;
        Some(match value.get_ref() {
            DeValue::String(text) if self.layers.resolved.holds(value) => Given::Text(text),
            value => Given::Toml(value),
        })
    }

    fn in_file(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.entry(key).map(|(_, value)| value)
    }

    fn entry(
        &self,
        key: &str,
    ) -> Option<(
        &'a Spanned<toml::de::DeString<'a>>,
        &'a Spanned<DeValue<'a>>,
    )> {
        self.table?.get_key_value(key)
    }

    fn origin_at<T>(&self, part: &Spanned<T>) -> Origin {
        match self.layers.file {
            Some(file) => file.origin(part.span()),
            None => Origin::Default,
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.into()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

impl Place {
    /// The error that what is here is not what was expected.
    pub(super) fn invalid(
        self,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> ConfigError {
        ConfigError::Invalid {
            origin: self.origin,
            key: self.key,
            expected: expected.into(),
            found: found.into(),
        }
    }
}
