//! `fanfare doctor`: each thing that it finds, with exactly that wrong, and real parts around it.

#![allow(
    clippy::unwrap_used,
    reason = "what files and certificates are made of is part of each test"
)]

mod asked;
mod backends;
mod certificates;
mod databases;
mod laravel;
mod proxies;
mod refusals;
mod relay;
mod rounds;
mod strangers;
