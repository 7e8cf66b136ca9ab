//! Whose CPU time it was: each node's, and that of what they share.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::report::round;
use crate::sys;
use crate::usage::{CpuSample, Processes, ThreadTimes};

/// The processes of a cluster, each on its own.
pub(super) struct Shares {
    members: Vec<(String, Processes)>,
}

/// Where all of them stood at one time.
pub(super) struct Sample {
    at: u64,
    members: Vec<(CpuSample, ThreadTimes)>,
}

impl Shares {
    /// The first of the pids are the nodes', in their order; the rest are of what they share. A
    /// single node is called `alone`.
    pub(super) fn new(pids: &[i32], nodes: usize) -> anyhow::Result<Self> {
        let (of_nodes, shared) = pids.split_at(nodes.min(pids.len()));
        let mut members = Vec::new();
        for (index, pid) in of_nodes.iter().enumerate() {
            let name = match nodes {
                1 => "alone".to_string(),
                _ => format!("node_{}", index + 1),
            };
            members.push((name, Processes::new(vec![*pid])?));
        }
        if !shared.is_empty() {
            members.push(("shared".to_string(), Processes::new(shared.to_vec())?));
        }
        Ok(Self { members })
    }

    pub(super) fn sample(&self) -> Sample {
        Sample {
            at: sys::now_ns(),
            members: self
                .members
                .iter()
                .map(|(_, processes)| (processes.cpu(), processes.thread_times()))
                .collect(),
        }
    }

    /// What each used between two samples, per publish, and by the names of its threads; and what
    /// all did. What each would have used anyway, given as nanoseconds per second, is taken off,
    /// but not from its threads.
    pub(super) fn report(
        &self,
        before: &Sample,
        after: &Sample,
        idle: &[f64],
        publishes: u64,
    ) -> Value {
        let seconds = (after.at - before.at).max(1) as f64 / 1e9;
        let per_publish = |ns: f64| round(ns / 1000.0 / publishes.max(1) as f64);
        let mut shares = Map::new();
        let mut all = 0.0;
        for (index, (name, _)) in self.members.iter().enumerate() {
            let (cpu_before, threads_before) = &before.members[index];
            let (cpu_after, threads_after) = &after.members[index];
            let used = cpu_after.since(cpu_before).exact_ns as f64;
            let idle = idle.get(index).copied().unwrap_or(0.0);
            let caused = used - idle * seconds;
            all += caused;
            let threads: BTreeMap<&String, f64> = threads_after
                .iter()
                .map(|(thread, ns)| {
                    let ns = ns.saturating_sub(threads_before.get(thread).copied().unwrap_or(0));
                    (thread, per_publish(ns as f64))
                })
                .collect();
            let share = json!({
                "us_per_publish": per_publish(caused),
                "idle_us_per_s": round(idle / 1000.0),
                "cores": round(used / seconds / 1e9),
                "threads_us_per_publish": threads,
            });
            shares.insert(name.clone(), share);
        }
        shares.insert("all".into(), json!({ "us_per_publish": per_publish(all) }));
        Value::Object(shares)
    }

    /// Nanoseconds per second that each used between two samples.
    pub(super) fn rates(&self, before: &Sample, after: &Sample) -> Vec<f64> {
        let seconds = (after.at - before.at).max(1) as f64 / 1e9;
        let pairs = before.members.iter().zip(&after.members);
        pairs
            .map(|((before, _), (after, _))| after.since(before).exact_ns as f64 / seconds)
            .collect()
    }
}
