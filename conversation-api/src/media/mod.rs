//! The files of customers' messages: fetched from WhatsApp and kept in a folder.
//!
//! A file is fetched by whoever holds its lease, and again until it is here or too old. It is named
//! by its message's id, whatever the customer calls it, and shown as what its bytes are.
//!
//! - [`contents`]: what is in a file
//! - [`folder`]: where files are kept
//! - [`fetcher`]: which are fetched when; [`download`]: fetching one

pub mod contents;
mod download;
mod fetcher;
pub mod folder;

use std::time::Duration;

pub use fetcher::Fetcher;
pub use folder::Folder;

/// How much is kept, and how hard it is tried.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a file.
    pub file: u64,
    /// Bytes of all files together. What is under way when they are reached comes on top.
    pub folder: u64,
    /// How long after its message's arrival a file is tried again.
    pub retry_for: Duration,
}
