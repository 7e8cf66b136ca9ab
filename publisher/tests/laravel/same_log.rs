//! The driver `log` writes what Laravel's LogBroadcaster writes.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use publisher::{Broadcaster as _, LogBroadcaster, LogConfig};
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

/// What a log file has, its mode and that of its folder.
fn written(path: &Path) -> (String, u32, u32) {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    let text = fs::read_to_string(path).unwrap();
    (text, mode(path), mode(path.parent().unwrap()))
}

#[tokio::test]
async fn laravels_log_file_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (number, case) in cases().into_iter().enumerate() {
        let path = |whose: &str| folder.path().join(format!("{number}/{whose}/laravel.log"));
        let (ours, laravels) = (path("ours"), path("laravels"));
        let config = LogConfig::new().path(&ours).environment("local");
        let broadcaster = LogBroadcaster::with(config).unwrap();
        let for_php = case.for_php(&[
            ("driver", json!("file")),
            ("path", json!(laravels)),
            ("environment", json!("local")),
        ]);
        // The second entry goes behind the first.
        for _ in 0..2 {
            broadcaster.broadcast(&case.broadcast()).await.unwrap();
            php::run("broadcast.php", &for_php).await;
        }
        let (ours, laravels) = (written(&ours), written(&laravels));
        assert_eq!((ours.1, ours.2), (laravels.1, laravels.2), "modes");
        let (ours, our_times) = without_times(&ours.0);
        let (laravels, their_times) = without_times(&laravels.0);
        assert_eq!(ours, laravels);
        let in_order = [our_times[0], their_times[0], our_times[1], their_times[1]];
        assert!(in_order.is_sorted(), "{in_order:?}");
    }
}

/// The lines of a log, and the times in front of its two entries.
fn without_times(log: &str) -> (String, Vec<&str>) {
    let times: Vec<&str> = log
        .match_indices("] local.INFO: Broadcasting")
        .map(|(end, _)| &log[end - "[2026-01-31 23:59:59".len()..end])
        .collect();
    assert_eq!(times.len(), 2, "{log}");
    assert!(log.starts_with(times[0]), "{log}");
    (log.replace(times[1], "[").replace(times[0], "["), times)
}
