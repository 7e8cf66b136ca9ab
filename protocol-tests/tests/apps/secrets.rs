//! Secrets from files and variables.

use std::fs;

use protocol_tests::{PublishedEvent, Request, TestServer, or_skip};

use crate::support::{expect_delivery, first, logged, subscriber};

#[tokio::test]
async fn a_secret_may_be_a_file_s_and_changes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    fs::write(&path, "secret-10001\n").unwrap();
    let of_file = first().set("secret_file", path.to_str().unwrap());
    let builder = TestServer::builder().app(first());
    let server = or_skip!(builder.start().await);
    let (app, channel) = (first().app(), server.channel("private-"));
    // The server is given the file; the test itself knows the secret.
    server
        .serve_apps(&[of_file.without("secret").limit("max_connections", 7)])
        .await;
    let mut client = subscriber(&server, &app, &channel).await;
    expect_delivery(&server, &app, &channel, &mut client).await;
    let newer = folder.path().join("newer");
    fs::write(&newer, "other").unwrap();
    let before = server.reloads("applied").await;
    fs::rename(&newer, &path).unwrap();
    server.reloaded("applied", before).await;
    let body = PublishedEvent::new(&channel, "x", "");
    let request = Request::post(&app, "/events").json(body.body());
    server.request(&request).await.expect_status(401);
    let other = app.with_pair(&app.key, "other");
    expect_delivery(&server, &other, &channel, &mut client).await;
    fs::remove_file(&path).unwrap();
    server.reloaded("failed", 0.0).await;
    expect_delivery(&server, &other, &channel, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn values_may_hold_variables() {
    let app = first()
        .set("secret", "${APP_SECRET}")
        .limit("max_connections", "${MOST}");
    let builder = TestServer::builder().app(app);
    let builder = builder
        .variable("APP_SECRET", "secret-10001")
        .variable("MOST", "1");
    let server = or_skip!(builder.start().await);
    let (app, channel) = (first().app(), server.channel("private-"));
    let mut client = server.connect_to(&app).await;
    client.subscribe(&channel).await;
    expect_delivery(&server, &app, &channel, &mut client).await;
    let (error, _) = server.open_refused(&crate::support::upgrade(&app)).await;
    assert_eq!(error.error_code(), Some(4004));
    server.write_config(&server.config_with(&[first().set("secret", "${OTHER}")]));
    server.reloaded("failed", 0.0).await;
    logged(&server, &["fanfare-test.toml:", "apps[0].secret", "OTHER"]).await;
    server.finish().await;
}
