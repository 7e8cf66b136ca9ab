//! Relays that refuse the client with a code.

use protocol_tests::{AppConfig, Balancer, TestServer, TestServerBuilder, or_skip};

use crate::asked::{APP, Doctor};

/// What is found of a relay that one client is connected to.
async fn with_one_client(relay: TestServerBuilder, code: &str, remedy: &str) {
    let server = or_skip!(relay.start().await);
    let client = server.connect().await;
    let found = Doctor::of_server(&server).ask().await;
    found.expect_error("connect", code);
    found.expect_error("connect", remedy);
    found.expect_well_but(&["connect"]);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn an_app_that_has_as_many_connections_as_it_may_is_found() {
    let app = AppConfig::new("10001").limit("max_connections", 1);
    let relay = TestServer::builder().app(app);
    with_one_client(relay, "4004", "fanfare_connections").await;
}

#[tokio::test]
async fn a_relay_that_is_full_is_found() {
    let relay = TestServer::builder().set("server.max_connections", 1);
    with_one_client(relay, "4100", "server.max_connections (0").await;
}

#[tokio::test]
async fn an_address_that_has_as_many_connections_as_it_may_is_found() {
    let relay = TestServer::builder().set("server.connections_per_address", 1);
    with_one_client(relay, "4100", "server.trusted_proxies").await;
}

#[tokio::test]
async fn a_key_that_may_be_in_a_database_that_is_away_is_found() {
    let relay = TestServer::builder().app(AppConfig::new("20002"));
    let relay = relay.set("apps_database.url", "mysql://me@127.0.0.1:9/apps");
    let server = or_skip!(relay.start().await);
    let found = Doctor::of_server(&server).ask().await;
    found.expect_error("connect", "4100");
    found.expect_error("connect", "apps_database.url");
    server.finish().await;
}

#[tokio::test]
async fn a_proxy_that_passes_no_query_on_is_found() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let target = &server.endpoint().authority;
    for (query, code) in [
        ("", "4008"),
        ("?protocol=9", "4007"),
        ("?protocol=seven", "4006"),
    ] {
        let piece = format!(
            "location / {{ proxy_pass http://{target}; }}\n\
             location /app/ {{\nproxy_pass http://{target}$uri{query};\nproxy_http_version 1.1;\n\
             proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection \"upgrade\";\n}}\n"
        );
        let proxy = Balancer::configured("nginx", &piece).await;
        let url = format!("ws://{}", proxy.authority());
        let found = Doctor::of(&url, APP).ask().await;
        found.expect_error("connect", code);
        found.expect_error("connect", "pass the query on");
        found.expect_well_but(&["connect"]);
        drop(proxy);
    }
    server.finish().await;
}
