//! What customers send besides texts, and the files that come with it.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol_tests::{Request, TestServer, eventually};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::support::graph::{start, start_with, updated};
use crate::support::stand_in::{Answer, Arrived};
use crate::support::{Api, Database, Desk, Kind, StandIn, meta};

const PHONE: &str = "491701000001";
const JPEG: &[u8] = b"\xff\xd8\xff\xe0 a picture, more or less";

/// The authority of the stand-in, which it learns when it is started.
type Own = Arc<Mutex<String>>;

/// A Graph API with one file, which `file` answers with; `info` may change what is said of it.
async fn graph_with(
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

async fn graph_of(bytes: &'static [u8]) -> StandIn {
    graph_with(bytes, |_| {}, |_| Answer::bytes(bytes)).await
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Delivers a message; returns it as the inbox sees it.
async fn receive(agent: &mut Desk, id: &str, kind: &str, body: Value) -> Value {
    let payload = meta::other_message(id, PHONE, kind, body);
    meta::deliver(agent, &payload).await.expect_status(200);
    let listed = agent.get("/api/conversations/1/messages").await.json();
    listed["data"].as_array().unwrap().last().unwrap().clone()
}

fn picture() -> Value {
    json!({"id": "1166", "mime_type": "image/jpeg", "sha256": "x", "caption": "My bicycle"})
}

/// Waits until the file of a message is no longer pending; returns what is said of it.
async fn media_of(desk: &Desk, id: &Value) -> Value {
    eventually("the file", || async {
        let path = format!("/api/messages/{id}");
        let message = desk.another().get(&path).await.expect_status(200).json();
        let media = message["media"].clone();
        (media["state"] != "pending").then_some(media)
    })
    .await
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

fn folder() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("media").to_str().unwrap().to_owned();
    (directory, folder)
}

#[tokio::test]
async fn every_kind_of_message_is_shown_as_what_it_is() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        let first = receive(&mut agent, "wamid.0", "text", json!({"body": "first"})).await;
        let media =
            json!({"id": "1166", "mime_type": "a/b", "filename": "a.pdf", "caption": "see"});
        for file in ["image", "audio", "video", "document", "sticker"] {
            let message = receive(&mut agent, &format!("wamid.{file}"), file, media.clone()).await;
            assert_eq!(
                (&message["type"], &message["content"]),
                (&json!(file), &json!("see"))
            );
            let expected = json!({"mime_type": "a/b", "filename": "a.pdf", "size": null, "url": null,
                "state": "unavailable"});
            assert_eq!(
                message["media"], expected,
                "nothing is fetched without a token"
            );
        }
        let place = json!({"latitude": 52.5, "longitude": 13.25, "name": "Mauerpark"});
        let message = receive(&mut agent, "wamid.l", "location", place).await;
        assert_eq!(message["content"], "Mauerpark");
        let place =
            json!({"latitude": 52.5, "longitude": 13.25, "name": "Mauerpark", "address": null});
        assert_eq!(message["location"], place);
        let reaction = json!({"message_id": "wamid.0", "emoji": "👍"});
        let message = receive(&mut agent, "wamid.r", "reaction", reaction).await;
        assert_eq!(
            (&message["type"], &message["content"]),
            (&json!("reaction"), &json!("👍"))
        );
        let expected = json!({"whatsapp_id": "wamid.0", "message_id": first["id"]});
        assert_eq!(message["reply_to"], expected);
        for (kind, body, content) in [
            (
                "contacts",
                json!([{"name": {"formatted_name": "Ada"}}]),
                "Ada",
            ),
            ("button", json!({"text": "Yes", "payload": "y"}), "Yes"),
            (
                "interactive",
                json!({"list_reply": {"id": "1", "title": "Monday"}}),
                "Monday",
            ),
        ] {
            let message = receive(&mut agent, &format!("wamid.{kind}"), kind, body).await;
            assert_eq!(
                (&message["type"], &message["content"]),
                (&json!(kind), &json!(content))
            );
        }
        let message = receive(&mut agent, "wamid.o", "order", json!({"catalog_id": "1"})).await;
        assert_eq!(message["type"], "unsupported");
        let listed = agent.get("/api/conversations/1").await.json();
        assert_eq!(listed["last_message"], message);
        api.stop().await;
    }
}

