//! Every request is signed: what a signature covers, and what a refusal says.

use protocol_tests::request::now;
use protocol_tests::sign::{hmac_sha256_hex, http_string_to_sign, md5_hex};
use protocol_tests::{AppConfig, PublishedEvent, Request, TestServer, or_skip};

use crate::support::{assert_refused, expect_refused, publish, refusal_text, subscriber};

fn signed_publish(server: &TestServer) -> Request {
    let event = PublishedEvent::new(&server.channel("signed-"), "x", "y");
    publish(server.app(), &event)
}

/// What a request carries, to be sent in other words: method, path with query and body of a request without a signing
/// of its own.
fn as_sent(request: &Request) -> (String, String, Vec<u8>) {
    (
        request.method.clone(),
        request.target(""),
        request.body.clone(),
    )
}

#[tokio::test]
async fn documented_request_is_refused_for_its_age_alone() {
    let app = AppConfig::new("3")
        .set("key", "278d425bdf160c739803")
        .set("secret", "7ad3773142a6692b25b8");
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let target = "/apps/3/events?body_md5=ec365a775a4cd0599faeb73354201b6f&auth_version=1.0\
                  &auth_key=278d425bdf160c739803&auth_timestamp=1353088179\
                  &auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c";
    let body = r#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
    // The time of the documentation has passed; its signature is a vector of the unit tests.
    let documented = Request::new("POST", target).body(body);
    expect_refused(&server, &documented, 401, "auth_timestamp").await;
    let signed_today = Request::post(server.app(), "/events").body(body);
    let response = server.request(&signed_today).await.expect_status(200);
    assert_eq!(response.text(), "{}");
    server.finish().await;
}

