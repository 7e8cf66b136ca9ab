//! Sessions that outlive their sockets. A page names its session by a token in its path (`wsPath: '/s/{token}'`); when its
//! socket ends without a goodbye, the session waits for it, and what it has missed comes when it is back.
//!
//! Single behaviours first, and a table of losses: many pages that are cut off in every way that networks know, with a
//! token and without.
//!
//! - PROTOCOL_TESTS_LOSSES_PAGES: pages of each kind, 100 without it
//! - PROTOCOL_TESTS_LOSSES_PLAIN: pages without a token, where they are fewer
//! - PROTOCOL_TESTS_LOSSES_SECONDS: how long faults begin, 15 without it; from 120 on, timers and faults are as long as
//!   those of a real deployment
//! - PROTOCOL_TESTS_SEED: repeats the choices of a run, which writes its seed down

mod channels;
mod counted;
mod ended;
mod gaps;
mod losses;
mod page;
mod parked;
mod proven;
mod resumed;
mod road;
mod session;
mod tokens;
mod transports;
mod users;
