//! The conversation backend over the wire: a real process, real databases, a real relay.

mod support;

mod assigning;
mod authorisation;
mod command_line;
mod conversations;
mod crashes;
mod dead_letters;
mod http_shapes;
mod login;
mod messages;
mod outage;
mod replies;
mod several_processes;
mod stopping;
mod webhooks;
