//! A clock of a server's own, which a test can set.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A server's clock, by how far it is ahead of the system's.
#[derive(Debug)]
pub(super) struct Clock {
    /// Where it stands how far.
    setting: PathBuf,
    /// What gives it to a server.
    library: PathBuf,
}

impl Clock {
    /// A clock that is so many seconds ahead, for a server in `directory`.
    pub(super) fn new(directory: &Path, ahead: u32) -> Clock {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/redis/clock.c");
        let clock = Clock {
            setting: directory.join("clock"),
            library: directory.join("clock.so"),
        };
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]);
        let compiled = compiler.arg(&clock.library).arg(source).status();
        assert!(
            compiled.is_ok_and(|status| status.success()),
            "cc does not compile clock.c: run `make setup` first"
        );
        clock.set(ahead);
        clock
    }

    /// Sets it: so many seconds ahead.
    pub(super) fn set(&self, ahead: u32) {
        // In one step: the server reads it all the time.
        let next = self.setting.with_extension("next");
        let written = std::fs::write(&next, ahead.to_string());
        let renamed = written.and_then(|()| std::fs::rename(&next, &self.setting));
        renamed.expect("the temporary directory is writable");
    }

    /// What a server's environment must have.
    pub(super) fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("TEST_CLOCK", &self.setting)]
    }
}
