//! The WebSocket side of the protocol, statement by statement: connecting, channels, users, and what clients depend on.

mod apps_isolation;
mod authorized_connections;
mod cache;
mod channels_private;
mod channels_public;
mod client_events;
mod client_timers;
mod close;
mod connect;
mod encrypted;
mod frames;
mod handshake;
mod heartbeats;
mod key_rotation;
mod messages;
mod operation;
mod order;
mod origins;
mod presence;
mod presence_races;
mod slow_consumer;
mod subscription_count;
mod support;
mod users;
mod watchlist;
