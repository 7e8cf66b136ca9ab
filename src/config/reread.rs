//! A configuration that is read again while it is in use.

use std::path::PathBuf;

use super::fixed::Fixed;
use super::load::load_while;
use super::{Config, ConfigError, Loaded, Sources};
use crate::stamp::Stamp;

/// Watches the files that a configuration was read from, and reads them again.
#[derive(Debug)]
pub struct Rereader {
    sources: Sources,
    /// What the process runs with.
    fixed: Fixed,
    files: Vec<PathBuf>,
    /// As the files were when they were last read, whatever came of it.
    read: Vec<Option<Stamp>>,
    /// As they were when they were last looked at.
    looked_at: Vec<Option<Stamp>>,
}

/// A configuration that was read again.
#[derive(Debug)]
pub struct Reread {
    /// The configuration.
    pub config: Config,
    /// The keys that are set otherwise than the process runs with, and that hold only from the next start on.
    pub needs_restart: Vec<String>,
}

impl Rereader {
    /// Goes on with a configuration that was made of these sources. A file that it was read from must be there
    /// from now on: that there is none is no reason to serve without it.
    pub fn new(sources: Sources, loaded: &Loaded) -> Self {
        let mut sources = sources;
        if let Some(file) = &loaded.file {
            sources.config_file = Some(file.clone());
        }
        let files = files(&sources, loaded);
        let read: Vec<_> = stamps(&files);
        Self {
            sources,
            fixed: loaded.fixed.clone(),
            files,
            looked_at: read.clone(),
            read,
        }
    }

    /// Looks whether the files are others than those last read, and no longer change: what is being written is
    /// not read before it was left alone from one look to the next.
    pub fn have_changed(&mut self) -> bool {
        let now = stamps(&self.files);
        let are_quiet = now == self.looked_at;
        self.looked_at = now;
        are_quiet && self.looked_at != self.read
    }

    /// Reads the files, for a relay that serves the development app or does not.
    ///
    /// # Errors
    /// When they are no configuration.
    pub fn read(&mut self, is_development: bool) -> Result<Reread, ConfigError> {
        // Before they are read: what changes after that is seen the next time.
        self.read = stamps(&self.files);
        self.looked_at = self.read.clone();
        let loaded = load_while(&self.sources, is_development)?;
        let files = files(&self.sources, &loaded);
        if files != self.files {
            self.files = files;
            self.read = stamps(&self.files);
            self.looked_at = self.read.clone();
        }
        Ok(Reread {
            needs_restart: self.fixed.differences(&loaded.fixed),
            config: loaded.config,
        })
    }
}

/// What may change: the file, or the one that would be it, and those that it or a flag names.
fn files(sources: &Sources, loaded: &Loaded) -> Vec<PathBuf> {
    let usual = || sources.usual_file();
    let mut files = vec![sources.config_file.clone().unwrap_or_else(usual)];
    files.extend(sources.env_file.clone());
    files.extend(loaded.secret_files.iter().cloned());
    files
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| Stamp::of(file)).collect()
}
