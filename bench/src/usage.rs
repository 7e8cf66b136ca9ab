//! CPU time, memory and kernel counters of the server under test, from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddrV4;

use crate::sys;

/// The server: the given processes and, at every look, all their live descendants.
pub(crate) struct Processes {
    roots: Vec<i32>,
}

#[derive(Clone, Copy, Default)]
struct ProcessCpu {
    /// All threads, dead ones too, from the process CPU clock (scheduler run time).
    exact_ns: u64,
    user_ticks: u64,
    system_ticks: u64,
    /// Of children that ended and were waited for.
    reaped_ticks: u64,
}

/// Run time of live threads in nanoseconds, those of one name together. Numbers at the end of a
/// name do not count as part of it.
pub(crate) type ThreadTimes = BTreeMap<String, u64>;

pub(crate) struct CpuSample {
    processes: BTreeMap<i32, ProcessCpu>,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct CpuUsed {
    pub(crate) exact_ns: u64,
    /// The same from /proc/PID/stat, whose unit is 10 ms: a cross-check, and the split.
    pub(crate) user_ns: u64,
    pub(crate) system_ns: u64,
}

fn tick_ns() -> u64 {
    // SAFETY: reads a constant of the system.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    1_000_000_000 / ticks.max(1) as u64
}

impl Processes {
    pub(crate) fn new(roots: Vec<i32>) -> anyhow::Result<Self> {
        for pid in &roots {
            anyhow::ensure!(
                fs::metadata(format!("/proc/{pid}/stat")).is_ok(),
                "there is no process {pid}"
            );
        }
        Ok(Self { roots })
    }

    pub(crate) fn is_known(&self) -> bool {
        !self.roots.is_empty()
    }

    pub(crate) fn all_alive(&self) -> bool {
        self.roots.iter().all(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat_fields(&stat)
                .first()
                .is_some_and(|state| !matches!(*state, "Z" | "X"))
        })
    }

    fn pids(&self) -> BTreeSet<i32> {
        let mut found = BTreeSet::new();
        let mut queue = self.roots.clone();
        while let Some(pid) = queue.pop() {
            if !found.insert(pid) {
                continue;
            }
            let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
                continue;
            };
            for thread in threads.flatten() {
                let children = fs::read_to_string(thread.path().join("children"));
                let children = children.unwrap_or_default();
                queue.extend(
                    children
                        .split_whitespace()
                        .filter_map(|c| c.parse::<i32>().ok()),
                );
            }
        }
        found
    }

    pub(crate) fn cpu(&self) -> CpuSample {
        let read = |pid| Some((pid, process_cpu(pid)?));
        CpuSample {
            processes: self.pids().into_iter().filter_map(read).collect(),
        }
    }

    pub(crate) fn thread_times(&self) -> ThreadTimes {
        let mut times = ThreadTimes::new();
        for pid in self.pids() {
            let threads = fs::read_dir(format!("/proc/{pid}/task"));
            for thread in threads.into_iter().flatten().flatten() {
                let read = |file| fs::read_to_string(thread.path().join(file)).unwrap_or_default();
                let (name, times_text) = (read("comm"), read("schedstat"));
                let name = name
                    .trim_end()
                    .trim_end_matches(|c: char| c.is_ascii_digit());
                let ran = times_text.split(' ').next().and_then(|ns| ns.parse().ok());
                let name = name.trim_end_matches(['-', '#', '_']);
                *times.entry(name.to_string()).or_default() += ran.unwrap_or(0u64);
            }
        }
        times
    }

    /// Lets `Memory::peak_rss_kib` begin anew. False where the kernel does not allow it: then
    /// peaks are those of the whole life of the processes.
    pub(crate) fn reset_peak_rss(&self) -> bool {
        let reset = |pid| fs::write(format!("/proc/{pid}/clear_refs"), "5").is_ok();
        self.pids().into_iter().all(reset)
    }

    pub(crate) fn memory(&self) -> Memory {
        let mut total = Memory::default();
        for pid in self.pids() {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
            total.rss_kib += kib_field(&status, "VmRSS:");
            total.peak_rss_kib += kib_field(&status, "VmHWM:");
            total.pss_kib += kib_field(&rollup.unwrap_or_default(), "Pss:");
        }
        total
    }
}

