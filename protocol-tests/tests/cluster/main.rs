//! Several nodes that share a Redis: to clients and backends they are one relay.
//!
//! Each test has a Redis of its own (`protocol_tests::redis`) and mostly three nodes.

mod api_node;
mod away;
mod cache;
mod catching_up;
mod chaos;
mod churn;
mod clock;
mod counts;
mod death;
mod delivery;
mod idempotency;
mod isolation;
mod listing;
mod logs;
mod masters;
mod memory;
mod memory_loss;
mod order;
mod outages;
mod presence;
mod readiness;
mod refusals;
mod reports;
mod resume;
mod rights;
mod roster;
mod secrecy;
mod sentinel;
mod sharded;
mod stop;
mod stopping;
mod stream;
mod support;
mod tls;
mod users;
