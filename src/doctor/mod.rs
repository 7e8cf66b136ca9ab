//! Why clients do not connect, asked from outside, through the address that clients are given. The command line
//! asks, and so does the admin listener.
//!
//! - [`survey`]: the observations, one after the other; [`rounds`]: what a client sees of private and presence channels
//! - [`checks`]: what is made of what was observed
//! - [`mod@subject`]: what is looked at; [`address`]: the address that clients are given; [`reach`]: which addresses it may
//!   connect to
//! - [`stream`], [`http`], [`websocket`]: connections as a client makes them, each in bounded time
//! - [`finding`]: what was found; [`observer`]: who takes it

mod address;
mod checks;
mod finding;
mod http;
mod observer;
mod reach;
mod rounds;
mod stream;
mod subject;
mod survey;
mod websocket;

pub use address::PublicUrl;
pub use finding::{Finding, Level, shown, worst};
pub use observer::Observer;
pub use reach::Reach;
pub use subject::{Subject, is_origin};
pub use survey::{RelaySettings, Request, Survey};
