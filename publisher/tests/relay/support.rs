//! What several topics share.

use protocol_tests::{App, TestServer};
use publisher::{Channel, Client, Config, KeyPair, MasterKey, Scheme, SocketId};

/// A relay with one app at its defaults.
pub(crate) async fn relay() -> TestServer {
    TestServer::start().await
}

/// Host and port of an authority.
pub(crate) fn host_and_port(authority: &str) -> (String, u16) {
    let (host, port) = authority.rsplit_once(':').expect("an authority has a port");
    (host.to_owned(), port.parse().expect("a port is a number"))
}

/// The first app of a relay.
pub(crate) fn config(server: &TestServer) -> Config {
    let app = server.app();
    at(server, Config::new(&app.id, &app.key, &app.secret))
}

/// The app that is meant, at this relay.
pub(crate) fn at(server: &TestServer, config: Config) -> Config {
    let (host, port) = host_and_port(&server.endpoint().authority);
    config.scheme(Scheme::Http).host(host).port(port)
}

pub(crate) fn client(server: &TestServer) -> Client {
    Client::new(config(server)).unwrap()
}

pub(crate) fn master_key() -> MasterKey {
    MasterKey::new(*b"32 bytes that are a secret key..")
}

pub(crate) fn pair(app: &App) -> KeyPair {
    KeyPair::new(&app.key, &app.secret)
}

/// A channel that no other test uses.
pub(crate) fn channel(server: &TestServer, prefix: &str) -> Channel {
    Channel::named(server.channel(prefix))
}

pub(crate) fn socket_id(text: &str) -> SocketId {
    SocketId::parse(text).unwrap()
}
