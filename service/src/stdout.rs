//! What a command prints for whoever asked for it.

use std::io::{self, Write as _};

/// Writes the text to stdout. That nobody wants to read on is no failure.
///
/// # Errors
/// When stdout cannot be written to.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}
