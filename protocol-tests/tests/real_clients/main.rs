//! Unmodified client and server libraries of others, from their registries, against the server under test.
//!
//! The JavaScript, Python and PHP side is in `protocol-tests/clients/`; `make setup` installs what it needs.

mod admin_pages;
mod browser;
mod compression;
mod connector;
mod console;
mod library;
mod node;
mod node_library;
mod openapi;
mod over_tls;
mod python_library;
mod restarted;
mod resume;
mod rolling_restart;
mod rust_library;
mod scenarios;
mod script;
mod webhook_validators;
mod webhooks_over_tls;
mod websocket_cases;
