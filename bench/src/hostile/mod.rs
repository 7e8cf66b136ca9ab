//! Attacks by strangers beside healthy subscribers: what the healthy notice, and what it costs
//! the server. One binary, or two side by side.

mod attack;
mod beside;
mod connection;
mod edge;
mod http2;
mod sessions;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};

use self::attack::{Attack, SETTLE};
use self::beside::{Probe, Subscribers, WARMUP_S};
use self::connection::{Attackers, Ends};
use self::edge::Secured;
use crate::compare::server::{self, Environment, Server};
use crate::receiver::Answer;
use crate::sys;
use crate::usage::{Processes, machine_json};

/// For as long webhooks are sent before the attack.
const FIRST_WEBHOOKS: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct HostileOptions {
    /// The fanfare binary; by default the one beside this program
    #[arg(long, value_name = "PATH")]
    fanfare: Option<PathBuf>,
    /// Another fanfare binary, to compare it with
    #[arg(long, value_name = "PATH")]
    base: Option<PathBuf>,
    /// Only these attacks
    #[arg(long, value_delimiter = ',', value_name = "ATTACK")]
    only: Vec<Attack>,
    /// Hostile connections, where the attack leaves a choice
    #[arg(long, value_delimiter = ',', default_values_t = [1, 20])]
    hostile: Vec<usize>,
    /// Healthy subscribers, who get 100 events per second
    #[arg(long, default_value_t = 1000)]
    subscribers: usize,
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
    binary: String,
    attack: String,
    is_at_the_edge: bool,
    hostile: usize,
    p50_ms: f64,
    p99_ms: f64,
    /// Publish to answer, of the same publishes.
    publish_p99_ms: f64,
    /// The p99 against that without an attack, of as many subscribers.
    ratio: Option<f64>,
    up_p99_ms: Option<f64>,
    up_failures: usize,
    growth_mib_each: f64,
    left_mib: f64,
    /// Lines that were logged from the beginning of the attack on.
    log_lines: usize,
    ends: Ends,
    problems: Value,
}

struct Bench {
    program: PathBuf,
    subscribers: usize,
    seconds: f64,
}

