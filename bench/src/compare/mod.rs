//! Fanfare and the floor, or Fanfare with webhooks and without, or a cluster and one node, side by
//! side: all are started here, measured in turns, and judged row by row against what Fanfare
//! promises.

mod cluster;
mod generator;
mod needs;
mod plan;
mod rows;
pub(crate) mod server;
mod table;
mod webhook;

use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

use self::cluster::Cluster;
use self::generator::Generator;
use self::needs::Supplied;
use self::plan::{Group, Measurement};
use self::server::Server;
use self::webhook::{Endpoint, Webhook};
use crate::usage::machine_json;

#[derive(Args)]
pub(crate) struct CompareOptions {
    /// The fanfare binary; by default the one beside this program
    #[arg(long, value_name = "PATH")]
    fanfare: Option<PathBuf>,
    /// Only these rows of the table; by default all but the cluster's, which need a redis-server, and
    /// those that hold Fanfare against itself: fallback, resume, tls, compression, live-stream
    #[arg(long, value_delimiter = ',', value_name = "GROUP")]
    only: Vec<Group>,
    /// Rounds of every measurement, instead of 7 for fanout, 5 for the other loads, 3 for
    /// connect, memory, health and slow-consumer
    #[arg(long)]
    rounds: Option<usize>,
    /// Fanfare's worker threads (0: one a core), but where the table says one
    #[arg(long, default_value_t = 0)]
    workers: usize,
    /// Short runs, to see that everything works: no figures to rely on
    #[arg(long)]
    quick: bool,
    /// Where to write the table and every report behind it
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// A server in the comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Subject {
    Floor,
    Fanfare,
    /// Tails are compared with one worker: two busy ones and the generator share two cores.
    FanfareOneWorker,
    /// Fanfare with a webhook that takes client events in batches.
    BatchedWebhook,
    /// The same with a request for each event.
    UnbatchedWebhook,
    /// Fanfare with a webhook whose endpoint refuses all connections.
    DeadWebhook,
    /// Fanfare with a webhook whose endpoint accepts all and never answers.
    HangingWebhook,
    /// Fanfare with a webhook that takes who comes and goes.
    TransitionsWebhook,
    /// Three nodes of Fanfare on one Redis.
    Cluster,
}

impl Subject {
    fn name(self) -> &'static str {
        match self {
            Subject::Floor => "floor",
            Subject::Fanfare => "fanfare",
            Subject::FanfareOneWorker => "fanfare, one worker",
            Subject::BatchedWebhook => "fanfare, batched webhook",
            Subject::UnbatchedWebhook => "fanfare, unbatched webhook",
            Subject::DeadWebhook => "fanfare, dead webhook",
            Subject::HangingWebhook => "fanfare, hanging webhook",
            Subject::TransitionsWebhook => "fanfare, webhook of transitions",
            Subject::Cluster => "fanfare, cluster",
        }
    }

    fn webhook(self) -> Option<Webhook> {
        match self {
            Subject::Floor | Subject::Fanfare | Subject::FanfareOneWorker | Subject::Cluster => {
                None
            }
            Subject::BatchedWebhook => Some(Webhook::BATCHED),
            Subject::UnbatchedWebhook => Some(Webhook::UNBATCHED),
            Subject::DeadWebhook => Some(Webhook::DEAD),
            Subject::HangingWebhook => Some(Webhook::HANGING),
            Subject::TransitionsWebhook => Some(Webhook::OF_TRANSITIONS),
        }
    }
}

/// One report of the generator.
#[derive(Serialize)]
struct Run {
    measurement: &'static str,
    subject: Subject,
    round: usize,
    report: Value,
    /// What the receiver of the server's webhooks, if it had any, counted to its end.
    receiver: Value,
}

/// A server, or several that are one, with what it needs. Stopped in this order: a server that
/// stops still sends the webhooks that wait, and reports to the other nodes that it goes.
#[derive(Default)]
struct Started {
    servers: Vec<Server>,
    redis: Option<Server>,
    endpoint: Option<Endpoint>,
    supplied: Supplied,
}

struct Comparison {
    fanfare: PathBuf,
    generator: Generator,
    workers: usize,
    runs: Vec<Run>,
    /// Runs that came to nothing, and servers that did not stop as they should.
    failures: Vec<String>,
}

