//! What a configuration is made from, as yet unread.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// What a configuration is made from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file that `--config` names.
    pub config_file: Option<PathBuf>,
    /// The file that `--env-file` names.
    pub env_file: Option<PathBuf>,
    /// Where `config.toml` is looked for when nothing names a file.
    pub directory: PathBuf,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Flags, each a key set by hand.
    pub flags: Vec<Flag>,
}

/// A flag that sets a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// As it is typed, with its dashes.
    pub name: &'static str,
    /// The key it sets, such as `server.listen`.
    pub key: &'static str,
    /// What it sets the key to.
    pub value: String,
}
