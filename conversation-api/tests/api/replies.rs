//! Agents' messages on their way to the customer, and what becomes of them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use protocol_tests::{TestServer, eventually};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::support::graph::{
    message, refusal, start, start_with, status_becomes, takes, updated as next_update,
};
use crate::support::stand_in::Answer;
use crate::support::{Database, Desk, Kind, StandIn, meta};

const MESSAGES: &str = "/api/conversations/1/messages";

async fn status(desk: &mut Desk, id: i64) -> Value {
    let listed = desk.get(MESSAGES).await.expect_status(200).json();
    let messages = listed["data"].as_array().unwrap();
    let message = messages.iter().find(|message| message["id"] == id).unwrap();
    message["status"].clone()
}

#[tokio::test]
async fn a_reply_goes_to_the_customer_in_order() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let graph = StandIn::start(takes).await;
        let (api, mut agent) = start(&database, &graph).await;
        let first = agent.write(1, "first").await;
        let second = agent.write(1, "second").await;
        let arrived = graph.wait_for(2).await;
        assert!(
            arrived[0]
                .head
                .starts_with("POST /v23.0/15550100/messages HTTP/1.1")
        );
        assert_eq!(
            arrived[0].header("authorization"),
            Some("Bearer the access token")
        );
        let expected = json!({
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "to": "491701000001",
            "type": "text",
            "text": {"preview_url": false, "body": "first"},
        });
        assert_eq!(arrived[0].body, expected);
        assert_eq!(arrived[1].body["text"]["body"], "second");
        status_becomes(&agent, first, "sent").await;
        status_becomes(&agent, second, "sent").await;
        let exit = api.stop().await;
        assert!(!exit.log.join("\n").contains("the access token"));
    }
}

#[tokio::test]
async fn what_whatsapp_reports_never_goes_backwards() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let graph = StandIn::start(takes).await;
        let (api, mut agent) = start(&database, &graph).await;
        let id = agent.write(1, "x").await;
        status_becomes(&agent, id, "sent").await;
        for (reported, expected) in [
            ("sent", "sent"),
            ("frozen", "sent"),
            ("delivered", "delivered"),
            ("sent", "delivered"),
            ("failed", "delivered"),
            ("read", "read"),
            ("delivered", "read"),
        ] {
            let payload = meta::status("wamid.x", reported);
            meta::deliver(&mut agent, &payload).await.expect_status(200);
            assert_eq!(status(&mut agent, id).await, expected, "after {reported}");
        }
        // A customer's message has no such status, whoever reports one.
        let customers = meta::message("wamid.theirs", "491701000001", "Grace", "hi");
        meta::deliver(&mut agent, &customers)
            .await
            .expect_status(200);
        meta::deliver(&mut agent, &meta::status("wamid.theirs", "read"))
            .await
            .expect_status(200);
        let query =
            "SELECT COUNT(*) FROM messages WHERE direction = 'inbound' AND status IS NOT NULL";
        assert_eq!(database.number(query).await, 0);
        api.stop().await;
    }
}

