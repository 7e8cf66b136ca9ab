//! Users who are signed in, and the statuses that they watch.

use super::*;

impl Fixture {
    /// Does what [`sign_in`] returns.
    fn carry_out(&self, registration: &Registration, action: Action) {
        match action {
            Action::Each(actions) => {
                for action in actions {
                    self.carry_out(registration, action);
                }
            }
            Action::Send(frame) => registration.send(&frame),
            Action::UserIsBack => registration.user_is_back(),
            Action::LeaveUnclaimed(ended) => leave_all(registration, &*self.authority, *ended),
            Action::SignIn {
                user,
                watchlist,
                is_cut: _,
                reply,
            } => {
                let sign_in = SignIn {
                    peer: registration.handle(),
                    user,
                    watchlist,
                    reply,
                    complaint: None,
                    join: None,
                };
                self.authority.sign_in(&self.app, sign_in);
            }
            other => panic!("{other:?}"),
        }
    }

    fn set_online(&self, user_id: &str, online: bool) {
        self.app.set_online(&Arc::from(user_id), online);
    }
}

/// What the session of a client wants that signs in as this user, watching these.
fn sign_in(registration: &Registration, user_id: &str, watchlist: &[&str]) -> Action {
    let signer = Signer::new("key", b"secret");
    let user_data = serde_json::json!({"id": user_id, "watchlist": watchlist}).to_string();
    let signed = format!("{}::user::{user_data}", registration.socket_id());
    let auth = format!("key:{}", signer.sign(&[signed.as_bytes()]));
    let data = serde_json::json!({"auth": auth, "user_data": user_data});
    let text = serde_json::json!({"event": "pusher:signin", "data": data}).to_string();
    registration.with_session(|session| session.on_text(&text, Instant::now()))
}

const STATUSES: &str = "watchlist_events";

#[test]
fn statuses_that_overran_come_as_they_are_now() {
    run(async |fixture| {
        let (fixture, mut registration, mut client) = fixture.resumable().await;
        fixture.carry_out(&registration, sign_in(&registration, "u", &["ann", "bob"]));
        assert_in_order(&receive(&mut client).await, &["signin_success", "bob"]);
        park(&mut registration);
        settle().await;
        for number in 0..3000 {
            fixture.set_online("ann", number % 2 == 0);
            settle().await;
        }
        fixture.set_online("ann", true);
        settle().await;
        let mut client = fixture.comes_back(&mut registration).await;
        fixture.carry_out(&registration, sign_in(&registration, "u", &["ann", "bob"]));
        let received = receive(&mut client).await;
        let order = [
            "signin_success",
            STATUSES,
            "online",
            "ann",
            "offline",
            "bob",
        ];
        assert_in_order(&received, &order);
        assert_eq!(received.matches("ann").count(), 1 + 1, "{received}");
        fixture.set_online("bob", true);
        assert_in_order(&receive(&mut client).await, &["online", "bob"]);
    });
}

#[test]
fn statuses_that_were_not_proven_received_come_again() {
    run(async |fixture| {
        let (fixture, mut registration, mut client) = fixture.resumable().await;
        fixture.carry_out(&registration, sign_in(&registration, "u", &["ann", "bob"]));
        assert_in_order(&receive(&mut client).await, &[STATUSES]);
        park(&mut registration);
        settle().await;
        fixture.set_online("bob", true);
        settle().await;
        let mut client = fixture.comes_back(&mut registration).await;
        fixture.carry_out(&registration, sign_in(&registration, "u", &["ann", "bob"]));
        let received = receive(&mut client).await;
        let order = [
            "signin_success",
            STATUSES,
            "offline",
            "ann",
            "bob",
            STATUSES,
            "online",
            "bob",
        ];
        assert_in_order(&received, &order);
    });
}

#[test]
fn statuses_that_came_while_the_client_was_away_come_later() {
    run(async |fixture| {
        let (fixture, mut registration, _client) = fixture.resumable().await;
        let late = sign_in(&registration, "u", &["ann"]);
        park(&mut registration);
        settle().await;
        fixture.carry_out(&registration, late);
        settle().await;
        let mut client = fixture.comes_back(&mut registration).await;
        assert_eq!(receive(&mut client).await, "");
        fixture.carry_out(&registration, sign_in(&registration, "u", &["ann"]));
        let received = receive(&mut client).await;
        assert_in_order(&received, &["signin_success", STATUSES, "ann"]);
        fixture.set_online("ann", true);
        assert_in_order(&receive(&mut client).await, &[STATUSES, "ann"]);
    });
}

#[test]
fn a_watchlist_that_is_answered_late_is_not_that_of_who_has_signed_in_since() {
    run(async |fixture| {
        let (fixture, mut registration, _client) = fixture.resumable().await;
        let late = sign_in(&registration, "before", &["ann", "bob"]);
        park(&mut registration);
        settle().await;
        let mut client = fixture.comes_back(&mut registration).await;
        fixture.carry_out(&registration, sign_in(&registration, "after", &["bob"]));
        fixture.carry_out(&registration, late);
        let received = receive(&mut client).await;
        assert_in_order(&received, &["signin_success", STATUSES, "bob"]);
        assert!(!received.contains("ann"), "{received}");
        fixture.set_online("ann", true);
        fixture.set_online("bob", true);
        let received = receive(&mut client).await;
        assert!(!received.contains("ann"), "{received}");
        assert_in_order(&received, &[STATUSES, "bob"]);
        // As many are left out as were put in.
        drop(registration);
        settle().await;
        fixture.set_online("ann", false);
        fixture.set_online("bob", false);
        assert_eq!(fixture.app.watched_users(), 0);
    });
}

#[test]
fn all_of_a_user_are_closed_those_who_are_away_included() {
    run(async |fixture| {
        let (fixture, mut registration, _client) = fixture.resumable().await;
        fixture.carry_out(&registration, sign_in(&registration, "u", &[]));
        settle().await;
        park(&mut registration);
        settle().await;
        let reason = CloseReason::new(CloseCode::Unauthorized, "ended");
        let receipt = fixture.authority.close_user(&fixture.app, "u", reason);
        assert!(!receipt.is_pending());
        settle().await;
        assert!(registration.is_over());
        assert_eq!(registration.closed_with(), Some(4009));
    });
}
