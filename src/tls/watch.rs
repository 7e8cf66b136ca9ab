//! Files of certificates that change while the relay runs.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::certificate::Certificate;
use super::certificates::{Certificates, PlaceId};
use super::files::{FileError, Pair};
use crate::stamp::Stamp;

/// When files that could not be used are read again, though they look as they did: what kept them from being read may be
/// over.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A pair of files whose certificate is served.
#[derive(Debug)]
pub struct Watched {
    pair: Pair,
    place: PlaceId,
    /// As the files were when they were last read, whatever came of it.
    seen: [Option<Stamp>; 2],
    failed: Option<Failed>,
}

/// The files could not be used when they were last read.
#[derive(Debug)]
struct Failed {
    complaint: String,
    again_at: Instant,
}

/// What became of looking at them.
#[derive(Debug)]
pub enum Looked {
    /// They are as they were.
    Unchanged,
    /// There is another certificate, which is served from now on.
    Renewed(Arc<Certificate>),
    /// They cannot be used, and have changed or cannot be for another reason than before: what was served still is.
    Failed(FileError),
}

impl Watched {
    /// Reads the files for the first time, and serves what they hold in a place of its own.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn begin(pair: Pair, certificates: &Certificates) -> Result<Self, FileError> {
        let seen = stamps(&pair);
        let certificate = pair.load()?;
        let place = certificates.add_place(&pair.certificate.key);
        certificates.put(place, certificate);
        Ok(Self {
            pair,
            place,
            seen,
            failed: None,
        })
    }

    /// Looks at the files, and reads them if they are others than those last read, or could not be used a while ago.
    pub fn look(&mut self, certificates: &Certificates, now: Instant) -> Looked {
        // Before they are read: what changes after that is seen the next time.
        let stamps = stamps(&self.pair);
        let have_changed = stamps != self.seen;
        let is_due = |failed: &Failed| now >= failed.again_at;
        if !have_changed && !self.failed.as_ref().is_some_and(is_due) {
            return Looked::Unchanged;
        }
        self.seen = stamps;
        let certificate = match self.pair.load() {
            Ok(certificate) => certificate,
            Err(error) => return self.note_failure(error, have_changed, now),
        };
        self.failed = None;
        let served = certificates.get(self.place);
        let is_same = served.is_some_and(|served| served.key().cert == certificate.key().cert);
        certificates.put(self.place, certificate);
        match certificates.get(self.place) {
            Some(certificate) if !is_same => Looked::Renewed(certificate),
            _ => Looked::Unchanged,
        }
    }

    fn note_failure(&mut self, error: FileError, have_changed: bool, now: Instant) -> Looked {
        let complaint = error.to_string();
        let is_known = |failed: &Failed| failed.complaint == complaint;
        let is_news = have_changed || !self.failed.as_ref().is_some_and(is_known);
        self.failed = Some(Failed {
            complaint,
            again_at: now + AGAIN_AFTER,
        });
        if is_news {
            Looked::Failed(error)
        } else {
            Looked::Unchanged
        }
    }

    /// The files.
    pub fn pair(&self) -> &Pair {
        &self.pair
    }

    /// What an operator should know of the certificate that is served.
    pub fn concerns(&self, certificates: &Certificates, now: SystemTime) -> Vec<String> {
        match certificates.get(self.place) {
            Some(certificate) => self.pair.concerns(&certificate, now),
            None => Vec::new(),
        }
    }
}

