//! Clients that stop reading: what the server does with them, seen from the kernel while they
//! are stuck, and by themselves once they read again.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use serde_json::json;

use super::{Bench, ns};
use crate::net::{Handler, Net};
use crate::sys;
use crate::usage::{ServerEnd, server_ends};

/// How long a client that reads again waits for the close behind what it had missed.
const CLOSE_WAIT_S: f64 = 3.0;
/// What the kernel may hold without any of it being the server's doing.
const KERNEL_SLACK_BYTES: u64 = 256 << 10;

pub(super) struct Stalled {
    conns: Vec<usize>,
    addresses: Vec<SocketAddrV4>,
}

/// Counts how the stalled connections end.
struct Ends {
    left: usize,
    by_reason: BTreeMap<String, u64>,
}

impl Handler for Ends {
    fn closed(&mut self, _net: &mut Net, _conn: usize, reason: &str) {
        self.left -= 1;
        *self.by_reason.entry(reason.to_string()).or_default() += 1;
    }
}

impl Stalled {
    /// Lets these connections be stuck from now on.
    pub(super) fn stop_reading(net: &mut Net, conns: Vec<usize>) -> anyhow::Result<Self> {
        let addresses = conns.iter().filter_map(|conn| net.local_addr(*conn));
        let addresses = addresses.collect();
        for conn in &conns {
            net.stop_reading(*conn)?;
        }
        Ok(Self { conns, addresses })
    }

    /// Reports how the server has treated them, each having been offered so many bytes.
    pub(super) fn report(self, bench: &mut Bench, offered_bytes: u64) -> anyhow::Result<()> {
        let ends = server_ends(bench.net.server, &self.addresses);
        let unsent: Vec<u64> = ends
            .iter()
            .filter_map(|end| match end {
                ServerEnd::Open { unsent_bytes } => Some(*unsent_bytes),
                ServerEnd::Closed => None,
            })
            .collect();
        let disconnected = ends.len() - unsent.len();
        let most_unsent = unsent.iter().max().copied();
        let ends = self.read_to_the_end(&mut bench.net)?;
        let is_closed = |(reason, _): &(&String, &u64)| reason.starts_with("close 4100");
        let closed_4100: u64 = ends
            .by_reason
            .iter()
            .filter(is_closed)
            .map(|(_, n)| n)
            .sum();
        bench.report.set(
            "stalled",
            json!({
                "clients": self.conns.len(),
                "disconnected_by_server": disconnected,
                "still_connected": unsent.len(),
                "disconnected_share": disconnected as f64 / self.conns.len() as f64,
                "closed_4100": closed_4100,
                "closed_4100_share": closed_4100 as f64 / self.conns.len() as f64,
                "ends": ends.by_reason,
                "never_closed": ends.left,
                "offered_bytes_each": offered_bytes,
                "kernel_unsent_bytes_each_max": most_unsent,
            }),
        );
        if disconnected == 0 && offered_bytes < most_unsent.unwrap_or(0) + KERNEL_SLACK_BYTES {
            bench.report.note(
                "the kernel's socket buffer could hold nearly all that the stalled clients were \
                 offered: the server was not put to the test; raise --payload, --rate or --seconds",
            );
        }
        Ok(())
    }

    /// Reads again, as a client that wakes up does, until each has found its close.
    fn read_to_the_end(&self, net: &mut Net) -> anyhow::Result<Ends> {
        // These closes are what the scenario is after, not trouble.
        let troubles = net.counters.ws_closed.clone();
        let mut ends = Ends {
            left: self.conns.len(),
            by_reason: BTreeMap::new(),
        };
        for conn in &self.conns {
            net.resume_reading(*conn)?;
        }
        let until = sys::now_ns() + ns(CLOSE_WAIT_S);
        while ends.left > 0 && sys::now_ns() < until {
            net.poll(50_000_000, &mut ends)?;
        }
        net.counters.ws_closed = troubles;
        Ok(ends)
    }
}
