//! One limit for how long all of it takes, whatever hangs.

use std::ops::ControlFlow;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use super::super::Failure;
use crate::doctor::{Finding, Observer};

/// What may wait to be noted.
const WAITING: usize = 16;

/// What becomes known while somebody looks.
enum Progress {
    Planned(Vec<&'static str>),
    Takes(Duration),
    Found(Finding),
}

/// Passes it on to who waits for it.
struct Reporter(SyncSender<Progress>);

impl Reporter {
    fn pass_on(&self, progress: Progress) -> ControlFlow<()> {
        match self.0.send(progress) {
            Ok(()) => ControlFlow::Continue(()),
            // Nobody waits any more.
            Err(_) => ControlFlow::Break(()),
        }
    }
}

impl Observer for Reporter {
    fn found(&mut self, finding: Finding) -> ControlFlow<()> {
        self.pass_on(Progress::Found(finding))
    }

    fn goes_on(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn planned(&mut self, ids: Vec<&'static str>) {
        // Whether anybody waits shows with the next finding.
        let _ = self.pass_on(Progress::Planned(ids));
    }

    fn takes(&mut self, time: Duration) {
        let _ = self.pass_on(Progress::Takes(time));
    }
}

/// What was found, and what is still to be looked at.
struct Watch {
    limit: Duration,
    until: Instant,
    /// What was asked for beyond the limit, and since when it is under way.
    apart: Option<(Instant, Duration)>,
    planned: Vec<&'static str>,
    findings: Vec<Finding>,
}

impl Watch {
    fn note(&mut self, progress: Progress) {
        match progress {
            Progress::Planned(ids) => self.planned = ids,
            Progress::Takes(time) => {
                self.apart = Some((Instant::now(), time));
                self.until += time;
            }
            Progress::Found(finding) => {
                if let Some((since, time)) = self.apart.take() {
                    self.until -= time.saturating_sub(since.elapsed());
                }
                let done = self.planned.iter().position(|id| *id == finding.id);
                self.planned.drain(..done.map_or(0, |index| index + 1));
                self.findings.push(finding);
            }
        }
    }

    /// The time is up. What is under way may be what is wrong.
    fn give_up(&mut self) {
        let seconds = self.limit.as_secs();
        let mut planned = self.planned.drain(..);
        if let Some(id) = planned.next() {
            let text = format!("not looked at to the end: the time of {seconds} s was up");
            let remedy =
                "see what keeps whoever is asked from answering; --timeout gives it more seconds";
            self.findings.push(Finding::error(id, text, remedy));
        }
        self.findings.extend(planned.map(|id| {
            let text = format!("not looked at: the time of {seconds} s was up before");
            Finding::warn(id, text, "--timeout gives it more seconds")
        }));
    }
}

/// Has somebody look for so long at most, and returns what was found by then, with what was not looked at.
pub(super) fn within(
    limit: Duration,
    look: impl FnOnce(&mut dyn Observer) -> Result<(), Failure> + Send + 'static,
) -> Result<Vec<Finding>, Failure> {
    let mut watch = Watch {
        limit,
        until: Instant::now() + limit,
        apart: None,
        planned: Vec::new(),
        findings: Vec::new(),
    };
    let (sender, receiver) = mpsc::sync_channel(WAITING);
    // What hangs cannot be interrupted everywhere. It is left to itself, and ends with the process.
    let looking = thread::spawn(move || look(&mut Reporter(sender)));
    loop {
        let left = watch.until.saturating_duration_since(Instant::now());
        match receiver.recv_timeout(left) {
            Ok(progress) => watch.note(progress),
            Err(RecvTimeoutError::Timeout) => {
                watch.give_up();
                return Ok(watch.findings);
            }
            Err(RecvTimeoutError::Disconnected) => {
                let looked = looking.join();
                looked.unwrap_or_else(|_| Err(Failure::other("the doctor failed")))?;
                return Ok(watch.findings);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    /// Much longer than it takes to start a thread.
    const SOON: Duration = Duration::from_secs(1);

    fn found(findings: &[Finding]) -> Vec<(&'static str, Level)> {
        let found = |finding: &Finding| (finding.id, finding.level);
        findings.iter().map(found).collect()
    }

    #[test]
    fn what_is_left_when_the_time_is_up_is_not_looked_at() {
        let (_holds, held) = mpsc::sync_channel::<()>(0);
        let findings = within(SOON, move |observer| {
            observer.planned(vec!["a", "b", "c", "d", "e"]);
            let _ = observer.found(Finding::ok("a", "well"));
            let _ = observer.found(Finding::ok("c", "well"));
            let _ = held.recv();
            Ok(())
        });
        let well = Level::Ok;
        let expected = [
            ("a", well),
            ("c", well),
            ("d", Level::Error),
            ("e", Level::Warn),
        ];
        assert_eq!(found(&findings.unwrap()), expected);
    }

    #[test]
    fn what_was_asked_for_beyond_it_is_not_held_against_the_rest() {
        let findings = within(SOON, |observer| {
            observer.planned(vec!["idle", "files"]);
            observer.takes(Duration::from_secs(60));
            // Longer than all else may take.
            thread::sleep(2 * SOON);
            let _ = observer.found(Finding::ok("idle", "well"));
            let _ = observer.found(Finding::ok("files", "well"));
            Ok(())
        });
        assert_eq!(found(&findings.unwrap()).len(), 2);
    }

    #[test]
    fn a_failure_is_the_callers() {
        let failed = within(Duration::from_secs(60), |_| {
            Err(Failure::Usage("no sense".into()))
        });
        assert!(matches!(failed, Err(Failure::Usage(_))));
    }
}
