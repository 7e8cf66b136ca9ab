use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::protocol::CloseCode;

/// One family of the exposition: what its comment lines say, and its samples.
#[derive(Default, Debug)]
struct Parsed {
    kind: String,
    help: String,
    unit: Option<String>,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// Reads the text format strictly: anything unexpected panics.
fn parse(page: &str) -> BTreeMap<String, Parsed> {
    let body = page.strip_suffix("# EOF\n").expect("ends with # EOF");
    let mut families: BTreeMap<String, Parsed> = BTreeMap::new();
    let mut current = String::new();
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name) = (words.next().unwrap(), words.next().unwrap());
            let text = words.next().unwrap().to_owned();
            if what == "HELP" {
                assert!(!families.contains_key(name), "{name} is declared twice");
                current = name.to_owned();
            }
            assert_eq!(name, current, "comment of another family: {line}");
            let family = families.entry(current.clone()).or_default();
            match what {
                "HELP" => family.help = text,
                "TYPE" => family.kind = text,
                "UNIT" => family.unit = Some(text),
                _ => panic!("unknown comment: {line}"),
            }
        } else {
            let sample = parse_sample(line);
            assert!(sample.name.starts_with(&current), "stray sample: {line}");
            families.get_mut(&current).unwrap().samples.push(sample);
        }
    }
    families
}

fn parse_sample(line: &str) -> Sample {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = match series.split_once('{') {
        None => (series, ""),
        Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
    };
    let pairs = labels.split(',').filter(|pair| !pair.is_empty());
    let label = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap();
        let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
        (key.to_owned(), value.to_owned())
    };
    Sample {
        name: name.to_owned(),
        labels: pairs.map(label).collect(),
        value: value.parse().unwrap(),
    }
}

fn value(metrics: &Metrics, series: &str) -> f64 {
    let page = metrics.encode();
    let line = page.lines().find(|line| line.starts_with(series));
    let line = line.unwrap_or_else(|| panic!("no series {series} in\n{page}"));
    parse_sample(line).value
}

fn with_one_of_each() -> Metrics {
    let metrics = Metrics::new();
    metrics.app("10001");
    metrics.worker(0);
    metrics.certificate("relay.test");
    metrics
}

#[test]
fn names_follow_the_conventions() {
    for (name, family) in parse(&with_one_of_each().encode()) {
        let is_known = ["fanfare_", "process_"]
            .iter()
            .any(|it| name.starts_with(it));
        assert!(is_known, "{name}");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        assert!(name.chars().all(plain), "{name}");
        assert!(family.help.len() > 10, "{name} has no help text");
        assert!(family.help.ends_with('.') && !family.help.ends_with(".."));
        let suffixes: &[&str] = match family.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            kind => panic!("{name} is a {kind}"),
        };
        assert!(!family.samples.is_empty(), "{name} has no sample");
        for sample in &family.samples {
            let suffix = sample.name.strip_prefix(&name).unwrap();
            assert!(suffixes.contains(&suffix), "{} of {name}", sample.name);
        }
        for unit in ["seconds", "bytes"] {
            let in_name = name.ends_with(&format!("_{unit}"));
            let declared = family.unit.as_deref() == Some(unit);
            assert_eq!(in_name, declared, "{name} and the unit {unit}");
            assert!(
                in_name || !name.contains(unit),
                "{name}: the unit comes last"
            );
        }
    }
}

#[test]
fn labels_are_those_that_are_known() {
    let known = [
        "app",
        "code",
        "kind",
        "le",
        "name",
        "outcome",
        "reason",
        "route",
        "stage",
        "status",
        "table",
        "transport",
        "version",
        "worker",
    ];
    let mut seen = BTreeSet::new();
    for family in parse(&with_one_of_each().encode()).into_values() {
        for sample in family.samples {
            seen.extend(sample.labels.into_keys());
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), known);
}

#[test]
fn everything_is_zero_before_anything_happened() {
    for (name, family) in parse(&with_one_of_each().encode()) {
        let constant = name == "fanfare_build_info" || name == "fanfare_start_time_seconds";
        if name.starts_with("process_") {
            continue;
        }
        for sample in family.samples {
            assert_eq!(sample.value == 0.0, !constant, "{}", sample.name);
        }
    }
}

