//! Files that outlast the process: only whoever runs it may read them, and each is replaced as a
//! whole.
//!
//! - [`common`]: what the nodes of a cluster keep together

pub mod common;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A folder of such files. It is made when something is first written into it.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at this path; nothing is looked at yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of that name within this one.
    pub fn folder(&self, name: &str) -> Self {
        Self::new(self.path.join(name))
    }

    /// Makes the folder with those above it, and tries that a file can be made in it.
    ///
    /// # Errors
    /// When what is to be kept could not be kept.
    pub fn prepare(&self) -> io::Result<()> {
        self.create()?;
        let probe = self.temporary("probe");
        create_new(&probe)?;
        fs::remove_file(probe)
    }

    /// What was written under the name; `None` if nothing was.
    ///
    /// # Errors
    /// When it cannot be read, or is more than `most` bytes.
    pub fn read(&self, name: &str, most: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.path.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            let reason = format!("more than {most} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(Some(bytes))
    }

    /// Writes a file in place of the one that may be there. Whatever happens meanwhile, one of the
    /// two is there as a whole afterwards, and the new one once this has returned. Blocks until the
    /// disk has it.
    ///
    /// # Errors
    /// Those of the disk. The old file is untouched then.
    pub fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.create()?;
        let temporary = self.temporary(name);
        let written = create_new(&temporary)
            .and_then(|mut file| {
                file.write_all(bytes)?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&temporary, self.path.join(name)));
        if written.is_err() {
            // There may be none, which is as good.
            let _ = fs::remove_file(&temporary);
        }
        written?;
        // The name is in the folder, which is to be on the disk, too.
        File::open(&self.path)?.sync_all()
    }

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn create(&self) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
    }

    /// A name that no other process uses meanwhile, and no other thread of this one.
    fn temporary(&self, name: &str) -> PathBuf {
        let process = std::process::id();
        let number: u64 = rand::random();
        self.path.join(format!(".{name}.{process}.{number:016x}"))
    }
}

fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests;
