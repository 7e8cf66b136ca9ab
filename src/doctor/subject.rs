//! What is looked at: an address, and an app that is served there.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::address::PublicUrl;
use super::http::{self, Answer};
use crate::apps::App;
use crate::auth::Signer;
use crate::auth::request::sign;

/// What clients connect to, and what signs for them.
pub struct Subject {
    /// The address that clients are given.
    pub url: PublicUrl,
    /// The app.
    pub app_id: String,
    /// Its key pair.
    pub signer: Signer,
    /// The app's record, where the configuration has it.
    pub app: Option<App>,
}

impl Subject {
    /// A signed request to the app's API.
    pub(super) fn ask(
        &self,
        address: IpAddr,
        (method, path): (&str, &str),
        parameters: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Answer> {
        let path = format!("{}/apps/{}{path}", self.url.prefix, self.app_id);
        let now = since_1970().as_secs();
        let query = sign(&self.signer, method, &path, parameters, body, now);
        http::request(&self.url, address, method, &format!("{path}?{query}"), body)
    }
}

/// The time of this machine.
pub(super) fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Whether a text can stand in a header as the origin of a page: a scheme and a host, without blanks.
pub fn is_origin(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())
}
