//! The members of the channel and their observers, who are members too.

use std::mem;

use serde_json::{Value, json};

use super::frames::{News, news};
use super::observers::Observers;
use crate::net::{Handler, Net, inner_json};
use crate::report::{Latency, Report, new_latency};
use crate::sys;

/// Without news for this long, what is missing counts as never coming.
const QUIET_NS: u64 = 2_000_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Not there, and not on the way.
    Away,
    /// The close is sent.
    Leaving,
    /// From the opening of the connection to subscription_succeeded.
    Coming,
    Present,
}

struct Person {
    phase: Phase,
    /// The newest connection.
    conn: usize,
    /// Members that there are by the roster and the announcements since.
    known: i64,
    left_at: u64,
}

pub(super) struct Figures {
    pub(super) reloads: u64,
    pub(super) returns: u64,
    /// member_added and member_removed, received by anybody.
    pub(super) announcements: u64,
    /// From the close until the member is back.
    away: Latency,
    /// From the first close to the last return of a reload.
    reload: Latency,
    /// Connections that did not become a member's.
    failed: u64,
    /// People who in the end knew of too many members or too few.
    wrong_counts: u64,
}

impl Figures {
    fn none() -> Self {
        Self {
            reloads: 0,
            returns: 0,
            announcements: 0,
            away: new_latency(),
            reload: new_latency(),
            failed: 0,
            wrong_counts: 0,
        }
    }

    pub(super) fn longest_away_s(&self) -> f64 {
        self.away.max() as f64 / 1e9
    }
}

pub(super) struct Crowd {
    channel: String,
    members: usize,
    /// The members, and behind them the observers.
    people: Vec<Person>,
    /// Whose each connection is.
    owners: Vec<usize>,
    /// Who has just left and comes back.
    returning: Vec<usize>,
    /// People who are leaving or coming.
    under_way: usize,
    observers: Observers,
    /// False while the people come for the first time.
    observing: bool,
    last_news: u64,
    last_return: u64,
    pub(super) figures: Figures,
}

impl Crowd {
    pub(super) fn new(channel: String, members: usize, observers: usize) -> Self {
        let person = |_| Person {
            phase: Phase::Away,
            conn: usize::MAX,
            known: 0,
            left_at: 0,
        };
        Self {
            channel,
            members,
            people: (0..members + observers).map(person).collect(),
            owners: Vec::new(),
            returning: Vec::new(),
            under_way: 0,
            observers: Observers::new(members, observers),
            observing: false,
            last_news: 0,
            last_return: 0,
            figures: Figures::none(),
        }
    }

    /// Members and observers.
    pub(super) fn size(&self) -> usize {
        self.people.len()
    }

    pub(super) fn forget_figures(&mut self) {
        self.figures = Figures::none();
    }

    /// All come for the first time. Fails unless all are there in the end and know it.
    pub(super) fn all_join(&mut self, net: &mut Net, inflight: usize) -> anyhow::Result<()> {
        self.run(net, self.size(), inflight)?;
        let there = self.people.iter().filter(|p| p.phase == Phase::Present);
        anyhow::ensure!(
            self.wrong_counts() == 0,
            "of {} members {} could join, and {} know all others: closed {:?}, errors {:?}",
            self.size(),
            there.count(),
            self.size() as u64 - self.wrong_counts(),
            net.counters.ws_closed,
            net.counters.protocol_errors,
        );
        self.observing = true;
        Ok(())
    }

    /// All members leave, and each is back as soon as it has left.
    pub(super) fn reload(&mut self, net: &mut Net, inflight: usize) -> anyhow::Result<()> {
        let began = sys::now_ns();
        self.last_return = began;
        self.run(net, self.members, inflight)?;
        self.figures.reloads += 1;
        self.figures.wrong_counts += self.wrong_counts();
        let took = self.last_return - began;
        self.figures.reload.saturating_record(took);
        self.observers.sum_up();
        Ok(())
    }

    /// Has the first `count` people leave, if they are there, and come.
    fn run(&mut self, net: &mut Net, count: usize, inflight: usize) -> anyhow::Result<()> {
        self.last_news = sys::now_ns();
        let mut begun = 0;
        loop {
            while begun < count && self.under_way < inflight {
                self.begin(net, begun)?;
                begun += 1;
            }
            for person in mem::take(&mut self.returning) {
                self.come(net, person)?;
            }
            let quiet = sys::now_ns().saturating_sub(self.last_news) > QUIET_NS;
            if quiet || (begun == count && self.is_settled()) {
                return Ok(());
            }
            net.poll(10_000_000, self)?;
        }
    }

