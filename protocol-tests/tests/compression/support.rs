//! What several topics share.

use protocol_tests::deflate::OFFER;
use protocol_tests::{App, TestServer, Upgrade, WsClient};

/// What every answer has that agrees to compression.
pub(crate) const AGREED: &str =
    "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The request of a client of this app that offers this.
pub(crate) fn offering(app: &App, offer: &str) -> Upgrade {
    let target = format!("/app/{}?protocol=7&client=tests&version=1.0", app.key);
    Upgrade::new(&target).header("Sec-WebSocket-Extensions", offer)
}

/// A client with which compression is agreed on.
pub(crate) async fn connect(server: &TestServer) -> WsClient {
    let upgrade = offering(server.app(), OFFER);
    let client = server.connect_with(server.app(), &upgrade).await;
    assert_eq!(client.socket.extension(), Some(AGREED));
    client
}

/// Text of so many bytes that compression makes a good deal smaller, and that differs by its number.
pub(crate) fn text(bytes: usize, number: usize) -> String {
    let words =
        (0..).flat_map(|i: usize| format!("order {} of {number}, ", i * i % 997).into_bytes());
    String::from_utf8(words.take(bytes).collect()).expect("it is ASCII")
}

/// How many events the server has compressed, and made smaller.
pub(crate) async fn compressed(server: &TestServer) -> f64 {
    let labels = [("outcome", "smaller")];
    let metrics = server.metrics().await;
    metrics.sum("fanfare_frames_compressed_total", &labels)
}
