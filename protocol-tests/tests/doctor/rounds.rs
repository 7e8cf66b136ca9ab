//! Round trips that come to nothing.

use protocol_tests::{AppConfig, Balancer, TestServer, or_skip};

use crate::asked::{APP, Doctor};

#[tokio::test]
async fn relays_behind_one_address_that_share_nothing_are_found() {
    let mut relays = Vec::new();
    for _ in 0..2 {
        relays.push(or_skip!(TestServer::builder().own_process().start().await));
    }
    let [clients, publishers] = [0, 1].map(|at: usize| relays[at].endpoint().authority.clone());
    // As chance has it with a balancer, and here for certain: publishes go to one of them, clients to the other.
    let piece = format!(
        "location /apps/ {{ proxy_pass http://{publishers}; }}\n\
         location / {{\nproxy_pass http://{clients};\nproxy_http_version 1.1;\n\
         proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection \"upgrade\";\n}}\n"
    );
    let proxy = Balancer::configured("nginx", &piece).await;
    let doctor = Doctor::of(&format!("ws://{}", proxy.authority()), APP);
    let found = doctor.argument("--timeout").argument("90").ask().await;
    for id in ["private", "presence"] {
        found.expect_error(id, "the event does not come");
        found.expect_error(id, "nodes of one cluster");
    }
    found.expect_well_but(&["private", "presence"]);
    drop(proxy);
    for relay in relays {
        relay.finish().await;
    }
}

#[tokio::test]
async fn a_member_that_the_app_takes_no_longer_is_found() {
    let app = AppConfig::new("10001").limit("presence_user_id_length", 5);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let found = Doctor::of_server(&server).ask().await;
    found.expect_error("presence", "the subscription is not confirmed");
    found.expect_error("presence", "the limit that the relay names");
    found.expect_well_but(&["presence"]);
    server.finish().await;
}

#[tokio::test]
async fn an_app_that_takes_no_event_so_large_is_found() {
    let app = AppConfig::new("10001").limit("event_name_length", 5);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let found = Doctor::of_server(&server).ask().await;
    for id in ["private", "presence"] {
        found.expect_error(id, "the publish is refused");
        found.expect_error(id, "a limit of the app");
    }
    found.expect_well_but(&["private", "presence"]);
    server.finish().await;
}
