//! How the commands ask a relay over HTTP.

use std::time::Duration;

use ureq::Agent;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector as _, TcpConnector};

use super::Failure;
use super::secure::TlsConnector;
use super::unix_socket::UnixConnector;
use super::url::Url;

/// A client of who is at the URL, that gives up after `timeout`, all in all, and follows nothing.
pub(super) fn agent(timeout: Duration, url: &Url) -> Result<Agent, Failure> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(timeout))
        .user_agent(concat!("fanfare/", env!("CARGO_PKG_VERSION")))
        .build();
    let tls = TlsConnector::new(url.trust).map_err(Failure::other)?;
    let connector = UnixConnector(url.socket.clone());
    let connector = connector.chain(TcpConnector::default()).chain(tls);
    Ok(Agent::with_parts(
        config,
        connector,
        DefaultResolver::default(),
    ))
}

/// Why there is no answer, for people.
pub(super) fn reason(error: ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}
