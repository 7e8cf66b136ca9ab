//! Which paths there are, with which methods, and what every answer carries.

use protocol_tests::{AppConfig, PublishedEvent, Request, Response, TestServer, or_skip};

use crate::support::{assert_refused, expect_refused, publish};

const POSTED: [&str; 3] = ["/events", "/batch_events", "/users/1/terminate_connections"];
const GOTTEN: [&str; 3] = ["/channels", "/channels/a", "/channels/presence-a/users"];

fn signed(server: &TestServer, method: &str, path: &str) -> Request {
    let app = server.app();
    Request::new(method, &format!("/apps/{}{path}", app.id)).signed(app)
}

#[tokio::test]
async fn wrong_method_is_405_naming_the_right_ones() {
    let server = TestServer::start().await;
    for (paths, right) in [(POSTED, "POST"), (GOTTEN, "GET")] {
        for path in paths {
            for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
                if method == right {
                    continue;
                }
                let response = server.request(&signed(&server, method, path)).await;
                assert_refused(&response, 405, right);
                let allow = response.header("allow").unwrap_or_default();
                let mut allowed = allow.split(',').map(str::trim);
                assert!(
                    allowed.any(|allowed| allowed == right),
                    "{method} {path}: {allow}"
                );
            }
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn unknown_methods_are_refused_and_do_no_harm() {
    let server = TestServer::start().await;
    for method in ["BREW", "get", "TRACE", "PROPFIND", "X"] {
        let response = server.request(&signed(&server, method, "/channels")).await;
        assert!(
            matches!(response.status, 400 | 405 | 501),
            "{method}: {} {}",
            response.status,
            response.text()
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn unknown_app_is_404_for_every_call() {
    let server = TestServer::start().await;
    let nobody = protocol_tests::App {
        id: "nobody".to_owned(),
        ..server.app().clone()
    };
    for path in POSTED {
        let request = Request::post(&nobody, path);
        expect_refused(&server, &request, 404, "app").await;
    }
    for path in GOTTEN {
        let request = Request::get(&nobody, path);
        expect_refused(&server, &request, 404, "app").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn paths_that_are_not_served_are_404() {
    let server = TestServer::start().await;
    let mut served = Vec::new();
    for path in [
        "",
        "/",
        "/event",
        "/events/1",
        "/events//1",
        "/batch_events/1",
        "/batch_events//1",
        "/channels//users",
        "/channels//",
        "/channels/presence-a/members",
        "/channels/presence-a/users/1",
        "/channels/presence-a//users",
        "/users",
        "/users/1",
        "/users//terminate_connections",
        "/users/1/terminate",
        "/../x/channels",
        "/EVENTS",
    ] {
        for method in ["GET", "POST"] {
            let response = server.request(&signed(&server, method, path)).await;
            assert!(!response.body.is_empty(), "an error is explained");
            if response.status != 404 {
                served.push(format!("{method} {path}: {}", response.status));
            }
        }
    }
    for path in [
        "/apps",
        "/apps/",
        "/app",
        "/favicon.ico",
        "/metrics",
        "/stream",
        "/apps//events",
    ] {
        let response = server.request(&Request::new("GET", path)).await;
        if response.status != 404 {
            served.push(format!("GET {path}: {}", response.status));
        }
    }
    assert!(served.is_empty(), "{served:#?}");
    server.finish().await;
}

#[tokio::test]
async fn disabled_app_is_403_for_every_call() {
    let config = AppConfig::new("10001").set("enabled", false);
    let enabled = AppConfig::new("20002");
    let server = or_skip!(TestServer::builder().app(config).app(enabled).start().await);
    let app = server.app();
    let event = PublishedEvent::new("public", "x", "");
    expect_refused(&server, &publish(app, &event), 403, "disabled").await;
    for path in POSTED {
        expect_refused(&server, &Request::post(app, path), 403, "disabled").await;
    }
    for path in GOTTEN {
        expect_refused(&server, &Request::get(app, path), 403, "disabled").await;
    }
    server.publish_to(server.second_app(), event).await;
    server.finish().await;
}

#[tokio::test]
async fn head_is_answered_as_get_without_the_body() {
    let server = TestServer::start().await;
    let mut http = server.http();
    for path in GOTTEN {
        let get = http
            .send(&signed(&server, "GET", path))
            .await
            .expect_status(200);
        let head = http.send(&signed(&server, "HEAD", path)).await;
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"));
        if let Some(length) = head.header("content-length") {
            assert_eq!(length, get.body.len().to_string());
        }
    }
    // A body after HEAD would be taken for the next answer.
    let after = http.send(&signed(&server, "GET", "/channels")).await;
    after.expect_status(200).json();
    assert_eq!(http.opened(), 1);
    server.finish().await;
}

#[tokio::test]
async fn options_names_the_methods_and_lets_no_page_of_another_origin_in() {
    let server = TestServer::start().await;
    for (paths, method) in [(POSTED, "POST"), (GOTTEN, "GET")] {
        for path in paths {
            let request = Request::new("OPTIONS", &format!("/apps/{}{path}", server.app().id))
                .header("Origin", "https://example.com")
                .header("Access-Control-Request-Method", method)
                .header("Access-Control-Request-Headers", "content-type");
            let response = server.request(&request).await.expect_status(204);
            let allow = response.header("allow").unwrap_or_default();
            assert!(allow.contains(method), "{path}: {allow}");
            assert_no_cors(&response);
        }
    }
    server.finish().await;
}

/// The HTTP API is for backends: a page that could use it would know the secret.
fn assert_no_cors(response: &Response) {
    for name in ["origin", "methods", "headers", "credentials"] {
        let header = response.header(&format!("access-control-allow-{name}"));
        assert_eq!(header, None, "access-control-allow-{name}");
    }
}

#[tokio::test]
async fn every_answer_is_json_and_no_page_of_another_origin_may_read_it() {
    let server = TestServer::start().await;
    let event = PublishedEvent::new("public", "x", "");
    for (request, status) in [
        (publish(server.app(), &event), 200),
        (signed(&server, "GET", "/channels"), 200),
        (
            signed(&server, "POST", "/users/1/terminate_connections"),
            200,
        ),
        (Request::post(server.app(), "/events").body("{"), 400),
        (publish(server.app(), &event).secret("a guess"), 401),
        (signed(&server, "GET", "/nothing"), 404),
        (signed(&server, "GET", "/events"), 405),
        (
            publish(
                server.app(),
                &PublishedEvent::new("c", "x", "x".repeat(20_000)),
            ),
            413,
        ),
        (Request::new("GET", "/up"), 200),
    ] {
        let request = request.header("Origin", "https://example.com");
        let response = server.request(&request).await.expect_status(status);
        let kind = response.header("content-type").unwrap_or_default();
        let base = kind.split(';').next().unwrap_or_default();
        assert_eq!(base, "application/json", "{status}");
        response.json();
        assert_no_cors(&response);
    }
    server.finish().await;
}

#[tokio::test]
async fn body_is_json_whatever_its_content_type() {
    let server = TestServer::start().await;
    for kind in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "text/plain",
        "application/x-www-form-urlencoded",
        "nonsense",
    ] {
        let event = PublishedEvent::new("public", "x", "");
        let request = publish(server.app(), &event).header("Content-Type", kind);
        server.request(&request).await.expect_status(200);
    }
    server.finish().await;
}
