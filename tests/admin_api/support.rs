//! A client of the admin API.

use protocol_tests::{
    HttpClient, Request, Response, Skipped, TestServer, TestServerBuilder, eventually,
};
use serde_json::Value;

/// Opens a server's admin listener for everything.
pub(crate) const TOKEN: &str = "write-write-write-write";

/// A server whose admin listener asks for [`TOKEN`].
pub(crate) fn locked() -> TestServerBuilder {
    TestServer::builder().set("admin.token", TOKEN)
}

pub(crate) async fn start() -> Result<TestServer, Skipped> {
    locked().start().await
}

/// Somebody who speaks to the admin listener, with a token or without.
pub(crate) struct Admin {
    http: HttpClient,
    token: Option<String>,
}

impl Admin {
    /// One who has the server's token.
    pub(crate) fn of(server: &TestServer) -> Admin {
        Admin::with(server, Some(TOKEN))
    }

    pub(crate) fn with(server: &TestServer, token: Option<&str>) -> Admin {
        Admin {
            http: HttpClient::new(server.admin_endpoint().unwrap().clone()),
            token: token.map(str::to_owned),
        }
    }

    pub(crate) async fn send(&mut self, request: Request) -> Response {
        let request = match &self.token {
            Some(token) => request.header("Authorization", &format!("Bearer {token}")),
            None => request,
        };
        self.http.send(&request).await
    }

    /// What there is, which must be there.
    pub(crate) async fn get(&mut self, path: &str) -> Value {
        let response = self.send(Request::new("GET", path)).await;
        response.expect_status(200).json()
    }

    /// Asks for something, and expects this status.
    pub(crate) async fn expect(&mut self, method: &str, path: &str, status: u16) -> Response {
        let response = self.send(Request::new(method, path)).await;
        assert_eq!(
            response.status,
            status,
            "{method} {path}: {}",
            response.text()
        );
        response
    }

    /// Asks for something that must be refused, and returns why.
    pub(crate) async fn refused(&mut self, method: &str, path: &str, status: u16) -> String {
        let response = self.expect(method, path, status).await;
        reason(&response)
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Response {
        self.send(Request::new("POST", path).json(body)).await
    }
}

/// A server beside which somebody may look, with this token.
pub(crate) async fn start_with_reader(reader: &str) -> Result<TestServer, Skipped> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens");
    std::fs::write(&file, format!("read {reader} reader\n")).unwrap();
    locked()
        .set("admin.tokens_file", file.to_str().unwrap())
        .start()
        .await
}

/// The server's log once it has all of these in it: it is read while the server writes it.
pub(crate) async fn logged(server: &TestServer, words: &[&str]) -> String {
    eventually(&format!("{words:?} in the log"), async || {
        let log = server.log().join("\n");
        words.iter().all(|word| log.contains(word)).then_some(log)
    })
    .await
}

/// The sentence of a refusal.
pub(crate) fn reason(response: &Response) -> String {
    response.json()["error"].as_str().unwrap().to_owned()
}
