//! A file that is nowhere on disk, for readers that take a path.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A file in memory, gone when it is dropped.
pub struct MemoryFile {
    _file: File,
    path: PathBuf,
}

impl MemoryFile {
    /// A file with these contents.
    pub fn holding(contents: &[u8]) -> MemoryFile {
        // SAFETY: the name is a C string; the flags are none.
        let descriptor = unsafe { libc::memfd_create(c"fuzzed".as_ptr(), 0) };
        assert!(descriptor >= 0, "{}", std::io::Error::last_os_error());
        // SAFETY: the descriptor is open, and nobody else has it.
        let mut file = File::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
        file.write_all(contents).expect("memory can be written to");
        MemoryFile {
            path: format!("/proc/self/fd/{}", file.as_raw_fd()).into(),
            _file: file,
        }
    }

    /// Where it can be opened.
    pub fn path(&self) -> &Path {
        &self.path
    }
}