#[tokio::test]
async fn what_becomes_of_a_reply_is_announced_with_its_reason() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let graph = StandIn::start(|arrived| {
            if arrived.body["text"]["body"] != "late" {
                return takes(arrived);
            }
            let error = json!({"message": "(#131047) Re-engagement message", "code": 131_047,
                "error_data": {"details": "More than 24 hours have passed."}});
            (400, json!({"error": error}).to_string())
        })
        .await;
        let (api, mut agent) = start_with(&database, &graph, |api| api.relay(&relay)).await;
        let mut client = relay.connect().await;
        agent.subscribe(&mut client, "private-conversation.1").await;
        let id = agent.write(1, "x").await;
        let sent = client.expect_event("message.sent").await.data_json();
        assert_eq!(sent["status"], "pending");
        assert_eq!(sent["sender"]["name"], "Amir Agent");
        let updated = client.expect_event("message.updated").await.data_json();
        let expected = json!({
            "id": id, "conversation_id": 1, "type": "text", "sender": sent["sender"],
            "status": "sent", "error": null, "media": null, "created_at": sent["created_at"],
            "version": sent["version"].as_i64().unwrap() + 1,
        });
        assert_eq!(updated, expected);
        for report in ["delivered", "delivered", "sent", "read"] {
            let payload = meta::status("wamid.x", report);
            meta::deliver(&mut agent, &payload).await.expect_status(200);
        }
        for status in ["delivered", "read"] {
            let updated = client.expect_event("message.updated").await.data_json();
            assert_eq!(
                (&updated["id"], &updated["status"]),
                (&json!(id), &json!(status))
            );
        }
        let refused = agent.write(1, "late").await;
        let reported = agent.write(1, "y").await;
        status_becomes(&agent, reported, "sent").await;
        let payload = meta::failure("wamid.y", 131_026, "Message undeliverable", "No WhatsApp.");
        meta::deliver(&mut agent, &payload).await.expect_status(200);
        for (id, code, title, message, can_retry) in [
            (
                refused,
                131_047,
                "(#131047) Re-engagement message",
                "More than 24 hours have passed.",
                false,
            ),
            (
                reported,
                131_026,
                "Message undeliverable",
                "No WhatsApp.",
                true,
            ),
        ] {
            let failed =
                next_update(&mut client, id, |message| message["status"] == "failed").await;
            let error =
                json!({"code": code, "title": title, "message": message, "can_retry": can_retry});
            assert_eq!((&failed["id"], &failed["error"]), (&json!(id), &error));
            let path = format!("/api/messages/{id}");
            let message = agent.get(&path).await.expect_status(200).json();
            assert_eq!(message["error"], error, "it is there after a reload");
        }
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn a_reply_that_is_refused_fails_and_the_next_one_goes_out() {
    let database = Database::seeded(Kind::Sqlite).await;
    let graph = StandIn::start(|arrived| {
        if arrived.body["text"]["body"] == "refused" {
            (
                400,
                json!({"error": {"message": "Re-engagement message"}}).to_string(),
            )
        } else {
            takes(arrived)
        }
    })
    .await;
    let (api, mut agent) = start(&database, &graph).await;
    let refused = agent.write(1, "refused").await;
    let taken = agent.write(1, "taken").await;
    status_becomes(&agent, refused, "failed").await;
    status_becomes(&agent, taken, "sent").await;
    // Its agents know, and nobody else has to look at it.
    let metrics = api.metrics().await;
    assert_eq!(metrics.sum("conversation_outbox_dead", &[]), 0.0);
    let labels = [("kind", "whatsapp")];
    assert_eq!(
        metrics.sum("conversation_outbox_given_up_total", &labels),
        1.0
    );
    let done = "SELECT COUNT(*) FROM outbox WHERE kind = 'whatsapp' AND sent_at IS NOT NULL
        AND error LIKE '%Re-engagement message%'";
    assert_eq!(database.number(done).await, 1);
    api.stop().await;
}

#[tokio::test]
async fn a_reply_waits_while_whatsapp_is_not_there() {
    let database = Database::seeded(Kind::Sqlite).await;
    let mut failures = 0;
    let graph = StandIn::start(move |arrived| {
        failures += 1;
        match failures {
            1 => (500, String::new()),
            2 => (429, String::new()),
            _ => takes(arrived),
        }
    })
    .await;
    let (api, mut agent) = start(&database, &graph).await;
    let id = agent.write(1, "patience").await;
    status_becomes(&agent, id, "sent").await;
    assert_eq!(graph.arrived().len(), 3);
    api.stop().await;
}

#[tokio::test]
async fn what_is_temporary_is_tried_again_whatever_its_status() {
    for code in [130_429, 131_056, 80007, 1, 2, 4, 131_016] {
        let database = Database::seeded(Kind::Sqlite).await;
        let mut failures = 0;
        let graph = StandIn::start(move |arrived| {
            failures += 1;
            match failures {
                1 => refusal(400, code, "later"),
                _ => takes(arrived),
            }
        })
        .await;
        let (api, mut agent) = start(&database, &graph).await;
        let id = agent.write(1, "patience").await;
        status_becomes(&agent, id, "sent").await;
        assert_eq!(graph.arrived().len(), 2, "{code}");
        api.stop().await;
    }
}

