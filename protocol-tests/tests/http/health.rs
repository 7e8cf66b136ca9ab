//! `/`, `/up`, `/health` and `/ready`: for load balancers, without a signature.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use protocol_tests::{AppConfig, PublishedEvent, Request, TestServer, or_skip, within};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::{batch, expect_refused};

const PATHS: [&str; 4] = ["/", "/up", "/health", "/ready"];

#[tokio::test]
async fn health_checks_answer_200_without_a_signature() {
    let server = TestServer::start().await;
    let mut http = server.http();
    for path in PATHS {
        let response = http
            .send(&Request::new("GET", path))
            .await
            .expect_status(200);
        assert!(response.json().is_object(), "{path}");
        let head = http.send(&Request::new("HEAD", path)).await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        let with_query = http
            .send(&Request::new("GET", &format!("{path}?probe=1&x")))
            .await;
        with_query.expect_status(200);
    }
    assert_eq!(http.opened(), 1);
    server.finish().await;
}

#[tokio::test]
async fn health_checks_name_no_app_and_no_key() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    for path in PATHS {
        let text = server.request(&Request::new("GET", path)).await.text();
        for app in [server.app(), server.second_app()] {
            for private in [&app.id, &app.key, &app.secret] {
                assert!(!text.contains(private.as_str()), "{path}: {text}");
            }
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn health_checks_are_405_for_other_methods() {
    let server = TestServer::start().await;
    for path in PATHS {
        for method in ["POST", "PUT", "DELETE"] {
            expect_refused(&server, &Request::new(method, path), 405, "GET").await;
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn health_check_answers_while_load_runs() {
    // A worker with a long fan-out before it must not keep health checks waiting: far from what the benchmark holds it
    // to, but no machine is slow enough to excuse that half of them take longer.
    const TIME_TO_ANSWER: Duration = Duration::from_secs(3);
    const CHECKS: usize = 12;
    let app = AppConfig::new("10001").limit("outbox_bytes", 16 << 20);
    let server = or_skip!(
        TestServer::builder()
            .app(app)
            .set("server.workers", 1)
            .start()
            .await
    );
    let channel = server.channel("busy-");
    let mut readers = JoinSet::new();
    for _ in 0..100 {
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        readers.spawn(async move { while client.next_event().await.name != "last" {} });
    }
    let events = vec![PublishedEvent::new(&channel, "x", "x".repeat(128)); 10];
    let request = batch(server.app(), &events);
    let mut publishers = JoinSet::new();
    let is_checked = Arc::new(AtomicBool::new(false));
    for _ in 0..2 {
        let (mut http, request) = (server.http(), request.clone());
        let is_checked = Arc::clone(&is_checked);
        publishers.spawn(async move {
            let end = Instant::now() + Duration::from_secs(3);
            while Instant::now() < end || !is_checked.load(Ordering::Relaxed) {
                http.send(&request).await.expect_status(200);
            }
        });
    }
    let mut health = server.http();
    let mut took = Vec::new();
    while !publishers.is_empty() {
        for path in PATHS {
            let asked = Instant::now();
            let check = Request::new("GET", path);
            within("the health check", health.send(&check))
                .await
                .expect_status(200);
            took.push(asked.elapsed());
        }
        is_checked.store(took.len() >= CHECKS, Ordering::Relaxed);
        while let Some(publisher) = publishers.try_join_next() {
            publisher.expect("publishing goes on");
        }
    }
    took.sort();
    assert!(took[took.len() / 2] < TIME_TO_ANSWER, "{took:?}");
    server
        .publish(PublishedEvent::new(&channel, "last", ""))
        .await;
    readers.join_all().await;
    server.finish().await;
}
