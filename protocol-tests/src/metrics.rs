//! The figures of an admin listener's `/metrics`, in the Prometheus text format.

/// One scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Metrics {
    /// Reads a scrape; panics on a line that is none of the format's.
    pub fn parse(text: &str) -> Metrics {
        let lines = text.lines().map(str::trim);
        Metrics {
            samples: lines
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(parse_sample)
                .collect(),
        }
    }

    /// The sum of the samples of `name` that carry all of `labels`; 0 when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let carries = |sample: &&Sample| {
            labels.iter().all(|(label, value)| {
                let mut carried = sample.labels.iter();
                carried.any(|(known, held)| known == label && held == value)
            })
        };
        let named = self.samples.iter().filter(|sample| sample.name == name);
        named.filter(carries).map(|sample| sample.value).sum()
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.samples.len()
    }

    /// Whether any sample carries this label.
    pub fn has_label(&self, label: &str, value: &str) -> bool {
        let mut labels = self.samples.iter().flat_map(|sample| &sample.labels);
        labels.any(|(known, held)| known == label && held == value)
    }

    /// Whether there is a sample of this name.
    pub fn has(&self, name: &str) -> bool {
        self.samples.iter().any(|sample| sample.name == name)
    }
}

fn parse_sample(line: &str) -> Sample {
    let bad = || -> ! { panic!("not a line of the Prometheus text format: {line:?}") };
    let (series, value) = match line.find('}') {
        Some(end) => line.split_at(end + 1),
        None => line.split_once(' ').unwrap_or_else(|| bad()),
    };
    // A value may be followed by a timestamp or an exemplar.
    let value = value.split_whitespace().next().unwrap_or_else(|| bad());
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.trim_end_matches('}')),
        None => (series, ""),
    };
    let labels = labels
        .split(',')
        .filter(|label| !label.is_empty())
        .map(|label| {
            let (label, value) = label.split_once('=').unwrap_or_else(|| bad());
            (label.to_owned(), value.trim_matches('"').to_owned())
        });
    Sample {
        name: name.to_owned(),
        labels: labels.collect(),
        value: value.parse().unwrap_or_else(|_| bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_over_labels() {
        let metrics = Metrics::parse(
            "# HELP connections Open.\n# TYPE connections gauge\n\
             connections{app=\"1\",worker=\"0\"} 3\nconnections{app=\"1\",worker=\"1\"} 4 1700000000\n\
             connections{app=\"2\",worker=\"0\"} 5\nup 1.5\n# EOF\n",
        );
        assert_eq!(metrics.sum("connections", &[("app", "1")]), 7.0);
        assert_eq!(metrics.sum("connections", &[]), 12.0);
        assert_eq!(metrics.sum("connections", &[("app", "9")]), 0.0);
        assert_eq!(metrics.sum("up", &[]), 1.5);
        assert!(!metrics.has("down"));
    }
}
