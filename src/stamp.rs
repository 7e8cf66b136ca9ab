//! Whether a file is another one than before.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// What changes of a file when it is written, when somebody else may read it, or when a link on the way to it leads
/// elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    /// Owner and mode count, too: a file that could not be read is another one once it can be.
    changed: (i64, i64),
}

impl Stamp {
    /// That of a file; None if there is none, or it cannot be looked at.
    pub fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_that_others_may_read_is_another_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.pem");
        fs::write(&path, "key").unwrap();
        let before = Stamp::of(&path);
        assert_eq!(Stamp::of(&path), before);
        // The clock of the file system goes in steps.
        let is_another = (0..10_000).any(|turn| {
            let mode = if turn % 2 == 0 { 0o640 } else { 0o600 };
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            Stamp::of(&path) != before
        });
        assert!(is_another);
    }
}
