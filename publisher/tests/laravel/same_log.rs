//! The driver `log` writes what Laravel's LogBroadcaster writes.

use std::sync::{Arc, Mutex};

use publisher::{Broadcaster as _, LogBroadcaster};
use serde_json::json;

use crate::{events::cases, php};

#[tokio::test]
async fn laravels_log_broadcaster_logs_the_same() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let broadcaster = LogBroadcaster::to({
        let lines = Arc::clone(&lines);
        move |text| lines.lock().unwrap().push(text.to_owned())
    });
    for case in cases() {
        broadcaster.broadcast(&case.broadcast()).await.unwrap();
        let ours = lines.lock().unwrap().pop().unwrap();
        let laravels = php::run("broadcast.php", &case.for_php(&[("driver", json!("log"))])).await;
        assert_eq!(format!("info: {ours}\n"), laravels);
    }
}

#[tokio::test]
async fn nowhere_is_not_logged() {
    let broadcaster = LogBroadcaster::to(|text| panic!("{text}"));
    let mut case = cases().remove(0);
    case.channels.clear();
    broadcaster.broadcast(&case.broadcast()).await.unwrap();
    let laravels = php::run("broadcast.php", &case.for_php(&[("driver", json!("log"))])).await;
    assert_eq!(laravels, "");
}
