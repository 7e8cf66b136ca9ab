//! What is in the log when everything is: no secret, whatever goes wrong.

use protocol_tests::{Answer, AppConfig, Receiver, Signal, TestServer, WebhookConfig, or_skip};
use serde_json::json;

use crate::support::{figure, send_numbered, subscriber, wait_for_figure};

/// What every secret below contains, and nothing else does.
const SECRET: &str = "s3cr3t";

#[tokio::test]
async fn log_holds_no_secret_whatever_goes_wrong() {
    let app = AppConfig::new("10001")
        .set("secret", "app-s3cr3t")
        .extra_key("old-key", "extra-s3cr3t")
        .limit("client_events_per_second", 100_000);
    let receiver = Receiver::start(&[&app.app()]).await;
    let mut gone = Receiver::start(&[&app.app()]).await;
    gone.refuse_connections().await;
    receiver.script({
        let elsewhere = gone.url("/?to=redirect-s3cr3t");
        move |delivery| match delivery.target.split('?').next() {
            Some("/never-s3cr3t") => Answer::Never,
            Some("/close-s3cr3t") => Answer::Close,
            Some("/broken-s3cr3t") => Answer::Broken,
            Some("/refuse-s3cr3t") => Answer::Status(500),
            Some("/away-s3cr3t") => Answer::Redirect(307, elsewhere.clone()),
            Some("/moved-s3cr3t") => Answer::Redirect(308, "/ok?to=moved-s3cr3t".to_owned()),
            Some("/body-s3cr3t") => Answer::Body(500, b"body-s3cr3t".to_vec()),
            _ => Answer::OK,
        }
    });
    let with_user = |receiver: &Receiver, path: &str| {
        let url = receiver.url(&format!("/{path}-s3cr3t?token=query-s3cr3t"));
        url.replace("http://", "http://user-s3cr3t:password-s3cr3t@")
    };
    let mut urls: Vec<String> = [
        "ok", "never", "close", "broken", "refuse", "away", "moved", "body",
    ]
    .iter()
    .map(|path| with_user(&receiver, path))
    .collect();
    urls.push(with_user(&gone, "gone"));
    let mut config = app;
    for url in urls {
        let webhook = WebhookConfig::new(&url, &["client_event", "channel_occupied"])
            .set("headers.X-Token", "header-s3cr3t")
            .set("headers.Authorization", "Bearer authorization-s3cr3t");
        config = config.webhook(webhook);
    }
    let builder = TestServer::builder()
        .app(config)
        .set("log.level", "trace")
        .set("webhooks.timeout", 1)
        .set("webhooks.retry_for", 2)
        .set("webhooks.backlog_bytes", 16 * 1024)
        .set("server.shutdown_timeout", 2);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 0..2).await;
    for outcome in ["ok", "refused", "timeout", "unreachable"] {
        wait_for_figure(&server, "requests_total", &[("outcome", outcome)], 1.0).await;
    }
    for _ in 0..10 {
        client
            .send_client_event(&channel, "client-x", json!("x".repeat(8_000)))
            .await;
    }
    for reason in ["backlog", "expired"] {
        wait_for_figure(&server, "events_dropped_total", &[("reason", reason)], 1.0).await;
    }
    // Something is left that the end has to give up.
    send_numbered(&mut client, &channel, 0..1).await;
    client.ping_fence().await;
    assert!(figure(&server, "events_waiting", &[]).await > 0.0);
    drop(client);
    server.expect_nothing_left().await;
    server.signal(Signal::Terminate);
    let exit = server.exited().await.expect_clean();
    let base64 = "czNjcjN0";
    let revealing: Vec<&String> = exit
        .log
        .iter()
        .filter(|line| line.contains(SECRET) || line.contains(base64))
        .collect();
    assert!(revealing.is_empty(), "{revealing:#?}");
    assert!(!exit.log.is_empty());
}
