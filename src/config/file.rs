//! The configuration file.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::keys::is_known;
use super::{ConfigError, Origin, Sources};

/// The variable that names the configuration file where no flag does.
pub(super) const FILE_VARIABLE: &str = "FANFARE_CONFIG";

/// Looked for in the working directory where nothing names a file.
const USUAL_NAME: &str = "config.toml";

/// Why a file counts that nothing names.
const FOUND: &str = "found in the working directory";

/// A configuration file that was read, not yet parsed.
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    /// Who chose this file, for people.
    pub(super) chosen: &'static str,
    text: String,
    /// Where its lines end.
    line_ends: Vec<usize>,
}

impl Sources {
    /// The file that is looked for where nothing names one.
    pub(super) fn usual_file(&self) -> PathBuf {
        self.directory.join(USUAL_NAME)
    }
}

impl ConfigFile {
    /// Reads the file that the sources name, or else the usual one if it is there.
    pub(super) fn read(sources: &Sources) -> Result<Option<Self>, ConfigError> {
        let variable = sources.environment.get(FILE_VARIABLE);
        let (path, chosen) = if let Some(path) = &sources.config_file {
            (path.clone(), "--config")
        } else if let Some(path) = variable.filter(|path| !path.is_empty()) {
            (path.into(), FILE_VARIABLE)
        } else {
            (sources.usual_file(), FOUND)
        };
        let usual = chosen == FOUND;
        match fs::read(&path) {
            Ok(bytes) => {
                let text = text_of(bytes, &path)?;
                let ends = text.bytes().enumerate();
                let line_ends = ends.filter(|(_, byte)| *byte == b'\n');
                let line_ends = line_ends.map(|(at, _)| at).collect();
                Ok(Some(Self {
                    path,
                    chosen,
                    text,
                    line_ends,
                }))
            }
            Err(error) if usual && error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(reason) => Err(ConfigError::Unreadable { path, reason }),
        }
    }

    /// The file as TOML.
    pub(super) fn parse(&self) -> Result<DeTable<'_>, ConfigError> {
        DeTable::parse(&self.text)
            .map(toml::Spanned::into_inner)
            .map_err(|error| self.syntax_error(&error))
    }

    /// The parser knows the line; of its key, and of what is wrong with a bare text, it says
    /// little.
    fn syntax_error(&self, error: &toml::de::Error) -> ConfigError {
        let span = error.span().unwrap_or_default();
        let start = self.before(&span).rfind('\n').map_or(0, |at| at + 1);
        let text = self.text[start..].lines().next().unwrap_or_default();
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let in_value = span.start > start + key.len();
        let bare = in_value && !value.trim_start().starts_with(['"', '\'', '[', '{']);
        let key = Some(key.trim()).filter(|key| is_known(key));
        let message = error.message().replace('\n', "; ");
        let message = message.trim_end_matches(", expected nothing");
        ConfigError::Syntax {
            origin: self.origin(span),
            message: match (key, bare) {
                (Some(key), true) => format!("{message} (`{key}`; a text needs quotes)"),
                (Some(key), false) => format!("{message} (`{key}`)"),
                (None, _) => message.into(),
            },
        }
    }

    /// Where a part of the text is, for people.
    pub(super) fn origin(&self, span: Range<usize>) -> Origin {
        Origin::File {
            path: self.path.clone(),
            line: self.line(&span),
        }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        1 + self.line_ends.partition_point(|end| *end < span.start)
    }

    fn before(&self, span: &Range<usize>) -> &str {
        self.text.get(..span.start).unwrap_or(&self.text)
    }

    /// The file as a whole.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// TOML is UTF-8. An editor that saves anything else does so somewhere in a comment, mostly.
fn text_of(bytes: Vec<u8>, path: &Path) -> Result<String, ConfigError> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        ConfigError::Syntax {
            origin: Origin::File {
                path: path.into(),
                line,
            },
            message: "a byte that is not UTF-8".into(),
        }
    })
}
