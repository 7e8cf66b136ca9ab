//! Runs of the doctor: one at a time, on a thread of its own, as it waits for others. What is found is kept until the next run.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::described::unix_seconds;
use super::refusal::Refusal;
use crate::doctor::{Finding, Observer, Request, Survey, worst};

/// Findings that are kept of a run: an app may have very many webhooks.
const MOST_FINDINGS: usize = 200;

/// Between the end of a run and the begin of the next.
const PAUSE: Duration = Duration::from_secs(2);

/// What is asked for, and by whom.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) app: String,
    pub(super) url: String,
    pub(super) origin: Option<String>,
    pub(super) patient: bool,
    pub(super) by: String,
}

/// Where runs are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Desk(Arc<Mutex<Runs>>);

#[derive(Debug, Default)]
struct Runs {
    /// How many there were.
    count: u64,
    last: Option<Run>,
}

#[derive(Debug)]
struct Run {
    asked: Asked,
    started_at: SystemTime,
    findings: Vec<Finding>,
    /// Whether somebody wants it to stop.
    is_unwanted: bool,
    ended: Option<Ended>,
}

#[derive(Debug)]
struct Ended {
    at: SystemTime,
    instant: Instant,
    /// Why it ended before everything was looked at.
    early: Option<&'static str>,
}

impl Desk {
    /// Starts a run, which goes on until then at most, and describes it.
    pub(super) fn start(
        &self,
        asked: Asked,
        survey: Survey,
        request: Request,
        until: Instant,
    ) -> Result<Value, Refusal> {
        let Asked { app, url, by, .. } = &asked;
        tracing::info!(
            app,
            url,
            by,
            "the doctor is to look at what clients of an app meet"
        );
        let described = self.begin(asked)?;
        // Where it cannot be started it is dropped, and the run has ended by that.
        let running = Running {
            desk: self.clone(),
            until,
            early: None,
        };
        let work = move || running.work(&survey, &request);
        // No task of a runtime, which would wait for it as the relay stops.
        thread::Builder::new()
            .name("doctor".into())
            .spawn(work)
            .map_err(|error| Refusal::Away(format!("the doctor cannot be started: {error}")))?;
        Ok(described)
    }

    /// A run has begun, if none is under way.
    fn begin(&self, asked: Asked) -> Result<Value, Refusal> {
        let mut runs = self.0.lock();
        if let Some(last) = &runs.last {
            last.check_over()?;
        }
        runs.count += 1;
        let run = runs.last.insert(Run {
            asked,
            started_at: SystemTime::now(),
            findings: Vec::new(),
            is_unwanted: false,
            ended: None,
        });
        let described = run.described();
        Ok(numbered(described, runs.count))
    }

    /// Stops the run that is under way, if there is one, before its next step.
    pub(super) fn stop(&self) {
        if let Some(run) = &mut self.0.lock().last {
            run.is_unwanted = true;
        }
    }

    /// The last run, if there was one.
    pub(super) fn last(&self) -> Option<Value> {
        let runs = self.0.lock();
        let described = runs.last.as_ref()?.described();
        Some(numbered(described, runs.count))
    }
}

fn numbered(mut described: Value, number: u64) -> Value {
    described["number"] = number.into();
    described
}

impl Run {
    fn check_over(&self) -> Result<(), Refusal> {
        let Some(ended) = &self.ended else {
            let Asked { url, by, .. } = &self.asked;
            let text =
                format!("the doctor is at {url}, asked by {by}: wait for its end, or stop it");
            return Err(Refusal::Conflict(text));
        };
        match PAUSE.checked_sub(ended.instant.elapsed()) {
            Some(wait) if !wait.is_zero() => Err(Refusal::TooSoon {
                what: "the doctor",
                wait,
            }),
            _ => Ok(()),
        }
    }

    fn described(&self) -> Value {
        let ended = self.ended.as_ref();
        json!({
            "app": self.asked.app,
            "url": self.asked.url,
            "origin": self.asked.origin,
            "patient": self.asked.patient,
            "by": self.asked.by,
            "started_at": unix_seconds(self.started_at),
            "ended_at": ended.map(|ended| unix_seconds(ended.at)),
            "ended_early": ended.and_then(|ended| ended.early),
            "level": worst(&self.findings).name(),
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }
}

/// A run at work. It has ended when this is gone, whatever happened.
struct Running {
    desk: Desk,
    /// When it takes too long.
    until: Instant,
    early: Option<&'static str>,
}

impl Running {
    fn work(mut self, survey: &Survey, request: &Request) {
        // How it ended shows in `early`.
        let _ = survey.run(request, &mut self);
        self.end(self.early);
    }

    /// Whether to go on, of a run that is under way.
    fn judge(&mut self, run: &Run) -> ControlFlow<()> {
        self.early = if run.is_unwanted {
            Some("it was stopped")
        } else if Instant::now() >= self.until {
            Some("it took too long")
        } else if run.findings.len() >= MOST_FINDINGS {
            Some("it found very much")
        } else {
            None
        };
        match self.early {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        }
    }
}

impl Observer for Running {
    fn found(&mut self, finding: Finding) -> ControlFlow<()> {
        let desk = self.desk.clone();
        let mut runs = desk.0.lock();
        let Some(run) = &mut runs.last else {
            return ControlFlow::Break(());
        };
        run.findings.push(finding);
        self.judge(run)
    }

    fn goes_on(&mut self) -> ControlFlow<()> {
        let desk = self.desk.clone();
        let runs = desk.0.lock();
        let Some(run) = &runs.last else {
            return ControlFlow::Break(());
        };
        self.judge(run)
    }
}

impl Running {
    fn end(&self, early: Option<&'static str>) {
        let mut runs = self.desk.0.lock();
        let Some(run) = &mut runs.last else {
            return;
        };
        if run.ended.is_some() {
            return;
        }
        run.ended = Some(Ended {
            at: SystemTime::now(),
            instant: Instant::now(),
            early,
        });
        let Asked { app, url, by, .. } = &run.asked;
        let worst = worst(&run.findings).name();
        tracing::info!(app, url, by, worst, early, "the doctor has looked");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Some("it failed"));
    }
}
