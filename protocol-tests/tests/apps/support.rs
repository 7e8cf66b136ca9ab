//! What several topics share.

use std::time::Duration;

use protocol_tests::{
    App, AppConfig, PATIENCE, PublishedEvent, TestServer, Upgrade, WsClient, eventually,
};

/// The app that every server here starts with.
pub(crate) fn first() -> AppConfig {
    AppConfig::new("10001")
}

/// Another app.
pub(crate) fn second() -> AppConfig {
    AppConfig::new("20002")
}

/// A handshake of the app.
pub(crate) fn upgrade(app: &App) -> Upgrade {
    Upgrade::new(&format!("/app/{}?protocol=7", app.key))
}

/// A client on this channel.
pub(crate) async fn subscriber(server: &TestServer, app: &App, channel: &str) -> WsClient {
    let mut client = server.connect_to(app).await;
    client.subscribe(channel).await;
    client
}

/// Publishes to the app, and the client must receive it.
pub(crate) async fn expect_delivery(
    server: &TestServer,
    app: &App,
    channel: &str,
    client: &mut WsClient,
) {
    let event = PublishedEvent::new(channel, "news", "x");
    server.publish_to(app, event).await;
    client.expect_event_on(channel, "news").await;
}

/// Waits until a metric of the app has this value.
pub(crate) async fn wait_for(server: &TestServer, metric: &str, app: &App, value: f64) {
    eventually(&format!("{metric} to be {value}"), || async {
        let found = server.metrics().await.sum(metric, &[("app", &app.id)]);
        (found == value).then_some(())
    })
    .await;
}

/// Waits until a line of the log has all of these.
pub(crate) async fn logged(server: &TestServer, parts: &[&str]) -> String {
    eventually(&format!("a line with {parts:?} in the log"), || async {
        let has_all = |line: &String| parts.iter().all(|part| line.contains(part));
        server.log().into_iter().find(has_all)
    })
    .await
}

/// The client must get an error with this code, and then be closed with it.
pub(crate) async fn expect_closed(client: &mut WsClient, code: u16) {
    client.expect_error(Some(u64::from(code))).await;
    client.expect_close_code(code).await;
}

/// Prints how long a start with very many apps took, and asserts that it was not out of proportion with one that has
/// hardly any, at the same place.
pub(crate) fn expect_quick_start(what: &str, took: Duration, with_few: Duration) {
    eprintln!("{what}: served {took:?} after the start; hardly any: {with_few:?}");
    // Two seconds for 10,000 on a machine that has nothing else to do.
    let most = with_few * 10 + PATIENCE;
    assert!(took < most, "{what}: {took:?}, and hardly any {with_few:?}");
}
