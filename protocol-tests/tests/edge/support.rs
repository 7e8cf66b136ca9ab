//! What several topics share.

use protocol_tests::connection::Connection;
use protocol_tests::http::read_response;
use protocol_tests::wait::{eventually, within};
use protocol_tests::{Response, TestServer, TestServerBuilder, Upgrade, WebSocket};
use serde_json::Value;

/// A server that logs where clients come from.
pub(crate) fn talkative() -> TestServerBuilder {
    TestServer::builder().set("log.level", "debug")
}

/// The request that opens a connection of the first app.
pub(crate) fn upgrade(server: &TestServer) -> Upgrade {
    Upgrade::new(&format!("/app/{}?protocol=7", server.app().key))
}

/// Opens a connection of the first app over what is connected to the server already, and waits until it is established.
pub(crate) async fn establish(
    server: &TestServer,
    connection: Connection,
    upgrade: &Upgrade,
) -> WebSocket {
    let endpoint = server.endpoint();
    let request = upgrade.encode(&endpoint.authority, &endpoint.prefix);
    let mut socket = WebSocket::open(connection, &request)
        .await
        .unwrap_or_else(|response| panic!("refused: {}", response.text()));
    let established = socket.read_text().await;
    assert!(
        established.contains("pusher:connection_established"),
        "{established}"
    );
    socket
}

/// Asks over a connection whether the server is up.
pub(crate) async fn get_up(connection: &mut Connection) -> Response {
    connection
        .send(b"GET /up HTTP/1.1\r\nHost: relay\r\n\r\n")
        .await;
    let answer = within("the answer", read_response(connection, "GET")).await;
    answer.unwrap_or_else(|ended| panic!("no answer: {ended}"))
}

/// The addresses in lines of the log with this message, in their order, once there are so many.
pub(crate) async fn addresses(server: &TestServer, message: &str, count: usize) -> Vec<String> {
    eventually(&format!("{count} lines about {message:?}"), || async {
        let found: Vec<String> = server
            .log()
            .iter()
            .filter_map(|line| address_in(line, message))
            .collect();
        (found.len() >= count).then_some(found)
    })
    .await
}

/// The address that a line with this message names, `none` if it names none.
fn address_in(line: &str, message: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    if line["fields"]["message"] != message && line["message"] != message {
        return None;
    }
    let address = line["fields"]["address"].as_str();
    let address = address.or_else(|| line["address"].as_str());
    Some(address.unwrap_or("none").to_owned())
}