#[tokio::test]
async fn a_file_is_fetched_announced_and_served() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let graph = graph_of(JPEG).await;
        let (api, mut agent) = start_with(&database, &graph, |api| api.relay(&relay)).await;
        let mut client = relay.connect().await;
        agent.subscribe(&mut client, "private-conversation.1").await;
        let payload = meta::other_message("wamid.1", PHONE, "image", picture());
        meta::deliver(&mut agent, &payload).await.expect_status(200);
        let event = client.expect_event("message.received").await.data_json();
        assert_eq!(event["media"]["state"], "pending");
        let id = event["id"].as_i64().unwrap();
        let ready = updated(&mut client, id, |_| true).await;
        let expected = json!({
            "mime_type": "image/jpeg", "filename": null, "size": JPEG.len(),
            "url": format!("/api/messages/{id}/media"), "state": "ready",
        });
        assert_eq!(ready["media"], expected);
        let path = ready["media"]["url"].as_str().unwrap();
        let served = agent.get(path).await.expect_status(200);
        assert_eq!(served.body, JPEG);
        for (name, value) in [
            ("content-type", "image/jpeg"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "sandbox; default-src 'none'"),
        ] {
            assert_eq!(served.header(name), Some(value));
        }
        let disposition = served.header("content-disposition").unwrap();
        assert!(
            disposition.starts_with("inline") && disposition.contains(".jpg"),
            "{disposition}"
        );
        assert!(
            served
                .header("cache-control")
                .unwrap()
                .starts_with("private")
        );
        let asked = graph.arrived();
        let targets: Vec<_> = asked.iter().map(Arrived::target).collect();
        assert_eq!(targets, ["GET /v23.0/1166", "GET /file/1"]);
        for request in &asked {
            assert_eq!(
                request.header("authorization"),
                Some("Bearer the access token")
            );
        }
        // For those who may see the conversation alone.
        api.stranger().get(path).await.expect_status(401);
        let mut other = api.log_in("agent3@tims.local").await;
        other.get(path).await.expect_status(403);
        agent
            .get("/api/messages/999/media")
            .await
            .expect_status(404);
        agent.get("/api/messages/1/media").await.expect_status(404);
        let head = agent
            .send(Request::new("HEAD", path))
            .await
            .expect_status(200);
        assert!(head.body.is_empty());
        let metrics = api.metrics().await;
        let fetched = metrics.sum("conversation_media_fetches_total", &[("result", "ready")]);
        assert_eq!(fetched, 1.0);
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn what_poses_as_a_picture_is_only_downloaded() {
    for (bytes, claimed, filename, expected) in [
        (
            &b"<html><script>alert(1)</script>"[..],
            "image/jpeg",
            "a.html",
            "application/octet-stream",
        ),
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'/>",
            "image/svg+xml",
            "a.svg",
            "application/octet-stream",
        ),
        (
            b"%PDF-1.7 ...",
            "text/html",
            "a\"; b.pdf",
            "application/pdf",
        ),
    ] {
        let database = Database::seeded(Kind::Sqlite).await;
        let graph = graph_of(bytes).await;
        let (api, mut agent) = start(&database, &graph).await;
        let body = json!({"id": "1166", "mime_type": claimed, "filename": filename});
        let message = receive(&mut agent, "wamid.1", "document", body).await;
        let media = media_of(&agent, &message["id"]).await;
        assert_eq!(media["mime_type"], expected);
        let path = format!("/api/messages/{}/media", message["id"]);
        let served = agent.get(&path).await.expect_status(200);
        assert_eq!(served.header("content-type"), Some(expected));
        let disposition = served.header("content-disposition").unwrap();
        assert!(disposition.starts_with("attachment"), "{disposition}");
        assert!(!disposition.contains("\"; b"), "{disposition}");
        api.stop().await;
    }
}

#[tokio::test]
async fn a_token_is_shown_to_nobody_else() {
    let elsewhere = StandIn::start(|_| Answer::bytes(JPEG)).await;
    let away = format!("http://{}/file", elsewhere.authority);
    let redirect = away.clone();
    let named = graph_with(
        JPEG,
        move |info| info["url"] = json!(away),
        |_| Answer::bytes(JPEG),
    )
    .await;
    let redirecting = graph_with(
        JPEG,
        |_| {},
        move |_| Answer::from((302, String::new())).header("Location", &redirect),
    )
    .await;
    for graph in [named, redirecting] {
        let database = Database::seeded(Kind::Sqlite).await;
        let (api, mut agent) =
            start_with(&database, &graph, |api| api.set("MEDIA_RETRY_HOURS", "0")).await;
        let message = receive(&mut agent, "wamid.1", "image", picture()).await;
        let media = media_of(&agent, &message["id"]).await;
        assert_eq!(media["state"], "unavailable");
        let path = format!("/api/messages/{}/media", message["id"]);
        agent.get(&path).await.expect_status(404);
        api.stop().await;
    }
    assert!(elsewhere.arrived().is_empty());
}

