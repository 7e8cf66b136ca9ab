//! What happens with time.

use super::*;

#[test]
fn silence_is_asked_about_and_then_ended() {
    let mut fixture = fixture(|_| {});
    let start = fixture.start;
    let session = &mut fixture.session;
    assert!(matches!(
        session.on_time(start + SECOND * 119),
        Action::Nothing
    ));
    assert!(matches!(
        session.on_time(start + SECOND * 120),
        Action::Ping(_)
    ));
    assert!(matches!(
        session.on_time(start + SECOND * 149),
        Action::Nothing
    ));
    session.on_text(r#"{"event":"pusher:pong"}"#, start + SECOND * 149);
    assert!(matches!(
        session.on_time(start + SECOND * 268),
        Action::Nothing
    ));
    assert!(matches!(
        session.on_time(start + SECOND * 269),
        Action::Ping(_)
    ));
    let action = session.on_time(start + SECOND * 299);
    assert_eq!(closes_with(&action), Some(CloseCode::PongTimeout));
}

#[test]
fn a_page_shows_by_messages_alone_that_it_is_there() {
    let mut page = fixture(|_| {});
    let start = page.start;
    let asked = page.session.on_time(start + SECOND * 120);
    assert!(matches!(asked, Action::Ping(SignOfLife::Message)));
    page.session.on_received(start + SECOND * 149);
    let action = page.session.on_time(start + SECOND * 150);
    assert_eq!(closes_with(&action), Some(CloseCode::PongTimeout));
}

#[test]
fn a_page_whose_browser_answers_for_it_is_frozen_and_not_cut_off() {
    for (browser_answers, is_frozen) in [(true, true), (false, false)] {
        let mut page = fixture(|_| {});
        let start = page.start;
        page.session.on_received(start + SECOND * 119);
        assert!(!page.session.is_frozen(), "nobody has asked");
        page.session.on_time(start + SECOND * 120);
        if browser_answers {
            page.session.on_received(start + SECOND * 121);
        }
        let action = page.session.on_time(start + SECOND * 150);
        assert_eq!(closes_with(&action), Some(CloseCode::PongTimeout));
        assert_eq!(page.session.is_frozen(), is_frozen);
    }
    let mut page = fixture(|_| {});
    let start = page.start;
    page.session.on_time(start + SECOND * 120);
    page.session.on_received(start + SECOND * 121);
    page.session
        .on_text(r#"{"event":"pusher:pong"}"#, start + SECOND * 122);
    assert!(!page.session.is_frozen());
}

#[test]
fn others_show_by_anything_that_they_are_there() {
    let mut other = fixture_of(SignOfLife::Frame, |_| {});
    let start = other.start;
    let asked = other.session.on_time(start + SECOND * 120);
    assert!(matches!(asked, Action::Ping(SignOfLife::Frame)));
    other.session.on_received(start + SECOND * 149);
    let action = other.session.on_time(start + SECOND * 150);
    assert!(matches!(action, Action::Nothing));
    assert_eq!(other.session.deadline(), start + SECOND * 269);
}

#[test]
fn who_could_not_be_judged_in_time_is_asked_once_more() {
    let mut fixture = fixture(|_| {});
    let start = fixture.start;
    let session = &mut fixture.session;
    let asked = session.on_time(start + SECOND * 120);
    assert!(matches!(asked, Action::Ping(_)));
    let late = start + SECOND * 160;
    assert!(matches!(session.on_time(late), Action::Ping(_)));
    assert_eq!(session.deadline(), late + SECOND * 30);
    let action = session.on_time(late + SECOND * 60);
    assert_eq!(closes_with(&action), Some(CloseCode::PongTimeout));
}

#[test]
fn who_was_asked_before_a_standstill_is_asked_once_more_however_late_it_is_noticed() {
    let mut fixture = fixture(|_| {});
    let start = fixture.start;
    let session = &mut fixture.session;
    session.on_time(start + SECOND * 120);
    let went_on_at = start + SECOND * 121;
    session.on_standstill(went_on_at);
    let due = start + SECOND * 150;
    assert!(matches!(session.on_time(due), Action::Ping(_)));
    assert_eq!(session.deadline(), due + SECOND * 30);
    // Once only.
    session.on_standstill(due + SECOND);
    let action = session.on_time(due + SECOND * 30);
    assert_eq!(closes_with(&action), Some(CloseCode::PongTimeout));
}

#[test]
fn a_standstill_before_the_question_excuses_nobody() {
    let mut fixture = fixture(|_| {});
    let start = fixture.start;
    let session = &mut fixture.session;
    let asked = start + SECOND * 120;
    session.on_standstill(asked);
    session.on_time(asked);
    session.on_standstill(asked);
    let action = session.on_time(asked + SECOND * 30);
    assert_eq!(closes_with(&action), Some(CloseCode::PongTimeout));
}

#[test]
fn only_pusher_js_is_taken_for_a_page() {
    use SignOfLife::{Frame, Message};
    for (client, protocol, expected) in [
        (Some("js"), Some(7), Message),
        (Some("js"), Some(5), Message),
        (Some("js"), None, Message),
        // It did not know pusher:ping then.
        (Some("js"), Some(4), Frame),
        (Some("java-client"), Some(7), Frame),
        (Some("JS"), Some(7), Frame),
        (None, Some(7), Frame),
    ] {
        let sign_of_life = SignOfLife::of_client(client, protocol);
        assert_eq!(sign_of_life, expected, "{client:?} {protocol:?}");
    }
}

#[test]
fn a_message_that_trickles_in_is_not_waited_for() {
    let mut fixture = fixture(|_| {});
    let start = fixture.start;
    let session = &mut fixture.session;
    assert!(session.on_partial_message(start));
    session.on_received(start + SECOND * 9);
    assert!(!session.on_partial_message(start + SECOND * 9));
    assert_eq!(session.deadline(), start + SECOND * 10);
    let action = session.on_time(start + SECOND * 10);
    assert_eq!(closes_with(&action), Some(CloseCode::ProtocolError));
    session.on_whole_message();
    assert!(matches!(
        session.on_time(start + SECOND * 11),
        Action::Nothing
    ));
}

#[test]
fn connections_that_must_authorise_do_so_in_time() {
    let timeout = |app: &mut App| app.authorized_connections_timeout = Some(SECOND);
    let late =
        |fixture: &mut Fixture| closes_with(&fixture.session.on_time(fixture.start + SECOND));
    let mut idle = fixture(timeout);
    idle.send("pusher:subscribe", json!({ "channel": "public" }));
    assert_eq!(late(&mut idle), Some(CloseCode::Unauthorized));
    let mut subscribed = fixture(timeout);
    subscribed.subscribe("private-a", None);
    assert_eq!(late(&mut subscribed), None);
    let mut signed_in = fixture(timeout);
    signed_in.sign_in(r#"{"id":"u"}"#);
    assert_eq!(late(&mut signed_in), None);
}
