//! Programs under Node.js, with the official libraries that `make setup` installs.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use protocol_tests::{TestServer, within};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::support::host_and_port;

/// A program that reads and writes a JSON value a line. Dropping it ends it.
pub(crate) struct Node {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Node {
    /// Starts a program beside this file. The first line is about the relay.
    pub(crate) async fn start(program: &str, server: &TestServer, more: Value) -> Node {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut child = Command::new(existing(project.join(".tools/bin/node")))
            .arg(
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("tests/relay")
                    .join(program),
            )
            .current_dir(existing(
                project.join("protocol-tests/clients/node_modules"),
            ))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Node.js runs");
        let input = child.stdin.take().expect("stdin is piped");
        let output = child.stdout.take().expect("stdout is piped");
        let mut node = Node {
            child,
            input,
            output: BufReader::new(output).lines(),
        };
        let (host, port) = host_and_port(&server.endpoint().authority);
        let app = server.app();
        let app = json!({"id": app.id, "key": app.key, "secret": app.secret});
        node.write(json!({"host": host, "port": port, "app": app, "more": more}))
            .await;
        node
    }

    pub(crate) async fn write(&mut self, value: Value) {
        let line = format!("{value}\n");
        self.input
            .write_all(line.as_bytes())
            .await
            .expect("the program reads its input");
    }

    pub(crate) async fn read(&mut self) -> Value {
        let line = within("a line of the program", self.output.next_line()).await;
        let line = line
            .expect("the program writes UTF-8")
            .expect("the program has more to print");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Closes the program's input and waits for its end.
    pub(crate) async fn end(self) {
        let Node {
            mut child, input, ..
        } = self;
        drop(input);
        let status = within("the program's end", child.wait()).await.unwrap();
        assert!(status.success(), "{status}");
    }
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "{} is missing: run `make setup` first",
        path.display()
    );
    path
}
