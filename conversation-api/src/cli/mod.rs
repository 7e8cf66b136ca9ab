//! The command line.
//!
//! - [`serve`], [`migrate`], [`seed`], [`outbox`]: the commands
//! - [`telemetry`]: the log on stderr

mod migrate;
mod outbox;
mod seed;
mod serve;
mod telemetry;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;
use service::{log, stdout};

use crate::settings::{Environment, SettingError};

/// Exit code for a command line or settings that make no sense.
const BAD_CONFIGURATION: u8 = 64;
/// Exit code for everything else that went wrong.
const FAILURE: u8 = 1;

#[derive(Debug, clap::Parser)]
#[command(name = "conversation-api", version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Serve the endpoints, and send what happens to the relay.
    Serve(serve::ServeArgs),
    /// Bring the database's schema up to date.
    Migrate(DatabaseArgs),
    /// Fill an empty database with demonstration data.
    Seed(DatabaseArgs),
    /// Look after what could not be sent.
    #[command(subcommand)]
    Outbox(outbox::OutboxCommand),
}

/// Which database.
#[derive(Clone, Debug, clap::Args)]
struct DatabaseArgs {
    /// The database: sqlite://FILE or postgres://… [default: $DATABASE_URL, or
    /// sqlite://conversations.db].
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,

    /// A file of variables in Laravel's format, over which those of the environment count [default:
    /// .env in the working folder, if there is one].
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  conversation-api seed
  conversation-api serve --listen 127.0.0.1:8000
  DATABASE_URL=postgres://tims@localhost/tims conversation-api migrate

The environment, or the file .env, says the rest: the broadcast variables of Laravel (BROADCAST_CONNECTION,
PUSHER_APP_ID, …), WHATSAPP_APP_SECRET and others; README.md lists them. Exit codes: 0 done, or
stopped on request, 64 the settings or the command line make no sense, 1 anything else.";

/// Why a command failed. Its text says what to do about it.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Setting(#[from] SettingError),
    #[error("{0}")]
    Other(#[source] Box<dyn Error>),
}

impl Failure {
    fn other(error: impl Into<Box<dyn Error>>) -> Self {
        Self::Other(error.into())
    }
}

impl DatabaseArgs {
    fn environment(&self) -> Result<Environment, SettingError> {
        let url = self.database_url.as_deref();
        let environment = Environment::of_process().with_file(self.env_file.as_deref())?;
        Ok(environment.flag("--database-url", "DATABASE_URL", url))
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            // Help that nobody reads to the end is no failure.
            let _ = answer.print();
            return if answer.use_stderr() {
                ExitCode::from(BAD_CONFIGURATION)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let result = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Seed(args) => seed::run(&args),
        Command::Outbox(command) => outbox::run(&command),
    };
    let exit_code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::print(&format!("conversation-api: {failure}\n"));
            ExitCode::from(match failure {
                Failure::Setting(_) => BAD_CONFIGURATION,
                Failure::Other(_) => FAILURE,
            })
        }
    };
    log::finish();
    exit_code
}

/// Runs a command to its end.
fn block_on<T>(command: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(command)
}

/// Writes what was asked for to stdout.
fn print(text: &str) -> Result<(), Failure> {
    stdout::print(text).map_err(Failure::other)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
