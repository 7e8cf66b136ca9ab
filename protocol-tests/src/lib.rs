//! Harness of the black-box protocol tests.
//!
//! The tests know a server of the Pusher Channels protocol by its URL and its apps' keys, and nothing else. By default
//! each test starts a `fanfare` process of its own; `PROTOCOL_TESTS_URL` points them at any running server instead
//! (see [`subject`]). Nothing here uses the relay's code: the signatures, the WebSocket frames and the HTTP heads are
//! written a second time, so that a mistake in one is seen by the other.
//!
//! ```no_run
//! # async fn example() {
//! use protocol_tests::{PublishedEvent, TestServer};
//!
//! let server = TestServer::start().await;
//! let channel = server.channel("private-");
//! let mut client = server.connect().await;
//! client.subscribe(&channel).await;
//! server.publish(PublishedEvent::new(&channel, "greeting", "hello")).await;
//! assert_eq!(client.expect_event("greeting").await.data_text(), "hello");
//! server.finish().await;
//! # }
//! ```
//!
//! - [`server`]: starts a server with a generated configuration, hands out clients, checks what a test leaves behind;
//!   [`secured`]: one that speaks TLS
//! - [`config`]: apps and settings of that configuration; [`subject`]: which server is tested;
//!   [`skipped`]: what a foreign one cannot be asked for
//! - [`client`]: a Pusher client; [`websocket`], [`frame`], [`deflate`]: the raw WebSocket below it, able to misbehave
//! - [`http`], [`request`]: an HTTP client with raw access, requests with every signing parameter open to change
//! - [`receiver`]: a webhook endpoint that checks all that it is sent and answers as a test says
//! - [`redis`]: Redis servers, alone, as a Redis Cluster and behind Sentinels, that can be made to fail
//! - [`cluster`]: several nodes that share a Redis; [`proxy`]: a TCP connection that can be cut or held up;
//!   [`balancer`]: nginx, HAProxy, Caddy and Apache in front of servers
//! - [`published`]: events to publish; [`names`], [`port`]: names and ports that tests do not share; [`random`]: chance that can be repeated
//! - [`sign`]: signatures; [`metrics`]: the admin listener's figures; [`wait`]: patience

pub mod balancer;
pub mod client;
pub mod cluster;
pub mod config;
pub mod connection;
pub mod deflate;
pub mod event;
pub mod frame;
pub mod http;
pub mod metrics;
pub mod names;
pub mod port;
mod process;
pub mod proxy;
pub mod published;
pub mod random;
pub mod receiver;
pub mod redis;
pub mod request;
pub mod secured;
pub mod server;
pub mod sign;
pub mod skipped;
pub mod subject;
pub mod wait;
pub mod websocket;

pub use crate::redis::ports::candidate as candidate_port;
pub use crate::redis::{RedisCluster, RedisServer, Sentinels};
pub use balancer::Balancer;
pub use client::{Roster, WsClient};
pub use cluster::Cluster;
pub use config::{App, AppConfig, WebhookConfig};
pub use connection::{Connection, Ended};
pub use event::{Close, Event};
pub use frame::{Frame, Opcode};
pub use http::{HttpClient, Response};
pub use port::Port;
pub use process::{Exit, Signal, limit_open_files};
pub use proxy::TcpProxy;
pub use published::PublishedEvent;
pub use receiver::{Answer, Delivery, Receiver, WebhookEvent};
pub use request::Request;
pub use secured::Secured;
pub use server::{TestServer, TestServerBuilder};
pub use skipped::Skipped;
pub use wait::{PATIENCE, eventually, within};
pub use websocket::{Upgrade, WebSocket};
