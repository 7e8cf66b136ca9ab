//! `fanfare tail`: follows what passes through a running relay, in a terminal.
//!
//! - [`address`]: where the admin listener is
//! - [`client`]: the WebSocket to its live stream
//! - [`render`]: what a line looks like, and what may never reach the terminal

mod address;
mod client;
mod render;

use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use service::backoff::Backoff;
use tokio::time::sleep;

use crate::config::TOKEN_VARIABLE;
use crate::terminal::safe;

pub use self::address::Address;
use self::client::{ConnectError, StreamClient};
use self::render::Style;

/// Show what passes through a running relay: connects, subscriptions, events, errors.
///
/// One line each, until Ctrl-C. It follows the live stream of the relay's admin listener, waits
/// for a relay that is not there yet, and connects again when it restarts. When too much passes, some is left out; a line says
/// how much.
#[derive(Clone, Debug, clap::Args)]
pub struct TailArgs {
    /// Address of the relay's admin listener, http://host:port or unix:/path [default: where the configuration
    /// has it].
    #[arg(long, value_name = "URL")]
    pub admin: Option<Address>,

    /// What opens the admin listener [default: $FANFARE_ADMIN_TOKEN, or $FANFARE_ADMIN__TOKEN as the relay has it].
    /// Others on this machine can see it here, but not in the environment.
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,

    /// Show only what concerns the app with this id.
    #[arg(long, value_name = "ID")]
    pub app: Option<String>,

    /// Show only what concerns channels of this name; * stands for anything, as in private-*.
    #[arg(long, value_name = "PATTERN")]
    pub channel: Option<String>,

    /// Show only events of this name; * stands for anything.
    #[arg(long, value_name = "PATTERN")]
    pub event: Option<String>,

    /// Print each line as the JSON object that the relay sends, whole.
    #[arg(long)]
    pub json: bool,
}

/// Why `fanfare tail` ended other than by Ctrl-C or a closed pipe.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// There is no live stream at the address.
    #[error(
        "{error}\nIs the relay running, and is {address} its admin listener? It logs the address \
         at start; see [admin] listen in its configuration."
    )]
    Connect {
        /// What was connected to.
        address: Address,
        /// What went wrong.
        error: ConnectError,
    },
    /// The relay will not show what was asked for.
    #[error("the relay at {address} refuses: {reason}")]
    Refused {
        /// What was connected to.
        address: Address,
        /// The relay's own words.
        reason: String,
    },
    /// What was received could not be printed.
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
}

const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(4));

/// Follows the stream until Ctrl-C, a closed pipe or an error that trying again cannot mend.
/// `admin` is the listener where the arguments name none.
pub async fn run(args: TailArgs, admin: Address) -> Result<(), TailError> {
    let admin = args.admin.clone().unwrap_or(admin);
    let stdout = io::stdout();
    let colour = stdout.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let style = match (args.json, colour) {
        (true, _) => Style::Json,
        (false, true) => Style::Coloured,
        (false, false) => Style::Plain,
    };
    let mut output = Output {
        style,
        lines: stdout,
        notes: io::stderr(),
    };
    let following = pin!(follow(&args, &admin, &mut output));
    let interrupted = pin!(tokio::signal::ctrl_c());
    let result = match select(following, interrupted).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => return Ok(()),
    };
    match result {
        Err(TailError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Where what is received goes: lines for whoever reads on, notes for the person who started it.
struct Output<L, N> {
    style: Style,
    lines: L,
    notes: N,
}

impl<L: Write, N: Write> Output<L, N> {
    fn line(&mut self, json: &str) -> Result<(), TailError> {
        let line = render::line(json, self.style);
        writeln!(self.lines, "{line}").map_err(TailError::Output)
    }

    /// A note that cannot be written has no other place to go.
    fn note(&mut self, text: &str) {
        let _ = writeln!(self.notes, "fanfare tail: {}", safe(text, 500));
    }
}

async fn follow<L: Write, N: Write>(
    args: &TailArgs,
    admin: &Address,
    output: &mut Output<L, N>,
) -> Result<(), TailError> {
    let query = query(args);
    let token = token(args.token.as_deref());
    let connection = Connecting {
        admin,
        query: &query,
        token: token.as_deref(),
    };
    let mut client = match connection.connect().await {
        Ok(client) => client,
        Err(error) if error.may_pass() => {
            output.note(&format!(
                "{error}; waiting for a relay whose admin listener is {admin} (it logs the address at start, and --admin chooses another); Ctrl-C ends it"
            ));
            connection.retry().await?
        }
        Err(error) => return Err(fatal(admin, error)),
    };
    output.note(&format!("following {admin}; Ctrl-C ends it"));
    loop {
        let ended = loop {
            match client.next().await {
                Ok(json) => output.line(&json)?,
                Err(ended) => break ended,
            }
        };
        output.note(&format!("{ended}; connecting again"));
        client = connection.retry().await?;
        output.note("connected again");
    }
}

/// Where a stream is, and which.
struct Connecting<'a> {
    admin: &'a Address,
    query: &'a str,
    token: Option<&'a str>,
}

impl Connecting<'_> {
    async fn connect(&self) -> Result<StreamClient, ConnectError> {
        StreamClient::connect(self.admin, self.query, self.token).await
    }

    /// Tries until there is a stream, or an error that does not pass.
    async fn retry(&self) -> Result<StreamClient, TailError> {
        let mut failures = 1;
        loop {
            sleep(BACKOFF.delay(failures)).await;
            match self.connect().await {
                Ok(client) => return Ok(client),
                Err(error) if error.may_pass() => failures += 1,
                Err(error) => return Err(fatal(self.admin, error)),
            }
        }
    }
}

fn fatal(admin: &Address, error: ConnectError) -> TailError {
    let address = admin.clone();
    match error {
        ConnectError::Refused { reason, .. } => TailError::Refused { address, reason },
        error => TailError::Connect { address, error },
    }
}

/// What was given, or stands in the environment, for commands or for the relay.
fn token(given: Option<&str>) -> Option<String> {
    let in_environment = || {
        let names = [TOKEN_VARIABLE, "FANFARE_ADMIN__TOKEN"];
        names.into_iter().find_map(|name| std::env::var(name).ok())
    };
    let token = given.map(str::to_owned).or_else(in_environment);
    // (No header takes any other.)
    token.filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()))
}

fn query(args: &TailArgs) -> String {
    let filters = [
        ("app", &args.app),
        ("channel", &args.channel),
        ("event", &args.event),
    ];
    let encoded = |(name, value): (&str, &Option<String>)| {
        let value = value.as_ref()?;
        let value =
            percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
        Some(format!("{name}={value}"))
    };
    let pairs: Vec<_> = filters.into_iter().filter_map(encoded).collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests;
