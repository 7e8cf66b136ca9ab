//! The conversation backend over the wire: a real process, real databases, a real relay.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

mod assigning;
mod authorisation;
mod command_line;
mod connections;
mod conversation_events;
mod conversations;
mod crashes;
mod database_outage;
mod dead_letters;
mod demo;
mod evictions;
mod http_shapes;
mod indexes;
mod lifecycle;
mod listing;
mod log;
mod login;
mod media;
mod media_faults;
mod messages;
mod notes_and_templates;
mod outage;
mod repeats;
mod replies;
mod retries;
mod several_processes;
mod signatures;
mod startup;
mod stopping;
mod taking;
mod upgrade;
mod webhooks;
