//! Files of customers: the Graph API that holds them, and the folder that they come to.

use std::path::Path;
use std::sync::{Arc, Mutex};

use protocol_tests::eventually;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::stand_in::{Answer, Arrived};
use super::{Desk, StandIn, meta};

pub(crate) const PHONE: &str = "491701000001";
pub(crate) const JPEG: &[u8] = b"\xff\xd8\xff\xe0 a picture, more or less";

/// The authority of the stand-in, which it learns when it is started.
type Own = Arc<Mutex<String>>;

/// A Graph API with one file, which `file` answers with; `info` may change what is said of it.
pub(crate) async fn graph_with(
    bytes: &'static [u8],
    info: impl Fn(&mut Value) + Send + 'static,
    mut file: impl FnMut(&Arrived) -> Answer + Send + 'static,
) -> StandIn {
    let own = Own::default();
    let known = Arc::clone(&own);
    let graph = StandIn::start(move |arrived| {
        if !arrived.target().starts_with("GET /v23.0/") {
            return file(arrived);
        }
        let mut said = json!({
            "url": format!("http://{}/file/1", known.lock().unwrap()),
            "mime_type": "image/jpeg",
            "sha256": hex(bytes),
            "file_size": bytes.len(),
            "id": "1166",
        });
        info(&mut said);
        (200, said.to_string()).into()
    })
    .await;
    own.lock().unwrap().clone_from(&graph.authority);
    graph
}

pub(crate) async fn graph_of(bytes: &'static [u8]) -> StandIn {
    graph_with(bytes, |_| {}, |_| Answer::bytes(bytes)).await
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Delivers a message; returns it as the inbox sees it.
pub(crate) async fn receive(agent: &mut Desk, id: &str, kind: &str, body: Value) -> Value {
    let payload = meta::other_message(id, PHONE, kind, body);
    meta::deliver(agent, &payload).await.expect_status(200);
    let listed = agent.get("/api/conversations/1/messages").await.json();
    listed["data"].as_array().unwrap().last().unwrap().clone()
}

pub(crate) fn picture() -> Value {
    json!({"id": "1166", "mime_type": "image/jpeg", "sha256": "x", "caption": "My bicycle"})
}

/// Waits until the file of a message is no longer pending; returns what is said of it.
pub(crate) async fn media_of(desk: &Desk, id: &Value) -> Value {
    eventually("the file", || async {
        let path = format!("/api/messages/{id}");
        let message = desk.another().get(&path).await.expect_status(200).json();
        let media = message["media"].clone();
        (media["state"] != "pending").then_some(media)
    })
    .await
}

pub(crate) fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

pub(crate) fn folder() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("media").to_str().unwrap().to_owned();
    (directory, folder)
}
