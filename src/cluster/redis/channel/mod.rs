//! One channel as this node shares it with others.
//!
//! The node's part of a channel (how many subscribers, which users) is what its connections make
//! it; every change is announced to Redis, and after a loss of it of the whole part. What the channel is
//! for the cluster (who is present, its last event) is a copy of what the channel's log has, up to
//! a place in the log that the node knows.
//!
//! A module imports only those above it in this list, which a test holds it to:
//!
//! - [`part`]: the node's part, and what Redis knows of it
//! - [`replica`]: what the channel is for the cluster
//! - [`notices`]: what is to be reported to the app's backend
//! - [`schedule`]: when the node deals with it, and what is under way
//! - [`waiting`]: who waits until the channel is known
//! - [`loss_log`]: what is missing of logs, in the node's own log
//! - [`context`]: what is at hand when a channel acts
//! - [`state`]: all that as a whole
//! - [`moves`]: what connections do
//! - [`reports`]: what is reported now
//! - [`entries`]: what others do, by the log
//! - [`questions`], [`changes`]: how a call begins, and how the part is announced by it
//! - [`calls`]: what Redis is asked
//! - [`needs`]: what the node has to do for it, and when
//! - [`outages`]: what follows when Redis is away, or has forgotten something
//! - [`losses`]: what is missing of a log
//! - [`grants`]: users who are admitted, or refused
//! - [`catching_up`]: how what was missed is read
//! - [`replies`]: what follows from what Redis answers

mod part;

mod replica;

mod notices;

mod schedule;

mod waiting;

mod loss_log;

mod context;

mod state;

mod moves;

mod reports;

mod entries;

mod questions;

mod changes;

mod calls;

mod needs;

mod outages;

mod losses;

mod grants;

mod catching_up;

mod replies;

pub(super) use calls::Call;
pub(super) use context::Context;
pub(super) use loss_log::LossLog;
pub(super) use questions::Page;
pub(super) use replies::Done;
pub(super) use schedule::Asked;
pub(super) use state::{Channel, Kind};
pub(super) use waiting::SigningIn;
