//! The document of the admin API, judged by a validator of OpenAPI.

use protocol_tests::{HttpClient, Request, TestServer, or_skip, within};

use crate::script::{Interpreter, Script};

#[tokio::test]
async fn the_document_of_the_admin_api_is_valid() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let admin = server.admin_endpoint().expect("it has an admin listener");
    let request = Request::new("GET", "/api/openapi.json");
    let document = HttpClient::new(admin.clone()).send(&request).await;
    let document = document.expect_status(200).text();
    let mut script = Script::start_with(Interpreter::Node, &["openapi.mjs"], None);
    script.write_line(&document).await;
    let ended = script.ended().await;
    assert!(ended.succeeded, "{}", ended.stderr);
    let version = within("the version", script.line()).await;
    assert_eq!(version.as_deref(), Some("3.1"));
    server.finish().await;
}
