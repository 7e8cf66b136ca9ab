//! Clients that send more than they may, or take less than they must.

use super::*;

#[test]
fn a_connection_whose_subscriptions_wait_for_the_authority_is_not_read() {
    let mut fixture = fixture(|_| {});
    let name = |number: u32| format!("private-{number}");
    for number in 0..MOST_UNANSWERED {
        assert_eq!(fixture.session.must_wait(fixture.start), None);
        fixture.subscribe(&name(number), None);
    }
    let (session, start) = (&mut fixture.session, fixture.start);
    assert_eq!(session.must_wait(start), Some(WaitsFor::Answers));
    assert!(session.waits() && !session.may_read_on(start));
    // Its silence is not the client's.
    let later = start + SECOND * 3600;
    assert!(matches!(session.on_time(later), Action::Nothing));
    for number in 0..MOST_UNANSWERED {
        match number % 2 {
            0 => session.joined(&name(number), 0),
            _ => session.refused(&name(number)),
        };
    }
    assert!(session.may_read_on(later) && !session.waits());
    assert_eq!(session.deadline(), later + SECOND * 120);
}

#[test]
fn whoever_sends_too_much_waits_and_is_closed_when_it_goes_on() {
    let mut fixture = fixture(|app| {
        app.limits.channels_per_connection = 10;
        app.limits.messages_per_second = 10;
        app.limits.overrun_timeout = SECOND * 60;
    });
    let start = fixture.start;
    let mut sent = 0;
    while fixture.session.must_wait(start).is_none() {
        fixture.send("pusher:ping", json!({}));
        sent += 1;
    }
    assert_eq!(sent, 10 * 10 + 2 * 10 + 1);
    let session = &mut fixture.session;
    let waits = session.must_wait(start);
    assert_eq!(waits, Some(WaitsFor::Allowance(MessageKind::Ping)));
    assert_eq!(session.deadline(), start + SECOND / 10);
    assert!(!session.may_read_on(start));
    assert!(session.may_read_on(start + SECOND / 10));
    // One at a time goes on for ever, if everything was read in between.
    let mut now = start + SECOND / 10;
    for _ in 0..1000 {
        now += SECOND / 10;
        session.on_frame(MessageKind::Control, now);
        assert_eq!(session.must_wait(now), None);
        session.on_all_read();
    }
    session.on_frame(MessageKind::Control, now);
    assert!(session.must_wait(now).is_some());
    let late = now + SECOND * 60;
    assert!(matches!(session.on_time(late - SECOND), Action::Nothing));
    let Action::CloseOverload { cause, reason } = session.on_time(late) else {
        panic!("it is closed");
    };
    assert_eq!(cause, Overload::Flood(MessageKind::Control));
    assert_eq!(reason.code, CloseCode::OverCapacity);
}

#[test]
fn coming_and_leaving_is_paid_for_by_connections_that_are_notified() {
    let mut fixture = fixture(|app| {
        app.limits.channels_per_connection = 10;
        app.limits.messages_per_second = 10;
    });
    let mut pairs = 0;
    while fixture.session.must_wait(fixture.start).is_none() {
        fixture.subscribe("presence-a", Some(r#"{"user_id":"u"}"#));
        fixture.session.joined("presence-a", 160);
        fixture.send("pusher:unsubscribe", json!({ "channel": "presence-a" }));
        pairs += 1;
    }
    // Two messages, and twice ten for the announcements.
    assert_eq!(pairs, 120 / 22 + 1);
}

#[test]
fn client_events_that_pass_cost_nothing_and_those_that_do_not_do() {
    let mut fixture = fixture(|app| {
        app.limits.client_events_per_second = 10_000;
        app.limits.channels_per_connection = 1;
        app.limits.messages_per_second = 1;
    });
    fixture.join("private-a");
    for _ in 0..1000 {
        let event = fixture.send_client_event("private-a");
        assert!(matches!(event, Action::ClientEvent { .. }));
    }
    assert_eq!(fixture.session.must_wait(fixture.start), None);
    for _ in 0..20 {
        fixture.send_client_event("private-b");
    }
    let waits = fixture.session.must_wait(fixture.start);
    assert_eq!(waits, Some(WaitsFor::Allowance(MessageKind::ClientEvent)));
}

#[test]
fn a_message_that_was_not_read_on_is_not_late() {
    let mut fixture = fixture(|_| {});
    let (session, start) = (&mut fixture.session, fixture.start);
    session.on_partial_message(start);
    session.wait(start + SECOND);
    let later = start + SECOND * 100;
    assert!(matches!(session.on_time(later), Action::Nothing));
    session.read_on(later);
    assert_eq!(session.deadline(), later + SECOND * 9);
}

#[test]
fn whoever_sends_too_much_meanwhile_has_no_longer_for_a_message() {
    let mut fixture = fixture(|_| {});
    let (session, start) = (&mut fixture.session, fixture.start);
    session.on_partial_message(start);
    while session.must_wait(start).is_none() {
        session.on_frame(MessageKind::Control, start);
    }
    session.read_on(start + SECOND);
    session.on_frame(MessageKind::Control, start + SECOND);
    session.wait(start + SECOND);
    let action = session.on_time(start + SECOND * 10);
    assert_eq!(closes_with(&action), Some(CloseCode::ProtocolError));
}

#[test]
fn a_client_that_takes_nothing_is_closed_whatever_it_sends() {
    let mut fixture = fixture(|_| {});
    let (session, start) = (&mut fixture.session, fixture.start);
    assert!(session.on_write_blocked(0, start));
    let later = start + SECOND * 9;
    assert!(!session.on_write_blocked(64 << 10, later));
    assert!(!session.on_write_blocked(0, later + SECOND));
    assert_eq!(session.deadline(), later + SECOND * 10);
    session.on_frame(MessageKind::Control, later + SECOND * 9);
    session.wait(later + SECOND * 9);
    let action = session.on_time(later + SECOND * 10);
    let Action::CloseOverload { cause, reason } = action else {
        panic!("{action:?}");
    };
    assert_eq!(cause, Overload::Stall);
    assert_eq!(reason.code, CloseCode::OverCapacity);
    session.on_written();
    assert!(matches!(
        session.on_time(later + SECOND * 10),
        Action::Nothing
    ));
}

#[test]
fn a_client_must_take_a_kilobyte_a_second_of_what_waits() {
    const KB: usize = 1024;
    let mut fixture = fixture(|_| {});
    let (session, start) = (&mut fixture.session, fixture.start);
    session.on_write_blocked(0, start);
    let mut now = start;
    for _ in 0..8 {
        now += SECOND * 9;
        assert!(matches!(session.on_time(now), Action::Nothing));
        session.on_write_blocked(9 * KB, now);
    }
    // What was taken at once is worth no longer a wait.
    session.on_write_blocked(1000 * KB, now);
    now += SECOND * 9;
    session.on_write_blocked(1, now);
    assert!(matches!(session.on_time(now), Action::Nothing));
    let action = session.on_time(now + SECOND * 2);
    let Action::CloseOverload { cause, reason } = action else {
        panic!("{action:?}");
    };
    assert_eq!(cause, Overload::Stall);
    assert!(reason.text.contains("write_timeout"), "{reason:?}");
}