#[tokio::test]
async fn a_lying_server_fills_neither_disk_nor_time() {
    const LARGE: &[u8] = &[0xff; 2 * 1024 * 1024];
    let smaller = |info: &mut Value| {
        info["file_size"] = json!(null);
        info["sha256"] = json!(null);
    };
    let graphs = [
        // Larger than is kept: announced so, and not announced.
        graph_of(LARGE).await,
        graph_with(LARGE, smaller, |_| Answer::bytes(LARGE)).await,
        // Cut, altered, empty, refused, not there.
        graph_with(
            JPEG,
            |info| info["file_size"] = json!(7),
            |_| Answer::bytes(JPEG),
        )
        .await,
        graph_with(
            JPEG,
            |_| {},
            |_| Answer::bytes(b"\xff\xd8\xff\xe0 a picture, more or worse"),
        )
        .await,
        graph_with(b"", |_| {}, |_| Answer::bytes(b"")).await,
        graph_with(JPEG, |_| {}, |_| (404, String::new()).into()).await,
        StandIn::start(|_| (404, String::new())).await,
        StandIn::start(|_| (200, "x".repeat(100_000))).await,
    ];
    for (number, graph) in graphs.iter().enumerate() {
        let database = Database::seeded(Kind::Sqlite).await;
        let (_directory, folder) = folder();
        let (api, mut agent) = start_with(&database, graph, |api| {
            api.set("MEDIA", &folder)
                .set("MEDIA_FILE_MB", "1")
                .set("MEDIA_RETRY_HOURS", "0")
        })
        .await;
        let message = receive(&mut agent, "wamid.1", "image", picture()).await;
        let media = media_of(&agent, &message["id"]).await;
        assert_eq!(media["state"], "unavailable", "{number}");
        assert_eq!(
            files(Path::new(&folder)),
            0,
            "{number}: nothing is left behind"
        );
        api.stop().await;
    }
}

#[tokio::test]
async fn what_is_not_there_yet_is_fetched_later() {
    let database = Database::seeded(Kind::Sqlite).await;
    let mut number = 0;
    let file = move |_: &Arrived| {
        number += 1;
        match number {
            1 => (503, String::new()).into(),
            _ => Answer::bytes(JPEG),
        }
    };
    let graph = graph_with(JPEG, |_| {}, file).await;
    let (api, mut agent) = start(&database, &graph).await;
    let message = receive(&mut agent, "wamid.1", "image", picture()).await;
    let media = media_of(&agent, &message["id"]).await;
    assert_eq!(media["state"], "ready");
    assert_eq!(graph.arrived().len(), 4, "where it is was asked for again");
    api.stop().await;
}

#[tokio::test]
async fn a_full_folder_takes_no_more() {
    const HALF: &[u8] = &[0xff; 600 * 1024];
    let database = Database::seeded(Kind::Sqlite).await;
    let graph = graph_of(HALF).await;
    let (api, mut agent) = start_with(&database, &graph, |api| {
        api.set("MEDIA_FOLDER_MB", "1")
            .set("MEDIA_RETRY_HOURS", "0")
    })
    .await;
    for (id, state) in [("wamid.1", "ready"), ("wamid.2", "unavailable")] {
        let message = receive(&mut agent, id, "image", picture()).await;
        assert_eq!(media_of(&agent, &message["id"]).await["state"], state);
    }
    let errors = database
        .texts("SELECT error FROM media WHERE error IS NOT NULL")
        .await;
    assert_eq!(errors, ["all files together have reached MEDIA_FOLDER_MB"]);
    api.stop().await;
}

#[tokio::test]
async fn what_a_killed_process_was_fetching_is_fetched_by_the_next() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let (_directory, folder) = folder();
        let mut number = 0;
        let file = move |_: &Arrived| {
            number += 1;
            match number {
                1 => Answer::bytes(JPEG).held(),
                _ => Answer::bytes(JPEG),
            }
        };
        let graph = graph_with(JPEG, |_| {}, file).await;
        let set = |api: crate::support::api::Builder| api.set("MEDIA", &folder);
        let (doomed, mut agent) = start_with(&database, &graph, set).await;
        let message = receive(&mut agent, "wamid.1", "image", picture()).await;
        eventually("the file to be under way", || async {
            (files(Path::new(&folder)) == 1).then_some(())
        })
        .await;
        doomed.kill().await;
        let (api, agent) = start_with(&database, &graph, set).await;
        let media = media_of(&agent, &message["id"]).await;
        assert_eq!(media["state"], "ready");
        let place = Path::new(&folder).join(message["id"].to_string());
        assert_eq!(std::fs::read(place).unwrap(), JPEG);
        api.stop().await;
    }
}

#[tokio::test]
async fn a_file_that_stops_coming_does_not_hold_up_the_end() {
    let database = Database::seeded(Kind::Sqlite).await;
    let (_directory, folder) = folder();
    let graph = graph_with(JPEG, |_| {}, |_| Answer::bytes(JPEG).held()).await;
    let (api, mut agent) = start_with(&database, &graph, |api| api.set("MEDIA", &folder)).await;
    let message = receive(&mut agent, "wamid.1", "image", picture()).await;
    assert_eq!(message["media"]["state"], "pending");
    let path = format!("/api/messages/{}/media", message["id"]);
    agent.get(&path).await.expect_status(404);
    graph.wait_for(2).await;
    let begun = std::time::Instant::now();
    api.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(files(Path::new(&folder)), 0);
}
