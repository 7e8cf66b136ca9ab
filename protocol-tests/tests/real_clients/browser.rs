//! The libraries' builds for browsers, in headless Chromium. One browser runs all scenarios of a suite: starting it
//! takes longer than a scenario.

use crate::scenarios::Run;

const fn chromium(suite: &'static str, version: &'static str, scenario: &'static str) -> Run {
    Run {
        environment: "chromium",
        suite,
        version,
        scenario,
    }
}

#[tokio::test]
async fn pusher_js_7() {
    chromium("pusher-js", "7", "all").on_default_server().await;
}

#[tokio::test]
async fn pusher_js_8() {
    chromium("pusher-js", "8", "all").on_default_server().await;
}

#[tokio::test]
async fn pusher_js_8_reconnects_after_a_server_restart() {
    let run = chromium("pusher-js", "8", "reconnect");
    run.on_server_to_restart().await;
}

#[tokio::test]
async fn pusher_js_8_counts_subscriptions() {
    let run = chromium("pusher-js", "8", "subscription_count");
    run.on_counting_server().await;
}

#[tokio::test]
async fn pusher_js_8_watches_users() {
    let run = chromium("pusher-js", "8", "watchlist");
    run.on_watching_server().await;
}

#[tokio::test]
async fn echo_1() {
    chromium("echo", "1", "all").on_default_server().await;
}

#[tokio::test]
async fn echo_2() {
    chromium("echo", "2", "all").on_default_server().await;
}

#[tokio::test]
async fn echo_2_reconnects_after_a_server_restart() {
    let run = chromium("echo", "2", "reconnect");
    run.on_server_to_restart().await;
}

#[tokio::test]
async fn echo_2_in_two_tabs() {
    chromium("tabs", "2", "all").on_default_server().await;
}

#[tokio::test]
async fn foreign_page_neither_joins_nor_publishes_at_the_development_app() {
    let run = chromium("pages", "8", "foreign_page_at_the_development_app");
    run.on_development_server().await;
}

#[tokio::test]
async fn page_that_goes_into_the_back_forward_cache_is_no_member_until_it_is_back() {
    let run = chromium("pages", "8", "page_in_the_back_forward_cache");
    run.on_impatient_server().await;
}

#[tokio::test]
async fn pusher_js_7_over_streams() {
    let run = chromium("pusher-js", "7/xhr_streaming", "all");
    run.on_default_server().await;
}

#[tokio::test]
async fn pusher_js_7_over_polls() {
    let run = chromium("pusher-js", "7/xhr_polling", "all");
    run.on_default_server().await;
}

#[tokio::test]
async fn pusher_js_8_over_streams() {
    let run = chromium("pusher-js", "8/xhr_streaming", "all");
    run.on_default_server().await;
}

#[tokio::test]
async fn pusher_js_8_over_polls() {
    let run = chromium("pusher-js", "8/xhr_polling", "all");
    run.on_default_server().await;
}

#[tokio::test]
async fn pusher_js_8_without_websockets() {
    let run = chromium("pusher-js", "8/no-websocket", "all");
    run.on_default_server().await;
}

#[tokio::test]
async fn pusher_js_8_over_polls_reconnects_after_a_server_restart() {
    let run = chromium("pusher-js", "8/xhr_polling", "reconnect");
    run.on_server_to_restart().await;
}

#[tokio::test]
async fn pusher_js_8_over_streams_reconnects_after_a_server_restart() {
    let run = chromium("pusher-js", "8/xhr_streaming", "reconnect");
    run.on_server_to_restart().await;
}

#[tokio::test]
async fn echo_2_over_streams() {
    let run = chromium("echo", "2/xhr_streaming", "all");
    run.on_default_server().await;
}

#[tokio::test]
async fn echo_2_over_polls() {
    let run = chromium("echo", "2/xhr_polling", "all");
    run.on_default_server().await;
}

#[tokio::test]
async fn streams_lose_nothing_of_what_pusher_js_8_is_sent() {
    let run = chromium("fallback", "8/xhr_streaming", "steady_events");
    run.on_default_server().await;
}

#[tokio::test]
async fn polls_lose_nothing_of_what_pusher_js_8_is_sent() {
    let run = chromium("fallback", "8/xhr_polling", "steady_events");
    run.on_default_server().await;
}

#[tokio::test]
async fn streams_lose_nothing_of_what_pusher_js_7_is_sent() {
    let run = chromium("fallback", "7/xhr_streaming", "steady_events");
    run.on_default_server().await;
}

#[tokio::test]
async fn polls_lose_nothing_of_what_pusher_js_7_is_sent() {
    let run = chromium("fallback", "7/xhr_polling", "some_steady_events");
    run.on_default_server().await;
}

#[tokio::test]
async fn streams_lose_nothing_of_what_echo_2_is_sent() {
    let run = chromium("fallback", "2/xhr_streaming", "some_steady_events");
    run.on_default_server().await;
}

#[tokio::test]
async fn polls_lose_nothing_of_what_echo_2_is_sent() {
    let run = chromium("fallback", "2/xhr_polling", "some_steady_events");
    run.on_default_server().await;
}

#[tokio::test]
async fn pusher_js_7_finds_a_way_where_no_websocket_gets_through() {
    let run = chromium("fallback", "7/default", "websockets_do_not_get_through");
    run.behind_nginx().await;
}

#[tokio::test]
async fn pusher_js_8_finds_a_way_where_no_websocket_gets_through() {
    let run = chromium("fallback", "8/default", "websockets_do_not_get_through");
    run.behind_nginx().await;
}

#[tokio::test]
async fn echo_2_finds_a_way_where_no_websocket_gets_through() {
    let run = chromium("fallback", "2/default", "websockets_do_not_get_through");
    run.behind_nginx().await;
}

#[tokio::test]
async fn pusher_js_8_over_streams_and_a_load_balancer_to_two_nodes() {
    let run = chromium("pusher-js", "8/xhr_streaming", "all");
    run.behind_haproxy().await;
}

#[tokio::test]
async fn pusher_js_8_over_polls_and_a_load_balancer_to_two_nodes() {
    let run = chromium("pusher-js", "8/xhr_polling", "all");
    run.behind_haproxy().await;
}

#[tokio::test]
async fn pusher_js_8_comes_back_when_a_stream_is_refused() {
    let run = chromium("fallback", "8/xhr_streaming", "refused_for_a_while");
    run.on_default_server().await;
}

#[tokio::test]
async fn pusher_js_8_comes_back_when_a_poll_is_refused() {
    let run = chromium("fallback", "8/xhr_polling", "refused_for_a_while");
    run.on_default_server().await;
}
