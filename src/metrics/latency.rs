//! How long events took, read back from the histogram that is exported.

use std::collections::BTreeMap;

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

/// The only metric of its registry: the library hands a histogram's numbers out in its text format alone.
pub(super) const NAME: &str = "latency";

/// What a bucket's line begins with.
const BUCKET: &str = "latency_bucket{";

/// How many events took how long at most, since the process began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Latency {
    /// Upper bounds in seconds, in order, each with the events up to it. The last one is infinite.
    buckets: Vec<(f64, u64)>,
}

impl Latency {
    pub(super) fn of(registry: &Registry) -> Self {
        let mut page = String::new();
        text::encode(&mut page, registry).expect("writing to a String cannot fail");
        Self::read(&page)
    }

    fn read(page: &str) -> Self {
        // By their bits, as positive numbers have the order of theirs.
        let mut buckets = BTreeMap::<u64, u64>::new();
        for line in page.lines() {
            let Some((bound, count)) = bucket(line) else {
                continue;
            };
            *buckets.entry(bound.to_bits()).or_default() += count;
        }
        let buckets = buckets.into_iter();
        Self {
            buckets: buckets
                .map(|(bits, count)| (f64::from_bits(bits), count))
                .collect(),
        }
    }

    /// The events that were counted since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let of_before = before.buckets.iter().map(|(_, count)| *count);
        let of_before = of_before.chain(std::iter::repeat(0));
        let pairs = self.buckets.iter().zip(of_before);
        Self {
            buckets: pairs
                .map(|((bound, count), before)| (*bound, count.saturating_sub(before)))
                .collect(),
        }
    }

    /// The time in seconds within which this part of the events was written, supposing that those of a bucket lie evenly
    /// in it. None where there are no events.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let (_, all) = self.buckets.last().filter(|(_, all)| *all > 0)?;
        let wanted = part * *all as f64;
        let (mut lower, mut below) = (0.0, 0);
        for (upper, count) in &self.buckets {
            if *count as f64 >= wanted && *count > below {
                if upper.is_infinite() {
                    return Some(lower);
                }
                let within = (wanted - below as f64) / (count - below) as f64;
                return Some(lower + (upper - lower) * within.clamp(0.0, 1.0));
            }
            (lower, below) = (*upper, *count);
        }
        Some(lower)
    }
}

/// The bound and the number of a line, if it is a bucket's.
fn bucket(line: &str) -> Option<(f64, u64)> {
    let labels = line.strip_prefix(BUCKET)?;
    let bound = labels.split_once("le=\"")?.1.split('"').next()?;
    let bound = match bound {
        "+Inf" => f64::INFINITY,
        bound => bound.parse().ok()?,
    };
    let count = line.rsplit_once(' ')?.1.parse().ok()?;
    Some((bound, count))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Metrics;

    #[test]
    fn all_workers_are_counted_together() {
        let metrics = Metrics::new();
        assert_eq!(metrics.latency().quantile(0.5), None);
        for index in 0..2 {
            let worker = metrics.worker(index);
            for _ in 0..50 {
                worker.publish_to_write.observe(Duration::from_micros(80));
            }
        }
        let before = metrics.latency();
        let half = before.quantile(0.5).unwrap();
        assert!((0.000_05..=0.000_1).contains(&half), "{half}");
        metrics
            .worker(1)
            .publish_to_write
            .observe(Duration::from_millis(40));
        let later = metrics.latency().since(&before).quantile(0.99).unwrap();
        assert!((0.025..=0.05).contains(&later), "{later}");
        metrics
            .worker(1)
            .publish_to_write
            .observe(Duration::from_secs(60));
        assert_eq!(metrics.latency().quantile(1.0), Some(5.0));
    }
}