impl CpuSample {
    pub(crate) fn since(&self, earlier: &CpuSample) -> CpuUsed {
        let tick = tick_ns();
        let mut used = CpuUsed::default();
        let mut reaped_ns = 0;
        for (pid, now) in &self.processes {
            let then = earlier.processes.get(pid).copied().unwrap_or_default();
            used.exact_ns += now.exact_ns.saturating_sub(then.exact_ns);
            used.user_ns += now.user_ticks.saturating_sub(then.user_ticks) * tick;
            used.system_ns += now.system_ticks.saturating_sub(then.system_ticks) * tick;
            reaped_ns += now.reaped_ticks.saturating_sub(then.reaped_ticks) * tick;
        }
        // A child's whole life is in its parent's count: take off what ran before the window.
        for (pid, then) in &earlier.processes {
            if !self.processes.contains_key(pid) {
                reaped_ns = reaped_ns.saturating_sub(then.exact_ns);
            }
        }
        used.exact_ns += reaped_ns;
        used
    }
}

/// The fields of /proc/PID/stat after the command name, the state first.
fn stat_fields(stat: &str) -> Vec<&str> {
    stat.rsplit_once(") ")
        .map_or(Vec::new(), |(_, rest)| rest.split_whitespace().collect())
}

fn process_cpu(pid: i32) -> Option<ProcessCpu> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat_fields(&stat);
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|f| f.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let mut clock = 0;
    // SAFETY: writes the clock id to the local variable.
    if unsafe { libc::clock_getcpuclockid(pid, &mut clock) } != 0 {
        return None;
    }
    Some(ProcessCpu {
        exact_ns: sys::clock_ns(clock).ok()?,
        user_ticks: ticks(11),
        system_ticks: ticks(12),
        reaped_ticks: ticks(13) + ticks(14),
    })
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) rss_kib: u64,
    pub(crate) pss_kib: u64,
    /// The most since the process began or `Processes::reset_peak_rss`.
    pub(crate) peak_rss_kib: u64,
}

fn kib_field(text: &str, name: &str) -> u64 {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// What of the machine bears on the figures.
pub(crate) fn machine_json() -> serde_json::Value {
    let read = |path: &str| {
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_string()
    };
    let load = read("/proc/loadavg");
    serde_json::json!({
        "cpus": std::thread::available_parallelism().map_or(0, |n| n.get()),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "tcp_congestion_control": read("/proc/sys/net/ipv4/tcp_congestion_control"),
        "load_1min": load.split(' ').next().unwrap_or_default(),
    })
}

/// Kernel memory of all TCP sockets' buffers (both ends), in KiB.
pub(crate) fn tcp_buffers_kib() -> u64 {
    let text = fs::read_to_string("/proc/net/sockstat").unwrap_or_default();
    let line = text
        .lines()
        .find(|line| line.starts_with("TCP:"))
        .unwrap_or_default();
    let pages = line
        .split_whitespace()
        .skip_while(|word| *word != "mem")
        .nth(1);
    pages
        .and_then(|pages| pages.parse::<u64>().ok())
        .unwrap_or(0)
        * 4
}

/// Kernel slab memory in KiB: where socket and epoll structures live.
pub(crate) fn slab_kib() -> u64 {
    kib_field(
        &fs::read_to_string("/proc/meminfo").unwrap_or_default(),
        "Slab:",
    )
}

/// One measured stretch of time.
pub(crate) struct Window {
    started_at: u64,
    server: CpuSample,
    client_ns: u64,
    machine: MachineCpu,
    listen_drops: u64,
}

#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) wall_ns: u64,
    pub(crate) server: CpuUsed,
    pub(crate) client_ns: u64,
    pub(crate) machine: MachineCpu,
    pub(crate) listen_drops: u64,
}

