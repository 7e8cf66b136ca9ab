//! How to call this program once more, in the words of whoever started it.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What stands before the arguments of another command, such as `fanfare` or `cargo run --`.
pub(super) fn command() -> String {
    Started {
        first_argument: env::args_os().next(),
        program: env::current_exe().ok(),
        directory: env::current_dir().ok(),
        cargo_package: cargo_package(),
    }
    .command()
}

/// The folder of this package, if it is `cargo run` that started the process: cargo says so to
/// what it runs.
fn cargo_package() -> Option<PathBuf> {
    env::var_os("CARGO")?;
    let name = env::var_os("CARGO_PKG_NAME")?;
    (name == env!("CARGO_PKG_NAME"))
        .then(|| env::var_os("CARGO_MANIFEST_DIR"))
        .flatten()
        .map(PathBuf::from)
}

/// How the process was started.
struct Started {
    first_argument: Option<OsString>,
    program: Option<PathBuf>,
    directory: Option<PathBuf>,
    cargo_package: Option<PathBuf>,
}

impl Started {
    fn command(&self) -> String {
        if let Some(cargo) = self.through_cargo() {
            return cargo.into();
        }
        match self.first_argument.as_ref().and_then(|name| name.to_str()) {
            Some(path) if path.contains('/') => quoted(path),
            _ => env!("CARGO_PKG_NAME").into(),
        }
    }

    /// `cargo run` is right only below the folder that cargo started it for.
    fn through_cargo(&self) -> Option<&'static str> {
        let package = self.cargo_package.as_ref()?;
        if !self.directory.as_ref()?.starts_with(package) {
            return None;
        }
        let profile = self.program.as_deref()?.parent().and_then(Path::file_name);
        match profile?.to_str()? {
            "release" => Some("cargo run --release --"),
            "debug" => Some("cargo run --"),
            _ => None,
        }
    }
}

/// A path as a shell takes it.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@".contains(c);
    if path.chars().all(is_plain) {
        path.into()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(first_argument: &str, program: &str, directory: &str, package: &str) -> String {
        Started {
            first_argument: Some(first_argument.into()),
            program: Some(program.into()),
            directory: Some(directory.into()),
            cargo_package: (!package.is_empty()).then(|| package.into()),
        }
        .command()
    }

    #[test]
    fn it_is_called_as_it_was_called() {
        let built = "/src/fanfare/target/release/fanfare";
        for (first, directory, package, expected) in [
            (
                "target/release/fanfare",
                "/src/fanfare",
                "/src/fanfare",
                "cargo run --release --",
            ),
            (built, "/home/someone", "/src/fanfare", built),
            (built, "/src/fanfare", "", built),
            ("fanfare", "/", "", "fanfare"),
            ("./my programs/fanfare", "/", "", "'./my programs/fanfare'"),
            ("./it's", "/", "", r"'./it'\''s'"),
        ] {
            assert_eq!(command(first, built, directory, package), expected);
        }
        let debug = "/src/fanfare/target/debug/fanfare";
        assert_eq!(
            command(debug, debug, "/src/fanfare", "/src/fanfare"),
            "cargo run --"
        );
    }
}
