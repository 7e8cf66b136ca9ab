//! Sessions that outlive their sockets, in headless Chromium: pages with pusher-js and Echo.

use crate::scenarios::Run;

const fn chromium(version: &'static str, scenario: &'static str) -> Run {
    Run {
        environment: "chromium",
        suite: "resume",
        version,
        scenario,
    }
}

/// A module with a test for each scenario that all versions have.
macro_rules! pages {
    ($module:ident, $version:literal, $($scenario:ident: $window:literal)*) => {
        mod $module {
            use super::*;

            $(#[tokio::test]
            async fn $scenario() {
                let run = chromium($version, stringify!($scenario));
                run.on_waiting_server($window).await;
            })*
        }
    };
    ($module:ident, $version:literal) => {
        pages!($module, $version,
            pages_that_are_cut_off_miss_nothing: 60
            // No longer than it takes until either side notices.
            pages_whose_network_is_gone_without_a_word_miss_nothing: 4
            pages_over_streams_that_are_cut_off_miss_nothing: 8
            pages_over_polls_that_are_cut_off_miss_nothing: 8
            page_that_is_reloaded_gets_nothing_old: 300
            page_that_disconnects_is_gone: 300
            page_in_the_back_forward_cache_is_gone_after_its_window: 2
        );
    };
}

pages!(pusher_js_7_and_echo_1, "1");
pages!(pusher_js_8_and_echo_2, "2");

#[tokio::test]
async fn pusher_js_7_goes_on_over_requests_when_two_websockets_have_broken() {
    let run = chromium(
        "1",
        "pages_go_on_over_requests_when_two_websockets_have_broken",
    );
    run.on_waiting_server(8).await;
}
