//! A Laravel project's `.env`.

use protocol_tests::{TestServer, or_skip};

use crate::asked::{APP, Doctor, Findings};

/// A project without a mistake, but that it is not asked for pages.
const GOOD: &str = "\
APP_NAME=Shop
BROADCAST_CONNECTION=reverb
REVERB_APP_ID=10001
REVERB_APP_KEY=key-10001
REVERB_APP_SECRET=secret-10001
REVERB_HOST=ws.example.com
REVERB_PORT=443
REVERB_SCHEME=https
VITE_REVERB_APP_KEY=\"${REVERB_APP_KEY}\"
VITE_REVERB_HOST=\"${REVERB_HOST}\"
VITE_REVERB_PORT=\"${REVERB_PORT}\"
VITE_REVERB_SCHEME=\"${REVERB_SCHEME}\"
";

fn doctor(env: &str) -> Doctor {
    let doctor = Doctor::new();
    let file = doctor.file(".env", env);
    doctor
        .argument("--laravel")
        .argument(file.to_str().unwrap())
}

async fn found(env: &str) -> Findings {
    let found = doctor(env).ask().await;
    assert!(!format!("{found:?}").contains("secret-10001"), "{found:?}");
    found
}

#[tokio::test]
async fn a_project_without_a_mistake_is_said_to_be() {
    let found = found(GOOD).await;
    found.expect_well_but(&[]);
    let output = doctor(GOOD).run().await;
    assert_eq!(output.code, 0, "{output:?}");
    assert!(
        output.stdout.ends_with("nothing is wrong\n"),
        "{}",
        output.stdout
    );
}

#[tokio::test]
async fn each_known_mistake_is_found_by_itself() {
    for (right, wrong, id, level) in [
        (
            "REVERB_HOST=ws.example.com",
            "REVERB_HOST=0.0.0.0",
            "laravel.host",
            "error",
        ),
        (
            "REVERB_HOST=ws.example.com",
            "REVERB_HOST=https://ws.example.com",
            "laravel.host",
            "error",
        ),
        (
            "REVERB_PORT=443",
            "REVERB_PORT=8080",
            "laravel.scheme",
            "warn",
        ),
        (
            "REVERB_SCHEME=https",
            "REVERB_SCHEME=http",
            "laravel.scheme",
            "error",
        ),
        (
            "REVERB_APP_SECRET=secret-10001\n",
            "",
            "laravel.app",
            "error",
        ),
        (
            "\"${REVERB_APP_KEY}\"",
            "other",
            "laravel.pages.key",
            "error",
        ),
        (
            "\"${REVERB_HOST}\"",
            "other.test",
            "laravel.pages.place",
            "warn",
        ),
        (
            "VITE_REVERB_HOST=\"${REVERB_HOST}\"\n",
            "",
            "laravel.pages",
            "warn",
        ),
        (
            "APP_NAME=Shop",
            "VITE_REVERB_APP_SECRET=secret-10001",
            "laravel.pages.secret",
            "error",
        ),
        (
            "REVERB_SCHEME=https",
            "REVERB_SCHEME=\"https",
            "laravel.file",
            "error",
        ),
    ] {
        let env = GOOD.replace(right, wrong);
        assert_ne!(env, GOOD, "{right}");
        found(&env).await.expect(id, level, "");
    }
    for nothing in ["log", "null"] {
        let env = GOOD.replace(
            "BROADCAST_CONNECTION=reverb",
            &format!("BROADCAST_CONNECTION={nothing}"),
        );
        found(&env)
            .await
            .expect_error("laravel.connection", nothing);
    }
    let cluster = "BROADCAST_DRIVER=pusher\nPUSHER_APP_ID=1\nPUSHER_APP_KEY=k\nPUSHER_APP_SECRET=s\nPUSHER_APP_CLUSTER=mt1\n";
    found(cluster)
        .await
        .expect_error("laravel.host", "pusher.com");
}

#[tokio::test]
async fn a_project_is_held_against_the_relay_s_configuration() {
    for (from, to, words) in [
        ("", "", ""),
        ("id = \"10001\"", "id = \"7\"", "no app of the id"),
        ("key-10001", "other", "of another server"),
        ("secret-10001", "other", "is not the secret"),
    ] {
        let doctor = doctor(GOOD);
        let configuration = if from.is_empty() {
            APP.to_owned()
        } else {
            APP.replace(from, to)
        };
        let file = doctor.file("relay.toml", &configuration);
        let found = doctor
            .argument("--config")
            .argument(file.to_str().unwrap())
            .ask()
            .await;
        let level = if words.is_empty() { "ok" } else { "error" };
        found.expect("laravel.app", level, words);
    }
}

#[tokio::test]
async fn a_project_s_app_is_tried_at_the_address() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let url = format!("ws://{}", server.endpoint().authority);
    let (host, port) = server.endpoint().authority.split_once(':').unwrap();
    let env = GOOD
        .replace("ws.example.com", host)
        .replace("=443", &format!("={port}"))
        .replace("=https", "=http");
    let found = doctor(&env).argument("--url").argument(&url).ask().await;
    found.expect_ok("private");
    found.expect_ok("laravel.place");
    found.expect_well_but(&[]);
    let elsewhere = doctor(GOOD).argument("--url").argument(&url).ask().await;
    elsewhere.expect("laravel.place", "warn", "");
    let other = env.replace("REVERB_APP_KEY=key-10001", "REVERB_APP_KEY=other");
    let found = doctor(&other).argument("--url").argument(&url).ask().await;
    found.expect_error("key", "");
    server.finish().await;
}
