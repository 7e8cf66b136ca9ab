//! Where files are kept: one file a message, written beside its place and renamed into it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::fs::{self, DirBuilder, File, OpenOptions};
use tokio::io::AsyncWriteExt as _;

/// The end of the names of files that are being written.
const PART: &str = "part";
/// After that long, nobody writes a file any more: whoever did was killed.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The folder. Clones share it.
#[derive(Clone, Debug)]
pub struct Folder(Arc<Path>);

/// A file that is being written. Dropping it removes it.
#[derive(Debug)]
pub struct Part {
    file: File,
    path: PathBuf,
    place: PathBuf,
    is_done: bool,
}

impl Folder {
    /// The folder at this path, which is made when it is needed.
    pub fn new(path: &Path) -> Self {
        Self(path.into())
    }

    /// Where the file of a message is.
    pub fn path(&self, message_id: i64) -> PathBuf {
        self.0.join(message_id.to_string())
    }

    /// Makes the folder, and removes what killed processes left half written in it.
    pub async fn prepare(&self) -> io::Result<()> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.0)
            .await?;
        let mut entries = fs::read_dir(&self.0).await?;
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            let modified = entry
                .metadata()
                .await
                .and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|time| time.elapsed().ok());
            let is_part = path.extension().is_some_and(|extension| extension == PART);
            if is_part && age.is_some_and(|age| age > ABANDONED) {
                fs::remove_file(path).await?;
            }
        }
        Ok(())
    }

    /// Begins the file of a message. `writer` is a name that nobody else writes it under.
    pub async fn begin(&self, message_id: i64, writer: &str) -> io::Result<Part> {
        let path = self.0.join(format!("{message_id}.{writer}.{PART}"));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .await?;
        Ok(Part {
            file,
            path,
            place: self.path(message_id),
            is_done: false,
        })
    }
}

impl Part {
    /// Adds to the file.
    pub async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all(piece).await
    }

    /// Puts the file, once it is safe on disk, in its place.
    pub async fn finish(mut self) -> io::Result<()> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        fs::rename(&self.path, &self.place).await?;
        self.is_done = true;
        match self.place.parent() {
            Some(folder) => File::open(folder).await?.sync_all().await,
            None => Ok(()),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.is_done
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "a half-written file stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::SystemTime;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[tokio::test]
    async fn a_file_is_there_as_a_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/media");
        let folder = Folder::new(&path);
        folder.prepare().await.unwrap();
        let mut part = folder.begin(7, "w1").await.unwrap();
        part.write(b"half").await.unwrap();
        assert_eq!(names(&path), ["7.w1.part"]);
        drop(part);
        assert!(names(&path).is_empty());
        let mut part = folder.begin(7, "w2").await.unwrap();
        part.write(b"whole").await.unwrap();
        part.finish().await.unwrap();
        assert_eq!(std::fs::read(folder.path(7)).unwrap(), b"whole");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder.path(7))), (0o700, 0o600));
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_removed_once_it_is_old() {
        let directory = tempfile::tempdir().unwrap();
        for (name, age) in [("1.a.part", 7200), ("2.b.part", 60), ("3", 7200)] {
            let file = std::fs::File::create(directory.path().join(name)).unwrap();
            let modified = SystemTime::now() - Duration::from_secs(age);
            file.set_modified(modified).unwrap();
        }
        Folder::new(directory.path()).prepare().await.unwrap();
        assert_eq!(names(directory.path()), ["2.b.part", "3"]);
    }
}
