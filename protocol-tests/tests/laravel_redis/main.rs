//! What Laravel's broadcast driver `redis` publishes reaches the relay's clients, as it reached those of
//! laravel-echo-server.
//!
//! Redis, Laravel and the JavaScript clients are real ones; `make setup` installs them.

mod apps_and_prefixes;
mod echo_client;
mod laravel;
mod live_stream;
mod nodes;
mod outages;
mod program;
mod refusals;
mod subscribers;
mod support;
