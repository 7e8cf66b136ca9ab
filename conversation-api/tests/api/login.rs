//! Logging in and out, and what a token is worth.

use protocol_tests::{Request, Response};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Api, Database, Desk, Kind};

const PATH: &str = "/api/auth/login";

async fn attempt(desk: &mut Desk, email: &str, password: &str) -> Response {
    desk.post(PATH, &json!({"email": email, "password": password}))
        .await
}

#[tokio::test]
async fn a_token_is_given_out_and_can_be_given_back() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut desk = api.stranger();
        let user = desk.log_in("Admin@TIMS.local").await;
        let expected = json!({
            "id": 1, "name": "Ada Admin", "email": "admin@tims.local", "role": "admin",
            "department_id": null, "avatar": null,
        });
        assert_eq!(user, expected);
        assert_eq!(
            desk.get("/api/user").await.expect_status(200).json(),
            expected
        );
        let token = desk.token.clone().unwrap();
        let stored = database.texts("SELECT hash FROM tokens").await;
        assert!(!stored.contains(&token), "tokens are stored hashed");
        desk.post("/api/auth/logout", &json!({}))
            .await
            .expect_status(200);
        let answer = desk.get("/api/user").await.expect_status(401).json();
        assert_eq!(answer, json!({"message": "Unauthenticated."}));
        desk.post("/api/auth/logout", &json!({}))
            .await
            .expect_status(401);
        assert_eq!(database.number("SELECT COUNT(*) FROM tokens").await, 0);
        api.stop().await;
    }
}

#[tokio::test]
async fn logging_out_ends_one_session_only() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut here = api.log_in("agent@tims.local").await;
    let mut there = api.log_in("agent@tims.local").await;
    here.post("/api/auth/logout", &json!({}))
        .await
        .expect_status(200);
    here.get("/api/user").await.expect_status(401);
    there.get("/api/user").await.expect_status(200);
    api.stop().await;
}

#[tokio::test]
async fn tokens_end() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut desk = api.log_in("agent@tims.local").await;
    desk.get("/api/user").await.expect_status(200);
    database.execute("UPDATE tokens SET expires_at = 1").await;
    // What is remembered of a token is asked for again after five seconds at most.
    protocol_tests::eventually("the token to end", || async {
        (desk.another().get("/api/user").await.status == 401).then_some(())
    })
    .await;
    let message = json!({"conversation_id": 1, "type": "text", "content": "late"});
    desk.post("/api/messages/send", &message)
        .await
        .expect_status(401);
    api.stop().await;
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut desk = api.log_in("agent@tims.local").await;
    let token = desk.token.take().unwrap();
    let hash = database.texts("SELECT hash FROM tokens").await.remove(0);
    let changed = format!("{}0", &token[..63]);
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer null",
        "Bearer ' OR 1=1 --",
        &token,
        &format!("Basic {token}"),
        &format!("Bearer {token}{token}"),
        &format!("Bearer {hash}"),
        &format!("Bearer {changed}1"),
    ] {
        let request = Request::new("GET", "/api/user").header("Authorization", value);
        desk.send(request).await.expect_status(401);
    }
    desk.get(&format!("/api/user?token={token}"))
        .await
        .expect_status(401);
    api.stop().await;
}

#[tokio::test]
async fn wrong_credentials_do_not_show_what_is_wrong() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut desk = api.stranger();
    let before = database.contents().await;
    let wrong = json!({"message": "These credentials do not match our records."});
    for (email, password) in [
        ("admin@tims.local", "password124"),
        ("admin@tims.local", "Password123"),
        ("admin@tims.local", " password123"),
        ("nobody@tims.local", "password123"),
        ("admin@tims.local'--", "password123"),
        ("a@b' OR '1'='1", "x"),
    ] {
        let response = attempt(&mut desk, email, password).await;
        if email.contains(' ') {
            drop(response.expect_status(422))
        } else {
            assert_eq!(response.expect_status(401).json(), wrong)
        }
    }
    assert_eq!(database.contents().await, before);
    api.stop().await;
}

#[tokio::test]
async fn fields_that_are_missing_or_odd_are_named() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut desk = api.stranger();
    let answer = desk.post(PATH, &json!({})).await.expect_status(422).json();
    let expected = json!({
        "message": "The email field is required. (and 1 more error)",
        "errors": {
            "email": ["The email field is required."],
            "password": ["The password field is required."],
        },
    });
    assert_eq!(answer, expected);
    for (email, password) in [
        (json!("nobody"), json!("x")),
        (json!("a@b@c"), json!("x")),
        (json!({"$ne": null}), json!({"$ne": null})),
        (json!(["admin@tims.local"]), json!("password123")),
        (json!(format!("{}@b", "a".repeat(300))), json!("x")),
        (json!("a@b\0"), json!("x")),
        (json!("a@b"), json!("x".repeat(2000))),
    ] {
        let body = json!({"email": email, "password": password});
        let answer: Value = desk.post(PATH, &body).await.expect_status(422).json();
        assert!(answer["errors"].is_object(), "{answer}");
    }
    let huge = json!({"email": "a@b", "password": "x".repeat(70_000)});
    desk.post(PATH, &huge).await.expect_status(413);
    api.stop().await;
}

