//! An example that runs.

use std::env;
use std::process::{Output, Stdio};

use protocol_tests::within;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// An example that writes lines until it is dropped, which ends it.
pub(crate) struct Program {
    _child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Starts an example with these variables, and no others of those that it reads.
    pub(crate) fn start(example: &str, variables: &[(&str, &str)]) -> Program {
        let mut child = command(example, variables)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.stdout.take().expect("stdout is piped");
        Program {
            _child: child,
            output: BufReader::new(output).lines(),
        }
    }

    /// The next line that it writes.
    pub(crate) async fn line(&mut self) -> String {
        let line = within("a line of the example", self.output.next_line()).await;
        line.unwrap().expect("the example goes on")
    }
}

/// Runs an example to its end.
pub(crate) async fn run(example: &str, variables: &[(&str, &str)]) -> Output {
    let end = command(example, variables).output();
    within("the example's end", end).await.unwrap()
}

/// An example with these variables, and no others of those that it reads.
pub(crate) fn command(example: &str, variables: &[(&str, &str)]) -> Command {
    let tests = env::current_exe().unwrap();
    let built = tests.parent().and_then(|deps| deps.parent()).unwrap();
    let program = built.join("examples").join(example);
    assert!(
        program.exists(),
        "{} is missing: run `cargo build --examples` first",
        program.display()
    );
    let mut command = Command::new(program);
    for name in ["BROADCAST_", "PUSHER_", "LOG_PATH", "APP_ENV"] {
        for (known, _) in env::vars_os() {
            if known.to_string_lossy().starts_with(name) {
                command.env_remove(known);
            }
        }
    }
    command.envs(variables.iter().copied()).kill_on_drop(true);
    command
}
