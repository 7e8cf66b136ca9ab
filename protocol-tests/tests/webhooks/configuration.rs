//! Webhooks that are configured wrongly: said at start, in one line, without what may be secret.

use protocol_tests::{AppConfig, TestServer, WebhookConfig, or_skip};
use toml::Value;

const URL: &str = "http://127.0.0.1:8000/hook?token=s3cr3t";

fn good() -> WebhookConfig {
    WebhookConfig::new(URL, &["channel_occupied"])
}

/// Asserts that a relay with this webhook does not start, and that the one line that says why names `key`.
async fn expect_refused(webhook: WebhookConfig, key: &str) {
    let app = AppConfig::new("10001").webhook(webhook);
    let exit = or_skip!(TestServer::builder().app(app).start_and_exit().await);
    assert_eq!(exit.code, Some(64), "{key}: {exit:?}");
    assert_eq!(exit.log.len(), 1, "{key}: {exit:?}");
    assert!(exit.log[0].contains(key), "{key}: {exit:?}");
    assert!(!exit.log[0].contains("s3cr3t"), "{key}: {exit:?}");
}

#[tokio::test]
async fn urls_are_absolute_and_of_http() {
    for url in [
        "",
        "example.com/hook?token=s3cr3t",
        "/hook?token=s3cr3t",
        "ftp://example.com/?token=s3cr3t",
        "http://",
        "http://example.com:99999/?token=s3cr3t",
    ] {
        expect_refused(good().set("url", url), "url").await;
    }
}

#[tokio::test]
async fn events_are_some_of_those_that_there_are() {
    for events in [
        Vec::<&str>::new(),
        vec!["channel_occupied", "channel_occupid"],
        vec![""],
    ] {
        expect_refused(WebhookConfig::new(URL, &events), "events").await;
    }
}

#[tokio::test]
async fn values_are_of_their_kinds_and_keys_are_known() {
    for (key, value, named) in [
        ("url", Value::from(8000), "url"),
        ("events", "channel_occupied".into(), "events"),
        ("batch", "yes".into(), "batch"),
        ("headers", "X-Env: prod".into(), "headers"),
        ("filter", "presence-".into(), "filter"),
        ("filter.channel_prefix", 1.into(), "channel_prefix"),
        ("filter.channel_infix", "x".into(), "channel_infix"),
        ("batches", true.into(), "batches"),
    ] {
        expect_refused(good().set(key, value), named).await;
    }
}

#[tokio::test]
async fn headers_are_neither_reserved_nor_broken() {
    for (name, value) in [
        ("Host", "example.com s3cr3t"),
        ("Content-Type", "text/plain; s3cr3t"),
        ("Content-Length", "5"),
        ("X-Pusher-Key", "s3cr3t"),
        ("X-Pusher-Signature", "s3cr3t"),
        ("X-Fanfare-Event-Id", "s3cr3t"),
        ("X Env", "s3cr3t"),
        ("X-Env", "s3cr3t\r\nX-Other: y"),
    ] {
        expect_refused(good().set(&format!("headers.{name}"), value), "headers").await;
    }
}

#[tokio::test]
async fn settings_of_all_webhooks_are_within_bounds() {
    for (key, value) in [
        ("leave_delay_ms", Value::from(-1)),
        ("timeout", 0.into()),
        ("retry_for", "5m".into()),
        ("batch_events", 0.into()),
        ("concurrency", 0.into()),
        ("private_addresses", "no".into()),
        ("journal", 1.into()),
        ("retries", 3.into()),
    ] {
        let builder = TestServer::builder()
            .app(AppConfig::new("10001").webhook(good()))
            .set(&format!("webhooks.{key}"), value);
        let exit = or_skip!(builder.start_and_exit().await);
        assert_eq!(exit.code, Some(64), "{key}: {exit:?}");
        assert_eq!(exit.log.len(), 1, "{key}: {exit:?}");
        assert!(exit.log[0].contains(key), "{key}: {exit:?}");
    }
}
