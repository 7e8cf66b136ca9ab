//! What is measured: each group of the table's rows, and the runs that it needs.

use clap::ValueEnum;

use super::Subject;
use super::needs::Needs;

/// A part of the table that can be measured on its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Group {
    Fanout,
    MaxFanout,
    ManyChannels,
    Publish,
    Connect,
    Memory,
    Health,
    SlowConsumer,
    Webhooks,
    Cluster,
    Fallback,
    Resume,
    Tls,
    Compression,
    LiveStream,
}

impl Group {
    /// Those that need another program, and those that are held against nothing but Fanfare itself.
    fn is_only_asked_for(self) -> bool {
        matches!(
            self,
            Group::Cluster
                | Group::Fallback
                | Group::Resume
                | Group::Tls
                | Group::Compression
                | Group::LiveStream
        )
    }
}

/// Runs that differ only in the server and the round.
pub(super) struct Measurement {
    pub(super) id: &'static str,
    group: Group,
    /// Of `relay-bench run`.
    pub(super) scenario: &'static str,
    /// None: the scenario's own default.
    pub(super) connections: Option<usize>,
    /// None: where time is not what bounds the scenario.
    pub(super) seconds: Option<f64>,
    pub(super) arguments: &'static [&'static str],
    /// What Fanfare's app has beyond the defaults in all of these runs, as TOML.
    pub(super) of_app: &'static str,
    /// What these runs need beside it.
    pub(super) needs: Needs,
    /// Every round measures these in this order, so that what changes on the machine over time
    /// meets all of them.
    pub(super) subjects: &'static [Subject],
    pub(super) rounds: usize,
}

const ALONE: &[Subject] = &[Subject::Fanfare];
const PAIR: &[Subject] = &[Subject::Floor, Subject::Fanfare];
const WITH_ONE_WORKER: &[Subject] = &[Subject::Floor, Subject::Fanfare, Subject::FanfareOneWorker];
const WITH_WEBHOOKS: &[Subject] = &[
    Subject::Fanfare,
    Subject::BatchedWebhook,
    Subject::UnbatchedWebhook,
];
const WITH_DEAD_WEBHOOKS: &[Subject] = &[
    Subject::Fanfare,
    Subject::DeadWebhook,
    Subject::HangingWebhook,
];
const WITH_CLUSTER: &[Subject] = &[Subject::Fanfare, Subject::Cluster];
const WITH_TRANSITIONS: &[Subject] = &[Subject::Fanfare, Subject::TransitionsWebhook];

/// With the figures that most have.
fn measurement(
    id: &'static str,
    group: Group,
    scenario: &'static str,
    arguments: &'static [&'static str],
) -> Measurement {
    Measurement {
        id,
        group,
        scenario,
        connections: None,
        seconds: Some(5.0),
        arguments,
        of_app: "",
        needs: Needs::Nothing,
        subjects: PAIR,
        rounds: 5,
    }
}

fn all() -> Vec<Measurement> {
    let mut all = Vec::from(of_deliveries());
    all.extend(of_connections());
    all.extend(of_webhooks());
    all.extend(of_cluster());
    all.extend(of_turns());
    all
}

fn of_deliveries() -> [Measurement; 5] {
    let flood = |id, arguments| measurement(id, Group::MaxFanout, "max-fanout", arguments);
    [
        Measurement {
            rounds: 7,
            ..measurement("fanout", Group::Fanout, "fanout", &["--rate", "100"])
        },
        flood("max-fanout-4", &["--window", "4"]),
        flood("max-fanout-16", &["--window", "16"]),
        Measurement {
            subjects: WITH_ONE_WORKER,
            ..measurement("many-channels", Group::ManyChannels, "many-channels", &[])
        },
        Measurement {
            subjects: WITH_ONE_WORKER,
            ..measurement("publish", Group::Publish, "publish", &[])
        },
    ]
}

fn of_connections() -> [Measurement; 4] {
    let hold = &["--hold", "0.5"];
    let hold_again = &["--rounds", "3", "--hold", "1"];
    let stall = &["--stalled", "0.1"];
    [
        Measurement {
            connections: Some(10_000),
            seconds: None,
            rounds: 3,
            ..measurement("connect", Group::Connect, "connect", hold)
        },
        Measurement {
            connections: Some(15_000),
            seconds: None,
            rounds: 3,
            ..measurement("memory", Group::Memory, "connect", hold_again)
        },
        Measurement {
            connections: Some(10_000),
            seconds: Some(10.0),
            rounds: 3,
            ..measurement("health", Group::Health, "health", &[])
        },
        Measurement {
            // Long enough to fill the kernel's buffers and then the server's own; not so long
            // that the server has given up on handing over its close.
            seconds: Some(5.0),
            rounds: 3,
            ..measurement("slow-consumer", Group::SlowConsumer, "slow-consumer", stall)
        },
    ]
}

fn of_webhooks() -> [Measurement; 3] {
    let with_churn = &["--publish-rate", "100", "--churn", "20"];
    let fanout = |id, arguments| measurement(id, Group::Webhooks, "client-fanout", arguments);
    [
        Measurement {
            subjects: WITH_WEBHOOKS,
            ..fanout("webhooks", &[])
        },
        Measurement {
            subjects: WITH_DEAD_WEBHOOKS,
            ..fanout("dead-webhooks", with_churn)
        },
        Measurement {
            of_app: "\n[apps.limits]\npresence_members = 1100\n",
            subjects: WITH_TRANSITIONS,
            ..measurement("reload", Group::Webhooks, "presence-reload", &[])
        },
    ]
}

fn of_cluster() -> [Measurement; 3] {
    let of = |scenario, seconds| Measurement {
        subjects: WITH_CLUSTER,
        rounds: 3,
        seconds: Some(seconds),
        ..measurement(scenario, Group::Cluster, scenario, &[])
    };
    [
        of("bystander", 10.0),
        of("cross-node", 10.0),
        of("capacity", 3.0),
    ]
}

/// Runs that hold Fanfare against itself, by turns.
fn of_turns() -> [Measurement; 5] {
    let of = |group, scenario| Measurement {
        subjects: ALONE,
        rounds: 3,
        seconds: Some(3.0),
        ..measurement(scenario, group, scenario, &[])
    };
    [
        of(Group::Fallback, "fallback"),
        of(Group::Resume, "resume"),
        Measurement {
            needs: Needs::Tls,
            ..of(Group::Tls, "tls")
        },
        of(Group::Compression, "compression"),
        Measurement {
            needs: Needs::Admin,
            ..of(Group::LiveStream, "watched")
        },
    ]
}

/// The chosen groups; if none is chosen, all but those that must be asked for.
pub(super) fn measurements(only: &[Group], rounds: Option<usize>, quick: bool) -> Vec<Measurement> {
    let mut chosen = all();
    chosen.retain(|measurement| match only {
        [] => !measurement.group.is_only_asked_for(),
        only => only.contains(&measurement.group),
    });
    for measurement in &mut chosen {
        if quick {
            measurement.rounds = 1;
            measurement.connections = measurement.connections.map(|_| 2000);
            if measurement.group != Group::SlowConsumer {
                measurement.seconds = measurement.seconds.map(|_| 1.0);
            }
        }
        measurement.rounds = rounds.unwrap_or(measurement.rounds);
    }
    chosen
}
