//! The apps that share one relay, as the hot path reads them: parsed, typed, immutable.
//!
//! - [`App`]: one app's record
//! - [`Keys`]: the key pairs that sign and verify for it
//! - [`Limits`]: every limit that an app may set
//! - [`Origins`]: which pages may connect
//! - [`Registry`]: all apps, found by id or key

mod app;
mod keys;
mod limits;
mod origins;
mod registry;

pub use app::App;
pub use keys::Keys;
pub use limits::Limits;
pub use origins::{InvalidPattern, Origins};
pub use registry::{DuplicateApp, Registry};
