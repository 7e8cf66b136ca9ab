//! soketi's table, read as it is.

use protocol_tests::{App, AppConfig, PublishedEvent, Receiver, Request, eventually, or_skip};
use serde_json::json;

use super::server::{DatabaseServer, Kind};
use super::{has_apps, is_up, relay};
use crate::support::{expect_closed, expect_delivery, first, logged, subscriber, upgrade};

/// The tables of soketi's documentation ("SQL drivers").
const POSTGRES: &str = r#"CREATE TABLE IF NOT EXISTS apps (
    id varchar(255) PRIMARY KEY,
    "key" varchar(255) NOT NULL,
    secret varchar(255) NOT NULL,
    max_connections integer NOT NULL,
    enable_client_messages smallint NOT NULL,
    "enabled" smallint NOT NULL,
    max_backend_events_per_sec integer NOT NULL,
    max_client_events_per_sec integer NOT NULL,
    max_read_req_per_sec integer NOT NULL,
    max_presence_members_per_channel integer DEFAULT NULL,
    max_presence_member_size_in_kb integer DEFAULT NULL,
    max_channel_name_length integer DEFAULT NULL,
    max_event_channels_at_once integer DEFAULT NULL,
    max_event_name_length integer DEFAULT NULL,
    max_event_payload_in_kb integer DEFAULT NULL,
    max_event_batch_size integer DEFAULT NULL,
    webhooks json,
    enable_user_authentication smallint NOT NULL
)"#;
const MYSQL: &str = "CREATE TABLE IF NOT EXISTS `apps` (
    `id` varchar(255) NOT NULL,
    `key` varchar(255) NOT NULL,
    `secret` varchar(255) NOT NULL,
    `max_connections` integer(10) NOT NULL,
    `enable_client_messages` tinyint(1) NOT NULL,
    `enabled` tinyint(1) NOT NULL,
    `max_backend_events_per_sec` integer(10) NOT NULL,
    `max_client_events_per_sec` integer(10) NOT NULL,
    `max_read_req_per_sec` integer(10) NOT NULL,
    `webhooks` json,
    `max_presence_members_per_channel` tinyint(1) NULL,
    `max_presence_member_size_in_kb` tinyint(1) NULL,
    `max_channel_name_length` tinyint(1) NULL,
    `max_event_channels_at_once` tinyint(1) NULL,
    `max_event_name_length` tinyint(1) NULL,
    `max_event_payload_in_kb` tinyint(1) NULL,
    `max_event_batch_size` tinyint(1) NULL,
    `enable_user_authentication` tinyint(1) NOT NULL,
    PRIMARY KEY (`id`)
)";

/// Before there were limits for single events.
const OLDER_SQLITE: &str = "CREATE TABLE apps (
    id text PRIMARY KEY, \"key\" text, secret text, max_connections integer, enable_client_messages integer,
    enabled integer, max_backend_events_per_sec integer, max_client_events_per_sec integer,
    max_read_req_per_sec integer, webhooks text, enable_user_authentication integer
)";

fn app() -> App {
    AppConfig::new("app-id")
        .set("key", "app-key")
        .set("secret", "app-secret")
        .app()
}

/// The row of the documentation, with these webhooks.
fn row(kind: Kind, webhooks: &str) -> String {
    let key = if kind == Kind::MariaDb {
        "`key`"
    } else {
        "\"key\""
    };
    format!(
        "INSERT INTO apps (id, {key}, secret, max_connections, enabled, enable_client_messages, \
         max_backend_events_per_sec, max_client_events_per_sec, max_read_req_per_sec, webhooks, \
         enable_user_authentication) \
         VALUES ('app-id', 'app-key', 'app-secret', 2, 1, 1, -1, -1, -1, '{webhooks}', 0)"
    )
}

