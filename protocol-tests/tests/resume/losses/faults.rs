//! What happens to connections and pages.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use protocol_tests::random::Random;
use tokio::time::{Instant, sleep};

use crate::page::Page;
use crate::road::{Road, Way};

const TURN: Duration = Duration::from_millis(100);
/// Of how many pages one is chosen in each turn, about.
const PAGES_A_TURN: usize = 30;
/// How long a page is left alone when all of its channels are back, so that each fault is apart from the last one.
const CALM: Duration = Duration::from_secs(2);
/// How many restarts of the proxy there are in a run.
const RESTARTS: u32 = 2;

/// One kind of fault of a connection or a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Reset,
    EndedForRelay,
    EndedForClient,
    /// Nothing passes for a while, which may be longer than either side's patience.
    Hole,
    Frozen,
    /// Of everybody at once.
    ProxyRestarted,
}

/// One of eight, by weight.
const CHOICE: [Kind; 8] = [
    Kind::Reset,
    Kind::Reset,
    Kind::Reset,
    Kind::EndedForRelay,
    Kind::EndedForClient,
    Kind::Hole,
    Kind::Hole,
    Kind::Frozen,
];

/// How often what has happened.
#[derive(Default)]
pub(crate) struct Counted {
    kinds: BTreeMap<Kind, usize>,
    /// For how long at most the machine did not run meanwhile.
    pub(crate) standstill: Duration,
}

impl fmt::Display for Counted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.kinds {
            write!(formatter, "{kind:?} {count} times, ")?;
        }
        formatter.write_str("seed above")
    }
}

/// Who lets them happen, to both groups alike.
pub(crate) struct Faults<'a> {
    patience: Duration,
    groups: [&'a Arc<Vec<Page>>; 2],
    road: &'a Road,
    /// Until when each page is left alone.
    calm: [Vec<Instant>; 2],
    /// Ports whose holes end, and when.
    holes: Vec<(Instant, u16)>,
    counted: Counted,
}

impl<'a> Faults<'a> {
    /// `patience` are the seconds after which either side asks, and again as many after which it gives up.
    pub(crate) fn new(
        patience: u32,
        groups: [&'a Arc<Vec<Page>>; 2],
        road: &'a Road,
    ) -> Faults<'a> {
        Faults {
            patience: Duration::from_secs(patience.into()),
            groups,
            road,
            calm: groups.map(|pages| vec![Instant::now(); pages.len()]),
            holes: Vec::new(),
            counted: Counted::default(),
        }
    }

    pub(crate) async fn go_on_for(mut self, time: Duration, random: &mut Random) -> Counted {
        let began = Instant::now();
        let mut restarts = 0;
        while began.elapsed() < time || !self.is_calm() {
            let slept = Instant::now();
            sleep(TURN).await;
            let overrun = slept.elapsed().saturating_sub(TURN);
            self.counted.standstill = self.counted.standstill.max(overrun);
            self.end_holes();
            if began.elapsed() >= time {
                continue;
            }
            for _ in 0..self.groups[0].len().div_ceil(PAGES_A_TURN) {
                self.fail(random);
            }
            if began.elapsed() > time * (restarts + 1) / (RESTARTS + 1) {
                restarts += 1;
                self.restart(Duration::from_millis(20 + random.below(150) as u64));
            }
        }
        self.counted
    }

    /// Whether nothing fails any more. A page that is frozen or in a hole may not know yet that it is cut off.
    fn is_calm(&self) -> bool {
        let now = Instant::now();
        self.holes.is_empty() && self.calm.iter().flatten().all(|calm| *calm <= now)
    }

    fn end_holes(&mut self) {
        let now = Instant::now();
        self.holes.retain(|(end, port)| {
            let is_over = *end <= now;
            if is_over {
                self.road.set(*port, Way::Open);
            }
            !is_over
        });
    }

    fn fail(&mut self, random: &mut Random) {
        let number = random.below(self.groups[0].len());
        let kind = CHOICE[random.below(CHOICE.len())];
        // From a fifth of what either side bears to more than twice that.
        let share = 20 + random.below(230) as u32;
        let time = self.patience * 2 * share / 100;
        for group in 0..self.groups.len() {
            let pages = self.groups[group];
            let now = Instant::now();
            let Some(page) = pages.get(number) else {
                continue;
            };
            let Some(port) = settled_port(page) else {
                continue;
            };
            if self.calm[group][number] > now {
                continue;
            }
            if let Some(life) = page.diary().lives.last_mut() {
                life.disturbed = Some(now);
            }
            let mut lasts = Duration::ZERO;
            match kind {
                Kind::Reset => drop(self.road.set(port, Way::Reset)),
                Kind::EndedForRelay => drop(self.road.set(port, Way::EndedForRelay)),
                Kind::EndedForClient => drop(self.road.set(port, Way::EndedForClient)),
                Kind::Hole => {
                    self.road.set(port, Way::Held);
                    self.holes.push((now + time, port));
                    lasts = time;
                }
                Kind::Frozen => {
                    lasts = time.max(self.patience * 2);
                    page.freeze(lasts);
                }
                Kind::ProxyRestarted => unreachable!("it is nobody's own"),
            }
            self.calm[group][number] = now + lasts + CALM;
            *self.counted.kinds.entry(kind).or_default() += 1;
        }
    }

    fn restart(&mut self, away: Duration) {
        let now = Instant::now();
        for (pages, calm) in self.groups.iter().zip(&self.calm) {
            for (page, calm) in pages.iter().zip(calm) {
                let mut diary = page.diary();
                if diary.connected.is_none() {
                    continue;
                }
                if let Some(life) = diary.lives.last_mut() {
                    // What began before and is not long over is what counts.
                    let is_calm = *calm < now;
                    if is_calm || life.disturbed.is_none() {
                        life.disturbed = Some(now);
                    }
                }
            }
        }
        self.road.restart(away);
        *self.counted.kinds.entry(Kind::ProxyRestarted).or_default() += 1;
    }
}

/// The port of a page whose channels have been back for a while.
fn settled_port(page: &Page) -> Option<u16> {
    match page.diary().connected {
        Some((port, Some(since))) if since.elapsed() > CALM => Some(port),
        _ => None,
    }
}
