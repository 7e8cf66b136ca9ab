//! Names of published events: free text apart from the reserved prefixes.

use protocol_tests::{AppConfig, PublishedEvent, TestServer, or_skip};

use crate::support::{expect_refused, publish, subscriber};

#[tokio::test]
async fn reserved_prefixes_are_400_naming_name() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    for name in [
        "pusher:",
        "pusher:ping",
        "pusher:error",
        "pusher_internal:",
        "pusher_internal:subscription_succeeded",
    ] {
        let request = publish(server.app(), &PublishedEvent::new(&channel, name, ""));
        expect_refused(&server, &request, 400, "name").await;
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn names_are_free_text_apart_from_them() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    for name in [
        "client-typing",
        "client-",
        "pusher",
        "pusher-x",
        "Pusher:x",
        " pusher:x",
        "App\\Events\\OrderShipped",
        ".order.shipped",
        "ünï/cödé 频道 😀",
        "\"quoted\" 'name' \\",
        "a\nb\tc\0d",
        " ",
        &"é".repeat(200),
    ] {
        server
            .publish(PublishedEvent::new(&channel, name, ""))
            .await;
        client.expect_event_on(&channel, name).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn name_has_1_to_200_characters() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    for name in ["n".to_owned(), "n".repeat(200)] {
        server
            .publish(PublishedEvent::new(&channel, &name, ""))
            .await;
        client.expect_event_on(&channel, &name).await;
    }
    for name in [
        String::new(),
        "n".repeat(201),
        "é".repeat(201),
        "n".repeat(5000),
    ] {
        let request = publish(server.app(), &PublishedEvent::new(&channel, &name, ""));
        expect_refused(&server, &request, 400, "name").await;
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn length_of_names_is_configurable() {
    let app = AppConfig::new("10001").limit("event_name_length", 5);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    server
        .publish(PublishedEvent::new("public", "12345", ""))
        .await;
    let request = publish(server.app(), &PublishedEvent::new("public", "123456", ""));
    expect_refused(&server, &request, 400, "name").await;
    server.finish().await;
}