/// Whole-machine CPU time, sampled by the kernel's tick: coarse, for plausibility only.
#[derive(Clone, Copy, Default)]
pub(crate) struct MachineCpu {
    pub(crate) busy_ns: u64,
    pub(crate) softirq_ns: u64,
    pub(crate) steal_ns: u64,
}

fn machine_cpu() -> MachineCpu {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<u64> = text
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    let ns = |index: usize| ticks.get(index).copied().unwrap_or(0) * tick_ns();
    // user nice system (idle iowait) irq softirq steal
    MachineCpu {
        busy_ns: ns(0) + ns(1) + ns(2) + ns(5) + ns(6),
        softirq_ns: ns(6),
        steal_ns: ns(7),
    }
}

/// Connections the kernel dropped because a listen queue was full (whole machine).
fn listen_drops() -> u64 {
    let text = fs::read_to_string("/proc/net/netstat").unwrap_or_default();
    let mut lines = text.lines().filter(|line| line.starts_with("TcpExt:"));
    let names = lines.next().unwrap_or_default().split_whitespace();
    let values = lines.next().unwrap_or_default().split_whitespace();
    names
        .zip(values)
        .filter(|(name, _)| *name == "ListenDrops")
        .filter_map(|(_, value)| value.parse::<u64>().ok())
        .sum()
}

pub(crate) fn client_cpu_ns() -> u64 {
    sys::clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(0)
}

impl Window {
    pub(crate) fn open(server: &Processes) -> Self {
        Self {
            listen_drops: listen_drops(),
            machine: machine_cpu(),
            server: server.cpu(),
            client_ns: client_cpu_ns(),
            started_at: sys::now_ns(),
        }
    }

    pub(crate) fn close(self, server: &Processes) -> Usage {
        let ended_at = sys::now_ns();
        let client_ns = client_cpu_ns() - self.client_ns;
        let machine = machine_cpu();
        Usage {
            wall_ns: ended_at - self.started_at,
            server: server.cpu().since(&self.server),
            client_ns,
            machine: MachineCpu {
                busy_ns: machine.busy_ns.saturating_sub(self.machine.busy_ns),
                softirq_ns: machine.softirq_ns.saturating_sub(self.machine.softirq_ns),
                steal_ns: machine.steal_ns.saturating_sub(self.machine.steal_ns),
            },
            listen_drops: listen_drops().saturating_sub(self.listen_drops),
        }
    }
}

/// Adds one window to the sum of several.
impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.wall_ns += other.wall_ns;
        self.server.exact_ns += other.server.exact_ns;
        self.server.user_ns += other.server.user_ns;
        self.server.system_ns += other.server.system_ns;
        self.client_ns += other.client_ns;
        self.machine.busy_ns += other.machine.busy_ns;
        self.machine.softirq_ns += other.machine.softirq_ns;
        self.machine.steal_ns += other.machine.steal_ns;
        self.listen_drops += other.listen_drops;
    }
}

impl Usage {
    pub(crate) fn cores(&self, ns: u64) -> f64 {
        ns as f64 / self.wall_ns.max(1) as f64
    }

    /// Cores that neither the server nor the client used.
    pub(crate) fn other_cores(&self) -> f64 {
        let accounted = self.server.exact_ns + self.client_ns;
        self.cores(self.machine.busy_ns.saturating_sub(accounted))
    }

    pub(crate) fn none() -> Self {
        Self {
            wall_ns: 0,
            server: CpuUsed::default(),
            client_ns: 0,
            machine: MachineCpu::default(),
            listen_drops: 0,
        }
    }
}

/// How the kernel sees the server's end of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ServerEnd {
    Open {
        unsent_bytes: u64,
    },
    /// The server closed it, or it is gone altogether.
    Closed,
}

/// States of a socket in /proc/net/tcp.
const ESTABLISHED: &str = "01";
const TIME_WAIT: &str = "06";
const LISTEN: &str = "0A";

