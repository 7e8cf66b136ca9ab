//! Events that come in otherwise than over the HTTP API.
//!
//! - [`laravel_redis`]: what Laravel's broadcast driver `redis` publishes

pub mod laravel_redis;
