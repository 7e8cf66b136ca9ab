//! Reading variables.

use std::collections::HashMap;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use super::env_file;

/// A setting that makes no sense. Its text is one line and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {expectation}")]
pub struct SettingError {
    /// The variable or flag.
    pub name: String,
    /// What is expected of it.
    pub expectation: String,
}

impl SettingError {
    pub(super) fn new(name: &str, expectation: impl Display) -> Self {
        Self {
            name: name.into(),
            expectation: expectation.to_string(),
        }
    }
}

/// The environment of the process, with the flags laid over it. An empty variable is as good as
/// none.
#[derive(Clone, Default)]
pub struct Environment {
    variables: HashMap<String, String>,
    flags: HashMap<&'static str, &'static str>,
}

impl Environment {
    /// The environment of this process. What is no text is replaced, which no setting accepts.
    pub fn of_process() -> Self {
        let text = |part: std::ffi::OsString| part.to_string_lossy().into_owned();
        let variables = std::env::vars_os().map(|(name, value)| (text(name), text(value)));
        Self {
            variables: variables.collect(),
            flags: HashMap::new(),
        }
    }

    /// Adds what a file sets that the process does not: the one that is named, or else `.env` of the
    /// working folder, if there is one.
    ///
    /// # Errors
    /// The file cannot be read, or a line of it makes no sense.
    pub fn with_file(mut self, named: Option<&Path>) -> Result<Self, SettingError> {
        env_file::add(&mut self.variables, named)?;
        Ok(self)
    }

    /// Lays a flag, if it was given, over the variable of the same meaning.
    pub fn flag(mut self, flag: &'static str, name: &'static str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            self.variables.insert(name.into(), value.into());
            self.flags.insert(name, flag);
        }
        self
    }

    /// A variable's value, if it has one that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// A variable read as a `T`, which `expected` describes.
    pub(super) fn parsed<T: FromStr>(
        &self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, SettingError> {
        let value = self.get(name).map(str::parse).transpose();
        value.map_err(|_| self.wrong(name, format!("expected {expected}")))
    }

    /// That a variable, or the flag laid over it, is wrong.
    pub(super) fn wrong(&self, name: &str, expectation: impl Display) -> SettingError {
        SettingError::new(self.flags.get(name).unwrap_or(&name), expectation)
    }

    /// All variables.
    pub(super) fn all(&self) -> &HashMap<String, String> {
        &self.variables
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Environment {
    fn from(variables: [(&str, &str); N]) -> Self {
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        Self {
            variables: variables.into(),
            flags: HashMap::new(),
        }
    }
}
