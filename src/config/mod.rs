//! Configuration: defaults, then the file, then the environment, then flags; validated as a
//! whole before anything is bound.
//!
//! - [`mod@load`]: from [`Sources`] to a [`Config`]
//! - [`Config`]: what the process runs with, parsed and in range
//! - [`Address`]: where a listener is bound; [`Listener`]: that, or a Unix socket, and what is said there first
//! - [`ConfigError`]: one line that names source, key and what was expected
//! - [`mod@shown`]: what of it people may see, at work
//! - [`EnvFile`]: an app's credentials in a `.env` file; [`dotenv`]: the dialect that Laravel reads
//! - [`mod@file`], [`overrides`]: the file, and what is laid over it
//! - [`variables`], [`keys`]: names of variables; which keys there are
//! - [`references`]: variables within the file
//! - [`Rereader`]: all of that again while the relay runs; [`fixed`]: what does not hold before it is started again
//! - [`Records`]: apps that come from elsewhere, by the same rules
//! - [`mod@value`], [`section`], [`read`]: values as written, a table of them, what each key means

mod address;
mod credentials;
mod dotenv;
mod error;
mod file;
mod fixed;
mod keys;
mod listener;
mod load;
mod overrides;
mod read;
mod records;
mod references;
mod reread;
mod section;
mod settings;
mod shown;
mod sources;
#[cfg(test)]
mod tests;
mod value;
mod variables;

pub use address::Address;
pub use credentials::EnvFile;
pub use error::{ConfigError, Origin};
#[cfg(test)]
pub use keys::{APP as APP_KEYS, LIMITS as LIMIT_KEYS};
pub use listener::{Listen, Listener, UnixAccess};
pub use load::{Loaded, load};
pub use records::Records;
pub use reread::{Reread, Rereader};
pub use settings::{Admin, Cluster, Config, Log, LogFormat, LogLevel, Role, Server, Tls};
pub use shown::shown;
pub use sources::{Flag, Sources};
pub use variables::TOKEN_VARIABLE;
