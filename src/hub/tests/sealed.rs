//! Connections over TLS whose keys wear out.

use std::task::{Context, Poll, Waker};

use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

use super::*;
use crate::tls::testing;

const RECORDS: u64 = 20;

/// Publishes until the connection is closed, or often enough; returns the code and what the client has received.
fn wear_out(version: &'static SupportedProtocolVersion) -> (Option<u16>, String) {
    let mut outcome = None;
    run(async |fixture| {
        let (server, client) = sockets().await;
        let (writer, client) = testing::wearing_out_after(RECORDS, version, server, client).await;
        let registration = fixture.register(1, writer.into());
        fixture.ask(&registration, "news");
        fixture.authority.answer(&fixture.app);
        let mut cx = Context::from_waker(Waker::noop());
        let mut published = 0;
        while registration.is_open() && published < 3 * RECORDS {
            fixture.publish("news", 3);
            published += 1;
            settle().await;
            let flushed = registration.poll_flush(&mut cx);
            assert!(matches!(
                flushed,
                Poll::Ready(Flushed::Open | Flushed::Closed)
            ));
        }
        let code = registration.closed_with();
        drop(registration);
        outcome = Some((code, client));
    });
    // By now the socket is closed.
    let (code, client) = outcome.unwrap();
    (code, client.join().unwrap())
}

#[test]
fn a_client_whose_keys_are_used_up_is_asked_to_connect_again() {
    let (code, received) = wear_out(&TLS12);
    assert_eq!(code, Some(4200));
    assert!(received.contains("subscription_succeeded"), "{received}");
    assert!(
        received.contains("keys of the connection are used up"),
        "{received}"
    );
}

#[test]
fn a_client_that_knows_new_keys_stays() {
    let (code, received) = wear_out(&TLS13);
    assert_eq!(code, None);
    let events = received.matches("xxx").count() as u64;
    assert_eq!(events, 3 * RECORDS);
}
