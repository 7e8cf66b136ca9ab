//! What web pages get of the admin listener, in headless Chromium.

use std::time::Duration;

use protocol_tests::{TestServer, or_skip};
use serde_json::Value;
use tokio::time::timeout;

use crate::script::{Interpreter, Script, settings};

#[tokio::test]
async fn pages_of_other_sites_get_nothing_of_the_admin_listener() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let admin = server.admin_endpoint().expect("it has an admin listener");
    let settings = settings(server.app(), &admin.authority);
    let mut script = Script::start_with(Interpreter::Node, &["admin-pages.mjs"], Some(settings));
    let mut client = server.connect().await;
    // A browser is started for it.
    let line = timeout(Duration::from_secs(240), script.line()).await;
    let line = line.expect("the pages are done in time");
    let ended = script.ended().await;
    let got: Value = match line {
        Some(line) if ended.succeeded => serde_json::from_str(&line).expect("a line of JSON"),
        _ => panic!("the program failed:\n{}", ended.stderr),
    };
    for page in ["foreign", "rebound"] {
        let got = &got[page];
        let text = got.to_string();
        assert!(
            !text.contains("fanfare_") && !text.contains("\"apps\\\""),
            "{page}: {text}"
        );
        for way in ["script", "stream"] {
            assert_eq!(got[way], false, "{page}: {text}");
        }
        for way in ["metrics", "apps", "form", "closing"] {
            let is_refused = match got[way]["status"].as_u64() {
                None => got[way]["failed"].is_string(),
                // What came is not to be seen.
                Some(0) => got[way]["type"] == "opaque",
                Some(status) => [403, 421].contains(&status),
            };
            assert!(is_refused, "{page}: {way}: {text}");
        }
    }
    // The same page, of the listener itself: so these were real tries.
    let own = &got["own"];
    for (way, status) in [
        ("metrics", 200),
        ("apps", 200),
        ("form", 201),
        ("closing", 202),
    ] {
        assert_eq!(own[way]["status"], status, "{own}");
    }
    assert_eq!(own["stream"], true);
    // That one closed the connection, and none of the others.
    client.expect_close_code(4009).await;
    let metrics = server.metrics().await;
    for reason in ["foreign_host", "foreign_page"] {
        let refused = metrics.sum("fanfare_admin_refused_total", &[("reason", reason)]);
        assert!(refused >= 4.0, "{reason}: {refused}");
    }
    server.finish().await;
}
