//! The apps that share one relay, as the hot path reads them: parsed and typed. A record never changes; which one
//! holds for an app does.
//!
//! - [`App`]: one app's record; [`LiveApp`]: an app with the record that holds
//! - [`Keys`]: the key pairs that sign and verify for it
//! - [`Limits`]: every limit that an app may set
//! - [`Resume`]: how sessions outlive their connections
//! - [`Origins`]: which pages may connect; [`page`] reads where one is from, [`pattern`] what an
//!   operator allows, [`development`] knows the names that people develop under
//! - [`Webhook`]: where an app's backend is notified
//! - [`Registry`]: all apps, found by id or key
//! - [`Sources`]: where apps come from, and whose holds

mod app;
mod development;
mod keys;
mod limits;
mod live;
mod origins;
mod page;
mod pattern;
mod registry;
mod resume;
mod sources;
mod webhook;

pub use app::App;
pub use keys::Keys;
pub use limits::Limits;
pub use live::LiveApp;
pub use origins::{ForeignPage, Origins};
pub use registry::{DuplicateApp, Registry, Taken};
pub use resume::Resume;
pub use sources::{Refused, Source, Sources};
pub use webhook::{ChannelFilter, Webhook, WebhookEvent, WebhookEvents, WebhookUrl, parse_header};