/// Calls `look` with the remote address, state and queues of every socket on the server's port.
fn each_server_socket(server: SocketAddrV4, mut look: impl FnMut(&str, &str, &str)) {
    // A server listening on [::] holds IPv4 connections as mapped IPv6 ones.
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = fs::read_to_string(file).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, local, remote, state, queues, ..] = fields[..] else {
                continue;
            };
            if parse_address(local).is_some_and(|a| a.port() == server.port()) {
                look(remote, state, queues);
            }
        }
    }
}

/// How many connections the server has not let go of, or the kernel not for it.
pub(crate) fn server_sockets(server: SocketAddrV4) -> usize {
    let mut count = 0;
    each_server_socket(server, |_, state, _| {
        count += usize::from(state != LISTEN && state != TIME_WAIT);
    });
    count
}

/// Looks up the server's end of each connection (by the client's address) in /proc/net/tcp,
/// also where the client has not read far enough to see a close.
pub(crate) fn server_ends(server: SocketAddrV4, clients: &[SocketAddrV4]) -> Vec<ServerEnd> {
    let mut open = BTreeMap::new();
    each_server_socket(server, |remote, state, queues| {
        if state == ESTABLISHED {
            let unsent = queues.split(':').next().unwrap_or("0");
            let unsent = u64::from_str_radix(unsent, 16).unwrap_or(0);
            open.extend(parse_address(remote).map(|remote| (remote, unsent)));
        }
    });
    let look_up = |client| match open.get(client) {
        Some(&unsent_bytes) => ServerEnd::Open { unsent_bytes },
        None => ServerEnd::Closed,
    };
    clients.iter().map(look_up).collect()
}

/// `0100007F:1F90`, or the IPv4-mapped IPv6 form, whose last 8 address digits are the same.
fn parse_address(text: &str) -> Option<SocketAddrV4> {
    let (address, port) = text.split_once(':')?;
    let last = address.get(address.len().checked_sub(8)?..)?;
    let address = u32::from_str_radix(last, 16).ok()?.to_ne_bytes();
    Some(SocketAddrV4::new(
        address.into(),
        u16::from_str_radix(port, 16).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_cpu_is_seen_from_outside() {
        let own = Processes::new(vec![std::process::id() as i32]).unwrap();
        let before = own.cpu();
        let until = client_cpu_ns() + 50_000_000;
        while client_cpu_ns() < until {}
        let used = own.cpu().since(&before).exact_ns;
        assert!((50_000_000..500_000_000).contains(&used), "{used}");
        assert!(own.memory().rss_kib > 0 && own.memory().pss_kib > 0);
    }

    #[test]
    fn threads_are_distinguished_by_name() {
        let own = Processes::new(vec![std::process::id() as i32]).unwrap();
        let spin = || {
            let began = sys::clock_ns(libc::CLOCK_THREAD_CPUTIME_ID).unwrap();
            let ran = || sys::clock_ns(libc::CLOCK_THREAD_CPUTIME_ID).unwrap() - began;
            while ran() < 20_000_000 {}
            // Its figures are brought up to date when it gives up the CPU.
            sys::sleep_ns(1_000_000);
            Processes::new(vec![std::process::id() as i32])
                .unwrap()
                .thread_times()
        };
        let named = std::thread::Builder::new().name("spinning-7".into());
        let times = named.spawn(spin).unwrap().join().unwrap();
        assert!(times["spinning"] >= 20_000_000, "{times:?}");
        assert!(!own.thread_times().contains_key("spinning"));
    }

    #[test]
    fn kernel_addresses_are_read() {
        let expected: SocketAddrV4 = "127.0.0.1:8080".parse().unwrap();
        assert_eq!(parse_address("0100007F:1F90"), Some(expected));
        let mapped = "0000000000000000FFFF00000100007F:1F90";
        assert_eq!(parse_address(mapped), Some(expected));
    }
}
