//! What is measured: each group of the table's rows, and the runs that it needs.

use clap::ValueEnum;

use super::Subject;

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
    /// Every round measures these in this order, so that what changes on the machine over time
    /// meets all of them.
    pub(super) subjects: &'static [Subject],
    pub(super) rounds: usize,
}

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

fn all() -> Vec<Measurement> {
    let load = |id, group, scenario, arguments| Measurement {
        id,
        group,
        scenario,
        connections: None,
        seconds: Some(5.0),
        arguments,
        of_app: "",
        subjects: PAIR,
        rounds: 5,
    };
    let cluster = |scenario| Measurement {
        subjects: WITH_CLUSTER,
        rounds: 3,
        ..load(scenario, Group::Cluster, scenario, &[])
    };
    vec![
        Measurement {
            rounds: 7,
            ..load("fanout", Group::Fanout, "fanout", &["--rate", "100"])
        },
        load(
            "max-fanout-4",
            Group::MaxFanout,
            "max-fanout",
            &["--window", "4"],
        ),
        load(
            "max-fanout-16",
            Group::MaxFanout,
            "max-fanout",
            &["--window", "16"],
        ),
        Measurement {
            subjects: WITH_ONE_WORKER,
            ..load("many-channels", Group::ManyChannels, "many-channels", &[])
        },
        Measurement {
            subjects: WITH_ONE_WORKER,
            ..load("publish", Group::Publish, "publish", &[])
        },
        Measurement {
            connections: Some(10_000),
            seconds: None,
            rounds: 3,
            ..load("connect", Group::Connect, "connect", &["--hold", "0.5"])
        },
        Measurement {
            connections: Some(15_000),
            seconds: None,
            rounds: 3,
            ..load(
                "memory",
                Group::Memory,
                "connect",
                &["--rounds", "3", "--hold", "1"],
            )
        },
        Measurement {
            connections: Some(10_000),
            seconds: Some(10.0),
            rounds: 3,
            ..load("health", Group::Health, "health", &[])
        },
        Measurement {
            // Long enough to fill the kernel's buffers and then the server's own; not so long
            // that the server has given up on handing over its close.
            seconds: Some(5.0),
            rounds: 3,
            ..load(
                "slow-consumer",
                Group::SlowConsumer,
                "slow-consumer",
                &["--stalled", "0.1"],
            )
        },
        Measurement {
            subjects: WITH_WEBHOOKS,
            ..load("webhooks", Group::Webhooks, "client-fanout", &[])
        },
        Measurement {
            subjects: WITH_DEAD_WEBHOOKS,
            ..load(
                "dead-webhooks",
                Group::Webhooks,
                "client-fanout",
                &["--publish-rate", "100", "--churn", "20"],
            )
        },
        Measurement {
            of_app: "\n[apps.limits]\npresence_members = 1100\n",
            subjects: WITH_TRANSITIONS,
            ..load("reload", Group::Webhooks, "presence-reload", &[])
        },
        Measurement {
            seconds: Some(10.0),
            ..cluster("bystander")
        },
        Measurement {
            seconds: Some(10.0),
            ..cluster("cross-node")
        },
        Measurement {
            seconds: Some(3.0),
            ..cluster("capacity")
        },
    ]
}

/// The chosen groups; if none is chosen, all that need no other program.
pub(super) fn measurements(only: &[Group], rounds: Option<usize>, quick: bool) -> Vec<Measurement> {
    let mut chosen = all();
    chosen.retain(|measurement| match only {
        [] => measurement.group != Group::Cluster,
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
