//! The document of the API, and that all answers as it says.

use std::collections::{BTreeMap, BTreeSet};

use protocol_tests::{Request, Response, TestServer, WsClient, or_skip};
use serde_json::{Value, json};

use crate::schema::check;
use crate::support::{Admin, start};

/// What is asked of each operation that ends no connection, and of those that do, in this order.
const ASKED: &[(&str, &str)] = &[
    ("Index", "/"),
    ("ConsoleFile", "/console/console.css"),
    ("Health", "/health"),
    ("Metrics", "/metrics"),
    ("Document", "/api/openapi.json"),
    ("WhoAmI", "/api/whoami"),
    ("MakeTicket", "/api/tickets"),
    ("Apps", "/api/apps?limit=10"),
    ("App", "/api/apps/APP"),
    ("CreateApp", "/api/apps"),
    ("StoredApps", "/api/apps_database?limit=1"),
    ("ChangeApp", "/api/apps/new"),
    ("RotateKeys", "/api/apps/new/rotate"),
    ("RemoveKey", "/api/apps/new/keys/new-key"),
    ("RemoveApp", "/api/apps/new"),
    ("Channels", "/api/apps/APP/channels?prefix=p"),
    ("Channel", "/api/apps/APP/channels/presence-room"),
    ("Members", "/api/apps/APP/channels/presence-room/members"),
    ("Connections", "/api/apps/APP/connections"),
    ("Connection", "/api/apps/APP/connections/SOCKET"),
    ("SendEvent", "/api/apps/APP/events"),
    ("Webhooks", "/api/apps/APP/webhooks"),
    ("TestWebhooks", "/api/apps/hooked/webhooks/test"),
    ("StartDoctor", "/api/apps/APP/doctor"),
    ("Doctor", "/api/doctor"),
    ("StopDoctor", "/api/doctor"),
    ("History", "/api/history?last=3"),
    ("Config", "/api/config"),
    ("Nodes", "/api/nodes"),
    ("CloseUser", "/api/apps/APP/users/nobody/connections"),
    ("CloseConnection", "/api/apps/APP/connections/SOCKET"),
    (
        "CloseNamedUser",
        "/api/apps/APP/users/connections?user=nobody",
    ),
    ("CloseApp", "/api/apps/APP/connections?all=true"),
    ("Drain", "/api/drain"),
];

/// Asked otherwise: it is a WebSocket, which other tests open.
const STREAM: &str = "Stream";

/// What goes with an operation that takes a body.
fn body_of(id: &str) -> Value {
    match id {
        "SendEvent" => json!({ "name": "x", "channels": ["y"], "data": "z" }),
        "CreateApp" => json!({ "id": "new", "key": "new-key" }),
        "StartDoctor" => json!({ "url": "ws://127.0.0.1:9" }),
        "ChangeApp" => json!({ "client_events": false }),
        other => panic!("{other} takes a body"),
    }
}

/// Method, path and operation by their id.
fn operations(document: &Value) -> BTreeMap<String, (String, String, Value)> {
    let mut operations = BTreeMap::new();
    for (path, of_path) in document["paths"].as_object().unwrap() {
        for (method, operation) in of_path.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            let known =
                operations.insert(id, (method.to_uppercase(), path.clone(), operation.clone()));
            assert!(known.is_none());
        }
    }
    operations
}

fn is_of(path: &str, template: &str) -> bool {
    let path = path.split('?').next().unwrap();
    let pairs = path.split('/').zip(template.split('/'));
    path.split('/').count() == template.split('/').count()
        && pairs
            .into_iter()
            .all(|(given, wanted)| given == wanted || wanted.starts_with('{'))
}