    fn begin(&mut self, net: &mut Net, person: usize) -> anyhow::Result<()> {
        self.under_way += 1;
        let state = &mut self.people[person];
        if state.phase != Phase::Present {
            return self.come(net, person);
        }
        state.phase = Phase::Leaving;
        state.left_at = sys::now_ns();
        net.close(state.conn);
        Ok(())
    }

    fn come(&mut self, net: &mut Net, person: usize) -> anyhow::Result<()> {
        let conn = net.open_ws(None)?;
        self.owners.push(person);
        let state = &mut self.people[person];
        (state.phase, state.conn) = (Phase::Coming, conn);
        Ok(())
    }

    fn is_settled(&self) -> bool {
        let seen = !self.observing || self.observers.have_seen_all();
        self.under_way == 0 && seen && self.wrong_counts() == 0
    }

    fn wrong_counts(&self) -> u64 {
        let all = self.people.len() as i64;
        let wrong = |person: &&Person| person.phase != Phase::Present || person.known != all;
        self.people.iter().filter(wrong).count() as u64
    }

    fn is_back(&mut self, person: usize, known: i64, now: u64) {
        let state = &mut self.people[person];
        (state.phase, state.known) = (Phase::Present, known);
        self.under_way -= 1;
        self.last_return = now;
        if state.left_at > 0 {
            self.figures.returns += 1;
            self.figures.away.saturating_record(now - state.left_at);
        }
    }

    pub(super) fn report(&self, report: &mut Report) {
        let (figures, observers) = (&self.figures, &self.observers);
        report.set("reloads", figures.reloads);
        report.set("returns", figures.returns);
        report.latency("reload", &figures.reload);
        report.latency("away", &figures.away);
        let unseen = observers.not_seen_leaving + observers.left_away;
        let wrong = unseen + observers.contradictions + figures.wrong_counts;
        report.set(
            "announcements",
            json!({
                "received": figures.announcements,
                "leaves_observed": observers.all_leaves,
                "joins_observed": observers.all_joins,
                "leaves_not_observed": observers.not_seen_leaving,
                "contradictory": observers.contradictions,
                "returns_missed": observers.left_away,
                "wrong_member_counts": figures.wrong_counts,
                "wrong": wrong,
            }),
        );
        report.problem_count(figures.failed, "connections FAILED");
        report.problem_count(
            observers.contradictions,
            "times an observer was notified of a leave or join that CANNOT BE",
        );
        if observers.not_seen_leaving > 0 {
            report.note(
                "some members were not seen to leave: to the server they were back before it had \
                 noticed that they were gone",
            );
        }
        report.problem_count(
            observers.left_away,
            "times an observer was NEVER NOTIFIED that a member was back",
        );
        report.problem_count(
            figures.wrong_counts,
            "times somebody ended up with a WRONG NUMBER of members",
        );
    }
}

impl Handler for Crowd {
    fn text(&mut self, conn: usize, text: &[u8], now: u64) -> bool {
        let person = self.owners[conn];
        let news = news(text);
        let change = match news {
            News::Added => 1,
            News::Removed => -1,
            News::Joined(known) => {
                self.is_back(person, known, now);
                0
            }
            News::Other => return false,
        };
        self.last_news = now;
        self.people[person].known += change;
        self.figures.announcements += u64::from(change != 0);
        // Observers look at who it is.
        change == 0 || person < self.members
    }

    fn control(&mut self, net: &mut Net, conn: usize, event: &str, message: &Value) {
        let person = self.owners[conn];
        if event == "pusher:connection_established" {
            let member = format!(r#"{{"user_id":"{person}","user_info":{{"n":{person}}}}}"#);
            return net.subscribe(conn, &self.channel, Some(&member));
        }
        let data = inner_json(&message["data"]);
        let member = match &data["user_id"] {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64().map(|n| n as usize),
        };
        let Some(member) = member.filter(|member| self.observing && *member < self.members) else {
            return;
        };
        let Some(observer) = person.checked_sub(self.members) else {
            return;
        };
        match event {
            "pusher_internal:member_added" => self.observers.sees_join(observer, member),
            "pusher_internal:member_removed" => self.observers.sees_leave(observer, member),
            _ => {}
        }
    }

    fn closed(&mut self, _net: &mut Net, conn: usize, _reason: &str) {
        let person = self.owners[conn];
        let state = &mut self.people[person];
        match mem::replace(&mut state.phase, Phase::Away) {
            Phase::Leaving => self.returning.push(person),
            phase => {
                self.figures.failed += 1;
                self.under_way -= usize::from(phase == Phase::Coming);
            }
        }
    }
}
