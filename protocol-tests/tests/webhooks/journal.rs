//! Undelivered events outlive a crash, where there is a journal.

use std::fs::OpenOptions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use protocol_tests::{Answer, Receiver, Signal, TestServer, TestServerBuilder, WsClient, or_skip};
use serde_json::Value;
use tempfile::tempdir;

use crate::support::{
    app, expect_numbered, figure, now_ms, receiver, relay, send_numbered, subscriber, talkative,
    wait_for_figure,
};

/// A relay whose journal is this folder.
fn with_journal(receiver: &Receiver, journal: &Path) -> TestServerBuilder {
    let journal = journal.to_str().expect("the path is UTF-8");
    relay(receiver, &["client_event"]).set("webhooks.journal", journal)
}

/// The journal's files and their sizes, in the order of their names.
fn files(journal: &Path) -> Vec<(PathBuf, u64)> {
    let files = std::fs::read_dir(journal).expect("the folder is there");
    let mut files: Vec<_> = files
        .map(|file| {
            let path = file.expect("the folder can be read").path();
            let size = path.metadata().expect("the file is there").len();
            (path, size)
        })
        .collect();
    files.sort();
    files
}

/// Lets every request fail but those on channels whose names begin with `private-written`.
fn fail_all_but_written(receiver: &Receiver) {
    receiver.script(|delivery| {
        if delivery.events[0].channel.starts_with("private-written") {
            Answer::OK
        } else {
            Answer::Status(500)
        }
    });
}

/// Kills the server once all that this client has sent is in the journal: events are written down in order and before
/// they are sent, so the arrival of a last one shows that.
async fn kill_when_written(server: TestServer, mut client: WsClient, receiver: &mut Receiver) {
    let channel = server.channel("private-written-");
    client.subscribe(&channel).await;
    let sent = figure(&server, "events_sent_total", &[]).await;
    send_numbered(&mut client, &channel, 0..1).await;
    expect_numbered(receiver, &channel, 0..1).await;
    wait_for_figure(&server, "events_sent_total", &[], sent + 1.0).await;
    server.signal(Signal::Kill);
    server.exited().await;
}

/// Asserts that each event that was tried in vain was accepted later, under the same id.
fn assert_ids_were_kept(receiver: &Receiver) {
    let accepted: Vec<String> = receiver
        .events()
        .into_iter()
        .map(|event| event.id)
        .collect();
    for delivery in receiver.deliveries() {
        for event in delivery.events {
            assert!(accepted.contains(&event.id), "{event:?} is lost");
        }
    }
}

#[tokio::test]
async fn undelivered_events_arrive_after_a_crash_with_the_same_ids_and_delivered_ones_do_not() {
    let directory = tempdir().expect("the temporary directory is writable");
    let journal = directory.path().join("journal");
    let mut receiver = receiver().await;
    let builder = with_journal(&receiver, &journal);
    let server = or_skip!(builder.clone().start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 0..10).await;
    expect_numbered(&mut receiver, &channel, 0..10).await;
    wait_for_figure(&server, "events_sent_total", &[], 10.0).await;
    fail_all_but_written(&receiver);
    send_numbered(&mut client, &channel, 10..20).await;
    receiver.wait_for_deliveries(11).await;
    kill_when_written(server, client, &mut receiver).await;
    receiver.script(|_| Answer::OK);
    let server = or_skip!(builder.start().await);
    // An accepted event that came again would be a fault.
    expect_numbered(&mut receiver, &channel, 10..20).await;
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 20..21).await;
    expect_numbered(&mut receiver, &channel, 20..21).await;
    receiver.expect_nothing_more();
    assert_ids_were_kept(&receiver);
    server.finish().await;
}

