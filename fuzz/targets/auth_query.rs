//! Queries of signed requests: what was signed verifies, and nothing else does. The lines of the input are the path, a
//! query as a stranger sends it, the name and the value of a parameter to sign, and the body.

#![no_main]

use fanfare::fuzzing::{
    Query, RequestAuthError, Rules, SignedRequest, Signer, check_body, sign, verify,
};
use libfuzzer_sys::fuzz_target;

const NOW: u64 = 1_353_088_179;

struct Request<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    body: &'a [u8],
}

fn check(request: &Request<'_>) -> Result<(), RequestAuthError> {
    let signers = [Signer::new("key", b"secret"), Signer::new("old", b"older")];
    let query = Query::parse(request.query);
    let signed = SignedRequest {
        method: request.method,
        path: request.path,
        query: &query,
        has_body: !request.body.is_empty(),
    };
    let rules = Rules {
        now: NOW,
        window: 600,
        path_prefix: "/relay",
    };
    verify(&signers, signed, rules)?;
    check_body(&query, request.body)
}

fuzz_target!(|input: &str| {
    let mut parts = input.splitn(5, '\n');
    let mut next = || parts.next().unwrap_or_default();
    let (path, raw_query, name, value) = (next(), next(), next(), next());
    let body = next().as_bytes();
    let hostile = Request {
        method: "POST",
        path,
        query: raw_query,
        body,
    };
    assert!(check(&hostile).is_err(), "nobody guesses a signature");

    let is_own = |name: &str| name.starts_with("auth_") || name == "body_md5";
    // The key is sent as it is; what a URL cannot hold there is no client's.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_[]".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_plain) || is_own(&name.to_ascii_lowercase()) {
        return;
    }
    let signer = Signer::new("key", b"secret");
    let query = sign(&signer, "POST", path, &[(name, value)], body, NOW);
    let request = Request {
        query: &query,
        ..hostile
    };
    assert_eq!(check(&request), Ok(()), "{query}");
    for forged in [
        Request {
            method: "GET",
            ..request
        },
        Request {
            path: &format!("{path}/x"),
            ..request
        },
        Request {
            query: &format!("{query}&x=1"),
            ..request
        },
        Request {
            body: &[body, b"x"].concat(),
            ..request
        },
    ] {
        assert!(check(&forged).is_err());
    }
});
