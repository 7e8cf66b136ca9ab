//! One order, from the first request to a certificate that was looked at.

use std::time::{Duration, SystemTime};

use instant_acme::{
    Account, AuthorizationHandle, AuthorizationStatus, ChallengeHandle, Error, Identifier,
    NewOrder, Order, OrderStatus, Problem, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};

use super::clock::WrongClock;
use super::cluster::Cluster;
use super::directory::{Directory, RequestError};
use super::issued::Issued;
use super::proof::{Proof, Prover, Shown};
use super::schedule::Failure;
use crate::state::common::OutOfReach;
use crate::tls::{Certificate, CertificateError, Name};

/// How long a directory may take to look at the challenges, and then to issue.
const POLLS: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));

/// What a directory says of a problem is a text for people, of which so much is shown.
const LONGEST_REASON: usize = 300;

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    #[error("{}", shown(.0))]
    Acme(#[from] Error),
    #[error("the directory does not offer the challenge for {0}")]
    NoChallenge(Name),
    #[error(
        "the directory asks for a proof of a name that was not ordered, or gives no usable token"
    )]
    OtherProof,
    #[error("the directory did not accept the proof for {name}: {reason}")]
    Unproven { name: String, reason: String },
    #[error("the order was not finished within {} s", .0.as_secs())]
    TooSlow(Duration),
    #[error("a key cannot be made: {0}")]
    Key(#[from] rcgen::Error),
    #[error("the certificate cannot be used: {0}")]
    Certificate(#[from] CertificateError),
    #[error("the certificate is not for {0}")]
    OtherName(Name),
    #[error("the certificate does not hold now: is the clock of this machine right?")]
    OtherTime,
    #[error("{0}")]
    Clock(WrongClock),
    #[error("the proof cannot be shown to the other nodes: {0}")]
    Cluster(#[from] OutOfReach),
}

impl OrderError {
    /// What the next order depends on.
    pub(super) fn failure(&self) -> Failure {
        match self {
            // Another account helps, and is asked for with the next order.
            _ if self.is_of_account() => Failure::Unreachable,
            Self::Acme(error) => failure(error),
            Self::TooSlow(_) | Self::Cluster(_) => Failure::Unreachable,
            Self::NoChallenge(_) | Self::Unproven { .. } => Failure::Refused,
            Self::OtherProof
            | Self::Key(_)
            | Self::Certificate(_)
            | Self::OtherName(_)
            | Self::OtherTime
            | Self::Clock(_) => Failure::Unusable,
        }
    }

    /// Whether the directory does not know the account, or not any more.
    pub(super) fn is_of_account(&self) -> bool {
        match self {
            Self::Acme(Error::Api(problem)) => is(problem, "accountDoesNotExist"),
            Self::Acme(Error::KeyRejected) => true,
            _ => false,
        }
    }
}

/// Orders a certificate with a new key. The authority may ask any node of the cluster, if there is one.
///
/// It is not asked to issue what could not be served: it counts what it issues.
pub(super) async fn order(
    (account, directory): (&Account, &Directory),
    domains: &[Name],
    prover: &Prover,
    cluster: Option<&Cluster>,
) -> Result<Issued, OrderError> {
    let identifiers: Vec<Identifier> = domains
        .iter()
        .map(|name| Identifier::Dns(name.as_str().into()))
        .collect();
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    let proofs = prove(&mut order, domains, prover, cluster).await?;
    let status = order.state().status;
    if !matches!(status, OrderStatus::Ready | OrderStatus::Valid) {
        match order.poll_ready(&POLLS).await {
            Ok(OrderStatus::Ready) => {}
            Ok(_) | Err(Error::Api(_)) => return Err(unproven(&mut order).await),
            Err(error) => return Err(error.into()),
        }
    }
    drop(proofs);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let names: Vec<String> = domains.iter().map(|name| name.as_str().into()).collect();
    let mut request = CertificateParams::new(names)?;
    request.distinguished_name = DistinguishedName::new();
    let request = request.serialize_request(&key)?;
    directory.check_clock().map_err(OrderError::Clock)?;
    order.finalize_csr(request.der()).await?;
    let chain_pem = order.poll_certificate(&POLLS).await?;
    let key_pem = key.serialize_pem();
    let certificate = accept(&chain_pem, &key_pem, domains, SystemTime::now())?;
    let pem = key_pem + &chain_pem;
    Ok(Issued { certificate, pem })
}

/// The certificate, if it is for all of the names, has this key and holds now.
fn accept(
    chain_pem: &str,
    key_pem: &str,
    domains: &[Name],
    now: SystemTime,
) -> Result<Certificate, OrderError> {
    let certificate = Certificate::from_pem(chain_pem.as_bytes(), key_pem.as_bytes())?;
    if let Some(missing) = domains
        .iter()
        .find(|name| !certificate.names().contains(name))
    {
        return Err(OrderError::OtherName(missing.clone()));
    }
    if now < certificate.not_before() || certificate.not_after() <= now {
        return Err(OrderError::OtherTime);
    }
    // Of another name that it may be for, nobody has said that it is served here.
    Ok(certificate.only_for(domains.to_vec()))
}

/// Shows whatever the directory wants to be shown, and says so.
async fn prove(
    order: &mut Order,
    domains: &[Name],
    prover: &Prover,
    cluster: Option<&Cluster>,
) -> Result<Vec<Proof>, OrderError> {
    let mut wanted = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        if let Some((_, shown)) = wanted_for(&mut authorization?, domains, prover)? {
            wanted.push(shown);
        }
    }
    let proofs = wanted.iter().map(|shown| prover.prove(shown));
    let proofs: Option<Vec<Proof>> = proofs.collect();
    let proofs = proofs.ok_or(OrderError::OtherProof)?;
    if let Some(cluster) = cluster {
        cluster.show(&wanted).await?;
    }
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        if let Some((mut challenge, _)) = wanted_for(&mut authorization?, domains, prover)? {
            challenge.set_ready().await?;
        }
    }
    Ok(proofs)
}