#[tokio::test]
async fn whatsapp_is_left_alone_for_as_long_as_it_asks() {
    let database = Database::seeded(Kind::Sqlite).await;
    let times = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&times);
    let graph = StandIn::start(move |arrived| {
        let mut times = noted.lock().unwrap();
        times.push(Instant::now());
        match times.len() {
            1 => Answer::from((429, String::new())).header("Retry-After", "2"),
            _ => takes(arrived).into(),
        }
    })
    .await;
    let (api, mut agent) = start(&database, &graph).await;
    let id = agent.write(1, "patience").await;
    status_becomes(&agent, id, "sent").await;
    let times = times.lock().unwrap().clone();
    assert!(times[1] - times[0] >= Duration::from_secs(2));
    api.stop().await;
}

/// Refuses all that conversations 1 and 2 write first with this code, for a minute; in 3 all is taken.
async fn two_of_three_are_to_wait(kind: Kind, code: i64) -> Vec<String> {
    let database = Database::seeded(kind).await;
    let graph = StandIn::start(move |arrived| {
        if arrived.body["text"]["body"] == "asked to wait" {
            Answer::from(refusal(429, code, "Too many")).header("Retry-After", "60")
        } else {
            takes(arrived).into()
        }
    })
    .await;
    let (api, _agent) = start(&database, &graph).await;
    let mut admin = api.log_in("admin@tims.local").await;
    for (conversation, arrived) in [(1, 1), (2, 2)] {
        admin.write(conversation, "asked to wait").await;
        graph.wait_for(arrived).await;
    }
    let waiting = "SELECT COUNT(*) FROM outbox_lanes
        WHERE kind = 'whatsapp' AND failures = 1 AND leased_by IS NULL";
    eventually("both to be settled", || async {
        (database.number(waiting).await == 2).then_some(())
    })
    .await;
    for content in ["a", "b", "c", "d"] {
        let id = admin.write(3, content).await;
        status_becomes(&admin, id, "sent").await;
    }
    // What is in vain is not sent again by what follows it, either.
    admin.write(1, "behind it").await;
    let id = admin.write(3, "e").await;
    status_becomes(&admin, id, "sent").await;
    assert_eq!(graph.arrived().len(), 7, "{code}");
    let left_alone = "SELECT COUNT(*) FROM outbox_lanes
        WHERE kind = 'whatsapp' AND failures = 1 AND due_at >= left_alone_until";
    assert_eq!(database.number(left_alone).await, 2, "{code}");
    api.stop().await.log
}

#[tokio::test]
async fn who_asks_to_be_left_alone_is_when_something_else_is_taken() {
    for kind in Kind::BOTH {
        let log = two_of_three_are_to_wait(kind, 130_429).await.join("\n");
        assert!(log.contains("nothing is being taken"), "it is everybody's");
        assert!(log.contains("what waited is being sent again"));
    }
}

#[tokio::test]
async fn a_limit_on_messages_to_one_customer_is_no_outage() {
    for kind in Kind::BOTH {
        let log = two_of_three_are_to_wait(kind, 131_056).await.join("\n");
        assert!(!log.contains("nothing is being taken"), "{log}");
    }
}

