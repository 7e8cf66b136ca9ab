mod pace;
mod parking;
mod time;

use serde_json::{Value, json};

use std::time::Duration;

use super::pace::MOST_UNANSWERED;
use super::*;
use crate::apps::App;
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
    let timeouts = Arc::new(Timeouts {
        activity: SECOND * 120,
        pong: SECOND * 30,
        message: SECOND * 10,
        write: SECOND * 10,
        close: SECOND * 5,
    });
    let socket_id = "12.34".parse().unwrap();
    Fixture {
        session: Session::new(
            Arc::new(app.into()),
            socket_id,
            timeouts,
            sign_of_life,
            start,
        ),
        signer,
        start,
    }
}

impl Fixture {
    fn send(&mut self, event: &str, data: Value) -> Action {
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
        self.send(
            "pusher:subscribe",
            json!({ "channel": channel, "auth": auth, "channel_data": channel_data }),
        )
    }

    fn sign_in(&mut self, user_data: &str) -> Action {
        let auth = self.auth(&format!("12.34::user::{user_data}"));
        self.send(
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
    let action = fixture.send(
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
        let action = fixture.send("pusher:subscribe", data.clone());
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
fn only_the_user_is_let_in_to_the_users_channel() {
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
    let forged = fixture.send(
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
    fixture.send("pusher:unsubscribe", unsubscribe);
    assert!(!fixture.session.confirmed("private-a"));
}

#[test]
fn who_leaves_before_the_answer_has_nothing_to_leave() {
    let mut fixture = fixture(|_| {});
    let unsubscribe = json!({ "channel": "private-a" });
    fixture.subscribe("private-a", None);
    assert!(matches!(
        fixture.send("pusher:unsubscribe", unsubscribe.clone()),
        Action::Nothing
    ));
    assert!(matches!(
        fixture.session.joined("private-a", 0),
        Answered::Unwanted
    ));
    // And who changes their mind once more asks again after the answer.
    fixture.subscribe("private-a", None);
    fixture.send("pusher:unsubscribe", unsubscribe.clone());
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
        fixture.send("pusher:unsubscribe", unsubscribe),
        Action::Leave { .. }
    ));
}

#[test]
fn client_events_are_for_subscribers_of_private_and_presence_channels() {
    let mut fixture = fixture(|_| {});
    for channel in ["private-a", "private-encrypted-a", "private-cache-a"] {
        fixture.join(channel);
    }
    fixture.send("pusher:subscribe", json!({ "channel": "public" }));
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
