//! What proves that events were received.

use super::*;

#[test]
fn heartbeats_of_the_fallback_prove_nothing_and_keep_nobody_from_being_asked() {
    run(async |fixture| {
        let (fixture, registration, mut client) = fixture.resumable().await;
        fixture.ask(&registration, "news");
        fixture.authority.answer(&fixture.app);
        registration.ping(SignOfLife::Heartbeat);
        fixture.publish_text("news", "first", None);
        receive(&mut client).await;
        let later = Instant::now() + Duration::from_secs(2);
        assert!(registration.ask_if_due(later, true));
        assert_eq!(receive(&mut client).await, "", "an event may come along");
        assert!(registration.ask_if_due(later, false));
        let asked = receive(&mut client).await;
        assert!(!asked.is_empty(), "the client is asked");
    });
}

#[test]
fn a_ping_that_is_due_goes_behind_the_next_event_and_proves_it_received() {
    run(async |fixture| {
        let (fixture, registration, mut client) = fixture.resumable().await;
        fixture.ask(&registration, "news");
        fixture.authority.answer(&fixture.app);
        fixture.publish_text("news", "first", None);
        receive(&mut client).await;
        let later = Instant::now() + Duration::from_secs(2);
        assert!(registration.ask_if_due(later, true));
        fixture.publish_text("news", "own", Some(registration.socket_id()));
        assert_eq!(receive(&mut client).await, "", "it is not for this client");
        fixture.publish_text("news", "second", None);
        let received = receive(&mut client).await;
        let (_, ping) = received.split_once("second").expect("the event");
        assert!(!ping.is_empty(), "a ping behind it");
        fixture.publish_text("news", "third", None);
        assert!(receive(&mut client).await.ends_with("third"));
        // The number of the first frame behind it.
        registration.on_pong_frame(&2u64.to_be_bytes());
        assert!(registration.ask_if_due(later, false));
        registration.on_pong();
        let mut registration = registration;
        park(&mut registration);
        settle().await;
        let mut client = fixture.comes_back(&mut registration).await;
        fixture.claim(&registration, "news");
        let received = receive(&mut client).await;
        assert!(
            received.contains("third") && !received.contains("second"),
            "{received}"
        );
    });
}
