//! The programs in `examples/`, as they are built beside the tests, with a real relay.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod backends;
mod broadcast;
mod program;
