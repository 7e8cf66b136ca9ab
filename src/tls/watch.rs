//! Files of certificates that change while the relay runs.

use std::sync::Arc;
use std::time::SystemTime;

use super::certificate::Certificate;
use super::certificates::{Certificates, PlaceId};
use super::files::{FileError, Pair};
use crate::stamp::Stamp;

/// A pair of files whose certificate is served.
#[derive(Debug)]
pub struct Watched {
    pair: Pair,
    place: PlaceId,
    /// As the files were when they were last read, whatever came of it.
    seen: [Option<Stamp>; 2],
}

/// What became of looking at them.
#[derive(Debug)]
pub enum Looked {
    /// They are as they were.
    Unchanged,
    /// There is another certificate, which is served from now on.
    Renewed(Arc<Certificate>),
    /// They have changed and cannot be used: what was served still is.
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
        let place = certificates.add_place(&pair.label(&certificate));
        certificates.put(place, certificate);
        Ok(Self { pair, place, seen })
    }

    /// Looks at the files, and reads them if they are others than those last read.
    pub fn look(&mut self, certificates: &Certificates) -> Looked {
        // Before they are read: what changes after that is seen the next time.
        let stamps = stamps(&self.pair);
        if stamps == self.seen {
            return Looked::Unchanged;
        }
        self.seen = stamps;
        let certificate = match self.pair.load() {
            Ok(certificate) => certificate,
            Err(error) => return Looked::Failed(error),
        };
        let served = certificates.get(self.place);
        let is_same = served.is_some_and(|served| served.key().cert == certificate.key().cert);
        certificates.put(self.place, certificate);
        match certificates.get(self.place) {
            Some(certificate) if !is_same => Looked::Renewed(certificate),
            _ => Looked::Unchanged,
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
            watched.look(&files.certificates),
            Looked::Unchanged
        ));
        symlink("v2", files.directory.path().join("..next")).unwrap();
        fs::rename(files.directory.path().join("..next"), &data).unwrap();
        assert!(matches!(
            watched.look(&files.certificates),
            Looked::Renewed(_)
        ));
        assert_eq!(files.served(&watched), names(&["two.test"]));
        assert!(matches!(
            watched.look(&files.certificates),
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
            watched.look(&files.certificates),
            Looked::Failed(_)
        ));
        assert!(matches!(
            watched.look(&files.certificates),
            Looked::Unchanged
        ));
        fs::remove_file(&path).unwrap();
        assert!(matches!(
            watched.look(&files.certificates),
            Looked::Failed(_)
        ));
        assert_eq!(files.served(&watched), names(&["one.test"]));
        fs::write(&path, good).unwrap();
        assert!(matches!(
            watched.look(&files.certificates),
            Looked::Unchanged
        ));
        files.write("tls", "two.test");
        assert!(matches!(
            watched.look(&files.certificates),
            Looked::Renewed(_)
        ));
    }

    #[test]
    fn a_certificate_of_another_key_is_not_served() {
        let files = Files::new();
        files.write("tls", "one.test");
        files.write("other", "two.test");
        let mut watched = files.watch("tls");
        let path = |file: &str| files.directory.path().join(file);
        fs::copy(path("other/tls.crt"), path("tls/tls.crt")).unwrap();
        let Looked::Failed(error) = watched.look(&files.certificates) else {
            panic!("it is served");
        };
        let error = error.to_string();
        assert!(
            error.contains("tls.key (tls.key)") && error.contains("not the key of"),
            "{error}"
        );
        fs::copy(path("other/tls.key"), path("tls/tls.key")).unwrap();
        assert!(matches!(
            watched.look(&files.certificates),
            Looked::Renewed(_)
        ));
    }
}
