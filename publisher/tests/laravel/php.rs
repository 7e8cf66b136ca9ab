//! PHP.

use std::path::Path;
use std::process::Stdio;

use protocol_tests::within;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// Runs a script beside this file with an input, and returns its output.
pub(crate) async fn run(script: &str, input: &str) -> String {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/laravel");
    let mut php = Command::new("php")
        .args([
            "-d",
            "display_errors=stderr",
            "-d",
            "error_reporting=E_ALL&~E_DEPRECATED",
        ])
        .arg(script)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("php is missing: run `make setup` first");
    let mut stdin = php.stdin.take().expect("stdin is piped");
    stdin
        .write_all(input.as_bytes())
        .await
        .expect("the script reads its input");
    drop(stdin);
    let output = within("the script's end", php.wait_with_output())
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "{script}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}
