//! The files of docker/monitoring, and the page of all metrics.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// A file of the project.
pub(crate) fn path(of: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(of)
        .canonicalize()
        .unwrap_or_else(|error| panic!("{of}: {error}"))
}

pub(crate) fn read(of: &str) -> String {
    fs::read_to_string(path(of)).unwrap()
}

/// The title of each panel of the dashboard, with a query of it; variables have been replaced as Grafana does.
pub(crate) fn queries() -> Vec<(String, String)> {
    let dashboard: Value =
        serde_json::from_str(&read("docker/monitoring/grafana/dashboards/fanfare.json")).unwrap();
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().unwrap();
            let query = query
                .replace("$__rate_interval", "10s")
                .replace("$instance", ".*")
                .replace("$app", ".*");
            assert!(!query.contains('$'), "{query}");
            found.push((panel["title"].as_str().unwrap().to_owned(), query));
        }
    }
    found
}

/// All metrics of the relay that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c: char| !is_part(c));
    let ours = words.filter(|word| word.starts_with("fanfare_") || word.starts_with("process_"));
    let families = ours.map(|word| word.strip_suffix("_bucket").unwrap_or(word));
    families.map(str::to_owned).collect()
}

#[test]
fn dashboard_and_alerts_name_metrics_that_there_are() {
    let documented = named(&read("docs/metrics.md"));
    for file in [
        "grafana/dashboards/fanfare.json",
        "alerts.yml",
        "alerts.test.yml",
    ] {
        let names = named(&read(&format!("docker/monitoring/{file}")));
        assert!(names.len() > 10, "{file}: {names:?}");
        for name in names {
            assert!(documented.contains(&name), "{file} has {name}");
        }
    }
}
