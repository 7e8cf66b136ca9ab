//! A picture of a comparison: Fanfare, and its peers if their figures are given, in multiples
//! of the floor.

mod svg;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Args)]
pub(crate) struct ChartOptions {
    /// What `relay-bench compare --json` wrote
    #[arg(long, value_name = "FILE")]
    json: PathBuf,
    /// Other servers' figures, as in bench/peers.json
    #[arg(long, value_name = "FILE")]
    peers: Option<PathBuf>,
    /// Where to draw
    #[arg(long, value_name = "FILE")]
    svg: PathBuf,
}

/// The row of memory, which many comparisons lack.
const MEMORY: &str = "memory";

/// The rows that the picture shows, and what it calls them.
const PANELS: [(&str, &str); 6] = [
    ("fanout-cpu", "CPU per delivery, 100 events/s"),
    ("max-fanout-4-cpu", "CPU per delivery, saturated"),
    ("many-channels-cpu", "CPU per delivery, 100 channels"),
    ("publish-cpu", "CPU per HTTP publish"),
    ("connect-cpu", "CPU per connect and subscribe"),
    (MEMORY, "Memory per idle connection"),
];

/// Of the comparison, what a picture needs.
#[derive(Deserialize)]
struct Comparison {
    fanfare: String,
    quick: bool,
    machine: Machine,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Machine {
    cpus: usize,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    unit: String,
    fanfare: Option<f64>,
    ratio: Option<f64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Peers {
    #[expect(
        dead_code,
        reason = "for the file's readers; that it is there is checked"
    )]
    provenance: String,
    servers: Vec<Peer>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Peer {
    name: String,
    /// By row.
    over_floor: BTreeMap<String, f64>,
}

struct Panel {
    title: &'static str,
    /// Fanfare's figure with its unit.
    absolute: String,
    bars: Vec<Bar>,
}

struct Bar {
    name: String,
    over_floor: f64,
    is_fanfare: bool,
}

pub(crate) fn run(options: ChartOptions) -> anyhow::Result<()> {
    let comparison: Comparison = read(&options.json)?;
    let peers = options.peers.as_deref().map(read::<Peers>).transpose()?;
    let picture = draw(&comparison, &peers.unwrap_or_default())?;
    let svg = &options.svg;
    fs::write(svg, picture).with_context(|| format!("writing {}", svg.display()))
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
}

fn draw(comparison: &Comparison, peers: &Peers) -> anyhow::Result<String> {
    let panels = panels(comparison, peers);
    ensure!(
        !panels.is_empty(),
        "the comparison has none of the rows to draw: {}",
        PANELS.map(|(id, _)| id).join(", ")
    );
    let mut footer = vec![format!(
        "The floor (1×) is one thread that does one write per subscriber and checks nothing. \
         Measured with {} on {} cores, over loopback.",
        comparison.fanfare, comparison.machine.cpus
    )];
    if !peers.servers.is_empty() {
        let others = "Other servers were measured in an earlier run of the same scenarios, \
                      each against the floor of that run.";
        footer.push(others.to_string());
    }
    if comparison.quick {
        footer.push("Quick runs: they show that everything works, not how fast.".to_string());
    }
    Ok(svg::document(&panels, what_is_drawn(comparison), &footer))
}

/// What the picture's figures are of: memory only where it was measured.
fn what_is_drawn(comparison: &Comparison) -> &'static str {
    let has_memory = comparison
        .rows
        .iter()
        .any(|row| row.id == MEMORY && row.ratio.is_some());
    if has_memory {
        "Server CPU and memory"
    } else {
        "Server CPU"
    }
}

fn panels(comparison: &Comparison, peers: &Peers) -> Vec<Panel> {
    let panel = |(id, title): (&str, &'static str)| {
        let row = comparison.rows.iter().find(|row| row.id == id)?;
        let mut bars = vec![Bar {
            name: "Fanfare".to_string(),
            over_floor: row.ratio?,
            is_fanfare: true,
        }];
        bars.extend(peers.servers.iter().filter_map(|peer| {
            Some(Bar {
                name: peer.name.clone(),
                over_floor: *peer.over_floor.get(id)?,
                is_fanfare: false,
            })
        }));
        Some(Panel {
            title,
            absolute: format!("{} {}", svg::figure(row.fanfare?), row.unit),
            bars,
        })
    };
    PANELS.into_iter().filter_map(panel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(rows: &str) -> Comparison {
        let text =
            format!(r#"{{"fanfare":"f","quick":false,"machine":{{"cpus":2}},"rows":[{rows}]}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_peers_file_fits_the_panels() {
        let peers: Peers = serde_json::from_str(include_str!("../../peers.json")).unwrap();
        assert!(!peers.servers.is_empty());
        for peer in &peers.servers {
            let ids: Vec<&str> = peer.over_floor.keys().map(String::as_str).collect();
            let mut shown = PANELS.map(|(id, _)| id);
            shown.sort_unstable();
            assert_eq!(ids, shown, "{}", peer.name);
        }
    }

    #[test]
    fn only_measured_rows_are_drawn() {
        let measured = r#"{"id":"connect-cpu","unit":"µs","fanfare":41.0,"ratio":1.5}"#;
        let missing = r#"{"id":"memory","unit":"KiB","fanfare":null,"ratio":null}"#;
        let drawn = draw(
            &comparison(&format!("{measured},{missing}")),
            &Peers::default(),
        );
        let drawn = drawn.unwrap();
        assert!(drawn.contains("CPU per connect") && drawn.contains("1.5×"));
        assert!(drawn.contains("Server CPU") && !drawn.to_lowercase().contains("memory"));
        let memory = r#"{"id":"memory","unit":"KiB","fanfare":3.0,"ratio":5.7}"#;
        let drawn = draw(&comparison(memory), &Peers::default()).unwrap();
        assert!(drawn.contains("Server CPU and memory") && drawn.contains("5.7×"));
        assert!(draw(&comparison(missing), &Peers::default()).is_err());
    }
}
