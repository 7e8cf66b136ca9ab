//! The command line.
//!
//! - [`serve`]: the relay itself, the default
//! - [`check_config`]: what a configuration says, without serving it
//! - [`trigger`], [`channels`]: the HTTP API for people at a terminal
//! - [`tail`]: what passes through a running relay
//! - [`health`]: whether a relay answers
//! - [`doctor`]: why clients do not connect
//! - [`target`], [`url`], [`api`], [`client`]: which app and relay those speak to, and how
//! - [`secure`]: the same over TLS; [`unix_socket`]: by a Unix socket
//! - [`program`]: how to call this program once more
//! - [`banner`], [`telemetry`]: what the relay writes to stderr

mod api;
mod banner;
mod channels;
mod check_config;
mod client;
mod doctor;
mod health;
mod program;
mod secure;
mod serve;
mod tail;
mod target;
mod telemetry;
mod trigger;
mod unix_socket;
mod url;

use std::error::Error;
use std::process::ExitCode;

use clap::Parser as _;
use service::{log, stdout};

use crate::config::{self, ConfigError};

/// Exit code for a command line or a configuration that makes no sense.
const BAD_CONFIGURATION: u8 = 64;
/// Exit code for everything else that went wrong.
const FAILURE: u8 = 1;

#[derive(Debug, clap::Parser)]
#[command(name = "fanfare", version, about, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: serve::ServeArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Serve WebSockets and the HTTP API; also what `fanfare` does without a command.
    Serve(serve::ServeArgs),
    /// Say what a configuration is made of and whether it is valid, without serving it.
    CheckConfig(serve::ServeArgs),
    /// Publish an event.
    Trigger(trigger::TriggerArgs),
    /// List the channels that somebody is subscribed to.
    Channels(channels::ChannelsArgs),
    Tail(tail::TailArgs),
    Health(health::HealthArgs),
    Doctor(doctor::DoctorArgs),
}

const EXAMPLES: &str = "\
Examples:
  fanfare                                   a development app on http://127.0.0.1:6001
  fanfare --env-file ../shop/.env           the app of a Laravel project
  fanfare --config relay.toml --listen 0.0.0.0:6001
  fanfare check-config --config relay.toml
  fanfare trigger news greeting '{\"text\":\"hello\"}'
  fanfare channels presence-
  fanfare tail
  fanfare health
  fanfare doctor --url wss://ws.example.com

Every key of config.toml is explained in that file; FANFARE_SERVER__LISTEN and the like override
it, and flags override both. Exit codes: 0 stopped on request, 64 the configuration or command
line makes no sense, 1 anything else; `fanfare doctor` has 2 and 3, too.";

/// Why a command failed. Its text says what to do about it.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Other(#[source] Box<dyn Error + Send + Sync>),
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// What was found has been printed already; the exit code says how bad it is.
    #[error("something was found")]
    Found(u8),
}

impl Failure {
    fn other(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
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
    let result = match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => serve::run(&args),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::Trigger(args) => trigger::run(&args),
        Command::Channels(args) => channels::run(&args),
        Command::Tail(args) => follow(args),
        Command::Health(args) => health::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    };
    let exit_code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Found(code)) => ExitCode::from(code),
        Err(failure) => {
            log::print(&format!("fanfare: {failure}\n"));
            ExitCode::from(match failure {
                Failure::Config(_) | Failure::Usage(_) => BAD_CONFIGURATION,
                Failure::Found(_) | Failure::Other(_) => FAILURE,
            })
        }
    };
    log::finish();
    exit_code
}

fn follow(args: tail::TailArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::other)?;
    let admin = match &args.admin {
        Some(admin) => admin.clone(),
        None => configured_admin()?,
    };
    runtime
        .block_on(tail::run(args, admin))
        .map_err(Failure::other)
}

/// The admin listener that `fanfare serve` would have in the same place.
fn configured_admin() -> Result<tail::Address, Failure> {
    let config = config::load(&serve::Files::default().sources())?.config;
    tail::Address::of(&config.admin).ok_or_else(|| {
        Failure::other(
            "the configuration turns the admin listener off or leaves its port open; --admin says where it is",
        )
    })
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

    #[test]
    fn flags_of_serve_work_with_and_without_its_name() {
        for line in [
            &["fanfare", "--listen", "127.0.0.1:0", "--workers", "2"][..],
            &[
                "fanfare",
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--workers",
                "2",
            ],
        ] {
            let cli = Cli::try_parse_from(line).unwrap();
            let args = match cli.command {
                Some(Command::Serve(args)) => args,
                None => cli.serve,
                Some(other) => panic!("{other:?}"),
            };
            let flags: Vec<_> = args
                .sources()
                .flags
                .into_iter()
                .map(|flag| flag.value)
                .collect();
            assert_eq!(flags, ["127.0.0.1:0", "2"]);
        }
    }

    #[test]
    fn flags_of_serve_do_not_stand_before_another_command() {
        assert!(Cli::try_parse_from(["fanfare", "--workers", "2", "channels"]).is_err());
    }
}