pub(crate) fn run(options: HostileOptions) -> anyhow::Result<()> {
    ensure!(options.seconds > 0.0, "--seconds must be above 0");
    sys::raise_nofile().context("raising the limit on open files")?;
    let program = std::env::current_exe().context("where this program is")?;
    let fanfare = options
        .fanfare
        .unwrap_or_else(|| program.with_file_name("fanfare"));
    let binaries: Vec<PathBuf> = options.base.into_iter().chain([fanfare]).collect();
    for binary in &binaries {
        server::version(binary)?;
    }
    let bench = Bench {
        program,
        subscribers: options.subscribers,
        seconds: options.seconds,
    };
    let attacks = if options.only.is_empty() {
        Attack::value_variants().to_vec()
    } else {
        options.only
    };
    let machine = machine_json();
    let mut findings = Vec::new();
    for binary in &binaries {
        findings.push(bench.measure(binary, None, 0)?);
    }
    for attack in attacks {
        let fixed = attack.fixed_connections().map(|count| vec![count]);
        for hostile in fixed.unwrap_or_else(|| options.hostile.clone()) {
            for (position, binary) in binaries.iter().enumerate() {
                let mut finding = bench.measure(binary, Some(attack), hostile)?;
                if bench.subscribers_beside(Some(attack)) == bench.subscribers {
                    finding.ratio = Some(finding.p99_ms / findings[position].p99_ms);
                }
                findings.push(finding);
            }
        }
    }
    table::print(&findings);
    if is_disturbed(&machine) {
        eprintln!("other programs used the machine when this began: these are no figures");
    }
    if let Some(path) = &options.json {
        let figures = json!({ "machine": machine, "findings": findings });
        let text = serde_json::to_string_pretty(&figures)?;
        fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// Whether others use more than a quarter of the machine.
fn is_disturbed(machine: &Value) -> bool {
    let load = machine["load_1min"].as_str().unwrap_or_default();
    let load: f64 = load.parse().unwrap_or_default();
    load > machine["cpus"].as_f64().unwrap_or(1.0) / 4.0
}

impl Bench {
    /// The server, and the receiver of its webhooks if the attack is one on them.
    fn start(
        &self,
        binary: &Path,
        attack: Option<Attack>,
        secured: Option<&Secured>,
    ) -> anyhow::Result<(Server, Option<Server>)> {
        let receiver = match attack {
            Some(Attack::CacheChannels) => Some(Server::start_receiver(&self.program, Answer::Ok)?),
            _ => None,
        };
        let of_webhook = receiver.as_ref().map_or_else(String::new, |receiver| {
            let address = receiver.address();
            format!(
                "[[apps.webhooks]]\nurl = \"http://{address}/\"\nevents = [\"cache_miss\"]\n\
                 batch = true\n"
            )
        });
        let more = of_webhook + attack.map(Attack::of_app).unwrap_or_default();
        let limits = attack.map(Attack::limits).unwrap_or_default().iter();
        let limits = limits.map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let of_tls = secured.map(Secured::variables);
        let environment = Environment {
            descriptors: attack.and_then(Attack::descriptors),
            variables: limits.chain(of_tls.into_iter().flatten()).collect(),
        };
        let server = Server::start_fanfare_with(binary, 0, &more, &environment)?;
        Ok((server, receiver))
    }

    /// With few open files there is room for few subscribers.
    fn subscribers_beside(&self, attack: Option<Attack>) -> usize {
        match attack.and_then(Attack::descriptors) {
            Some(limit) => self.subscribers.min(limit as usize / 4),
            None => self.subscribers,
        }
    }

    fn measure(
        &self,
        binary: &Path,
        attack: Option<Attack>,
        hostile: usize,
    ) -> anyhow::Result<Finding> {
        let name = attack.map_or_else(|| "none".into(), Attack::name);
        eprintln!("{}: {name}, {hostile} hostile", binary.display());
        let over_tls = attack.filter(|attack| attack.is_over_tls());
        let secured = over_tls.map(|attack| {
            let alpn = attack.is_over_http2().then_some(http2::ALPN);
            Secured::new(alpn)
        });
        let secured = secured.transpose()?;
        let (server, receiver) = self.start(binary, attack, secured.as_ref())?;
        let subscribers = self.subscribers_beside(attack);
        let processes = Processes::new(vec![server.pid() as i32])?;
        let address = server.address();
        if receiver.is_some() {
            // The first webhooks of all take memory once, whoever causes them.
            let first = Attackers::start(address, None, Attack::CacheChannels, 1);
            thread::sleep(FIRST_WEBHOOKS);
            first.stop();
        }
        let seconds = self.seconds;
        let healthy = Subscribers::start(&self.program, address, subscribers, seconds)?;
        thread::sleep(Duration::from_secs_f64(WARMUP_S * 0.75));
        processes.reset_peak_rss();
        let before = processes.memory().rss_kib;
        let logged_before = server.lines_logged();
        let attackers = attack.map(|attack| Attackers::start(address, secured, attack, hostile));
        let probe = Probe::start(address);
        thread::sleep(Duration::from_secs_f64(seconds));
        let peak = processes.memory().peak_rss_kib;
        let ends = attackers.map(Attackers::stop).unwrap_or_default();
        let answers = probe.finish();
        let report = healthy.report()?;
        thread::sleep(attack.map_or(SETTLE, Attack::settle));
        let after = processes.memory().rss_kib;
        let log_lines = server.lines_logged() - logged_before;
        // How it stops is not what is measured, nor is a receiver that it leaves.
        drop((server, receiver));
        let ms = |of: &str, key: &str| report[of][key].as_f64().unwrap_or_default() / 1e3;
        let mib = |kib: u64| kib.saturating_sub(before) as f64 / 1024.0;
        Ok(Finding {
            binary: binary.display().to_string(),
            attack: name,
            is_at_the_edge: attack.is_some_and(Attack::is_at_the_edge),
            hostile,
            p50_ms: ms("latency", "p50_us"),
            p99_ms: ms("latency", "p99_us"),
            publish_p99_ms: ms("http_answer", "p99_us"),
            ratio: None,
            up_p99_ms: answers.p99(),
            up_failures: answers.failures,
            growth_mib_each: mib(peak) / hostile.max(1) as f64,
            left_mib: mib(after),
            log_lines,
            ends,
            problems: report["problems"].clone(),
        })
    }
}
