//! Laravel's log file.
//!
//! Source: laravel/framework, `LogManager::formatter`; monolog, `LineFormatter` and
//! `StreamHandler`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use time::OffsetDateTime;

use crate::{Error, Invalid};

/// A file that grows. It is opened for each event, so that it can be moved away or removed
/// meanwhile.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    environment: String,
}

impl LogFile {
    /// The file, made if there is none. The error names `LOG_PATH`.
    pub(super) fn open(path: PathBuf, environment: String) -> Result<Self, Invalid> {
        let file = Self { path, environment };
        match open(&file.path) {
            Ok(_) => Ok(file),
            Err(error) => Err(Invalid::new("LOG_PATH", file.not_written(&error))),
        }
    }

    /// Writes a text at info, behind all that is there.
    pub(super) fn append(&self, text: &str, now: SystemTime) -> Result<(), Error> {
        let lines = self.lines(text, now);
        // In one write, so that those of several processes do not mix.
        open(&self.path)
            .and_then(|mut file| file.write_all(lines.as_bytes()))
            .map_err(|error| Error::unavailable(self.not_written(&error)))
    }

    /// The two blanks at the end are where Laravel's formatter has a context and more, which are
    /// empty.
    fn lines(&self, text: &str, now: SystemTime) -> String {
        let now = OffsetDateTime::from(now);
        format!(
            "[{:04}-{:02}-{:02} {:02}:{:02}:{:02}] {}.INFO: {text}  \n",
            now.year(),
            u8::from(now.month()),
            now.day(),
            now.hour(),
            now.minute(),
            now.second(),
            self.environment,
        )
    }

    fn not_written(&self, error: &io::Error) -> String {
        format!("{} cannot be written: {error}", self.path.display())
    }
}

/// For appending, with the modes that PHP gives to what it makes: 0644 and 0755 at the usual umask.
fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o644);
    match (options.open(path), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            options.open(path)
        }
        (result, _) => result,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn file(path: PathBuf) -> Result<LogFile, Invalid> {
        LogFile::open(path, "local".into())
    }

    #[test]
    fn lines_are_appended_as_laravel_writes_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("storage/logs/laravel.log");
        let log = file(path.clone()).unwrap();
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        log.append("one\ntwo", at(1_767_225_600)).unwrap();
        let first = "[2026-01-01 00:00:00] local.INFO: one\ntwo  \n";
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
        log.append("three", at(1_709_251_199)).unwrap();
        let both = format!("{first}[2024-02-29 23:59:59] local.INFO: three  \n");
        assert_eq!(fs::read_to_string(&path).unwrap(), both);
        // As after logrotate.
        fs::remove_dir_all(folder.path().join("storage")).unwrap();
        log.append("one\ntwo", at(1_767_225_600)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), first);
    }

    #[cfg(unix)]
    #[test]
    fn whoever_may_see_laravels_file_may_see_this_one() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("laravel.log");
        file(path.clone()).unwrap();
        // The tests' umask may take away more.
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777 & !0o644, 0, "{mode:o}");
        assert_eq!(mode & 0o600, 0o600, "{mode:o}");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("laravel.log");
        let log = file(path.clone()).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let error = log.append("text", UNIX_EPOCH).unwrap_err();
        let shown = format!("unavailable: {} cannot be written: ", path.display());
        assert!(
            error.can_retry() && error.to_string().starts_with(&shown),
            "{error}"
        );
        for wrong in [path.clone(), folder.path().join("no\0name")] {
            assert_eq!(file(wrong).unwrap_err().field, "LOG_PATH");
        }
        let below_a_file = folder.path().join("file");
        fs::write(&below_a_file, "").unwrap();
        let error = file(below_a_file.join("laravel.log")).unwrap_err();
        assert!(
            error
                .reason
                .contains("laravel.log cannot be written: Not a directory"),
            "{error}"
        );
    }
}
