//! What customers send besides texts, and the files that come with it.

use protocol_tests::{Request, Response, TestServer};
use serde_json::{Value, json};

use crate::support::files::{JPEG, PHONE, graph_of, media_of, picture, receive};
use crate::support::graph::{start, start_with, updated};
use crate::support::stand_in::Arrived;
use crate::support::{Api, Database, Kind, meta};

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

/// Another user of the browser is not given it.
fn expect_private(served: &Response) {
    let cache = served.header("cache-control").unwrap();
    assert!(cache.starts_with("private"), "{cache}");
    let mut vary = served.headers.iter().filter(|(name, _)| name == "vary");
    assert!(vary.any(|(_, value)| value.contains("Authorization")));
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
        let version = |state: &Value| state["version"].as_i64().unwrap();
        assert!(version(&ready) > version(&event));
        let listed = agent.get("/api/conversations/1").await.json();
        assert_eq!(version(&listed["last_message"]), version(&ready));
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
        expect_private(&served);
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
