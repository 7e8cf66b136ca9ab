//! The second listener, for the people who run the relay: metrics, the live stream and the API. It has a
//! server of its own with one worker thread, and shares no route with the public listener. Whoever reaches its
//! address shows a token, where there are any; there are none only where nobody but this machine reaches it.
//!
//! - [`connections`]: how they are served: none waits for ever or hoards answers, and the silent give way
//! - [`service`]: the entry of every request
//! - [`guard`]: web pages of other sites are kept out
//! - [`tokens`], [`keyring`]: what opens it, and what of that holds now; [`who`], [`gate`]: who asks, and may ask for what;
//!   [`tickets`]: what a browser shows for a stream
//! - [`routes`]: what there is; [`openapi`]: the document of that
//! - [`query`], [`mod@body`]: what comes with a request
//! - [`calls`]: what the routes do; [`described`], [`listing`]: what they say, and lists in parts
//! - [`in_use`]: the configuration that holds, for people
//! - [`audit`]: who has changed what, and what came of it
//! - [`state`]: what it shows and does things to; what opens it, and where it listens
//! - [`doctor`]: looks why clients do not connect; [`turns`]: one at a time
//! - [`console`]: the page; [`history`]: what its charts show
//! - [`stream`]: the live stream over a WebSocket
//! - [`refusal`]: what is refused, and the JSON that says why

mod audit;
mod body;
mod calls;
mod connections;
mod console;
mod described;
mod doctor;
mod gate;
mod guard;
mod history;
mod in_use;
mod keyring;
mod listing;
mod openapi;
mod query;
mod refusal;
mod routes;
mod service;
mod state;
mod stream;
mod tickets;
mod tokens;
mod turns;
mod who;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use actix_web::dev::{Server, Service as _};
use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, web};

use self::audit::Audit;
pub use self::connections::Limits;
use self::doctor::Desk;
use self::gate::Gate;
use self::history::History;
pub use self::in_use::InUse;
pub use self::keyring::Keyring;
use self::service::{Service, handle};
pub use self::state::{AdminState, Bound, Locks, Names};
pub use self::tokens::{EXPECTED as EXPECTED_TOKEN, Role, Token, Tokens};
use self::turns::Turns;
use crate::metrics::Table;
use crate::net::upgrades;

/// Builds the server, which takes so many connections at the same time at most: those without a request give way to
/// more, which wait if there are none. It runs on a thread of its own, on which `on_thread` is called for each listener,
/// while the returned future is polled. It heeds no signal and never ends by itself: stop it through its handle, after
/// [`Tap::close`](crate::tap::Tap::close), which lets watchers leave with a close frame. Needs a Tokio runtime
/// around it, and at least one listener. Fails when a listener cannot be set up.
pub fn server(
    listeners: Vec<Bound>,
    limits: Limits,
    state: AdminState,
    locks: Locks,
    on_thread: impl Fn() + Clone + Send + 'static,
) -> io::Result<Server> {
    let process = state.relay.hub.metrics().process();
    let guessing = process.table_entries.with(Table::AdminWrongTokens).clone();
    let (numbers, write_timeouts) = (process.admin_room(), process.http_write_timeouts.clone());
    let gate = Gate::new(locks.keyring, locks.open_metrics, guessing, Instant::now());
    let history = Arc::new(History::default());
    let (samples, relay) = (Arc::downgrade(&history), Arc::downgrade(&state.relay));
    tokio::spawn(history::record(samples, relay));
    let service = web::Data::new(Service {
        state,
        gate,
        history,
        doctor: Desk::default(),
        tests: Turns::new("a test of webhooks"),
        audit: Audit::default(),
    });
    let app = move || {
        let headers = DefaultHeaders::new()
            .add((header::CACHE_CONTROL, "no-store"))
            .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .add((header::X_FRAME_OPTIONS, "DENY"))
            .add((header::REFERRER_POLICY, "no-referrer"));
        App::new()
            .app_data(web::Data::clone(&service))
            .wrap(headers)
            .wrap_fn(|mut request, next| {
                upgrades::join(request.headers_mut());
                next.call(request)
            })
            .default_service(web::to(handle))
    };
    connections::serve(listeners, limits, numbers, write_timeouts, move || {
        on_thread();
        app()
    })
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