#[tokio::test]
async fn passwords_cannot_be_tried_out() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let before = database.contents().await;
    let mut attempts = tokio::task::JoinSet::new();
    for number in 0..20 {
        let mut desk = api.stranger();
        attempts.spawn(async move {
            attempt(&mut desk, "agent@tims.local", &format!("guess {number}")).await
        });
    }
    let answers = attempts.join_all().await;
    let count = |status| {
        answers
            .iter()
            .filter(|answer| answer.status == status)
            .count()
    };
    assert_eq!(
        (count(401), count(429)),
        (5, 15),
        "many at once do not get past the limit"
    );
    let refused = answers.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!(refused.json(), json!({"message": "Too Many Attempts."}));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    // Not even the right one, until the minute is over; others are not kept out.
    let mut desk = api.stranger();
    attempt(&mut desk, "agent@tims.local", "password123")
        .await
        .expect_status(429);
    attempt(&mut desk, "AGENT@tims.local ", "password123")
        .await
        .expect_status(429);
    assert_eq!(database.contents().await, before);
    desk.log_in("agent2@tims.local").await;
    api.stop().await;
}

#[tokio::test]
async fn clients_behind_a_proxy_are_distinguished() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database)
        .set("TRUSTED_PROXIES", "127.0.0.1")
        .start()
        .await;
    let mut desk = api.stranger();
    let body = json!({"email": "agent@tims.local", "password": "wrong"});
    let from = |client: &str| {
        Request::new("POST", PATH)
            .header("X-Forwarded-For", client)
            .json(&body)
    };
    for _ in 0..5 {
        desk.send(from("192.0.2.1")).await.expect_status(401);
    }
    desk.send(from("192.0.2.1")).await.expect_status(429);
    desk.send(from("6.6.6.6, 192.0.2.1"))
        .await
        .expect_status(429);
    desk.send(from("192.0.2.2")).await.expect_status(401);
    api.stop().await;
}

#[tokio::test]
async fn clients_behind_a_proxy_that_is_not_trusted_are_not_taken_for_one() {
    for (name, before) in [("X-Forwarded-For", ""), ("Forwarded", "for=")] {
        let database = Database::seeded(Kind::Sqlite).await;
        let api = Api::on(&database).start().await;
        let mut desk = api.stranger();
        let from = |client: &str, email: &str, password: &str| {
            Request::new("POST", PATH)
                .header(name, &format!("{before}{client}"))
                .json(&json!({"email": email, "password": password}))
        };
        let agent = "agent@tims.local";
        desk.send(from("192.0.2.1", agent, "password123"))
            .await
            .expect_status(200);
        for number in 0..40 {
            let stranger = format!("192.0.2.{}", 100 + number);
            desk.send(from(&stranger, agent, "wrong")).await;
        }
        desk.send(from("192.0.2.2", agent, "wrong"))
            .await
            .expect_status(429);
        desk.send(from("192.0.2.1", agent, "password123"))
            .await
            .expect_status(200);
        desk.send(from("192.0.2.3", "agent2@tims.local", "password123"))
            .await
            .expect_status(200);
        let exit = api.stop().await;
        let warnings = exit.log.iter();
        let warnings = warnings.filter(|line| line.contains("TRUSTED_PROXIES"));
        assert_eq!(warnings.count(), 1, "{:#?}", exit.log);
    }
}

#[tokio::test]
async fn a_proxy_that_hides_its_clients_is_named_where_it_is_not_trusted() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let request = Request::new("POST", PATH)
        .header("Forwarded", "for=_hidden")
        .json(&json!({"email": "agent@tims.local", "password": "password123"}));
    api.stranger().send(request).await.expect_status(200);
    let exit = api.stop().await;
    let warnings = exit.log.iter();
    let warnings = warnings.filter(|line| line.contains("TRUSTED_PROXIES"));
    assert_eq!(warnings.count(), 1, "{:#?}", exit.log);
}

#[tokio::test]
async fn memory_in_which_passwords_are_checked_is_given_back() {
    let database = Database::seeded(Kind::Sqlite).await;
    let builder = Api::on(&database).set("TRUSTED_PROXIES", "127.0.0.1");
    let api = builder.start().await;
    let before = api.resident_memory();
    for round in 0..3 {
        let mut attempts = JoinSet::new();
        for number in 0..8 {
            let mut stranger = api.stranger();
            let name = format!("{round}-{number}");
            let body = json!({"email": format!("{name}@tims.local"), "password": name});
            let request = Request::new("POST", PATH)
                .header("X-Forwarded-For", &format!("10.0.{round}.{number}"))
                .json(&body);
            attempts.spawn(async move { stranger.send(request).await.status });
        }
        for status in attempts.join_all().await {
            // On a busy machine not everybody gets a turn in time.
            assert!(matches!(status, 401 | 503), "{status}");
        }
    }
    // One check takes 19 MiB, and there is none under way.
    protocol_tests::eventually("memory to be given back", || async {
        let grown = api.resident_memory().saturating_sub(before);
        (grown < 32 << 20).then_some(())
    })
    .await;
    api.stop().await;
}
