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
    /// The origin of a page that the app lets in, where it lets in nobody without one.
    pub(super) fn page(&self) -> Option<String> {
        let origins = &self.app.as_ref()?.allowed_origins;
        if origins.check([]).is_ok() {
            return None;
        }
        let named = origins.patterns().into_iter();
        let named = named.map(|pattern| pattern.replace('*', "doctor"));
        let mut pages = named.map(|page| {
            if page.contains("://") {
                page
            } else {
                format!("https://{page}")
            }
        });
        pages.find(|page| is_origin(page) && origins.check([page.as_bytes()]).is_ok())
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::Origins;

    fn page(patterns: &[&str], allows_missing: bool) -> Option<String> {
        let signer = Signer::new("key", b"secret");
        let origins = Origins::new(patterns.iter().copied()).unwrap();
        let app = App {
            allowed_origins: origins.and_missing(allows_missing),
            ..App::new("1", signer.clone())
        };
        let subject = Subject {
            url: PublicUrl::parse("ws://127.0.0.1").unwrap(),
            app_id: "1".into(),
            signer,
            app: Some(app),
        };
        subject.page()
    }

    #[test]
    fn a_page_is_chosen_where_nobody_else_is_let_in() {
        let chosen = |patterns: &[&str]| page(patterns, false);
        assert_eq!(chosen(&[]), None);
        assert_eq!(page(&["https://shop.test"], true), None);
        let shop = Some("https://shop.test".to_owned());
        assert_eq!(chosen(&["https://shop.test"]), shop);
        assert_eq!(chosen(&["null", "shop.test"]), shop);
        let below = Some("https://doctor.shop.test".to_owned());
        assert_eq!(chosen(&["https://*.shop.test"]), below);
        assert_eq!(chosen(&["null"]), None);
    }
}