fn stamps(pair: &Pair) -> [Option<Stamp>; 2] {
    [&pair.certificate, &pair.key].map(|setting| Stamp::of(&setting.path))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::metrics::Gauge;
    use crate::tls::files::Setting;
    use crate::tls::name::Name;

    struct Files {
        directory: tempfile::TempDir,
        certificates: Arc<Certificates>,
    }

    impl Files {
        fn new() -> Self {
            Self {
                directory: tempfile::tempdir().unwrap(),
                certificates: Certificates::new(Gauge::default()),
            }
        }

        /// Writes a new pair into a folder, as Kubernetes does for each version of a secret.
        fn write(&self, folder: &str, name: &str) {
            let folder = self.directory.path().join(folder);
            fs::create_dir_all(&folder).unwrap();
            let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
            fs::write(folder.join("tls.crt"), made.cert.pem()).unwrap();
            fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
        }

        fn watch(&self, folder: &str) -> Watched {
            let setting = |key: &str, file: &str| Setting {
                key: key.into(),
                path: self.directory.path().join(folder).join(file),
            };
            let pair = Pair {
                certificate: setting("tls.certificate", "tls.crt"),
                key: setting("tls.key", "tls.key"),
                names: Vec::new(),
            };
            Watched::begin(pair, &self.certificates).unwrap()
        }

        fn served(&self, watched: &Watched) -> Vec<Name> {
            self.certificates
                .get(watched.place)
                .unwrap()
                .names()
                .to_vec()
        }
    }

    fn names(names: &[&str]) -> Vec<Name> {
        names
            .iter()
            .map(|name| Name::parse(name).unwrap())
            .collect()
    }

    #[test]
    fn files_are_read_again_when_a_link_leads_to_others() {
        let files = Files::new();
        files.write("v1", "one.test");
        files.write("v2", "two.test");
        let data = files.directory.path().join("..data");
        symlink("v1", &data).unwrap();
        let mut watched = files.watch("..data");
        assert!(matches!(
            watched.look(&files.certificates, Instant::now()),
            Looked::Unchanged
        ));
        symlink("v2", files.directory.path().join("..next")).unwrap();
        fs::rename(files.directory.path().join("..next"), &data).unwrap();
        assert!(matches!(
            watched.look(&files.certificates, Instant::now()),
            Looked::Renewed(_)
        ));
        assert_eq!(files.served(&watched), names(&["two.test"]));
        assert!(matches!(
            watched.look(&files.certificates, Instant::now()),
            Looked::Unchanged
        ));
    }

    #[test]
    fn files_that_cannot_be_used_change_nothing_and_are_complained_of_once() {
        let files = Files::new();
        files.write("tls", "one.test");
        let mut watched = files.watch("tls");
        let path = files.directory.path().join("tls/tls.crt");
        let good = fs::read(&path).unwrap();
        fs::write(&path, "no certificate").unwrap();
        assert!(matches!(
            watched.look(&files.certificates, Instant::now()),
            Looked::Failed(_)
        ));
        assert!(matches!(
            watched.look(&files.certificates, Instant::now()),
            Looked::Unchanged
        ));
        fs::remove_file(&path).unwrap();
        assert!(matches!(
            watched.look(&files.certificates, Instant::now()),
            Looked::Failed(_)
        ));
        assert_eq!(files.served(&watched), names(&["one.test"]));
        fs::write(&path, good).unwrap();
        assert!(matches!(
            watched.look(&files.certificates, Instant::now()),
            Looked::Unchanged
        ));
        files.write("tls", "two.test");
        assert!(matches!(
            watched.look(&files.certificates, Instant::now()),
            Looked::Renewed(_)
        ));
    }

    #[test]
    fn files_that_could_not_be_used_are_read_again_though_they_look_the_same() {
        let files = Files::new();
        files.write("tls", "one.test");
        let mut watched = files.watch("tls");
        let path = files.directory.path().join("tls/tls.crt");
        fs::write(&path, "no certificate").unwrap();
        let start = Instant::now();
        assert!(matches!(
            watched.look(&files.certificates, start),
            Looked::Failed(_)
        ));
        assert!(matches!(
            watched.look(&files.certificates, start + AGAIN_AFTER),
            Looked::Unchanged
        ));
        files.write("tls", "two.test");
        watched.seen = stamps(watched.pair());
        assert!(matches!(
            watched.look(&files.certificates, start + AGAIN_AFTER),
            Looked::Unchanged
        ));
        assert!(matches!(
            watched.look(&files.certificates, start + AGAIN_AFTER * 2),
            Looked::Renewed(_)
        ));
        assert_eq!(files.served(&watched), names(&["two.test"]));
    }

    #[test]
    fn a_certificate_of_another_key_is_not_served() {
        let files = Files::new();
        files.write("tls", "one.test");
        files.write("other", "two.test");
        let mut watched = files.watch("tls");
        let path = |file: &str| files.directory.path().join(file);
        fs::copy(path("other/tls.crt"), path("tls/tls.crt")).unwrap();
        let Looked::Failed(error) = watched.look(&files.certificates, Instant::now()) else {
            panic!("it is served");
        };
        let error = error.to_string();
        assert!(
            error.contains("tls.key (tls.key)") && error.contains("not the key of"),
            "{error}"
        );
        fs::copy(path("other/tls.key"), path("tls/tls.key")).unwrap();
        assert!(matches!(
            watched.look(&files.certificates, Instant::now()),
            Looked::Renewed(_)
        ));
    }
}
