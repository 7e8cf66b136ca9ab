//! What a run found: one JSON object, or the same as a table.

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::usage::{Memory, Processes, Usage};

pub(crate) struct Report {
    fields: Fields,
    /// Facts that limit what the figures mean.
    notes: Vec<String>,
    /// Things the server did wrong: lost messages and the like.
    problems: Vec<String>,
}

/// In the order in which they were first set.
struct Fields(Vec<(String, Value)>);

impl Fields {
    fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_string(), value)),
        }
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

pub(crate) type Latency = Histogram<u64>;

/// Nanoseconds up to two minutes; longer ones count as two minutes.
pub(crate) fn new_latency() -> Latency {
    Histogram::new_with_bounds(1, 120_000_000_000, 3).expect("constant bounds")
}

/// Three decimals of small figures, one of others.
pub(crate) fn round(value: f64) -> f64 {
    let scale = if value.abs() < 10.0 { 1000.0 } else { 10.0 };
    (value * scale).round() / scale
}

/// The one in the middle; of an even number, halfway between the two.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    Some(match values.len() % 2 {
        0 => f64::midpoint(values[values.len() / 2 - 1], *upper),
        _ => *upper,
    })
}

fn us(ns: u64) -> f64 {
    round(ns as f64 / 1000.0)
}

pub(crate) fn latency_json(latency: &Latency) -> Value {
    if latency.is_empty() {
        return Value::Null;
    }
    json!({
        "count": latency.len(),
        "p50_us": us(latency.value_at_quantile(0.5)),
        "p90_us": us(latency.value_at_quantile(0.9)),
        "p99_us": us(latency.value_at_quantile(0.99)),
        "p999_us": us(latency.value_at_quantile(0.999)),
        "max_us": us(latency.max()),
        "mean_us": round(latency.mean() / 1000.0),
    })
}

