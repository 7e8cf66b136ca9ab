//! Sessions that outlive their sockets: pages with pusher-js 8 and Echo 2 in headless Chromium.

use crate::scenarios::Run;

const fn chromium(scenario: &'static str) -> Run {
    Run {
        environment: "chromium",
        suite: "resume",
        version: "2",
        scenario,
    }
}

#[tokio::test]
async fn pages_that_are_cut_off_miss_nothing() {
    let run = chromium("pages_that_are_cut_off_miss_nothing");
    run.on_waiting_server(60).await;
}

#[tokio::test]
async fn pages_whose_network_is_gone_without_a_word_miss_nothing() {
    let run = chromium("pages_whose_network_is_gone_without_a_word_miss_nothing");
    // No longer than it takes until either side notices.
    run.on_waiting_server(4).await;
}

#[tokio::test]
async fn pages_over_streams_that_are_cut_off_miss_nothing() {
    let run = chromium("pages_over_streams_that_are_cut_off_miss_nothing");
    run.on_waiting_server(8).await;
}

#[tokio::test]
async fn pages_over_polls_that_are_cut_off_miss_nothing() {
    let run = chromium("pages_over_polls_that_are_cut_off_miss_nothing");
    run.on_waiting_server(8).await;
}

#[tokio::test]
async fn page_that_is_reloaded_gets_nothing_old() {
    let run = chromium("page_that_is_reloaded_gets_nothing_old");
    run.on_waiting_server(300).await;
}

#[tokio::test]
async fn page_that_disconnects_is_gone() {
    let run = chromium("page_that_disconnects_is_gone");
    run.on_waiting_server(300).await;
}

#[tokio::test]
async fn page_in_the_back_forward_cache_is_gone_after_its_window() {
    let run = chromium("page_in_the_back_forward_cache_is_gone_after_its_window");
    run.on_waiting_server(2).await;
}
