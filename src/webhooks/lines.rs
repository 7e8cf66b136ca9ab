//! The webhooks of one app, as they are configured at the moment.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::inbox::Inbox;
use super::outcomes::{Outcomes, Tally};
use super::outlet::{Backlog, Outlet};
use super::settings::Settings;
use super::work::{self, Order, Terms, Work};
use crate::apps::{LiveApp, Webhook};
use crate::auth::Signer;
use crate::metrics::AppMetrics;

/// The way to each webhook of an app.
///
/// A webhook is the same for as long as its address is: what waits for it goes on waiting when its events, headers or
/// filter change, and is sent as is configured then.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: Vec<Line>,
    /// With whom requests are signed.
    signer: Option<Signer>,
}

#[derive(Debug)]
struct Line {
    webhook: Arc<Webhook>,
    /// How many of the app's webhooks before it have the same URL.
    namesakes: usize,
    terms: watch::Sender<Terms>,
    backlog: Arc<Backlog>,
    inbox: Arc<Inbox>,
    outcomes: Arc<Outcomes>,
}

/// One webhook of an app: what waits for it, and what became of the rest, at this node.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it is configured.
    pub webhook: Arc<Webhook>,
    /// Events that wait to be sent.
    pub waiting: usize,
    /// About what they take up.
    pub waiting_bytes: usize,
    /// What became of the others.
    pub tally: Tally,
}

impl Lines {
    /// Goes by these webhooks. Those that are new are begun, those that are no longer there end. Returns the way to
    /// each.
    pub(super) fn configure(
        &mut self,
        app: &Arc<LiveApp>,
        webhooks: &[Webhook],
        metrics: &AppMetrics,
        settings: &Settings,
        orders: &mpsc::UnboundedSender<Order>,
    ) -> Vec<Outlet> {
        let signer = app.record().keys.signing().clone();
        let is_signed_anew = self.signer.as_ref() != Some(&signer);
        self.signer = Some(signer);
        let mut before = std::mem::take(&mut self.lines);
        for (index, webhook) in webhooks.iter().enumerate() {
            let same_url = |other: &&Webhook| other.url == webhook.url;
            let namesakes = webhooks[..index].iter().filter(same_url).count();
            let known = before
                .iter()
                .position(|line| line.webhook.url == webhook.url && line.namesakes == namesakes);
            let line = match known {
                Some(at) => before
                    .swap_remove(at)
                    .changed(webhook, is_signed_anew, settings),
                None => {
                    let (line, work) = Line::new(app, webhook, namesakes, metrics, settings);
                    // Nobody takes it after the last flush: then nothing is sent any more.
                    let _ = orders.send(Order::Begin(Box::new(work)));
                    line
                }
            };
            self.lines.push(line);
        }
        let outlets = self.lines.iter().map(Line::outlet).collect();
        for line in before {
            line.terms.send_replace(None);
        }
        outlets
    }

    /// How much waits for each.
    pub(super) fn events(&self) -> usize {
        self.lines.iter().map(|line| line.backlog.events()).sum()
    }

    /// How each gets on, in the order of the configuration.
    pub(super) fn reports(&self) -> Vec<Report> {
        let report = |line: &Line| Report {
            webhook: Arc::clone(&line.webhook),
            waiting: line.backlog.events(),
            waiting_bytes: line.backlog.bytes(),
            tally: line.outcomes.tally(),
        };
        self.lines.iter().map(report).collect()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl Line {
    fn new(
        app: &Arc<LiveApp>,
        webhook: &Webhook,
        namesakes: usize,
        metrics: &AppMetrics,
        settings: &Settings,
    ) -> (Self, Work) {
        let webhook = Arc::new(webhook.clone());
        let inbox = Arc::new(Inbox::new(full_at(&webhook, settings)));
        let backlog = Arc::new(Backlog::new(settings.backlog_bytes, metrics.clone()));
        let outcomes = Arc::new(Outcomes::default());
        let (terms, received) = watch::channel(Some(Arc::clone(&webhook)));
        let work = Work {
            app: Arc::clone(app),
            terms: received,
            endpoint: webhook.url.to_string(),
            key: work::key(&app.id, &webhook.url, namesakes),
            backlog: Arc::clone(&backlog),
            metrics: metrics.clone(),
            inbox: Arc::clone(&inbox),
            outcomes: Arc::clone(&outcomes),
        };
        let line = Self {
            webhook,
            namesakes,
            terms,
            backlog,
            inbox,
            outcomes,
        };
        (line, work)
    }

    /// The same with other settings, if they are others.
    fn changed(mut self, webhook: &Webhook, is_signed_anew: bool, settings: &Settings) -> Self {
        if *self.webhook != *webhook {
            self.webhook = Arc::new(webhook.clone());
        } else if !is_signed_anew {
            return self;
        }
        self.inbox.set_full_at(full_at(webhook, settings));
        self.terms.send_replace(Some(Arc::clone(&self.webhook)));
        self
    }

    fn outlet(&self) -> Outlet {
        let (backlog, inbox) = (Arc::clone(&self.backlog), Arc::clone(&self.inbox));
        Outlet::new((*self.webhook).clone(), backlog, inbox)
    }
}

/// How many events fill a request.
fn full_at(webhook: &Webhook, settings: &Settings) -> usize {
    if webhook.batch {
        settings.batch_events
    } else {
        1
    }
}
