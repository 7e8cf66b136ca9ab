//! The HTTP side of the protocol, statement by statement: signatures, the six calls, health checks, and what server
//! libraries depend on.

mod admission;
mod apps;
mod batch;
mod channel;
mod channel_list;
mod channel_users;
mod data;
mod event_names;
mod events;
mod exclusion;
mod force_reconnect;
mod health;
mod idempotency;
mod info;
mod methods;
mod order;
mod pages;
mod paths;
mod query_parameters;
mod required_fields;
mod sign_query;
mod signature;
mod support;
mod terminate;
mod timestamp;
mod transfer;