impl Report {
    pub(crate) fn new(scenario: &str) -> Self {
        let mut fields = Fields(Vec::new());
        fields.set("scenario", scenario.into());
        fields.set("ok", true.into());
        Self {
            fields,
            notes: Vec::new(),
            problems: Vec::new(),
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.fields.set(name, value.into());
    }

    pub(crate) fn rate(&mut self, name: &str, count: u64, wall_ns: u64) {
        let per_second = count as f64 * 1e9 / wall_ns.max(1) as f64;
        self.set(name, round(per_second));
    }

    pub(crate) fn latency(&mut self, name: &str, latency: &Latency) {
        self.set(name, latency_json(latency));
    }

    /// The figures of several turns, and the one in the middle.
    pub(crate) fn turns(&mut self, name: &str, figures: &[f64]) {
        let rounded: Vec<f64> = figures.iter().copied().map(round).collect();
        self.set(name, rounded);
        let middle = median(figures.to_vec()).map(round);
        self.set(&format!("{name}_median"), middle);
    }

    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    pub(crate) fn problem(&mut self, text: impl Into<String>) {
        self.problems.push(text.into());
    }

    /// The problem, unless the count is zero.
    pub(crate) fn problem_count(&mut self, count: u64, what: &str) {
        if count > 0 {
            self.problem(format!("{count} {what}"));
        }
    }

    /// A server that has held more before grows less: its heap is already there.
    pub(crate) fn note_unless_fresh(&mut self, before: Memory) {
        if before.peak_rss_kib > before.rss_kib + before.rss_kib / 10 {
            self.note(format!(
                "the server is not fresh (its RSS has been {} KiB): memory growth is understated",
                before.peak_rss_kib
            ));
        }
    }

    /// CPU of a measured window, and per unit of work.
    pub(crate) fn usage(&mut self, usage: &Usage, server: &Processes, units: &[(&str, u64)]) {
        let wall = usage.wall_ns.max(1) as f64;
        let cores = |ns: u64| round(ns as f64 / wall);
        let mut cpu = Map::new();
        if server.is_known() {
            for (name, count) in units {
                let per_unit = match count {
                    0 => Value::Null,
                    count => round(usage.server.exact_ns as f64 / 1000.0 / *count as f64).into(),
                };
                cpu.insert(format!("server_us_per_{name}"), per_unit);
            }
            cpu.insert("server_cores".into(), cores(usage.server.exact_ns).into());
            cpu.insert("server_us".into(), us(usage.server.exact_ns).into());
            cpu.insert("server_user_us".into(), us(usage.server.user_ns).into());
            cpu.insert("server_system_us".into(), us(usage.server.system_ns).into());
        } else {
            self.note("no --pid: the server's CPU and memory were not measured");
        }
        for (name, count) in units.iter().filter(|(_, count)| *count > 0) {
            let per_unit = round(usage.client_ns as f64 / 1000.0 / *count as f64);
            cpu.insert(format!("client_us_per_{name}"), per_unit.into());
        }
        cpu.insert("client_cores".into(), cores(usage.client_ns).into());
        cpu.insert(
            "machine_busy_cores".into(),
            cores(usage.machine.busy_ns).into(),
        );
        cpu.insert(
            "machine_steal_cores".into(),
            cores(usage.machine.steal_ns).into(),
        );
        self.set("wall_s", round(usage.wall_ns as f64 / 1e9));
        self.set("cpu", cpu);

        let client_cores = usage.client_ns as f64 / wall;
        if client_cores > 0.9 {
            self.note(format!(
                "the client used {client_cores:.2} of its one core: rates and latencies are \
                 bounded by the client, not (only) by the server"
            ));
        }
        let other = usage.other_cores();
        if server.is_known() && other > 0.2 {
            self.note(format!(
                "{other:.2} cores were used by neither the server's pids nor the client: \
                 other load on the machine, or a server process missing from --pid"
            ));
        }
        let steal = usage.machine.steal_ns as f64 / wall;
        if steal > 0.05 {
            self.note(format!(
                "the hypervisor took away {steal:.2} cores during the window"
            ));
        }
        if usage.listen_drops > 0 {
            self.note(format!(
                "the kernel dropped {} connection attempts at a full listen queue (each costs \
                 the client a retry after 1 s)",
                usage.listen_drops
            ));
        }
    }

    #[expect(clippy::print_stdout, reason = "the report is this tool's output")]
    pub(crate) fn finish(mut self, json: bool) -> anyhow::Result<()> {
        self.fields.set("ok", self.problems.is_empty().into());
        self.fields.set("problems", self.problems.into());
        self.fields.set("notes", self.notes.into());
        if json {
            println!("{}", serde_json::to_string(&self.fields)?);
        } else {
            print_table(&self.fields);
        }
        Ok(())
    }
}

pub(crate) fn memory_json(memory: Memory) -> Value {
    json!({
        "rss_kib": memory.rss_kib,
        "pss_kib": memory.pss_kib,
        "peak_rss_kib": memory.peak_rss_kib,
    })
}

#[expect(clippy::print_stdout, reason = "the report is this tool's output")]
fn print_table(fields: &Fields) {
    let mut rows = Vec::new();
    for (name, value) in &fields.0 {
        flatten(name, value, &mut rows);
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in rows {
        println!("{name:<width$}  {value}");
    }
}

fn flatten(prefix: &str, value: &Value, rows: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(&format!("{prefix}.{key}"), value, rows);
            }
        }
        Value::Array(items) => {
            let label = prefix.trim_end_matches('s').to_uppercase();
            let text = |item: &Value| item.as_str().map_or(item.to_string(), str::to_string);
            rows.extend(items.iter().map(|item| (label.clone(), text(item))));
        }
        Value::String(text) => rows.push((prefix.into(), text.clone())),
        Value::Null => rows.push((prefix.into(), "n/a".into())),
        other => rows.push((prefix.into(), other.to_string())),
    }
}
