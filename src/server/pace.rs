//! How fast new connections are taken.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::{Future as _, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready as or_pending};
use std::time::Instant;

use actix_http::error::DispatchError;
use actix_service::{Service, ServiceFactory, fn_factory};
use tokio::time::{Sleep, sleep};

use crate::metrics::Counter;
use crate::net::rate::{Nanos, Rate, nanos_since};

thread_local! {
    /// The worker's pace, whatever the listener.
    static PACE: OnceCell<Rc<Pace>> = const { OnceCell::new() };
}

/// How fast one worker takes connections.
#[derive(Debug)]
struct Pace {
    rate: Rate,
    start: Instant,
    full_at: Cell<Nanos>,
}

/// Passes connections on at the pace of its worker, if there is one. To be the first that a worker does with them, as
/// only that is done before the worker asks whether the next may come. It is not ready before the next one's turn
/// comes: until then connections wait with whoever hands them out, and in the kernel.
struct Paced {
    pace: Option<Rc<Pace>>,
    timer: RefCell<Option<Pin<Box<Sleep>>>>,
    waits: Counter,
}

/// Passes connections on at a pace, on each worker. `waits` counts how often they were made to wait.
pub(super) fn paced<S>(
    rate: Option<Rate>,
    waits: Counter,
) -> impl ServiceFactory<S, Config = (), Response = S, Error = DispatchError, InitError = ()> {
    fn_factory(move || ready(Ok::<_, ()>(Paced::new(rate, waits.clone()))))
}

impl Paced {
    fn new(rate: Option<Rate>, waits: Counter) -> Self {
        let pace =
            rate.map(|rate| PACE.with(|pace| Rc::clone(pace.get_or_init(|| Pace::new(rate)))));
        Self {
            pace,
            timer: RefCell::default(),
            waits,
        }
    }
}

impl Pace {
    fn new(rate: Rate) -> Rc<Self> {
        Rc::new(Self {
            rate,
            start: Instant::now(),
            full_at: Cell::new(0),
        })
    }

    fn now(&self) -> Nanos {
        nanos_since(self.start, Instant::now())
    }

    /// One goes now, whether or not it is its turn: all that were passed on have had theirs.
    fn pass(&self) {
        if let Ok((later, _)) = self.rate.take(self.full_at.get(), self.now()) {
            self.full_at.set(later);
        }
    }
}

impl<S> Service<S> for Paced {
    type Response = S;
    type Error = DispatchError;
    type Future = Ready<Result<S, DispatchError>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), DispatchError>> {
        let Some(pace) = &self.pace else {
            return Poll::Ready(Ok(()));
        };
        let mut timer = self.timer.borrow_mut();
        loop {
            if let Some(waiting) = timer.as_mut() {
                or_pending!(waiting.as_mut().poll(cx));
                *timer = None;
            }
            let Err(empty) = pace.rate.take(pace.full_at.get(), pace.now()) else {
                return Poll::Ready(Ok(()));
            };
            self.waits.inc();
            *timer = Some(Box::pin(sleep(empty.wait)));
        }
    }

    fn call(&self, accepted: S) -> Self::Future {
        if let Some(pace) = &self.pace {
            pace.pass();
        }
        ready(Ok(accepted))
    }
}
