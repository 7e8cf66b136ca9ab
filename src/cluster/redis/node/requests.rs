//! What the other threads want.

use std::rc::Rc;
use std::sync::Arc;

use super::jobs::{Plain, Then};
use super::state::Node;
use crate::cluster::redis::channel::SigningIn;
use crate::cluster::redis::next_join::NextJoin;
use crate::cluster::redis::outgoing::{Outgoing, Payload};
use crate::cluster::redis::request::{Close, Publish, Question, Request};
use crate::cluster::redis::watch::PendingWatch;
use crate::hub::{AppHub, Rank, SignIn, Unavailable};
use crate::protocol::member::Member;

impl Node {
    pub(super) fn on_request(&mut self, request: Request) {
        match request {
            Request::Join(app, join) => {
                let topic = self.channel_topic(&app, join.channel.as_str());
                if self.ensure_for(&topic, &app) {
                    self.with(&topic, |channel, context| channel.join(join, context));
                }
            }
            Request::Confirm(app, peer, channel) => {
                let topic = self.channel_topic(&app, channel.as_str());
                self.with(&topic, |channel, _| channel.confirm(peer));
            }
            Request::Leave(app, leave) => {
                let topic = self.channel_topic(&app, leave.channel.as_str());
                self.with(&topic, |channel, _| channel.leave(&app, &leave));
            }
            Request::SignIn(app, sign_in) => self.sign_in(&app, sign_in),
            Request::SignOut(app, peer, user_id) => {
                let topic = self.setup.keys.topic_of_user(&app.app.id, &user_id);
                let user = Member::new(&user_id, None);
                self.with(&topic, |channel, _| channel.sign_out(&app, peer, &user));
            }
            Request::Unwatch(app, watchlist) => {
                for user_id in watchlist.iter() {
                    let topic = self.setup.keys.topic_of_user(&app.app.id, user_id);
                    self.with(&topic, |channel, _| channel.unwatch());
                }
            }
            Request::Publish(publish) => self.publish(publish),
            Request::Close(close) => self.close(close),
            Request::Ask(question) => self.ask(question),
            Request::AppsChanged => self.announce_apps(),
            Request::Settle(settlement) => self.settle(settlement),
            Request::Stop(done) => self.stop(done),
        }
    }

    fn sign_in(&mut self, app: &Arc<AppHub>, sign_in: SignIn) {
        let SignIn {
            peer,
            user,
            watchlist,
            reply,
            complaint,
            join,
        } = sign_in;
        let topic = self.setup.keys.topic_of_user(&app.app.id, user.user_id());
        let watched = if app.has_watchlists() {
            Arc::clone(&watchlist)
        } else {
            Arc::default()
        };
        let watch = (!watched.is_empty()).then(|| {
            let (app, peer) = (Arc::clone(app), peer.clone());
            Rc::new(PendingWatch::new(app, peer, watchlist, complaint))
        });
        let signing_in = SigningIn {
            peer,
            user,
            reply,
            watch: watch.clone(),
            join: join.map(|join| NextJoin::new(&self.setup.shared, join)),
        };
        if !self.ensure_for(&topic, app) {
            return;
        }
        self.with(&topic, |channel, context| {
            channel.sign_in(signing_in, context)
        });
        let Some(watch) = watch else { return };
        for user_id in watched.iter() {
            let topic = self.setup.keys.topic_of_user(&app.app.id, user_id);
            // Counted whichever app it is of, as it is when it ends.
            self.ensure_for(&topic, app);
            self.with(&topic, |channel, context| channel.watch(&watch, context));
        }
    }

    fn publish(&mut self, publish: Publish) {
        let topic = self.channel_topic(&publish.app, &publish.channel);
        let kept_for = publish
            .event
            .is_cached
            .then(|| publish.app.app.record().limits.cache_ttl.as_millis() as u64);
        let outgoing = Outgoing {
            what: Payload::Event(publish.event, kept_for),
            receipt: Some(publish.receipt),
            rank: publish.rank,
        };
        self.publish_next(&topic, outgoing);
    }

    fn close(&mut self, close: Close) {
        let topic = self
            .setup
            .keys
            .topic_of_user(&close.app.app.id, &close.user_id);
        let outgoing = Outgoing {
            what: Payload::Close {
                code: close.code,
                reason: close.reason,
            },
            receipt: Some(close.receipt),
            rank: Rank::default(),
        };
        self.publish_next(&topic, outgoing);
    }

    fn publish_next(&mut self, topic: &str, outgoing: Outgoing) {
        self.ensure(topic);
        self.with(topic, |channel, context| channel.publish(outgoing, context));
    }

    fn ask(&mut self, question: Question) {
        let Question {
            key,
            command,
            is_urgent,
            answer,
        } = question;
        if !self.life.is_counted() {
            // Nobody waits any more if this fails.
            let _ = answer.send(Err(Unavailable::Away));
            return;
        }
        let then = Then::Answer(answer);
        self.call(if is_urgent {
            Plain::new(key, command, then)
        } else {
            Plain::question(key, command, then)
        });
    }
}
