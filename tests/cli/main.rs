//! The program as people and supervisors meet it: what it prints, and its exit codes.

#![allow(clippy::unwrap_used, reason = "in a test, the panic is the report")]

mod certificates;
mod first_steps;
mod over_tls;
mod over_unix;
mod serving;
mod support;
mod without_serving;
