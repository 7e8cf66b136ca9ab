//! A relay that is reached: key, secret, origin, clock, round trips.

use protocol_tests::{App, AppConfig, Balancer, TestServer, or_skip};

use crate::asked::{APP, Doctor};

#[tokio::test]
async fn a_relay_that_is_well_is_said_to_be() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let found = Doctor::of_server(&server).ask().await;
    for id in [
        "dns",
        "tcp",
        "http",
        "version",
        "clock",
        "signature",
        "upgrade",
        "private",
        "presence",
    ] {
        found.expect_ok(id);
    }
    found.expect_well_but(&[]);
    let output = Doctor::of_server(&server).run().await;
    assert!(
        output.stdout.contains("ok     private: a private channel"),
        "{}",
        output.stdout
    );
    assert!(!output.stdout.contains("secret-10001"));
    server.finish().await;
}

#[tokio::test]
async fn a_key_that_the_relay_does_not_have_is_found() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let other = APP.replace("key-10001", "other");
    let url = format!("ws://{}", server.endpoint().authority);
    let found = Doctor::of(&url, &other).ask().await;
    found.expect_error("key", "does not know the app's key");
    found.expect_error("signature", "");
    server.finish().await;
}

#[tokio::test]
async fn an_app_that_the_relay_does_not_have_is_found() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let other = APP.replace("id = \"10001\"", "id = \"7\"");
    let url = format!("ws://{}", server.endpoint().authority);
    Doctor::of(&url, &other)
        .ask()
        .await
        .expect_error("signature", "");
    server.finish().await;
}

#[tokio::test]
async fn a_wrong_secret_is_found_and_not_shown() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let other = APP.replace("secret-10001", "wr0ng-s3cret");
    let url = format!("ws://{}", server.endpoint().authority);
    let found = Doctor::of(&url, &other).ask().await;
    found.expect_error("signature", "refuses the signature");
    found.expect_error("private", "subscription is not confirmed");
    assert!(!format!("{found:?}").contains("wr0ng-s3cret"));
    server.finish().await;
}

#[tokio::test]
async fn an_origin_that_may_not_connect_is_found() {
    let app = AppConfig::new("10001").set("allowed_origins", vec!["https://shop.test"]);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let asked = |origin: Option<&str>| {
        let doctor = Doctor::of_server(&server);
        match origin {
            Some(origin) => doctor.argument("--origin").argument(origin),
            None => doctor,
        }
    };
    let foreign = asked(Some("https://evil.test")).ask().await;
    foreign.expect_error("origin", "https://evil.test");
    asked(None).ask().await.expect_error("origin", "--origin");
    let own = asked(Some("https://shop.test")).ask().await;
    own.expect_ok("origin");
    own.expect_well_but(&[]);
    // Whoever has the relay's configuration need not say which.
    let known = APP.to_owned() + "allowed_origins = [\"https://shop.test\"]\n";
    let url = format!("ws://{}", server.endpoint().authority);
    let found = Doctor::of(&url, &known).ask().await;
    found.expect("origin", "ok", "https://shop.test");
    found.expect_well_but(&[]);
    server.finish().await;
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_found() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let late = Doctor::of_server(&server).by(&["faketime", "-f", "-20m"]);
    let found = late.ask().await;
    found.expect_error("clock", "NTP");
    found.expect_error("signature", "auth_timestamp");
    let a_little = Doctor::of_server(&server).by(&["faketime", "-f", "+60s"]);
    let found = a_little.ask().await;
    found.expect("clock", "warn", "");
    found.expect_well_but(&["clock"]);
    server.finish().await;
}

#[tokio::test]
async fn an_app_that_is_disabled_is_found() {
    let app = AppConfig::new("10001").set("enabled", false);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let found = Doctor::of_server(&server).ask().await;
    found.expect_error("key", "disabled");
    let App { id, .. } = server.app();
    assert_eq!(id, "10001");
    server.finish().await;
}

#[tokio::test]
async fn a_relay_of_another_version_is_found() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let target = &server.endpoint().authority;
    for (answer, words) in [
        (r#"{"app":"Fanfare","version":"0.0.1"}"#, "Fanfare 0.0.1"),
        ("It works!", "does not name itself"),
    ] {
        let piece = format!(
            "location = / {{ return 200 '{answer}'; }}\n\
             location / {{\nproxy_pass http://{target};\nproxy_http_version 1.1;\n\
             proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection \"upgrade\";\n}}\n"
        );
        let proxy = Balancer::configured("nginx", &piece).await;
        let url = format!("ws://{}", proxy.authority());
        let found = Doctor::of(&url, APP).ask().await;
        found.expect("version", "warn", words);
        found.expect_well_but(&["version"]);
        drop(proxy);
    }
    server.finish().await;
}

#[tokio::test]
async fn a_limit_on_open_files_that_is_low_is_found() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let limited = Doctor::of_server(&server).by(&["prlimit", "--nofile=1000:1000", "--"]);
    let found = limited.ask().await;
    found.expect("files", "warn", "1000 files");
    found.expect("files", "warn", "LimitNOFILE");
    found.expect_well_but(&[]);
    server.finish().await;
}