#[test]
fn of_an_app_that_is_gone_nothing_is_left() {
    let metrics = Metrics::new();
    let before = metrics.encode();
    for round in 0..3 {
        let app = metrics.app(&format!("app-{round}"));
        app.connections.inc();
        metrics.forget_app(&format!("app-{round}"));
        app.connections.dec();
    }
    let lasting = |page: &str| -> Vec<String> {
        let lines = page.lines().filter(|line| !line.starts_with("process_"));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(lasting(&metrics.encode()), lasting(&before));
}

#[test]
fn names_begin_as_configured_and_those_of_others_stay() {
    let settings = MetricsSettings {
        prefix: "shop_relay_".into(),
        soketi_names: false,
    };
    let metrics = Metrics::named(&settings, None);
    metrics.app("1");
    metrics.worker(0);
    let page = metrics.encode();
    assert!(!page.contains("fanfare_"), "{page}");
    for name in parse(&page).into_keys() {
        let others = name.starts_with("process_");
        assert_eq!(name.starts_with("shop_relay_"), !others, "{name}");
    }
}

/// What soketi has of an app, in the older text format.
const OF_SOKETI: [(&str, &str, f64); 7] = [
    ("soketi_connected", "gauge", 2.0),
    ("soketi_new_connections_total", "counter", 5.0),
    ("soketi_new_disconnections_total", "counter", 3.0),
    ("soketi_socket_received_bytes", "untyped", 70.0),
    ("soketi_socket_transmitted_bytes", "untyped", 900.0),
    ("soketi_ws_messages_received_total", "counter", 7.0),
    ("soketi_ws_messages_sent_total", "counter", 9.0),
];

#[test]
fn what_soketi_counts_is_there_under_its_names_where_that_is_asked_for() {
    let settings = MetricsSettings {
        soketi_names: true,
        ..MetricsSettings::default()
    };
    let metrics = Metrics::named(&settings, Some(6001));
    metrics.app("other");
    let app = metrics.app("1");
    app.connections.set(2);
    app.connections_opened.inc_by(5);
    app.closes.with(Some(1000).into()).inc_by(2);
    app.closes.with(None.into()).inc();
    app.received_bytes.inc_by(70);
    app.sent_bytes.inc_by(900);
    app.messages_received.inc_by(7);
    app.messages_sent.inc_by(9);
    let page = metrics.encode_plain();
    for (name, kind, value) in OF_SOKETI {
        let series = format!("\n{name}{{app_id=\"1\",port=\"6001\"}} ");
        let (_, found) = page
            .split_once(&series)
            .unwrap_or_else(|| panic!("{name}: {page}"));
        assert_eq!(
            found.lines().next().unwrap().parse::<f64>(),
            Ok(value),
            "{name}"
        );
        assert!(
            page.contains(&format!("\n# TYPE {name} {kind}\n")),
            "{name}"
        );
    }
    #[cfg(target_os = "linux")]
    assert!(page.contains("\nsoketi_process_resident_memory_bytes{port=\"6001\"} "));
    metrics.forget_app("1");
    assert!(!metrics.encode().contains("app_id=\"1\""));
    assert!(!Metrics::new().encode().contains("soketi_"));
}

#[test]
fn an_apps_numbers_are_its_own_and_shared_by_all_its_handles() {
    let metrics = Metrics::new();
    let first = metrics.app("1");
    metrics.app("2");
    metrics.app("1").messages_sent.inc_by(3);
    first.messages_sent.inc_by(4);
    first.connections.inc();
    assert_eq!(
        value(&metrics, "fanfare_messages_sent_total{app=\"1\"}"),
        7.0
    );
    assert_eq!(
        value(&metrics, "fanfare_messages_sent_total{app=\"2\"}"),
        0.0
    );
    first.connections.dec();
    assert_eq!(value(&metrics, "fanfare_connections{app=\"1\"}"), 0.0);
}

#[test]
fn every_close_code_has_a_series_and_unknown_ones_share_one() {
    let metrics = Metrics::new();
    let closes = metrics.app("1").closes;
    for code in CloseCode::ALL {
        closes.with(code.into()).inc();
        closes.with(Some(code.code()).into()).inc();
        let series = format!("fanfare_closes_total{{app=\"1\",code=\"{code}\"}}");
        assert_eq!(value(&metrics, &series), 2.0, "{series}");
    }
    for (code, label) in [(None, "none"), (Some(4999), "other")] {
        closes.with(code.into()).inc();
        let series = format!("fanfare_closes_total{{app=\"1\",code=\"{label}\"}}");
        assert_eq!(value(&metrics, &series), 1.0, "{series}");
    }
    closes.with(Some(1).into()).inc();
    let other = "fanfare_closes_total{app=\"1\",code=\"other\"}";
    assert_eq!(value(&metrics, other), 2.0);
}

#[test]
fn requests_are_counted_by_route_and_status_class() {
    let metrics = Metrics::new();
    let requests = &metrics.process().http_requests;
    requests.with((Route::Channels, 200.into())).inc();
    requests.with((Route::Other, 404.into())).inc_by(2);
    requests.with((Route::Events, 599.into())).inc_by(3);
    for (labels, expected) in [
        ("route=\"channels\",status=\"2xx\"", 1.0),
        ("route=\"other\",status=\"4xx\"", 2.0),
        ("route=\"events\",status=\"5xx\"", 3.0),
        ("route=\"events\",status=\"2xx\"", 0.0),
    ] {
        let series = format!("fanfare_http_requests_total{{{labels}}}");
        assert_eq!(value(&metrics, &series), expected, "{series}");
    }
}

#[test]
fn durations_fall_into_buckets_of_seconds() {
    let metrics = Metrics::new();
    let worker = metrics.worker(3);
    worker.publish_to_write.observe(Duration::from_micros(70));
    worker.publish_to_write.observe(Duration::from_secs(60));
    let bucket = |le: &str| {
        let series = format!("fanfare_publish_to_write_seconds_bucket{{le=\"{le}\",worker=\"3\"}}");
        value(&metrics, &series)
    };
    assert_eq!(bucket("0.00005"), 0.0);
    assert_eq!(bucket("0.0001"), 1.0);
    assert_eq!(bucket("5.0"), 1.0);
    assert_eq!(bucket("+Inf"), 2.0);
    let sum = value(&metrics, "fanfare_publish_to_write_seconds_sum");
    assert!((sum - 60.000_07).abs() < 1e-9);
}

#[test]
fn an_app_id_cannot_break_the_format() {
    let metrics = Metrics::new();
    metrics.app("a\"b\\c\nd");
    let page = metrics.encode();
    assert!(
        page.contains(r#"fanfare_connections{app="a\"b\\c\nd"} 0"#),
        "{page}"
    );
}

/// docs/metrics.md, as it has to be.
fn reference_page() -> String {
    let metrics = with_one_of_each();
    metrics.cluster();
    metrics.ingest();
    metrics.acme();
    let mut page = String::from(
        "# Metrics\n\n\
         `GET /metrics` on the admin listener, in the OpenMetrics text format for those who ask for it and in\n\
         Prometheus' older one (0.0.4) for others. All of them are there from the start, but for those of a\n\
         cluster, of certificates and of Laravel's Redis, which are there where they are configured, and those\n\
         of the process (`process_…`), which are there on Linux.\n\n\
         [monitoring.md](monitoring.md) says how they are scraped, shown and watched, how they can be called\n\
         otherwise (`metrics.prefix`), and which of soketi's names they can have.\n\n\
         | metric | type | labels | meaning |\n| --- | --- | --- | --- |\n",
    );
    for (name, family) in parse(&metrics.encode()) {
        let suffix = match family.kind.as_str() {
            "counter" => "_total",
            _ => "",
        };
        let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (label, value) in family.samples.iter().flat_map(|sample| &sample.labels) {
            labels.entry(label).or_default().insert(value);
        }
        let labels: Vec<String> = labels.into_iter().filter_map(label_with_values).collect();
        page += &format!(
            "| `{name}{suffix}` | {} | {} | {} |\n",
            family.kind,
            labels.join("; "),
            family.help
        );
    }
    page
}

fn label_with_values((label, values): (&str, BTreeSet<&str>)) -> Option<String> {
    match label {
        // The bounds of a histogram's buckets.
        "le" => None,
        "app" | "name" | "worker" | "version" => Some(format!("`{label}`")),
        _ => {
            let values: Vec<&str> = values.into_iter().collect();
            Some(format!("`{label}`: {}", values.join(", ")))
        }
    }
}

/// `FANFARE_WRITE_DOCS=1 cargo test --lib reference` writes the page anew.
#[test]
fn reference_page_lists_every_metric() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let page = reference_page();
    if std::env::var_os("FANFARE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/metrics.md is not up to date: write it with FANFARE_WRITE_DOCS=1"
    );
}
