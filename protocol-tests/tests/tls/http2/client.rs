//! Clients of HTTP/2.

use std::sync::Arc;

use bytes::Bytes;
use h2::client::{Builder, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{Request as Http2Request, Response as Http2Response, StatusCode};
use protocol_tests::{Request, Response, TestServer, within};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::server::Certificates;
use crate::tunnel::{BOTH, client};

/// What a client sends first, and empty settings.
pub(crate) const PREFACE: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// A connection and what works it.
pub(crate) struct Client {
    pub(crate) requests: SendRequest<Bytes>,
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
}

/// A connection over which HTTP/2 is to be spoken.
pub(crate) async fn connect(
    server: &TestServer,
    certificates: &Certificates,
) -> TlsStream<TcpStream> {
    let stream = agree(server, certificates, &[b"h2"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    stream
}

/// A connection of a client that speaks these protocols.
pub(crate) async fn agree(
    server: &TestServer,
    certificates: &Certificates,
    protocols: &[&[u8]],
) -> TlsStream<TcpStream> {
    let mut config = client(certificates.roots(), BOTH);
    let own = Arc::get_mut(&mut config).unwrap();
    own.alpn_protocols = protocols.iter().map(|one| one.to_vec()).collect();
    let stream = TcpStream::connect(server.tls_authority()).await.unwrap();
    let name = ServerName::try_from("relay.test").unwrap();
    let connecting = TlsConnector::from(config).connect(name, stream);
    within("a handshake", connecting).await.unwrap()
}

impl Client {
    pub(crate) async fn new(server: &TestServer, certificates: &Certificates) -> Self {
        Self::built(server, certificates, &Builder::new()).await
    }

    pub(crate) async fn built(
        server: &TestServer,
        certificates: &Certificates,
        builder: &Builder,
    ) -> Self {
        let stream = connect(server, certificates).await;
        let (requests, connection) = builder.handshake(stream).await.unwrap();
        Self {
            requests,
            connection: tokio::spawn(connection),
        }
    }

    /// Sends a head, and returns what the rest goes by.
    pub(crate) async fn begin(
        &self,
        request: &Request,
        ends: bool,
    ) -> (ResponseFuture, SendStream<Bytes>) {
        let mut head = Http2Request::builder()
            .method(&*request.method)
            .uri(format!("https://relay.test{}", request.target("")));
        for (name, value) in &request.headers {
            head = head.header(name, value);
        }
        let head = head.body(()).unwrap();
        let mut requests = within("room", self.requests.clone().ready()).await.unwrap();
        requests.send_request(head, ends).unwrap()
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn send(&self, request: &Request) -> Response {
        let body = request.body.clone();
        let (response, mut stream) = self.begin(request, body.is_empty()).await;
        if !body.is_empty() {
            stream.send_data(body.into(), true).unwrap();
        }
        whole(within("an answer", response).await.unwrap()).await
    }

    pub(crate) async fn expect_healthy(&self) {
        let answer = self.send(&Request::new("GET", "/up")).await;
        assert_eq!(answer.expect_status(200).text(), "{\"health\":\"OK\"}");
    }
}

/// Reads an answer to its end.
pub(crate) async fn whole(response: Http2Response<RecvStream>) -> Response {
    let (head, mut body) = response.into_parts();
    let mut whole = Vec::new();
    while let Some(chunk) = within("a body", body.data()).await {
        let chunk = chunk.unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        whole.extend_from_slice(&chunk);
    }
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let headers = head.headers.iter();
    Response {
        status: head.status.as_u16(),
        headers: headers
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body: whole,
    }
}

/// Reads until this was streamed.
pub(crate) async fn read_until(body: &mut RecvStream, end: &str) {
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(end) {
        let chunk = within("a chunk", body.data()).await.expect("more").unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        text.extend_from_slice(&chunk);
    }
}

/// The answer to a head that was sent.
pub(crate) async fn head(response: ResponseFuture) -> RecvStream {
    let response = within("a head", response).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body()
}
