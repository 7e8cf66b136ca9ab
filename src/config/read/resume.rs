//! How sessions of an app outlive their connections.

use super::super::ConfigError;
use super::super::section::Section;
use crate::apps::Resume;

pub(super) fn read(section: &Section<'_>) -> Result<Resume, ConfigError> {
    let default = Resume::default();
    Ok(Resume {
        window: section.seconds("window", default.window, 0..=3600)?,
        sessions: section.whole("sessions", default.sessions, 0..=10_000_000)?,
        session_bytes: section.whole("session_bytes", default.session_bytes, 1..=1 << 30)?,
        bytes: section.whole("bytes", default.bytes, 1..=1 << 40)?,
    })
}
