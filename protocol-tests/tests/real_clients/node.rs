//! pusher-js and Laravel Echo under Node.

use crate::scenarios::{Run, listed};

/// A module with a test for each scenario. `special` scenarios name the server that they need.
macro_rules! suite {
    ($module:ident, $suite:literal, $version:literal,
     scenarios: [$($scenario:ident)*], special: [$($special:ident: $server:ident)*]) => {
        mod $module {
            use super::*;

            const fn run(scenario: &'static str) -> Run {
                Run { environment: "node", suite: $suite, version: $version, scenario }
            }

            $(#[tokio::test]
            async fn $scenario() {
                run(stringify!($scenario)).on_default_server().await;
            })*

            $(#[tokio::test]
            async fn $special() {
                run(stringify!($special)).$server().await;
            })*

            #[tokio::test]
            async fn no_scenario_is_left_out() {
                let scenarios: &[&str] = &[$(stringify!($scenario)),*];
                assert_eq!(listed($suite, "scenarios").await, scenarios);
                let special: &[&str] = &[$(stringify!($special)),*];
                assert_eq!(listed($suite, "special").await, special);
            }
        }
    };
}

macro_rules! pusher_js {
    ($module:ident, $version:literal) => {
        suite!($module, "pusher-js", $version,
            scenarios: [
                public_channel
                many_channels
                private_channel
                wrong_signature
                presence_channel
                presence_with_numeric_user_ids
                presence_of_a_signed_in_user
                encrypted_channel
                client_events
                large_events
                rejected_client_event
                excluded_sender
                cache_channels
                server_to_user
                terminated_user
                unknown_key
                heartbeat
            ],
            special: [
                reconnect: on_server_to_restart
                subscription_count: on_counting_server
                watchlist: on_watching_server
            ]
        );
    };
}

macro_rules! echo {
    ($module:ident, $version:literal) => {
        suite!($module, "echo", $version,
            scenarios: [
                public_channel
                private_channel
                refused_channel
                notification
                encrypted_channel
                presence_channel
                whispers
                to_others
                sign_in
                pusher_broadcaster
            ],
            special: [reconnect: on_server_to_restart]
        );
    };
}

pusher_js!(pusher_js_7, "7");
pusher_js!(pusher_js_8, "8");
echo!(echo_1, "1");
echo!(echo_2, "2");
