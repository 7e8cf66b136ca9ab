//! Whether and how WebSocket messages are compressed.

use super::super::ConfigError;
use super::super::section::Section;
use crate::protocol::Compression;

pub(in crate::config) fn compression(
    section: &Section<'_>,
) -> Result<Option<Compression>, ConfigError> {
    let default = Compression::default();
    let compression = Compression {
        min_bytes: section.whole("min_bytes", default.min_bytes, 1..=1 << 30)?,
        level: section.whole("level", default.level, 1..=9)?,
    };
    Ok(section.switch("enabled", true)?.then_some(compression))
}
