//! The `conversation-api` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    conversation_api::cli::main()
}
