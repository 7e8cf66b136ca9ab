//! Programs that tests start.

use std::process::Stdio;

use tokio::process::Command;

/// A command whose process ends with its test, however that ends; its standard input and output are pipes.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    // A test run that is itself killed runs no destructors: the kernel then ends the process with the thread that
    // started it, which is the test's own.
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            },
        );
    }
    command
}