/// Holds an answer to what the document says of the operation.
fn hold(document: &Value, operation: &Value, response: &Response) {
    let described = &operation["responses"][response.status.to_string()];
    assert!(
        described.is_object(),
        "{} answers {}: {}",
        operation["operationId"],
        response.status,
        response.text()
    );
    let described = match described["$ref"].as_str() {
        Some(target) => document.pointer(target.trim_start_matches('#')).unwrap(),
        None => described,
    };
    let Some(content) = described["content"].as_object() else {
        assert!(response.body.is_empty(), "{}", response.text());
        return;
    };
    let kind = response.header("content-type").unwrap();
    let (described, media) = content.iter().next().unwrap();
    assert!(kind.starts_with(described.as_str()), "{kind}");
    let value = match described.as_str() {
        "application/json" => response.json(),
        _ => response.text().into(),
    };
    check(document, &media["schema"], &value).unwrap();
}

/// What must be in the query of an operation.
fn needed(operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let needed = parameters.filter(|it| it["in"] == "query" && it["required"] == true);
    let needed = needed.map(|it| format!("{}=true", it["name"].as_str().unwrap()));
    let needed: Vec<String> = needed.collect();
    format!("?{}", needed.join("&"))
}

async fn connected(server: &TestServer) -> WsClient {
    let mut client = server.connect().await;
    client
        .subscribe_presence("presence-room", "ada", json!({}))
        .await;
    client
}

#[tokio::test]
async fn every_route_answers_as_it_says() {
    let server = or_skip!(start().await);
    let client = connected(&server).await;
    let mut admin = Admin::of(&server);
    // Nobody listens there.
    let webhook = json!({ "url": "http://127.0.0.1:9/", "events": ["cache_miss"] });
    let hooked = json!({ "id": "hooked", "webhooks": [webhook] });
    admin.post("/api/apps", &hooked).await.expect_status(201);
    let document = admin.get("/api/openapi.json").await;
    let operations = operations(&document);
    let asked: BTreeSet<&str> = ASKED.iter().map(|(id, _)| *id).chain([STREAM]).collect();
    let described: BTreeSet<&str> = operations.keys().map(String::as_str).collect();
    assert_eq!(asked, described);
    for (id, path) in ASKED {
        let (method, template, operation) = &operations[*id];
        let path = path
            .replace("APP", &server.app().id)
            .replace("SOCKET", &client.socket_id);
        assert!(is_of(&path, template), "{path} is not {template}");
        let request = Request::new(method, &path);
        let request = match operation.get("requestBody") {
            Some(_) => request.json(&body_of(id)),
            None => request,
        };
        let response = admin.send(request).await;
        assert!(
            response.status < 300,
            "{id}: {} {}",
            response.status,
            response.text()
        );
        hold(&document, operation, &response);
    }
    drop(client);
    server.exited().await.expect_clean();
}

#[tokio::test]
async fn every_route_refuses_as_it_says() {
    let server = or_skip!(start().await);
    let document = Admin::of(&server).get("/api/openapi.json").await;
    for (id, (method, template, operation)) in &operations(&document) {
        let path = template
            .replace("{app}", "nobody")
            .replace("{socket_id}", "x");
        let path = path.replace(['{', '}'], "");
        let needs_token = operation["security"] != json!([]);
        if needs_token {
            let mut nobody = Admin::with(&server, None);
            let response = nobody.send(Request::new(method, &path)).await;
            assert_eq!(response.status, 401, "{method} {path}");
            hold(&document, operation, &response);
        }
        if path.contains("nobody") {
            let path = format!("{path}{}", needed(operation));
            let request = Request::new(method, &path);
            let request = match operation.get("requestBody") {
                Some(_) => request.json(&body_of(id)),
                None => request,
            };
            let response = Admin::of(&server).send(request).await;
            assert_eq!(response.status, 404, "{method} {path}: {}", response.text());
            hold(&document, operation, &response);
        }
        let mut admin = Admin::of(&server);
        for wrong in [
            format!("{path}?nonsense=1"),
            template.replace(['{', '}'], "%ff"),
        ] {
            if wrong != path {
                let response = admin.send(Request::new(method, &wrong)).await;
                let is_bad = response.status == 400;
                assert!(is_bad || !needs_token || id == STREAM, "{wrong}");
                assert!(!is_bad || needs_token || wrong.contains("%ff"), "{wrong}");
                hold(&document, operation, &response);
            }
        }
    }
    server.finish().await;
}
