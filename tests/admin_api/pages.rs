//! Web pages of other sites, which somebody's browser has open.

use protocol_tests::connection::Connection;
use protocol_tests::http::read_response;
use protocol_tests::{Response, TestServer, Upgrade, or_skip};
use serde_json::Value;

use crate::support::{Admin, TOKEN, reason, start};

/// Every method and path that there is, with something for what may be anything.
async fn everything(server: &TestServer) -> Vec<(String, String)> {
    let document = Admin::of(server).get("/api/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    let methods = |(path, operations): (&String, &Value)| {
        let path = path
            .replace("{socket_id}", "1.2")
            .replace("{app}", &server.app().id);
        let path = path.replace(['{', '}'], "");
        let methods: Vec<String> = operations.as_object().unwrap().keys().cloned().collect();
        methods
            .into_iter()
            .map(move |method| (method.to_uppercase(), path.clone()))
    };
    let all: Vec<_> = paths.iter().flat_map(methods).collect();
    assert!(all.len() > 15, "{all:?}");
    all
}

/// Asks as a browser that has the right token, but for this header.
async fn asked(server: &TestServer, method: &str, path: &str, header: (&str, &str)) -> Response {
    let admin = &server.admin_endpoint().unwrap().authority;
    let mut upgrade = Upgrade::new(path).header("Authorization", &format!("Bearer {TOKEN}"));
    upgrade.method = method.to_owned();
    let mut host = admin.as_str();
    match header {
        ("Host", value) => host = value,
        (name, value) => upgrade = upgrade.header(name, value),
    }
    let mut connection = Connection::open(admin).await;
    connection.send(&upgrade.encode(host, "")).await;
    read_response(&mut connection, method).await.unwrap()
}

#[tokio::test]
async fn get_nothing_whatever_they_ask_for() {
    let server = or_skip!(start().await);
    let port = server.admin_endpoint().unwrap().authority.clone();
    let port = port.rsplit(':').next().unwrap();
    let rebound = format!("evil.example:{port}");
    for (method, path) in everything(&server).await {
        for (header, status) in [
            (("Host", rebound.as_str()), 421),
            (("Origin", "https://evil.example"), 403),
            (("Origin", "null"), 403),
        ] {
            let response = asked(&server, &method, &path, header).await;
            assert_eq!(response.status, status, "{method} {path} {header:?}");
            assert!(!reason(&response).is_empty());
            assert_eq!(response.header("access-control-allow-origin"), None);
        }
        if path != "/" {
            for site in ["cross-site", "same-site"] {
                let response = asked(&server, &method, &path, ("Sec-Fetch-Site", site)).await;
                assert_eq!(response.status, 403, "{method} {path} {site}");
            }
        }
    }
    let metrics = server.metrics().await;
    let refused = |reason| metrics.sum("fanfare_admin_refused_total", &[("reason", reason)]);
    assert!(refused("foreign_host") > 15.0 && refused("foreign_page") > 60.0);
    server.finish().await;
}

#[tokio::test]
async fn may_not_ask_what_they_may_ask() {
    let server = or_skip!(start().await);
    let preflight = ("Access-Control-Request-Method", "DELETE");
    let path = format!("/api/apps/{}/connections", server.app().id);
    let response = asked(&server, "OPTIONS", &path, preflight).await;
    assert_eq!(response.status, 405);
    assert_eq!(response.header("access-control-allow-methods"), None);
    server.finish().await;
}

#[tokio::test]
async fn names_that_are_configured_are_answered_to() {
    let server = crate::support::locked().set("admin.hosts", vec!["ops.example.com"]);
    let server = or_skip!(server.start().await);
    let response = asked(&server, "GET", "/api/whoami", ("Host", "Ops.example.com")).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let response = asked(&server, "GET", "/api/whoami", ("Host", "example.com")).await;
    assert_eq!(response.status, 421);
    server.finish().await;
}
