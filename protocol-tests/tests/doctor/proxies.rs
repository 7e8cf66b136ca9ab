//! Real proxies that do what they should not.

use protocol_tests::{AppConfig, Balancer, TestServer, or_skip};

use crate::asked::{APP, Doctor};

#[tokio::test]
async fn a_proxy_that_drops_upgrade_is_found() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let proxy = Balancer::nginx(&server.endpoint().authority).await;
    let found = Doctor::of(&format!("ws://{}", proxy.authority()), APP)
        .ask()
        .await;
    found.expect_ok("http");
    found.expect_ok("signature");
    found.expect_error("upgrade", "proxy_set_header Upgrade $http_upgrade");
    drop(proxy);
    server.finish().await;
}

#[tokio::test]
async fn a_proxy_that_cuts_silent_connections_is_found_and_measured() {
    let builder = TestServer::builder().set("server.path_prefix", "/relay");
    let server = or_skip!(builder.start().await);
    let proxy = Balancer::nginx_with(&server.endpoint().authority, "/relay/", 2).await;
    let doctor =
        Doctor::of(&format!("ws://{}/relay", proxy.authority()), APP).argument("--patient");
    let found = doctor.ask().await;
    found.expect_error("idle", "proxy_read_timeout");
    found.expect_well_but(&["idle"]);
    let text = found.of("idle")["text"].as_str().unwrap();
    let (_, after) = text.split_once("is cut ").unwrap();
    let seconds: f64 = after.split(' ').next().unwrap().parse().unwrap();
    assert!(seconds >= 1.9, "{text}");
    drop(proxy);
    server.finish().await;
}

#[tokio::test]
async fn silence_is_looked_at_where_connections_must_authorise_themselves() {
    let app = AppConfig::new("10001").set("authorized_connections_timeout", 1);
    let builder = TestServer::builder().app(app);
    let server = or_skip!(builder.set("server.path_prefix", "/relay").start().await);
    let proxy = Balancer::nginx_with(&server.endpoint().authority, "/relay/", 3).await;
    let url = format!("ws://{}/relay", proxy.authority());
    let found = Doctor::of(&url, APP).argument("--patient").ask().await;
    found.expect_error("idle", "is cut");
    found.expect_well_but(&["idle"]);
    // Who cannot subscribe is closed for that, and does not learn what a proxy would have done.
    let other = APP.replace("secret-10001", "other");
    let found = Doctor::of(&url, &other).argument("--patient").ask().await;
    found.expect("idle", "warn", "authorized_connections_timeout");
    drop(proxy);
    server.finish().await;
}

#[tokio::test]
async fn a_relay_beside_a_site_that_has_its_own_up_is_looked_at() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let authority = &server.endpoint().authority;
    // /app/ and /apps/, as for Reverb beside a site of Laravel.
    let proxy = Balancer::nginx_with(authority, "/app", 60).await;
    let url = format!("ws://{}", proxy.authority());
    let found = Doctor::of(&url, APP).ask().await;
    found.expect("http", "warn", "/up is not passed on");
    for id in ["signature", "upgrade", "private", "presence"] {
        found.expect_ok(id);
    }
    found.expect_well_but(&["http"]);
    let other = APP.replace("key-10001", "other");
    let found = Doctor::of(&url, &other).ask().await;
    found.expect("http", "warn", "/up is not passed on");
    found.expect_error("key", "");
    let publishes_only = Balancer::nginx_with(authority, "/apps", 60).await;
    let url = format!("ws://{}", publishes_only.authority());
    let found = Doctor::of(&url, APP).ask().await;
    found.expect_ok("signature");
    found.expect_error("upgrade", "proxy_set_header Upgrade");
    found.expect_well_but(&["http", "upgrade"]);
    drop((proxy, publishes_only));
    server.finish().await;
}

#[tokio::test]
async fn a_path_that_is_missing_is_found_and_named() {
    let builder = TestServer::builder().set("server.path_prefix", "/relay");
    let server = or_skip!(builder.start().await);
    let proxy = Balancer::nginx_with(&server.endpoint().authority, "/relay/", 60).await;
    let configuration = format!("[server]\npath_prefix = \"/relay\"\n{APP}");
    let url = format!("ws://{}", proxy.authority());
    let found = Doctor::of(&url, &configuration).ask().await;
    found.expect_error("path_prefix", &format!("{url}/relay"));
    let right = Doctor::of(&format!("{url}/relay"), &configuration);
    right.ask().await.expect_well_but(&[]);
    drop(proxy);
    server.finish().await;
}

#[tokio::test]
async fn a_proxy_whose_relay_is_away_is_found() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let proxy = Balancer::nginx(&server.endpoint().authority).await;
    server.finish().await;
    let found = Doctor::of(&format!("ws://{}", proxy.authority()), APP)
        .ask()
        .await;
    found.expect_error("http", "does not reach the relay");
}