async fn soketi_s_table_is_read_as_it_is(kind: Kind) {
    let database = DatabaseServer::start(kind).await;
    let table = match kind {
        Kind::Postgres => POSTGRES,
        Kind::MariaDb => MYSQL,
        Kind::Sqlite => OLDER_SQLITE,
    };
    database.execute(table).await;
    let (app, own) = (app(), first().app());
    let mut receiver = Receiver::start(&[&app]).await;
    let webhooks = json!([{
        "url": receiver.url("/hook"),
        "event_types": ["client_event", "channel_occupied", "channel_vacated", "nonsense"],
        "headers": {"X-Env": "prod"},
        "filter": {"channel_name_starts_with": "private-a"},
    }, {
        "lambda_function": "notify", "event_types": ["client_event"], "lambda": {"async": true},
    }]);
    database.execute(&row(kind, &webhooks.to_string())).await;
    let builder = relay(&database).set("apps_database.schema", "soketi");
    let server = or_skip!(builder.start().await);
    is_up(&server, true).await;
    has_apps(&server, 1).await;

    let channel = format!("private-a{}", server.channel("-"));
    let mut one = subscriber(&server, &app, &channel).await;
    receiver
        .expect_event(json!({"name": "channel_occupied", "channel": channel}))
        .await;
    let delivery = receiver.deliveries().pop().expect("one has come");
    assert_eq!(delivery.header("x-env"), Some("prod"));
    // Not of the filter's channels.
    let other = server.channel("private-b");
    one.subscribe(&other).await;
    // As much as soketi takes.
    let event = PublishedEvent::new(&channel, "large", "x".repeat(100 * 1024));
    server.publish_to(&app, event).await;
    one.expect_event_on(&channel, "large").await;
    let mut two = subscriber(&server, &app, &channel).await;
    let (error, _) = server.open_refused(&upgrade(&app)).await;
    assert_eq!(error.error_code(), Some(4004));
    two.send_client_event(&channel, "client-hello", json!({}))
        .await;
    one.expect_event_on(&channel, "client-hello").await;
    let event = receiver.next_event_on(&channel).await;
    assert_eq!(event.name, "client_event");
    logged(&server, &["app `app-id`", "lambda"]).await;
    logged(&server, &["app `app-id`", "no events"]).await;

    database
        .execute("UPDATE apps SET enable_client_messages = 0, secret = 'newer'")
        .await;
    let newer = app.with_pair("app-key", "newer");
    eventually("the new secret to hold", || async {
        let answer = server.request(&Request::get(&newer, "/channels")).await;
        (answer.status == 200).then_some(())
    })
    .await;
    two.send_client_event(&channel, "client-hello", json!({}))
        .await;
    two.expect_error(Some(4301)).await;
    database.execute("UPDATE apps SET enabled = 0").await;
    for client in [&mut one, &mut two] {
        expect_closed(client, 4003).await;
    }
    database.execute("DELETE FROM apps").await;
    has_apps(&server, 0).await;
    let (error, _) = server.open_refused(&upgrade(&app)).await;
    assert_eq!(error.error_code(), Some(4001));
    // A row with what is no list is logged, and the file's app goes on.
    database.execute(&row(kind, r#"{"url": 1}"#)).await;
    logged(&server, &["app `app-id`: webhooks: expected a list"]).await;
    let mut client = subscriber(&server, &own, &channel).await;
    expect_delivery(&server, &own, &channel, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn soketi_s_table_in_postgresql_is_read_as_it_is() {
    soketi_s_table_is_read_as_it_is(Kind::Postgres).await;
}

#[tokio::test]
async fn soketi_s_table_in_mariadb_is_read_as_it_is() {
    soketi_s_table_is_read_as_it_is(Kind::MariaDb).await;
}

#[tokio::test]
async fn an_older_table_of_soketi_s_is_read_as_it_is() {
    soketi_s_table_is_read_as_it_is(Kind::Sqlite).await;
}

#[tokio::test]
async fn a_table_that_is_not_there_is_awaited() {
    let database = DatabaseServer::start(Kind::Postgres).await;
    let builder = relay(&database)
        .set("apps_database.schema", "soketi")
        .set("apps_database.table", "public.apps");
    let server = or_skip!(builder.start().await);
    is_up(&server, false).await;
    logged(&server, &["the table has no column `id`"]).await;
    database.execute(POSTGRES).await;
    database.execute(&row(Kind::Postgres, "[]")).await;
    has_apps(&server, 1).await;
    server.connect_to(&app()).await;
    server.finish().await;
}
