//! What those who watch relays are given: metrics that Prometheus reads, a dashboard and alerts that find them.

#![allow(
    clippy::unwrap_used,
    reason = "what files of this project hold is part of each test"
)]

mod dashboard;
mod exposition;
mod files;
mod prometheus;
mod traffic;