#[tokio::test]
async fn any_missing_auth_parameter_is_401_naming_it() {
    let server = TestServer::start().await;
    for parameter in [
        "auth_key",
        "auth_timestamp",
        "auth_version",
        "auth_signature",
        "body_md5",
    ] {
        let request = signed_publish(&server).without(parameter);
        expect_refused(&server, &request, 401, parameter).await;
        if parameter != "body_md5" {
            let request = Request::get(server.app(), "/channels").without(parameter);
            expect_refused(&server, &request, 401, parameter).await;
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn any_empty_auth_parameter_is_401_naming_it() {
    let server = TestServer::start().await;
    let request = || signed_publish(&server);
    for (request, parameter) in [
        (request().auth_key(""), "auth_key"),
        (request().timestamp(""), "auth_timestamp"),
        (request().auth_version(""), "auth_version"),
        (request().signature(""), "auth_signature"),
        (request().body_md5(""), "body_md5"),
    ] {
        expect_refused(&server, &request, 401, parameter).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn every_call_must_be_signed() {
    let server = TestServer::start().await;
    let app = server.app();
    for (method, path) in [
        ("POST", "/events"),
        ("POST", "/batch_events"),
        ("GET", "/channels"),
        ("GET", "/channels/a"),
        ("GET", "/channels/presence-a/users"),
        ("POST", "/users/1/terminate_connections"),
    ] {
        let unsigned = Request::new(method, &format!("/apps/{}{path}", app.id));
        expect_refused(&server, &unsigned, 401, "auth_key").await;
        let forged = unsigned.signed(&app.with_pair(&app.key, "a guess"));
        expect_refused(&server, &forged, 401, "auth_signature").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn unknown_key_is_401_naming_auth_key() {
    let server = TestServer::start().await;
    let key = &server.app().key;
    for unknown in ["nobody", &format!("{key} "), &format!("{key}0"), &key[1..]] {
        let request = signed_publish(&server).auth_key(unknown);
        expect_refused(&server, &request, 401, "auth_key").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn version_other_than_1_0_is_401_naming_auth_version() {
    let server = TestServer::start().await;
    for version in ["1", "1.1", "2.0", "01.0", "1.0.0", " 1.0"] {
        let request = signed_publish(&server).auth_version(version);
        expect_refused(&server, &request, 401, "auth_version").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn wrong_signature_is_401_naming_auth_signature() {
    let server = TestServer::start().await;
    let right = signed_publish(&server);
    let target = right.target("");
    let (_, signature) = target.rsplit_once('=').expect("the signature comes last");
    let flipped = match signature.strip_prefix('0') {
        Some(rest) => format!("1{rest}"),
        None => format!("0{}", &signature[1..]),
    };
    for wrong in [
        flipped.as_str(),
        &signature[..63],
        &signature[1..],
        &format!("{signature}0"),
        &format!("{signature}{signature}"),
        &"0".repeat(64),
        &"z".repeat(64),
        &"ü".repeat(32),
        "\0",
    ] {
        let request = right.clone().signature(wrong);
        expect_refused(&server, &request, 401, "auth_signature").await;
    }
    server.request(&right).await.expect_status(200);
    server.finish().await;
}

#[tokio::test]
async fn signature_covers_method_path_and_query() {
    let server = TestServer::start().await;
    let signed = Request::get(server.app(), "/channels").query("info", "subscription_count");
    let (_, target, _) = as_sent(&signed);
    for changed in [
        target.replace("/channels?", "/channels/presence-a/users?"),
        target.replace("subscription_count", "user_count"),
        target.replace("info=subscription_count&", ""),
        format!("{target}&filter_by_prefix=a"),
        format!("{target}&x"),
    ] {
        assert_ne!(changed, target);
        let request = Request::new("GET", &changed);
        expect_refused(&server, &request, 401, "auth_signature").await;
    }
    // A path that is served with both methods.
    let head = server.request(&Request::new("HEAD", &target)).await;
    head.expect_status(401);
    let unchanged = server.request(&Request::new("GET", &target)).await;
    unchanged.expect_status(200);
    server.finish().await;
}

#[tokio::test]
async fn signature_covers_the_body_by_its_md5() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "signed-").await;
    let signed = publish(server.app(), &PublishedEvent::new(&channel, "x", "signed"));
    let (method, target, body) = as_sent(&signed);
    let other = String::from_utf8_lossy(&body).replace("signed\"", "forged\"");
    let with_other_body = Request::new(&method, &target).body(other.clone());
    expect_refused(&server, &with_other_body, 401, "body_md5").await;
    let without_body = Request::new(&method, &target);
    expect_refused(&server, &without_body, 401, "body_md5").await;
    let replaced = target.replace(&md5_hex(&body), &md5_hex(other.as_bytes()));
    let with_other_md5 = Request::new(&method, &replaced).body(other);
    expect_refused(&server, &with_other_md5, 401, "auth_signature").await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn md5_of_another_body_is_401_naming_body_md5_though_it_is_signed() {
    let server = TestServer::start().await;
    for md5 in [&md5_hex(b"another"), "0", &"z".repeat(32)] {
        let request = signed_publish(&server).body_md5(md5);
        expect_refused(&server, &request, 401, "body_md5").await;
        let request = Request::get(server.app(), "/channels").body_md5(md5);
        expect_refused(&server, &request, 401, "body_md5").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn md5_of_the_empty_body_is_accepted() {
    // The Python library sends one with every GET, and Sockudo refused it.
    let server = TestServer::start().await;
    let empty = md5_hex(b"");
    for request in [
        Request::get(server.app(), "/channels"),
        Request::get(server.app(), "/channels/a"),
        Request::post(server.app(), "/users/1/terminate_connections"),
    ] {
        server.request(&request).await.expect_status(200);
        let with_md5 = request.body_md5(&empty);
        server.request(&with_md5).await.expect_status(200);
    }
    server.finish().await;
}

#[tokio::test]
async fn wrong_signature_is_shown_the_string_to_sign_and_the_servers_time() {
    let server = TestServer::start().await;
    let app = server.app();
    let timestamp = now() - 300;
    let request = signed_publish(&server)
        .timestamp(&timestamp.to_string())
        .secret("a guess");
    let response = server.request(&request).await;
    assert_refused(&response, 401, "auth_signature");
    let text = refusal_text(&response);
    let query = format!(
        "auth_key={}&auth_timestamp={timestamp}&auth_version=1.0&body_md5={}",
        app.key,
        md5_hex(&request.body)
    );
    for part in ["POST", &format!("/apps/{}/events", app.id), &query] {
        assert!(text.contains(part), "{part} is not shown: {text}");
    }
    let numbers = text.split(|c: char| !c.is_ascii_digit());
    let shows_time = numbers
        .filter_map(|number| number.parse::<u64>().ok())
        .any(|number| number.abs_diff(now()) < 60);
    assert!(shows_time, "the server's time is not shown: {text}");
    server.finish().await;
}

#[tokio::test]
async fn error_bodies_never_hold_a_secret_or_a_valid_signature() {
    let config = AppConfig::new("10001").extra_key("old-key", "old-hidden");
    let server = or_skip!(TestServer::builder().app(config).start().await);
    let app = server.app();
    let old = app.with_pair("old-key", "old-hidden");
    let request = || signed_publish(&server);
    for refused in [
        request().secret("a guess"),
        request().signature(&"0".repeat(64)),
        request().without("auth_signature"),
        request().without("body_md5"),
        request().auth_key("nobody"),
        request().timestamp("1"),
        request().auth_version("2"),
        request().body_md5("0"),
        request().auth_key(&old.key),
    ] {
        let response = server.request(&refused).await.expect_status(401);
        let headers: Vec<String> = response
            .headers
            .iter()
            .map(|(_, value)| value.clone())
            .collect();
        let text = format!("{}\n{}", headers.join("\n"), response.text());
        for pair in [app, &old] {
            assert!(!text.contains(&pair.secret), "a secret is shown: {text}");
            let right = refused.clone().secret(&pair.secret).target("");
            let path = right.split('?').next().unwrap_or_default();
            let query: Vec<(String, String)> = right
                .split('?')
                .next_back()
                .into_iter()
                .flat_map(|query| query.split('&'))
                .filter_map(|pair| pair.split_once('='))
                .filter(|(name, _)| *name != "auth_signature")
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let to_sign = http_string_to_sign("POST", path, &query);
            let signature = hmac_sha256_hex(&pair.secret, to_sign.as_bytes());
            assert!(!text.contains(&signature), "a valid signature: {text}");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn each_pair_of_rotated_keys_signs_and_they_do_not_mix() {
    let config = AppConfig::new("10001").extra_key("old-key", "old-secret");
    let new = config.app();
    let old = new.with_pair("old-key", "old-secret");
    let server = or_skip!(TestServer::builder().app(config).start().await);
    let (mut client, channel) = subscriber(&server, "rotated-").await;
    for app in [&new, &old] {
        let event = PublishedEvent::new(&channel, "signed-by", app.key.as_str());
        server.publish_to(app, event).await;
        let event = client.expect_event_on(&channel, "signed-by").await;
        assert_eq!(event.data_text(), app.key);
        let get = Request::get(app, "/channels");
        server.request(&get).await.expect_status(200);
    }
    for (key, secret) in [(&new.key, &old.secret), (&old.key, &new.secret)] {
        let crossed = new.with_pair(key, secret);
        let request = publish(&crossed, &PublishedEvent::new(&channel, "x", ""));
        expect_refused(&server, &request, 401, "auth_signature").await;
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn refused_publish_reaches_nobody_and_changes_nothing() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "cache-").await;
    client.expect_event_on(&channel, "pusher:cache_miss").await;
    let request = || publish(server.app(), &PublishedEvent::new(&channel, "x", "forged"));
    for refused in [
        request().secret("a guess"),
        request().timestamp("1"),
        request().auth_key("nobody"),
        request().auth_version("2.0"),
        request().body_md5(&md5_hex(b"")),
        request().without("auth_signature"),
    ] {
        server.request(&refused).await.expect_status(401);
    }
    client.expect_nothing().await;
    let cached = crate::support::query(&server, &channel, "cache").await;
    assert!(cached["cache"].is_null(), "{cached}");
    server.finish().await;
}
