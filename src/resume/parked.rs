//! A session that waits for its client.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::Sleep;

use super::resumable::Resumable;
use super::tokens::{Contender, Place};
use crate::clients::Permit;
use crate::hub::ParkPermit;
use crate::metrics::NotResumed;
use crate::relay::Connected;
use crate::session::Session;

/// What becomes of a session that waits.
enum Outcome {
    /// Somebody has come for it.
    Taken(Box<dyn Contender>),
    /// Nobody has come in time, or before others took its place.
    NotResumed(NotResumed),
    /// It was closed.
    Closed,
}

/// Keeps a session whose carrier is gone until its client is back, or has been away for too long. A
/// relay that goes away, and an app that has as many such sessions as it may, keep none.
///
/// `permit` counts the connection that is lost. It is given back when the session counts among those that
/// wait, or has left all that it was on.
pub async fn park(mut connected: Connected, resumable: Resumable, permit: Permit) {
    let app = std::sync::Arc::clone(connected.app());
    let metrics = &app.metrics;
    let channels = connected.with_session(|session| session.channels());
    if connected.relay().hub.is_draining() || connected.is_over() {
        drop(connected);
        drop(permit);
        return;
    }
    let Ok(parked) = app.park(connected.address(), channels.len()) else {
        metrics.not_resumed.with(NotResumed::Full).inc();
        resumable.into_place().expire(channels);
        drop(connected);
        drop(permit);
        return;
    };
    let until = away_since(&connected) + app.app.record().resume.window;
    connected.park(until);
    drop(permit);
    let place = resumable.into_place();
    poll_fn(|cx| poll_parked(&connected, cx)).await;
    place.door.wait();
    let mut timer = Box::pin(tokio::time::sleep_until(until.into()));
    let outcome = loop {
        let outcome = poll_fn(|cx| poll(&connected, (&place, &parked), timer.as_mut(), cx)).await;
        let Outcome::Taken(contender) = outcome else {
            break outcome;
        };
        if let Some(contender) = contender.unless_refused(&connected) {
            break Outcome::Taken(contender);
        }
        place.door.wait();
    };
    drop(timer);
    match outcome {
        Outcome::Taken(contender) => {
            metrics.resumed.inc();
            drop(parked);
            contender.take(connected, place);
        }
        Outcome::NotResumed(_) | Outcome::Closed => {
            if let Outcome::NotResumed(why) = outcome {
                metrics.not_resumed.with(why).inc();
            }
            place.expire(connected.with_session(|session| session.channels()));
            drop(connected);
            drop(parked);
        }
    }
}

/// Since when the client is away. One that was silent learns of that no sooner than the relay: only a page
/// that is frozen, whose browser answers for it, has been away for as long as it was silent.
fn away_since(connected: &Connected) -> Instant {
    let is_frozen = |session: &mut Session| session.is_frozen().then(|| session.active_at());
    let since = connected
        .was_silent()
        .then(|| connected.with_session(is_frozen))
        .flatten();
    since.unwrap_or_else(Instant::now)
}

/// Ready when the session is among those that are away.
fn poll_parked(connected: &Connected, cx: &Context<'_>) -> Poll<()> {
    connected.set_task(cx.waker());
    if connected.is_parking() && !connected.is_over() {
        return Poll::Pending;
    }
    Poll::Ready(())
}

fn poll(
    connected: &Connected,
    (place, parked): (&Place, &ParkPermit),
    timer: Pin<&mut Sleep>,
    cx: &mut Context<'_>,
) -> Poll<Outcome> {
    connected.set_task(cx.waker());
    // Nothing is due while it waits.
    connected.take_time_up();
    if connected.is_over() {
        return Poll::Ready(Outcome::Closed);
    }
    if let Poll::Ready(contender) = place.door.poll_handed(cx) {
        return Poll::Ready(Outcome::Taken(contender));
    }
    if timer.poll(cx).is_ready() {
        return Poll::Ready(Outcome::NotResumed(NotResumed::Expired));
    }
    let gives_way = parked.poll_gives_way(cx);
    gives_way.map(|()| Outcome::NotResumed(NotResumed::Full))
}
