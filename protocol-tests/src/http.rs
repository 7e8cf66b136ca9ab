//! A keep-alive HTTP/1.1 client that can also send anything at all.

use serde_json::Value;

use crate::connection::{Connection, Ended, OpenConnections};
use crate::request::Request;
use crate::subject::Endpoint;
use crate::wait::within;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields in order, names lower-cased.
    pub headers: Vec<(String, String)>,
    /// The body, decoded when it was chunked.
    pub body: Vec<u8>,
}

impl Response {
    /// The first value of a header field, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.headers.iter();
        fields
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; panics when it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is not JSON: {error}: {}", self.text()))
    }

    /// Asserts the status, showing the body when it is another.
    pub fn expect_status(self, status: u16) -> Response {
        assert_eq!(
            self.status,
            status,
            "the answer was: {}",
            if self.body.is_empty() {
                "(empty)".to_owned()
            } else {
                self.text()
            }
        );
        self
    }

    fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// One keep-alive connection to a server, opened when it is first needed and again after the server has announced that
/// it closes.
#[derive(Debug)]
pub struct HttpClient {
    endpoint: Endpoint,
    opened: usize,
    connection: Option<Connection>,
    connections: OpenConnections,
}

impl HttpClient {
    /// A client of a server.
    pub fn new(endpoint: Endpoint) -> HttpClient {
        HttpClient::registered(endpoint, OpenConnections::default())
    }

    pub(crate) fn registered(endpoint: Endpoint, connections: OpenConnections) -> HttpClient {
        HttpClient {
            endpoint,
            opened: 0,
            connection: None,
            connections,
        }
    }

    /// Sends a request and reads its answer; interim (1xx) answers are passed over.
    pub async fn send(&mut self, request: &Request) -> Response {
        let bytes = request.encode(&self.endpoint.authority, &self.endpoint.prefix);
        self.connection().await.send(&bytes).await;
        loop {
            let response = self.read_response_to(&request.method).await;
            if response.status >= 200 {
                return response;
            }
        }
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) {
        self.connection().await.send(bytes).await;
    }

    /// Reads one answer, interim ones too, to a request that was not HEAD.
    pub async fn read_response(&mut self) -> Response {
        self.read_response_to("GET").await
    }

    /// Reads one answer; that to HEAD has no body.
    pub async fn read_response_to(&mut self, method: &str) -> Response {
        match self.try_read_response_to(method).await {
            Ok(response) => response,
            Err(ended) => panic!("no answer: {ended}"),
        }
    }

    /// Reads one answer, or how the connection ended before one was complete.
    pub async fn try_read_response_to(&mut self, method: &str) -> Result<Response, Ended> {
        let connection = self.connection().await;
        let result = read_response(connection, method).await;
        if result.as_ref().map_or(true, Response::closes) {
            self.connection = None;
        }
        result
    }

    /// Waits until the server ends the connection, and answers with what came before that.
    pub async fn read_to_end(&mut self) -> (Vec<u8>, Ended) {
        let answer = self.connection().await.receive_to_end().await;
        self.connection = None;
        answer
    }

    /// How many connections were opened so far: stays 1 while keep-alive works.
    pub fn opened(&self) -> usize {
        self.opened
    }

    /// Where requests go: `host:port` and prefix.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The connection, opened when there is none.
    pub async fn connection(&mut self) -> &mut Connection {
        match self.connection {
            Some(ref mut connection) => connection,
            ref mut none => {
                let connection = Connection::open(&self.endpoint.authority).await;
                self.connections.add(&connection);
                self.opened += 1;
                none.insert(connection)
            }
        }
    }

    /// Drops the connection; the next request opens another.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }
}

/// Reads one answer from `connection`.
pub async fn read_response(connection: &mut Connection, method: &str) -> Result<Response, Ended> {
    within("an HTTP answer", async {
        let mut response = loop {
            if let Some((response, length)) = parse_head(connection.buffered()) {
                connection.take(length);
                break response;
            }
            connection.receive().await?;
        };
        response.body = read_body(connection, &response, method).await?;
        Ok(response)
    })
    .await
}

fn parse_head(bytes: &[u8]) -> Option<(Response, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut fields);
    let parsed = head.parse(bytes).unwrap_or_else(|error| {
        panic!(
            "not an HTTP answer: {error}: {}",
            String::from_utf8_lossy(bytes)
        )
    });
    let httparse::Status::Complete(length) = parsed else {
        return None;
    };
    let headers = head.headers.iter().map(|field| {
        let value = String::from_utf8_lossy(field.value).into_owned();
        (field.name.to_lowercase(), value)
    });
    let response = Response {
        status: head.code.expect("a complete head has a status"),
        headers: headers.collect(),
        body: Vec::new(),
    };
    Some((response, length))
}

async fn read_body(
    connection: &mut Connection,
    response: &Response,
    method: &str,
) -> Result<Vec<u8>, Ended> {
    if method == "HEAD" || response.status < 200 || matches!(response.status, 204 | 304) {
        return Ok(Vec::new());
    }
    let chunked = response
        .header("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    if chunked {
        return read_chunks(connection).await;
    }
    let Some(length) = response.header("content-length") else {
        let (body, _ended) = connection.receive_to_end().await;
        return Ok(body);
    };
    let length: usize = length
        .parse()
        .unwrap_or_else(|_| panic!("Content-Length is {length:?}"));
    read_exactly(connection, length).await
}

/// Reads a body in chunks.
pub(crate) async fn read_chunks(connection: &mut Connection) -> Result<Vec<u8>, Ended> {
    let mut body = Vec::new();
    loop {
        let size = loop {
            match httparse::parse_chunk_size(connection.buffered()) {
                Ok(httparse::Status::Complete((head, size))) => {
                    connection.take(head);
                    break usize::try_from(size).expect("usize has 64 bits");
                }
                Ok(httparse::Status::Partial) => connection.receive().await?,
                Err(_) => panic!("the server sent a bad chunk size"),
            }
        };
        let chunk = read_exactly(connection, size).await?;
        body.extend_from_slice(&chunk);
        let end = read_exactly(connection, 2).await?;
        assert_eq!(end, b"\r\n", "a chunk ends with an empty line");
        if size == 0 {
            return Ok(body);
        }
    }
}

/// Reads this many bytes.
pub(crate) async fn read_exactly(
    connection: &mut Connection,
    length: usize,
) -> Result<Vec<u8>, Ended> {
    while connection.buffered().len() < length {
        connection.receive().await?;
    }
    let bytes = connection.buffered()[..length].to_vec();
    connection.take(length);
    Ok(bytes)
}
