use serde_json::{Value, json};

use std::time::Duration;

use super::pace::MOST_UNANSWERED;
use super::*;
use crate::auth::Signer;

const SECOND: Duration = Duration::from_secs(1);

struct Fixture {
    session: Session,
    signer: Signer,
    start: Instant,
}

fn fixture(change: impl FnOnce(&mut App)) -> Fixture {
    fixture_of(SignOfLife::Message, change)
}

fn fixture_of(sign_of_life: SignOfLife, change: impl FnOnce(&mut App)) -> Fixture {
    let signer = Signer::new("key", b"secret");
    let mut app = App::new("1", signer.clone());
    change(&mut app);
    let start = Instant::now();
    let timeouts = Timeouts {
        activity: SECOND * 120,
        pong: SECOND * 30,
        message: SECOND * 10,
        write: SECOND * 10,
    };
    let socket_id = "12.34".parse().unwrap();
    Fixture {
        session: Session::new(Arc::new(app), socket_id, timeouts, sign_of_life, start),
        signer,
        start,
    }
}

impl Fixture {
    fn say(&mut self, event: &str, data: Value) -> Action {
        let text = json!({ "event": event, "data": data }).to_string();
        self.session.on_text(&text, self.start)
    }

    fn auth(&self, signed: &str) -> String {
        format!("key:{}", self.signer.sign(&[signed.as_bytes()]))
    }

    fn subscribe(&mut self, channel: &str, channel_data: Option<&str>) -> Action {
        let signed = match channel_data {
            Some(data) => format!("12.34:{channel}:{data}"),
            None => format!("12.34:{channel}"),
        };
        let auth = self.auth(&signed);
        self.say(
            "pusher:subscribe",
            json!({ "channel": channel, "auth": auth, "channel_data": channel_data }),
        )
    }

    fn sign_in(&mut self, user_data: &str) -> Action {
        let auth = self.auth(&format!("12.34::user::{user_data}"));
        self.say(
            "pusher:signin",
            json!({ "auth": auth, "user_data": user_data }),
        )
    }

    fn join(&mut self, channel: &str) {
        assert!(matches!(self.subscribe(channel, None), Action::Join { .. }));
        assert!(matches!(
            self.session.joined(channel, 0),
            Answered::Expected
        ));
    }

    fn send_client_event(&mut self, channel: &str) -> Action {
        let text = json!({ "event": "client-x", "channel": channel, "data": 1 }).to_string();
        self.session.on_text(&text, self.start)
    }
}

fn refusal(action: &Action) -> Option<(&'static str, u16)> {
    match action {
        Action::RefuseSubscription { kind, status, .. } => Some((kind, *status)),
        _ => None,
    }
}

fn closes_with(action: &Action) -> Option<CloseCode> {
    match action {
        Action::Close(reason) => Some(reason.code),
        _ => None,
    }
}

#[test]
fn public_channels_need_no_signature_and_ignore_one() {
    let mut fixture = fixture(|_| {});
    let action = fixture.say(
        "pusher:subscribe",
        json!({ "channel": "news", "auth": 7, "channel_data": {} }),
    );
    assert!(matches!(action, Action::Join { member: None, .. }));
}

#[test]
fn signatures_cover_the_channel_and_its_data() {
    let mut fixture = fixture(|_| {});
    assert!(matches!(
        fixture.subscribe("private-a", None),
        Action::Join { .. }
    ));
    // Signed data on a private channel, as pusher-js's own auth server sends it.
    assert!(matches!(
        fixture.subscribe("private-b", Some("{}")),
        Action::Join { .. }
    ));
    for data in [
        json!({ "channel": "private-c" }),
        json!({ "channel": "private-c", "auth": "key:bad" }),
        json!({ "channel": "private-c", "auth": fixture.auth("12.34:private-a") }),
        json!({ "channel": "private-c", "auth": fixture.auth("12.34:private-c"), "channel_data": "{}" }),
        json!({ "channel": "private-encrypted-c", "auth": "x" }),
        json!({ "channel": "private-c", "auth": 1 }),
    ] {
        let action = fixture.say("pusher:subscribe", data.clone());
        assert_eq!(refusal(&action), Some(("AuthError", 401)), "{data}");
    }
}