/// What the directory wants to be shown for one of the names, unless that was shown before.
fn wanted_for<'a>(
    authorization: &'a mut AuthorizationHandle<'a>,
    domains: &[Name],
    prover: &Prover,
) -> Result<Option<(ChallengeHandle<'a>, Shown)>, OrderError> {
    if authorization.status == AuthorizationStatus::Valid {
        return Ok(None);
    }
    let name = match authorization.identifier().identifier {
        Identifier::Dns(name) => Name::parse(name),
        _ => None,
    };
    let name = name.filter(|name| domains.contains(name));
    let name = name.ok_or(OrderError::OtherProof)?;
    let Some(challenge) = authorization.challenge(prover.challenge()) else {
        return Err(OrderError::NoChallenge(name));
    };
    let shown = Shown {
        name: name.as_str().into(),
        token: challenge.token.as_str().into(),
        key_authorization: challenge.key_authorization().as_str().into(),
    };
    Ok(Some((challenge, shown)))
}

/// What the directory has against the proof that it did not accept.
async fn unproven(order: &mut Order) -> OrderError {
    let mut of_order = order.state().error.as_ref().map(ToString::to_string);
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let Ok(mut authorization) = authorization else {
            break;
        };
        if authorization.refresh().await.is_err() {
            break;
        }
        let problem = authorization
            .challenges
            .iter()
            .find_map(|it| it.error.as_ref());
        if let Some(problem) = problem {
            return OrderError::Unproven {
                name: plain(&authorization.identifier().to_string()),
                reason: plain(&problem.to_string()),
            };
        }
    }
    OrderError::Unproven {
        name: "the order".into(),
        reason: plain(
            &of_order
                .take()
                .unwrap_or_else(|| "no reason is given".into()),
        ),
    }
}

fn failure(error: &Error) -> Failure {
    match error {
        Error::Api(problem) if is(problem, "rateLimited") => Failure::RateLimited,
        Error::Api(problem) if is(problem, "serverInternal") || is(problem, "badNonce") => {
            Failure::Unreachable
        }
        Error::Api(problem) if problem.status.is_some_and(|status| status >= 500) => {
            Failure::Unreachable
        }
        Error::Api(_) => Failure::Refused,
        Error::Timeout(_) => Failure::Unreachable,
        Error::Other(error) => match error.downcast_ref::<RequestError>() {
            Some(RequestError::Status(status)) if status.as_u16() == 429 => Failure::RateLimited,
            Some(RequestError::Unreachable(_) | RequestError::Status(_)) => Failure::Unreachable,
            _ => Failure::Unusable,
        },
        _ => Failure::Unusable,
    }
}

/// Whether a problem is of this type (RFC 8555, 6.7).
fn is(problem: &Problem, kind: &str) -> bool {
    let of_problem = problem.r#type.as_deref();
    let of_problem = of_problem.and_then(|it| it.strip_prefix("urn:ietf:params:acme:error:"));
    of_problem == Some(kind)
}

fn shown(error: &Error) -> String {
    let of_directory = match error {
        Error::Api(_) => "the directory refuses: ",
        Error::Json(_) | Error::Str(_) => "the directory's answer cannot be used: ",
        _ => "the directory does not answer: ",
    };
    format!("{of_directory}{}", plain(&error.to_string()))
}

/// One line of visible characters, and not too long a one.
fn plain(text: &str) -> String {
    let visible = |character: char| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    };
    text.chars().take(LONGEST_REASON).map(visible).collect()
}

#[cfg(test)]
mod tests;
