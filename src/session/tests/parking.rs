//! Sessions whose clients are away, and come back.

use super::*;

/// What is asked again, as the actions that follow.
fn claimed(action: Action) -> Vec<Action> {
    match action {
        Action::Each(actions) => actions,
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_is_away_is_asked_nothing_and_judged_by_nothing() {
    let mut fixture = fixture(|app| app.authorized_connections_timeout = Some(SECOND * 5));
    let until = fixture.start + SECOND * 60;
    fixture.join("news");
    fixture.session.on_partial_message(fixture.start);
    fixture.session.park(until, fixture.start);
    assert_eq!(fixture.session.deadline(), until);
    let action = fixture.session.on_time(fixture.start + SECOND * 3600);
    assert!(matches!(action, Action::Nothing));
    assert!(!fixture.session.is_subscribed("news"));
    assert!(fixture.session.holds("news"));
}

#[test]
fn who_is_back_must_prove_its_rights_again() {
    let mut fixture = fixture(|app| app.authorized_connections_timeout = Some(SECOND * 5));
    fixture.join("private-a");
    fixture
        .session
        .park(fixture.start + SECOND * 60, fixture.start);
    fixture.session.resume(SignOfLife::Message, fixture.start);
    let forged = fixture.send(
        "pusher:subscribe",
        json!({"channel": "private-a", "auth": "key:00"}),
    );
    assert_eq!(refusal(&forged), Some(("AuthError", 401)));
    assert!(fixture.session.holds("private-a"));
    let late = fixture.session.on_time(fixture.start + SECOND * 5);
    assert_eq!(closes_with(&late), Some(CloseCode::Unauthorized));
    let actions = claimed(fixture.subscribe("private-a", None));
    assert!(matches!(&actions[..], [Action::Confirm { .. }]));
    assert!(!fixture.session.holds("private-a") && fixture.session.is_subscribed("private-a"));
}

#[test]
fn whoever_comes_back_as_another_member_leaves_and_joins() {
    let mut fixture = fixture(|_| {});
    let joined = fixture.subscribe("presence-a", Some(r#"{"user_id":"u"}"#));
    assert!(matches!(joined, Action::Join { .. }));
    fixture.session.joined("presence-a", 1);
    fixture
        .session
        .park(fixture.start + SECOND * 60, fixture.start);
    fixture.session.resume(SignOfLife::Message, fixture.start);
    let actions = claimed(fixture.subscribe("presence-a", Some(r#"{"user_id":"v"}"#)));
    let [
        Action::Leave { member: left, .. },
        Action::Join { member: came, .. },
    ] = &actions[..]
    else {
        panic!("{actions:?}");
    };
    let id = |member: &Option<Arc<Member>>| member.as_ref().unwrap().user_id().to_string();
    assert_eq!((id(left), id(came)), ("u".into(), "v".into()));
}

#[test]
fn a_user_who_is_back_signs_in_again_and_is_nobody_until_then() {
    let mut fixture = fixture(|_| {});
    let user = r#"{"id":"u"}"#;
    assert!(matches!(fixture.sign_in(user), Action::SignIn { .. }));
    fixture.session.signed_in();
    let channel = "#server-to-user-u";
    fixture.join(channel);
    fixture
        .session
        .park(fixture.start + SECOND * 60, fixture.start);
    fixture.session.resume(SignOfLife::Message, fixture.start);
    let early = fixture.subscribe(channel, None);
    assert_eq!(refusal(&early), Some(("AuthError", 401)));
    let actions = claimed(fixture.sign_in(user));
    assert!(matches!(
        &actions[..],
        [Action::Send(_), Action::UserIsBack]
    ));
    let actions = claimed(fixture.subscribe(channel, None));
    assert!(matches!(&actions[..], [Action::Confirm { .. }]));
}

#[test]
fn a_user_who_was_cut_off_before_the_answer_and_now_watches_others_is_signed_out_as_often_as_in() {
    let mut fixture = fixture(|app| app.watchlist = true);
    let first = fixture.sign_in(r#"{"id":"u","watchlist":["a"]}"#);
    assert!(matches!(first, Action::SignIn { .. }));
    fixture
        .session
        .park(fixture.start + SECOND * 60, fixture.start);
    fixture.session.resume(SignOfLife::Message, fixture.start);
    let actions = claimed(fixture.sign_in(r#"{"id":"u","watchlist":["b"]}"#));
    let [Action::LeaveUnclaimed(left), Action::SignIn { .. }] = &actions[..] else {
        panic!("{actions:?}");
    };
    // Nothing was answered as yet.
    assert!(left.user.is_none() && left.registrations == 0);
    fixture.session.signed_in();
    fixture.session.signed_in();
    let ended = fixture.session.end();
    assert!(ended.user.is_some());
    assert_eq!(ended.registrations, 2);
    assert_eq!(fixture.session.end().registrations, 0);
}

#[test]
fn another_user_who_is_back_ends_the_one_before() {
    let mut fixture = fixture(|_| {});
    assert!(matches!(
        fixture.sign_in(r#"{"id":"u"}"#),
        Action::SignIn { .. }
    ));
    fixture.session.signed_in();
    fixture
        .session
        .park(fixture.start + SECOND * 60, fixture.start);
    fixture.session.resume(SignOfLife::Message, fixture.start);
    let actions = claimed(fixture.sign_in(r#"{"id":"v"}"#));
    let [Action::LeaveUnclaimed(left), Action::SignIn { user, .. }] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(&**left.user.as_ref().unwrap().user_id(), "u");
    assert_eq!(&**user.user_id(), "v");
}

#[test]
fn what_was_not_asked_for_again_is_left_in_time() {
    let mut fixture = fixture(|_| {});
    fixture.sign_in(r#"{"id":"u"}"#);
    fixture.session.signed_in();
    for channel in ["news", "private-a"] {
        fixture.join(channel);
    }
    let asked = fixture.subscribe("private-b", None);
    assert!(matches!(asked, Action::Join { .. }));
    fixture
        .session
        .park(fixture.start + SECOND * 60, fixture.start);
    fixture.session.resume(SignOfLife::Message, fixture.start);
    claimed(fixture.subscribe("news", None));
    let due = fixture.session.deadline();
    assert_eq!(due, fixture.start + SECOND * 10);
    let Action::LeaveUnclaimed(left) = fixture.session.on_time(due) else {
        panic!("something is left");
    };
    let channels: Vec<_> = left.subscriptions.iter().map(|(c, _)| c.as_str()).collect();
    assert_eq!(channels, ["private-a"]);
    assert!(left.user.is_some());
    // What had not been answered is left when it is.
    let answered = fixture.session.joined("private-b", 0);
    assert!(matches!(answered, Answered::Unwanted));
    assert!(fixture.session.is_subscribed("news"));
    assert!(fixture.session.take_lapsed("private-a"));
    assert!(!fixture.session.take_lapsed("private-a") && !fixture.session.take_lapsed("news"));
}

#[test]
fn who_is_back_sends_no_client_events_where_it_has_not_asked_again() {
    let mut fixture = fixture(|_| {});
    fixture.join("private-a");
    fixture
        .session
        .park(fixture.start + SECOND * 60, fixture.start);
    fixture.session.resume(SignOfLife::Message, fixture.start);
    let early = fixture.send_client_event("private-a");
    assert!(matches!(early, Action::Mistake { .. }), "{early:?}");
    claimed(fixture.subscribe("private-a", None));
    let sent = fixture.send_client_event("private-a");
    assert!(matches!(sent, Action::ClientEvent { .. }), "{sent:?}");
}

#[test]
fn an_answer_that_comes_when_its_client_is_away_again_is_none() {
    let mut fixture = fixture(|_| {});
    fixture.join("news");
    fixture
        .session
        .park(fixture.start + SECOND * 60, fixture.start);
    fixture.session.resume(SignOfLife::Message, fixture.start);
    claimed(fixture.subscribe("news", None));
    fixture
        .session
        .park(fixture.start + SECOND * 60, fixture.start);
    assert!(!fixture.session.confirmed("news"));
    fixture.session.resume(SignOfLife::Message, fixture.start);
    assert!(!fixture.session.confirmed("news"));
    claimed(fixture.subscribe("news", None));
    assert!(fixture.session.confirmed("news"));
}

#[test]
fn only_those_who_ask_for_nothing_have_less_time_when_they_come_again() {
    for asks in [true, false] {
        let mut fixture = fixture(|_| {});
        fixture.join("news");
        let mut now = fixture.start;
        for _ in 0..3 {
            fixture.session.park(now + SECOND * 60, now);
            fixture.session.resume(SignOfLife::Message, now);
            if asks {
                claimed(fixture.subscribe("news", None));
            }
            now += SECOND * 4;
        }
        let left = matches!(fixture.session.on_time(now), Action::LeaveUnclaimed(_));
        assert_eq!(left, !asks);
    }
}
