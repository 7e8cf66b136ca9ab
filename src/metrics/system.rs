//! What the kernel counts of this process, under the names that every exporter uses for it. It is read when it is
//! asked for, and not at all in between.

use std::fmt;
use std::fs;
use std::io::Read as _;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::declare::Label;

/// The kernel's numbers of this process: none where there is no `/proc`.
#[derive(Debug)]
pub(super) struct System {
    /// What stands before the names.
    pub(super) prefix: &'static str,
    /// Labels that each of them carries.
    pub(super) labels: Vec<Label>,
}

/// A number, in the unit of its metric.
#[derive(Clone, Copy)]
enum Value {
    /// It only grows.
    Counter(f64),
    Gauge(f64),
}

struct Number {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    value: Value,
}

impl Collector for System {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for number in numbers() {
            let name = format!("{}{}", self.prefix, number.name);
            let kind = match number.value {
                Value::Counter(_) => MetricType::Counter,
                Value::Gauge(_) => MetricType::Gauge,
            };
            let mut encoder =
                encoder.encode_descriptor(&name, number.help, number.unit.as_ref(), kind)?;
            let encoder = encoder.encode_family(&self.labels)?;
            match number.value {
                Value::Counter(value) => ConstCounter::new(value).encode(encoder)?,
                Value::Gauge(value) => ConstGauge::new(value).encode(encoder)?,
            }
        }
        Ok(())
    }
}

fn numbers() -> Vec<Number> {
    let mut numbers = Vec::new();
    let mut add = |name, help, unit, value: Option<Value>| {
        let number = value.map(|value| Number {
            name,
            help,
            unit,
            value,
        });
        numbers.extend(number);
    };
    let stat = Stat::read();
    let of = |value: fn(&Stat) -> f64| stat.as_ref().map(value);
    let gauge = |value: Option<f64>| value.map(Value::Gauge);
    add(
        "process_cpu",
        "CPU time that the process has used, in user space and in the kernel.",
        Some(Unit::Seconds),
        of(|stat| stat.cpu_seconds).map(Value::Counter),
    );
    add(
        "process_resident_memory",
        "Memory of the process that is in RAM.",
        Some(Unit::Bytes),
        gauge(of(|stat| stat.resident_bytes)),
    );
    add(
        "process_virtual_memory",
        "Address space of the process.",
        Some(Unit::Bytes),
        gauge(of(|stat| stat.virtual_bytes)),
    );
    add(
        "process_threads",
        "Threads of the process.",
        None,
        gauge(of(|stat| stat.threads)),
    );
    add(
        "process_start_time",
        "When the process started, since 1970.",
        Some(Unit::Seconds),
        gauge(stat.as_ref().and_then(|stat| stat.started_at)),
    );
    add(
        "process_open_fds",
        "Descriptors that the process has open.",
        None,
        gauge(open_descriptors()),
    );
    add(
        "process_max_fds",
        "Descriptors that the process may have open.",
        None,
        gauge(read("/proc/self/limits").and_then(|text| descriptor_limit(&text))),
    );
    numbers
}

/// Bytes of a file of `/proc` that are read at most; those that are looked at are far shorter, but for `/proc/stat`, of
/// which the line that matters comes behind one for each core and a long one of interrupts.
const MOST_READ: u64 = 1 << 20;

fn read(path: &str) -> Option<String> {
    let mut text = String::new();
    let file = fs::File::open(path).ok()?;
    file.take(MOST_READ).read_to_string(&mut text).ok()?;
    Some(text)
}

/// What `/proc/self/stat` says.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    resident_bytes: f64,
    virtual_bytes: f64,
    threads: f64,
    /// `None` where the machine's own start cannot be read.
    started_at: Option<f64>,
}

impl Stat {
    fn read() -> Option<Self> {
        let booted_at = read("/proc/stat").and_then(|text| boot_time(&text));
        Self::parse(
            &read("/proc/self/stat")?,
            ticks_per_second(),
            page_size(),
            booted_at,
        )
    }

    /// proc_pid_stat(5). The name of the program, in brackets, may have anything in it.
    fn parse(text: &str, ticks: f64, page: f64, booted_at: Option<f64>) -> Option<Self> {
        let (_, behind_name) = text.rsplit_once(')')?;
        let fields: Vec<&str> = behind_name.split_ascii_whitespace().collect();
        // The first of these is the third of the file.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let started = field(22)? / ticks;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            threads: field(20)?,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * page,
            started_at: booted_at.map(|booted| booted + started),
        })
    }
}

/// Seconds since 1970.
fn boot_time(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

/// `None` where there is no limit.
fn descriptor_limit(text: &str) -> Option<f64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn open_descriptors() -> Option<f64> {
    const FOLDER: &str = "/proc/self/fd";
    // Newer kernels say how many there are without listing them all.
    let counted = fs::metadata(FOLDER).ok()?.len();
    if counted > 0 {
        return Some(counted as f64);
    }
    // One is that of the listing itself.
    Some(fs::read_dir(FOLDER).ok()?.count().saturating_sub(1) as f64)
}

fn ticks_per_second() -> f64 {
    // SAFETY: sysconf takes a plain number and touches no memory of ours.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

fn page_size() -> f64 {
    // SAFETY: as above.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    if bytes > 0 { bytes as f64 } else { 4096.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_s_name_may_look_like_more_fields() {
        let stat = "42 (a) R 1 (b) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 7 0 1000 \
                    8192000 300 18446744073709551615 1 1 0";
        let read = Stat::parse(stat, 100.0, 4096.0, Some(1000.0)).unwrap();
        let expected = Stat {
            cpu_seconds: 3.0,
            resident_bytes: 300.0 * 4096.0,
            virtual_bytes: 8_192_000.0,
            threads: 7.0,
            started_at: Some(1010.0),
        };
        assert_eq!(read, expected);
        assert_eq!(Stat::parse("42 (a) R 1", 100.0, 4096.0, None), None);
    }

    #[test]
    fn limits_and_the_machine_s_start_are_found_among_others() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max processes             95890                95890                processes \n\
                      Max open files            1024                 4096                 files     \n";
        assert_eq!(descriptor_limit(limits), Some(1024.0));
        let unlimited =
            "Max open files            unlimited            unlimited            files\n";
        assert_eq!(descriptor_limit(unlimited), None);
        assert_eq!(
            boot_time("cpu 1 2\nbtime 1700000000\nprocesses 3\n"),
            Some(1.7e9)
        );
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_all_of_them() {
        let names: Vec<&str> = numbers().iter().map(|number| number.name).collect();
        assert_eq!(names.len(), 7, "{names:?}");
        for number in numbers() {
            let (Value::Counter(value) | Value::Gauge(value)) = number.value;
            let may_be_nothing = number.name == "process_cpu";
            assert!(value > 0.0 || may_be_nothing, "{} is {value}", number.name);
        }
    }
}