#[tokio::test]
async fn events_of_several_channels_keep_their_order_across_crashes_while_the_endpoint_is_down() {
    let directory = tempdir().expect("the temporary directory is writable");
    let journal = directory.path().join("journal");
    let mut receiver = receiver().await;
    fail_all_but_written(&receiver);
    let builder = with_journal(&receiver, &journal);
    let mut channels = Vec::new();
    for round in 0..3 {
        let server = or_skip!(builder.clone().start().await);
        if channels.is_empty() {
            channels.extend((0..3).map(|_| server.channel("private-")));
        }
        let mut client = server.connect().await;
        for channel in &channels {
            client.subscribe(channel).await;
            send_numbered(&mut client, channel, round * 5..round * 5 + 5).await;
        }
        kill_when_written(server, client, &mut receiver).await;
    }
    receiver.script(|_| Answer::OK);
    let server = or_skip!(builder.start().await);
    for channel in &channels {
        expect_numbered(&mut receiver, channel, 0..15).await;
    }
    receiver.expect_nothing_more();
    assert_ids_were_kept(&receiver);
    server.finish().await;
}

#[tokio::test]
async fn a_journal_whose_last_record_was_torn_is_read_up_to_there() {
    let directory = tempdir().expect("the temporary directory is writable");
    let journal = directory.path().join("journal");
    let mut receiver = receiver().await;
    receiver.script(|_| Answer::Status(500));
    let builder = with_journal(&receiver, &journal);
    let server = or_skip!(builder.clone().start().await);
    // One event each, so that each is tried, which it is once it is written down.
    let channels: Vec<String> = (0..5).map(|_| server.channel("private-")).collect();
    let mut client = server.connect().await;
    for channel in &channels {
        client.subscribe(channel).await;
        send_numbered(&mut client, channel, 0..1).await;
    }
    receiver.wait_for_deliveries(channels.len()).await;
    server.signal(Signal::Kill);
    server.exited().await;
    let mut written = files(&journal).into_iter().filter(|(_, size)| *size > 0);
    let (last, size) = written.next_back().expect("something was written");
    let file = OpenOptions::new().write(true).open(last);
    let file = file.expect("the file is writable");
    file.set_len(size - 3).expect("the file is writable");
    receiver.script(|_| Answer::OK);
    let server = or_skip!(builder.start().await);
    for channel in &channels[..4] {
        expect_numbered(&mut receiver, channel, 0..1).await;
    }
    let mut client = subscriber(&server, &channels[4]).await;
    send_numbered(&mut client, &channels[4], 1..2).await;
    expect_numbered(&mut receiver, &channels[4], 1..2).await;
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn the_journal_of_delivered_events_does_not_grow() {
    const ROUNDS: u64 = 10;
    const EVENTS: u64 = 200;
    let directory = tempdir().expect("the temporary directory is writable");
    let journal = directory.path().join("journal");
    let mut receiver = receiver().await;
    let builder = with_journal(&receiver, &journal);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    let data = "x".repeat(5_000);
    let mut sent = 0;
    for _ in 0..ROUNDS {
        for _ in 0..EVENTS {
            client
                .send_client_event(&channel, "client-x", data.as_str().into())
                .await;
        }
        for _ in 0..EVENTS {
            receiver.next_event_on(&channel).await;
        }
        sent += EVENTS * data.len() as u64;
    }
    let left: u64 = files(&journal).iter().map(|(_, size)| size).sum();
    assert!(left < sent / 2, "{left} bytes after {sent}");
    server.finish().await;
}

#[tokio::test]
async fn after_a_clean_stop_nothing_is_sent_again() {
    let directory = tempdir().expect("the temporary directory is writable");
    let journal = directory.path().join("journal");
    let mut receiver = receiver().await;
    let builder = with_journal(&receiver, &journal);
    let mut next = 0;
    for _ in 0..3 {
        let server = or_skip!(builder.clone().start().await);
        let channel = server.channel("private-");
        let mut client = subscriber(&server, &channel).await;
        send_numbered(&mut client, &channel, next..next + 5).await;
        expect_numbered(&mut receiver, &channel, next..next + 5).await;
        next += 5;
        receiver.expect_nothing_more();
        server.finish().await;
    }
}

#[tokio::test]
async fn what_could_not_be_sent_before_a_clean_stop_is_sent_after_it() {
    let directory = tempdir().expect("the temporary directory is writable");
    let journal = directory.path().join("journal");
    let mut receiver = receiver().await;
    receiver.script(|_| Answer::Status(500));
    let builder = with_journal(&receiver, &journal).set("server.shutdown_timeout", 1);
    let server = or_skip!(builder.clone().start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 0..5).await;
    client.ping_fence().await;
    wait_for_figure(&server, "events_waiting", &[], 5.0).await;
    server.finish().await;
    receiver.script(|_| Answer::OK);
    let server = or_skip!(builder.start().await);
    expect_numbered(&mut receiver, &channel, 0..5).await;
    receiver.expect_nothing_more();
    assert_ids_were_kept(&receiver);
    server.finish().await;
}

#[tokio::test]
async fn a_journal_is_its_owners_only_and_of_one_process_at_a_time() {
    let directory = tempdir().expect("the temporary directory is writable");
    let journal = directory.path().join("journal");
    let mut receiver = receiver().await;
    let builder = with_journal(&receiver, &journal);
    let server = or_skip!(builder.clone().start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 0..3).await;
    expect_numbered(&mut receiver, &channel, 0..3).await;
    let mut paths: Vec<PathBuf> = files(&journal).into_iter().map(|(path, _)| path).collect();
    paths.push(journal.clone());
    for path in paths {
        let mode = path.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
    let exit = or_skip!(builder.start_and_exit().await);
    assert!(exit.code.is_some_and(|code| code != 0), "{exit:?}");
    let is_explained = exit.log.iter().any(|line| line.contains("journal"));
    assert!(is_explained, "{exit:?}");
    send_numbered(&mut client, &channel, 3..5).await;
    expect_numbered(&mut receiver, &channel, 3..5).await;
    server.finish().await;
}

/// Makes what is written in the journal older.
fn age(journal: &Path, milliseconds: u64) {
    for (path, _) in files(journal).into_iter().filter(|(_, size)| *size > 0) {
        let text = std::fs::read_to_string(&path).expect("the journal is text");
        let older = |line: &str| {
            let mut line: Value = serde_json::from_str(line).expect("each line is JSON");
            let event = line.get_mut("event");
            if let Some(at_ms) = event.and_then(|event| event.get_mut("at_ms")) {
                *at_ms = (at_ms.as_u64().expect("a time") - milliseconds).into();
            }
            format!("{line}\n")
        };
        let older: String = text.lines().map(older).collect();
        std::fs::write(&path, older).expect("the journal is writable");
    }
}

#[tokio::test]
async fn what_is_older_than_it_may_become_is_tried_as_long_as_what_happens_at_the_start() {
    let directory = tempdir().expect("the temporary directory is writable");
    let journal = directory.path().join("journal");
    let mut receiver = receiver().await;
    fail_all_but_written(&receiver);
    let builder = with_journal(&receiver, &journal).set("webhooks.retry_for", 10);
    let server = or_skip!(builder.clone().start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    let before = now_ms();
    send_numbered(&mut client, &channel, 0..3).await;
    kill_when_written(server, client, &mut receiver).await;
    age(&journal, 15_000);
    let tried = receiver.deliveries().len();
    // The backend comes a little later than the relay.
    let is_there = AtomicBool::new(false);
    receiver.script(move |_| {
        if is_there.swap(true, Ordering::Relaxed) {
            Answer::OK
        } else {
            Answer::Status(503)
        }
    });
    let server = or_skip!(builder.start().await);
    expect_numbered(&mut receiver, &channel, 0..3).await;
    for delivery in &receiver.deliveries()[tried..] {
        assert!(delivery.time_ms < before, "it is as old as it was");
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

/// A relay that keeps what outlasts it in this folder, with its journal where it is by default.
fn with_state(receiver: &Receiver, state: &Path) -> TestServerBuilder {
    let state = state.to_str().expect("the path is UTF-8");
    relay(receiver, &["client_event"]).set("server.state_dir", state)
}

#[tokio::test]
async fn by_default_events_outlast_the_process_in_the_state_folder() {
    let directory = tempdir().expect("the temporary directory is writable");
    let mut receiver = receiver().await;
    fail_all_but_written(&receiver);
    let builder = with_state(&receiver, &directory.path().join("state"));
    let server = or_skip!(builder.clone().start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 0..5).await;
    kill_when_written(server, client, &mut receiver).await;
    receiver.script(|_| Answer::OK);
    let server = or_skip!(builder.start().await);
    expect_numbered(&mut receiver, &channel, 0..5).await;
    receiver.expect_nothing_more();
    assert_ids_were_kept(&receiver);
    server.finish().await;
}

#[tokio::test]
async fn what_is_left_is_sent_to_a_webhook_that_begins_later_and_forgotten_for_one_that_is_gone() {
    let directory = tempdir().expect("the temporary directory is writable");
    let state = directory.path().join("state");
    let (mut kept, mut gone) = (receiver().await, receiver().await);
    let events = ["client_event"];
    let both = app(&kept, &events).webhook(gone.webhook(&events));
    let state = state.to_str().expect("the path is UTF-8");
    let builder = |app| {
        TestServer::builder()
            .app(app)
            .set("server.state_dir", state)
    };
    fail_all_but_written(&kept);
    fail_all_but_written(&gone);
    let server = or_skip!(builder(both.clone()).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 0..3).await;
    gone.wait_for_deliveries(1).await;
    kill_when_written(server, client, &mut kept).await;

    let server = or_skip!(builder(talkative()).start().await);
    kept.script(|_| Answer::OK);
    server.serve_apps(&[app(&kept, &events)]).await;
    expect_numbered(&mut kept, &channel, 0..3).await;
    server.finish().await;

    let written = gone.deliveries().len();
    gone.script(|_| Answer::OK);
    let server = or_skip!(builder(both).start().await);
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 3..4).await;
    for receiver in [&mut kept, &mut gone] {
        expect_numbered(receiver, &channel, 3..4).await;
    }
    assert_eq!(gone.deliveries().len(), written + 1);
    server.finish().await;
}

#[tokio::test]
async fn a_relay_without_webhooks_leaves_the_state_folder_alone() {
    let directory = tempdir().expect("the temporary directory is writable");
    let state = directory.path().join("state");
    let path = state.to_str().expect("the path is UTF-8");
    let builder = TestServer::builder().set("server.state_dir", path);
    or_skip!(builder.start().await).finish().await;
    assert!(!state.exists());
}

#[tokio::test]
async fn where_the_usual_folder_cannot_be_used_webhooks_are_sent_all_the_same() {
    let directory = tempdir().expect("the temporary directory is writable");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("the temporary directory is writable");
    let mut receiver = receiver().await;
    let shared = with_state(&receiver, &directory.path().join("state"));
    let first = or_skip!(shared.clone().start().await);
    // A file in its place; and a folder that another relay uses.
    for builder in [with_state(&receiver, &file), shared] {
        let server = or_skip!(builder.start().await);
        let warned = |line: &String| line.contains("WARN") && line.contains("webhooks.journal");
        assert_eq!(server.log().iter().filter(|line| warned(line)).count(), 1);
        let channel = server.channel("private-");
        let mut client = subscriber(&server, &channel).await;
        send_numbered(&mut client, &channel, 0..3).await;
        expect_numbered(&mut receiver, &channel, 0..3).await;
        server.finish().await;
    }
    first.finish().await;
}

#[tokio::test]
async fn a_journal_that_cannot_be_used_is_reported_at_start() {
    let directory = tempdir().expect("the temporary directory is writable");
    let file = directory.path().join("file");
    std::fs::write(&file, "").expect("the temporary directory is writable");
    let receiver = receiver().await;
    for journal in [file.clone(), file.join("journal")] {
        let builder = with_journal(&receiver, &journal);
        let exit = or_skip!(builder.start_and_exit().await);
        assert!(exit.code.is_some_and(|code| code != 0), "{exit:?}");
        let is_explained = exit.log.iter().any(|line| line.contains("journal"));
        assert!(is_explained, "{exit:?}");
    }
}
