//! The HTTP client that posts webhooks.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Certificate, Client, Url};

use super::address::PublicOnly;
use super::error::StartError;
use super::settings::Settings;

/// Redirects that are followed for one request at most.
const MOST_REDIRECTS: usize = 5;
/// How long a connection is kept that nothing is sent over.
const KEEP_IDLE: Duration = Duration::from_secs(60);

/// A client for all webhooks: HTTP/1.1, and HTTP/2 where a server offers it over TLS.
/// Connections are kept, and proxies of the environment are not used.
pub(super) fn client(settings: &Settings) -> Result<Client, StartError> {
    // Another part of the process may have chosen a provider before: that one is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(concat!("Fanfare/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .tcp_nodelay(true)
        .pool_idle_timeout(KEEP_IDLE)
        .pool_max_idle_per_host(settings.concurrency)
        .redirect(Policy::custom(redirect));
    let builder = if settings.private_addresses {
        builder
    } else {
        builder.dns_resolver(Arc::new(PublicOnly))
    };
    Ok(builder.tls_certs_merge(certificates(settings)?).build()?)
}

/// The operator's own certificates.
fn certificates(settings: &Settings) -> Result<Vec<Certificate>, StartError> {
    let Some(path) = &settings.ca_certificates else {
        return Ok(Vec::new());
    };
    let error = |reason: String| StartError::Certificates {
        path: path.display().to_string(),
        reason,
    };
    let pem = std::fs::read(path).map_err(|reason| error(reason.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if certificates.is_empty() => {
            Err(error("no PEM certificate in it".into()))
        }
        Ok(certificates) => Ok(certificates),
        Err(reason) => Err(error(reason.to_string())),
    }
}

/// A redirect is followed to the same server only, and only where it keeps the request as it is:
/// any other would hand signed events to a stranger, or turn the post into a question whose
/// answer is silent about them.
fn redirect(attempt: Attempt<'_>) -> Action {
    let keeps_request = matches!(
        attempt.status(),
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
    );
    let previous = attempt.previous();
    let same_server = previous
        .last()
        .is_some_and(|from| is_same_server(from, attempt.url()));
    if keeps_request && same_server && previous.len() <= MOST_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn is_same_server(from: &Url, to: &Url) -> bool {
    from.origin() == to.origin()
}