pub(crate) fn run(options: CompareOptions) -> anyhow::Result<()> {
    let own_path = std::env::current_exe().context("where this program is")?;
    let fanfare = options
        .fanfare
        .unwrap_or_else(|| own_path.with_file_name("fanfare"));
    let version = server::version(&fanfare)?;
    ensure!(options.rounds != Some(0), "there must be a round");
    let plan = plan::measurements(&options.only, options.rounds, options.quick);
    let mut comparison = Comparison {
        fanfare,
        generator: Generator::new(own_path),
        workers: options.workers,
        runs: Vec::new(),
        failures: Vec::new(),
    };
    for measurement in &plan {
        for round in 0..measurement.rounds {
            for subject in measurement.subjects {
                comparison.measure(measurement, *subject, round);
            }
        }
    }

    let mut rows = rows::judge(&comparison.runs);
    rows.extend(rows::judge_deliveries(&comparison.runs));
    table::print(&rows, options.quick);
    for failure in &comparison.failures {
        eprintln!("FAILED: {failure}");
    }
    if let Some(path) = &options.json {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let figures = json!({
            "fanfare": version,
            "unix_time": now.unwrap_or_default().as_secs(),
            "machine": machine_json(),
            "workers": options.workers,
            "quick": options.quick,
            "rows": rows,
            "failures": comparison.failures,
            "runs": comparison.runs,
        });
        let text = serde_json::to_string_pretty(&figures)?;
        fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))?;
    }
    ensure!(
        comparison.failures.is_empty(),
        "{} runs failed or left a server that did not stop as it should",
        comparison.failures.len()
    );
    Ok(())
}

impl Comparison {
    /// One run against a server started for it. A failure is noted, and ends only this run.
    fn measure(&mut self, measurement: &Measurement, subject: Subject, round: usize) {
        let of = format!(
            "{}, round {} of {}, {}",
            measurement.id,
            round + 1,
            measurement.rounds,
            subject.name()
        );
        eprintln!("{of}");
        let started = match self.start(measurement, subject) {
            Ok(started) => started,
            Err(failure) => return self.fail(&of, &failure),
        };
        let receiver = started.endpoint.as_ref().and_then(Endpoint::receiver);
        let (servers, redis) = (&started.servers, started.redis.as_ref());
        let arguments = &started.supplied.arguments;
        let generator = &self.generator;
        let report = generator.run(measurement, arguments, servers, redis, receiver);
        // What does not stop spoils no figure, but it is not to go unnoticed.
        for server in started.servers.into_iter().chain(started.redis) {
            if let Err(failure) = server.stop() {
                self.fail(&of, &failure);
            }
        }
        let receiver = started.endpoint.map(Endpoint::stop).transpose();
        let receiver = receiver.unwrap_or_else(|failure| {
            self.fail(&of, &failure);
            None
        });
        match report {
            Ok(report) => {
                for problem in report["problems"].as_array().into_iter().flatten() {
                    eprintln!("    {}", problem.as_str().unwrap_or_default());
                }
                self.runs.push(Run {
                    measurement: measurement.id,
                    subject,
                    round,
                    report,
                    receiver: receiver.unwrap_or_default(),
                });
            }
            Err(failure) => self.fail(&of, &failure),
        }
    }

    fn start(&self, measurement: &Measurement, subject: Subject) -> anyhow::Result<Started> {
        let program = self.generator.program();
        if subject == Subject::Floor {
            return Ok(Started {
                servers: vec![Server::start_floor(program)?],
                ..Started::default()
            });
        }
        let workers = match subject {
            Subject::FanfareOneWorker => 1,
            _ => self.workers,
        };
        if subject == Subject::Cluster {
            let cluster = Cluster::start(&self.fanfare, workers, measurement.of_app)?;
            return Ok(Started {
                servers: cluster.nodes,
                redis: Some(cluster.redis),
                ..Started::default()
            });
        }
        let mut of_app = measurement.of_app.to_string();
        let mut endpoint = None;
        if let Some(webhook) = subject.webhook() {
            let started = webhook.start_endpoint(program)?;
            of_app += &webhook.toml(started.address());
            endpoint = Some(started);
        }
        let supplied = measurement.needs.supply()?;
        let environment = &supplied.environment;
        let server = Server::start_fanfare_with(&self.fanfare, workers, &of_app, environment)?;
        Ok(Started {
            servers: vec![server],
            redis: None,
            endpoint,
            supplied,
        })
    }

    fn fail(&mut self, of: &str, failure: &anyhow::Error) {
        eprintln!("    FAILED: {failure:#}");
        self.failures.push(format!("{of}: {failure:#}"));
    }
}
