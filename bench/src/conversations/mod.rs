//! Attacks by strangers on conversation-api, beside agents who read and write.

mod agents;
mod attack;
mod attackers;

use std::fs;
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};

use self::agents::Agents;
use self::attack::Attack;
use self::attackers::{Attackers, Ends};
use crate::compare::server::Server;
use crate::sys;
use crate::usage::{Processes, machine_json};

/// Of the agents alone, before the attack.
const WARMUP: Duration = Duration::from_secs(1);
/// After the attack, until memory is looked at again.
const SETTLE: Duration = Duration::from_secs(4);

#[derive(Args)]
pub(crate) struct ConversationsOptions {
    /// The conversation-api binary; by default the one beside this program
    #[arg(long, value_name = "PATH")]
    conversation_api: Option<PathBuf>,
    /// Only these attacks
    #[arg(long, value_delimiter = ',', value_name = "ATTACK")]
    only: Vec<Attack>,
    /// Hostile connections, where the attack leaves a choice
    #[arg(long, value_delimiter = ',', default_values_t = [1, 20])]
    hostile: Vec<usize>,
    /// Seconds of each attack
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,
    /// Where to write the table's figures
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What one attack did. Without an attack: what there is without one.
#[derive(Serialize)]
struct Finding {
    attack: String,
    hostile: usize,
    /// Request to answer, of the agents.
    p50_ms: f64,
    p99_ms: f64,
    /// The p99 against that without an attack.
    ratio: Option<f64>,
    /// Requests of the agents that were refused, or not answered.
    failures: usize,
    growth_mib_each: f64,
    left_mib: f64,
    /// Lines that were logged from the beginning of the attack on.
    log_lines: usize,
    ends: Ends,
}

pub(crate) fn run(options: ConversationsOptions) -> anyhow::Result<()> {
    ensure!(options.seconds > 0.0, "--seconds must be above 0");
    sys::raise_nofile().context("raising the limit on open files")?;
    let own_path = std::env::current_exe().context("where this program is")?;
    let program = options
        .conversation_api
        .unwrap_or_else(|| own_path.with_file_name("conversation-api"));
    let program = program.canonicalize().with_context(|| {
        format!(
            "there is no conversation-api binary at {} (build it with `cargo build --release -p \
             conversation-api`, or say where it is with --conversation-api)",
            program.display()
        )
    })?;
    let attacks = if options.only.is_empty() {
        Attack::value_variants().to_vec()
    } else {
        options.only
    };
    let machine = machine_json();
    let seconds = Duration::from_secs_f64(options.seconds);
    let mut findings = vec![measure(&program, None, 0, seconds)?];
    for attack in attacks {
        let fixed = attack.fixed_connections().map(|count| vec![count]);
        for hostile in fixed.unwrap_or_else(|| options.hostile.clone()) {
            let mut finding = measure(&program, Some(attack), hostile, seconds)?;
            finding.ratio = Some(finding.p99_ms / findings[0].p99_ms);
            findings.push(finding);
        }
    }
    print(&findings);
    if let Some(path) = &options.json {
        let figures = json!({ "machine": machine, "findings": findings });
        let text = serde_json::to_string_pretty(&figures)?;
        fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// One with the demonstration data, on SQLite, that announces nothing.
fn start(program: &Path) -> anyhow::Result<Server> {
    let directory = tempfile::tempdir().context("a directory for the database")?;
    let command = |name: &str| {
        let mut command = Command::new(program);
        command
            .arg(name)
            .env_clear()
            .current_dir(directory.path())
            .env("DATABASE_URL", "sqlite://hostile.db")
            .env("LISTEN", "127.0.0.1:0")
            .env("LOG_FORMAT", "json")
            .env("BROADCAST_CONNECTION", "null")
            .env("WHATSAPP_APP_SECRET", "hostile")
            .stdout(Stdio::null());
        command
    };
    let seeded = command("seed").stderr(Stdio::null()).status();
    let seeded = seeded.context("filling the database")?;
    ensure!(seeded.success(), "the database was not filled: {seeded}");
    let serve = command("serve");
    Server::start(serve, address, |status| status.success(), Some(directory))
}

fn address(line: &str) -> Option<SocketAddrV4> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "listening").then(|| line["address"].as_str()?.parse().ok())?
}

fn measure(
    program: &Path,
    attack: Option<Attack>,
    hostile: usize,
    seconds: Duration,
) -> anyhow::Result<Finding> {
    let name = attack.map_or_else(|| "none".into(), Attack::name);
    eprintln!("{name}, {hostile} hostile");
    let server = start(program)?;
    let processes = Processes::new(vec![server.pid() as i32])?;
    let agents = Agents::start(server.address())?;
    thread::sleep(WARMUP);
    agents.begin_to_count();
    processes.reset_peak_rss();
    let before = processes.memory().rss_kib;
    let logged_before = server.lines_logged();
    let attackers = attack.map(|attack| Attackers::start(server.address(), attack, hostile));
    thread::sleep(seconds);
    let peak = processes.memory().peak_rss_kib;
    let answers = agents.finish();
    let ends = attackers.map(Attackers::stop).unwrap_or_default();
    thread::sleep(SETTLE);
    let mib = |kib: u64| kib.saturating_sub(before) as f64 / 1024.0;
    Ok(Finding {
        attack: name,
        hostile,
        p50_ms: answers.at(0.5),
        p99_ms: answers.at(0.99),
        ratio: None,
        failures: answers.failures,
        growth_mib_each: mib(peak) / hostile.max(1) as f64,
        left_mib: mib(processes.memory().rss_kib),
        log_lines: server.lines_logged() - logged_before,
        ends,
    })
}

#[expect(clippy::print_stdout, reason = "the table is this command's output")]
fn print(findings: &[Finding]) {
    println!(
        "| attack | hostile | p50 ms | p99 ms | ratio | failures | MiB each | MiB left | log lines | ends |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|---|"
    );
    for finding in findings {
        let ratio = finding
            .ratio
            .map_or("–".into(), |ratio| format!("{ratio:.1}"));
        let ends = finding.ends.iter();
        let ends: Vec<String> = ends
            .map(|(end, count)| format!("{count} × {end}"))
            .collect();
        println!(
            "| {} | {} | {:.1} | {:.1} | {ratio} | {} | {:.2} | {:.1} | {} | {} |",
            finding.attack,
            finding.hostile,
            finding.p50_ms,
            finding.p99_ms,
            finding.failures,
            finding.growth_mib_each,
            finding.left_mib,
            finding.log_lines,
            ends.join(", "),
        );
    }
}
