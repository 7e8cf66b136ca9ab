//! The drivers `log` and `redis` beside Laravel's own, and `redis` when its server is in trouble.
//!
//! Laravel's classes are those of Debian's php-laravel-framework; `make setup` installs it, PHP and Redis.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod events;
mod php;
#[cfg(feature = "redis")]
mod redis_driver;
#[cfg(feature = "redis")]
mod redis_server;
mod same_log;
#[cfg(feature = "redis")]
mod same_messages;
#[cfg(feature = "redis")]
mod slugs;