#[test]
fn a_subscription_that_is_signed_as_a_users_signs_the_connection_in() {
    let mine = r#"{"user_id":"u","sign_in":true}"#;
    let anothers = r#"{"user_id":"v","sign_in":true}"#;
    for channel in ["private-a", "presence-a"] {
        let mut fixture = fixture(|_| {});
        let Action::Join {
            sign_in: Some(user),
            ..
        } = fixture.subscribe(channel, Some(mine))
        else {
            panic!("the subscription does not sign the connection in");
        };
        assert_eq!(&**user.user_id(), "u");
        for other in ["private-b", "presence-b"] {
            let action = fixture.subscribe(other, Some(anothers));
            assert_eq!(refusal(&action), Some(("AuthError", 401)));
        }
        // Once is enough, and a sign-in as the same user is confirmed.
        let again = fixture.subscribe("private-b", Some(mine));
        assert!(matches!(again, Action::Join { sign_in: None, .. }));
        let action = fixture.sign_in(r#"{"id":"u"}"#);
        assert!(matches!(action, Action::Send(_)));
        let action = fixture.sign_in(r#"{"id":"v"}"#);
        assert_eq!(closes_with(&action), Some(CloseCode::Unauthorized));
    }
}

#[test]
fn other_channel_data_signs_nobody_in() {
    let mut fixture = fixture(|_| {});
    for (number, data) in [
        r#"{"user_id":"u"}"#,
        r#"{"user_id":"u","sign_in":false}"#,
        r#"{"user_id":"u","sign_in":1}"#,
        r#"["sign_in"]"#,
        "any text",
    ]
    .into_iter()
    .enumerate()
    {
        let action = fixture.subscribe(&format!("private-{number}"), Some(data));
        assert!(
            matches!(action, Action::Join { sign_in: None, .. }),
            "{data}"
        );
    }
    let action = fixture.subscribe("private-x", Some(r#"{"sign_in":true}"#));
    assert_eq!(refusal(&action), Some(("InvalidChannelData", 400)));
}

#[test]
fn presence_needs_a_member_from_data_or_sign_in() {
    let mut fixture = fixture(|_| {});
    let action = fixture.subscribe("presence-a", None);
    assert_eq!(refusal(&action), Some(("InvalidChannelData", 400)));
    assert!(matches!(
        fixture.sign_in(r#"{"id":"u"}"#),
        Action::SignIn { .. }
    ));
    let Action::Join {
        member: Some(member),
        ..
    } = fixture.subscribe("presence-a", None)
    else {
        panic!("a signed-in user may join");
    };
    assert_eq!(&**member.user_id(), "u");
    let Action::Join {
        member: Some(member),
        ..
    } = fixture.subscribe("presence-b", Some(r#"{"user_id":7}"#))
    else {
        panic!("a user may join as channel_data says");
    };
    assert_eq!(&**member.user_id(), "7");
}

#[test]
fn only_the_user_hears_the_users_channel() {
    let mut fixture = fixture(|_| {});
    let action = fixture.subscribe("#server-to-user-u", None);
    assert_eq!(refusal(&action), Some(("AuthError", 401)));
    fixture.sign_in(r#"{"id":"u"}"#);
    assert!(matches!(
        fixture.subscribe("#server-to-user-u", None),
        Action::Join { .. }
    ));
    assert!(refusal(&fixture.subscribe("#server-to-user-v", None)).is_some());
}

#[test]
fn a_second_sign_in_must_be_the_same_user() {
    let mut fixture = fixture(|_| {});
    assert!(matches!(
        fixture.sign_in(r#"{"id":"u"}"#),
        Action::SignIn { .. }
    ));
    assert!(matches!(
        fixture.sign_in(r#"{"id":"u","x":1}"#),
        Action::Send(_)
    ));
    let other = fixture.sign_in(r#"{"id":"v"}"#);
    assert_eq!(closes_with(&other), Some(CloseCode::Unauthorized));
    let forged = fixture.say(
        "pusher:signin",
        json!({ "auth": "key:x", "user_data": "{}" }),
    );
    assert_eq!(closes_with(&forged), Some(CloseCode::Unauthorized));
}

#[test]
fn subscribing_again_is_confirmed_and_changes_nothing() {
    let mut fixture = fixture(|app| app.limits.channels_per_connection = 1);
    fixture.join("private-a");
    assert!(matches!(
        fixture.subscribe("private-a", None),
        Action::Confirm { .. }
    ));
    assert_eq!(
        refusal(&fixture.subscribe("private-b", None)),
        Some(("LimitReached", 403))
    );
}

#[test]
fn all_who_ask_before_an_answer_get_the_same_one() {
    let mut fixture = fixture(|_| {});
    let nothing = |action: &Action| matches!(action, Action::Nothing);
    let asked = fixture.subscribe("private-a", None);
    assert!(matches!(asked, Action::Join { .. }));
    assert!(nothing(&fixture.subscribe("private-a", None)));
    fixture.session.joined("private-a", 0);
    for _ in 0..3 {
        let confirmed = fixture.subscribe("private-a", None);
        assert!(matches!(confirmed, Action::Confirm { .. }));
        assert!(nothing(&fixture.subscribe("private-a", None)));
        assert!(fixture.session.confirmed("private-a"));
    }
    fixture.subscribe("private-a", None);
    let unsubscribe = json!({ "channel": "private-a" });
    fixture.say("pusher:unsubscribe", unsubscribe);
    assert!(!fixture.session.confirmed("private-a"));
}

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
        fixture.say("pusher:ping", json!({}));
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
fn coming_and_leaving_is_paid_for_by_members() {
    let mut fixture = fixture(|app| {
        app.limits.channels_per_connection = 10;
        app.limits.messages_per_second = 10;
    });
    let mut pairs = 0;
    while fixture.session.must_wait(fixture.start).is_none() {
        fixture.subscribe("presence-a", Some(r#"{"user_id":"u"}"#));
        fixture.session.joined("presence-a", 160);
        fixture.say("pusher:unsubscribe", json!({ "channel": "presence-a" }));
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
    assert!(session.on_write_blocked(false, start));
    let later = start + SECOND * 9;
    assert!(!session.on_write_blocked(true, later));
    assert!(!session.on_write_blocked(false, later + SECOND));
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
fn who_leaves_before_the_answer_has_nothing_to_leave() {
    let mut fixture = fixture(|_| {});
    let unsubscribe = json!({ "channel": "private-a" });
    fixture.subscribe("private-a", None);
    assert!(matches!(
        fixture.say("pusher:unsubscribe", unsubscribe.clone()),
        Action::Nothing
    ));
    assert!(matches!(
        fixture.session.joined("private-a", 0),
        Answered::Unwanted
    ));
    // And who changes their mind once more asks again after the answer.
    fixture.subscribe("private-a", None);
    fixture.say("pusher:unsubscribe", unsubscribe.clone());
    assert!(matches!(
        fixture.subscribe("private-a", None),
        Action::Nothing
    ));
    assert!(matches!(
        fixture.session.joined("private-a", 0),
        Answered::AskAgain(None)
    ));
    assert!(matches!(
        fixture.session.joined("private-a", 0),
        Answered::Expected
    ));
    assert!(matches!(
        fixture.say("pusher:unsubscribe", unsubscribe),
        Action::Leave { .. }
    ));
}

#[test]
fn client_events_are_for_subscribers_of_private_and_presence_channels() {
    let mut fixture = fixture(|_| {});
    for channel in ["private-a", "private-encrypted-a", "private-cache-a"] {
        fixture.join(channel);
    }
    fixture.say("pusher:subscribe", json!({ "channel": "public" }));
    fixture.session.joined("public", 0);
    for (channel, passes) in [
        ("private-a", true),
        ("private-cache-a", true),
        ("private-encrypted-a", false),
        ("public", false),
        ("private-other", false),
        ("", false),
    ] {
        let action = fixture.send_client_event(channel);
        assert_eq!(
            matches!(action, Action::ClientEvent { .. }),
            passes,
            "{channel}"
        );
        let rejected = matches!(
            action,
            Action::Mistake {
                code: Some(CloseCode::ClientEventRejected),
                ..
            }
        );
        assert_eq!(rejected, !passes, "{channel}");
    }
}

#[test]
fn client_events_are_limited_in_size_and_number() {
    let mut fixture = fixture(|app| app.limits.event_data_bytes = 10);
    fixture.join("private-a");
    let large = json!({ "event": "client-x", "channel": "private-a", "data": "x".repeat(11) });
    let action = fixture.session.on_text(&large.to_string(), fixture.start);
    assert!(matches!(action, Action::Mistake { .. }));
    let passed = (0..20)
        .filter(|_| {
            matches!(
                fixture.send_client_event("private-a"),
                Action::ClientEvent { .. }
            )
        })
        .count();
    assert_eq!(passed, 10);
}

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
    idle.say("pusher:subscribe", json!({ "channel": "public" }));
    assert_eq!(late(&mut idle), Some(CloseCode::Unauthorized));
    let mut subscribed = fixture(timeout);
    subscribed.subscribe("private-a", None);
    assert_eq!(late(&mut subscribed), None);
    let mut signed_in = fixture(timeout);
    signed_in.sign_in(r#"{"id":"u"}"#);
    assert_eq!(late(&mut signed_in), None);
}

#[test]
fn an_ended_session_leaves_what_it_was_let_into() {
    let mut fixture = fixture(|_| {});
    fixture.join("private-a");
    fixture.subscribe("private-asked", None);
    fixture.sign_in(r#"{"id":"u"}"#);
    fixture.session.signed_in();
    let ended = fixture.session.end();
    let channels: Vec<_> = ended
        .subscriptions
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(channels, ["private-a"]);
    assert!(ended.user.is_some());
    assert!(matches!(
        fixture.session.joined("private-asked", 0),
        Answered::Unwanted
    ));
    let again = fixture.session.end();
    assert!(again.subscriptions.is_empty() && again.user.is_none());
}