#[tokio::test]
async fn a_reply_that_is_not_taken_in_time_fails_and_the_next_one_goes_out() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let is_back = Arc::new(AtomicBool::new(false));
        let back = Arc::clone(&is_back);
        let graph = StandIn::start(move |arrived| {
            if arrived.body["text"]["body"] == "stale" && !back.load(Ordering::Relaxed) {
                refusal(503, 131_016, "Service unavailable")
            } else {
                takes(arrived)
            }
        })
        .await;
        let (api, mut agent) = start_with(&database, &graph, |api| {
            api.relay(&relay).set("WHATSAPP_RETRY_HOURS", "0")
        })
        .await;
        let mut client = relay.connect().await;
        agent.subscribe(&mut client, "private-conversation.1").await;
        let stale = agent.write(1, "stale").await;
        let next = agent.write(1, "next").await;
        status_becomes(&agent, next, "sent").await;
        let event = next_update(&mut client, stale, |_| true).await;
        assert_eq!(event["status"], "failed");
        let error = message(&mut agent, stale).await["error"].clone();
        assert_eq!(event["error"], error);
        assert_eq!(error["title"], "WhatsApp did not take it in time");
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .contains("Service unavailable")
        );
        assert_eq!(error["can_retry"], true);
        is_back.store(true, Ordering::Relaxed);
        let retry = format!("/api/messages/{stale}/retry");
        agent.post(&retry, &json!({})).await.expect_status(200);
        status_becomes(&agent, stale, "sent").await;
        assert_eq!(graph.arrived().len(), 3);
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn a_reply_that_is_given_up_without_an_answer_may_have_arrived() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let graph = StandIn::start_slow(takes).await;
        // An attempt may take a third of the lease, and each of four does.
        let (api, _agent) = start_with(&database, &graph, |api| {
            api.set("WHATSAPP_RETRY_HOURS", "0")
                .set("OUTBOX_LEASE_SECONDS", "6")
        })
        .await;
        let mut admin = api.log_in("admin@tims.local").await;
        for conversation in [1, 2] {
            let id = admin.write(conversation, "x").await;
            status_becomes(&admin, id, "failed").await;
            let error = message(&mut admin, id).await["error"].clone();
            let title = "It is not known whether the message was sent";
            assert_eq!(error["title"], title, "{error}");
            assert_eq!(error["can_retry"], true);
        }
        let labels = [("kind", "whatsapp")];
        eventually("both attempts to be counted", || async {
            let metrics = api.metrics().await;
            let failures = metrics.sum("conversation_outbox_failures_total", &labels);
            (failures == 2.0).then_some(())
        })
        .await;
        let is_down = |line: &String| line.contains("nothing is being taken");
        eventually("the outage to be noticed", || {
            let is_noticed = api.log().iter().any(is_down);
            async move { is_noticed.then_some(()) }
        })
        .await;
        api.stop().await;
    }
}

#[tokio::test]
async fn a_reply_that_could_not_be_handed_over_has_not_arrived() {
    let database = Database::seeded(Kind::Sqlite).await;
    let graph = StandIn::start(takes).await;
    let (api, mut agent) = start_with(&database, &graph, |api| {
        api.set("WHATSAPP_RETRY_HOURS", "0")
            .set("WHATSAPP_GRAPH_URL", "http://127.0.0.1:1/v23.0")
    })
    .await;
    let id = agent.write(1, "x").await;
    status_becomes(&agent, id, "failed").await;
    let error = message(&mut agent, id).await["error"].clone();
    assert_eq!(error["title"], "WhatsApp did not take it in time");
    api.stop().await;
}

#[tokio::test]
async fn an_answer_without_an_id_is_a_failure() {
    for answer in [
        "",
        "<html>Log in to the network</html>",
        "{}",
        r#"{"messages":[{"id":""}]}"#,
    ] {
        let database = Database::seeded(Kind::Sqlite).await;
        let graph = StandIn::start(move |_| (200, answer.into())).await;
        let (api, mut agent) = start(&database, &graph).await;
        let id = agent.write(1, "x").await;
        status_becomes(&agent, id, "failed").await;
        let error = message(&mut agent, id).await["error"].clone();
        assert!(
            error["title"].as_str().unwrap().contains("not known"),
            "{error}"
        );
        assert_eq!(error["can_retry"], true);
        assert_eq!(graph.arrived().len(), 1, "it is not sent again by itself");
        api.stop().await;
    }
}

#[tokio::test]
async fn a_report_that_overtakes_the_answer_is_not_lost() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let (reported, report) = oneshot::channel();
        let mut reported = Some(reported);
        // The answer comes once the report has.
        let graph = StandIn::start_slow(move |arrived| {
            let _first = reported.take().map(|reported| reported.send(()));
            takes(arrived)
        })
        .await;
        let (api, mut agent) = start(&database, &graph).await;
        let id = agent.write(1, "x").await;
        report.await.unwrap();
        let payload = meta::failure("wamid.x", 131_026, "Message undeliverable", "No WhatsApp.");
        meta::deliver(&mut agent, &payload).await.expect_status(200);
        assert_eq!(message(&mut agent, id).await["status"], "pending");
        graph.release();
        status_becomes(&agent, id, "failed").await;
        assert_eq!(message(&mut agent, id).await["error"]["code"], 131_026);
        let kept = "SELECT COUNT(*) FROM early_statuses";
        assert_eq!(database.number(kept).await, 0);
        api.stop().await;
    }
}
