//! Reloads while much is going on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol_tests::{PublishedEvent, Signal, TestServer, or_skip};

use crate::support::{first, second, subscriber};

#[tokio::test]
async fn a_hundred_reloads_under_load_lose_no_event_and_no_connection() {
    const RELOADS: usize = 100;
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    let (app, channel) = (first().app(), server.channel("private-"));
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(subscriber(&server, &app, &channel).await);
    }
    let has_ended = Arc::new(AtomicBool::new(false));
    let publish = async {
        let mut http = server.http();
        let mut number = 0;
        while !has_ended.load(Ordering::Relaxed) {
            let event = PublishedEvent::new(&channel, "number", number.to_string());
            let request = protocol_tests::Request::post(&app, "/events").json(event.body());
            http.send(&request).await.expect_status(200);
            number += 1;
        }
        number
    };
    let reload = async {
        for round in 0..RELOADS {
            let limit = 100 + round as i64;
            let mut apps = vec![first().limit("messages_per_second", limit)];
            apps.extend((round % 2 == 0).then(second));
            server.serve_apps(&apps).await;
            if round % 10 == 0 {
                server.signal(Signal::HangUp);
            }
        }
        has_ended.store(true, Ordering::Relaxed);
    };
    let (published, ()) = tokio::join!(publish, reload);
    assert!(published > RELOADS, "{published}");
    for client in &mut clients {
        for number in 0..published {
            let event = client.expect_event_on(&channel, "number").await;
            assert_eq!(event.data_text(), number.to_string());
        }
        client.expect_nothing().await;
    }
    server.finish().await;
}
