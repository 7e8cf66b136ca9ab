//! Files that do not come as they should, and processes that end meanwhile.

use std::path::Path;
use std::time::Duration;

use protocol_tests::eventually;
use serde_json::{Value, json};

use crate::support::api::Builder;
use crate::support::files::{
    JPEG, files, folder, graph_of, graph_with, media_of, picture, receive,
};
use crate::support::graph::{start, start_with};
use crate::support::stand_in::{Answer, Arrived};
use crate::support::{Database, Kind, StandIn};

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
        let set = |api: Builder| api.set("MEDIA", &folder).doomed();
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
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert_eq!(files(Path::new(&folder)), 0);
}
