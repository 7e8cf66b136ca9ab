//! What the log tells an operator at the start.

use protocol_tests::{App, TestServer, eventually};

use crate::support::{Api, Database, Kind};

async fn line(api: &Api, text: &str) -> String {
    eventually(&format!("{text:?} in the log"), || async {
        api.log().into_iter().find(|line| line.contains(text))
    })
    .await
}

#[tokio::test]
async fn whether_a_relay_answers_is_logged_with_its_address_and_what_to_check() {
    let database = Database::seeded(Kind::Sqlite).await;
    let relay = TestServer::start().await;
    let (authority, app) = (relay.endpoint().authority.clone(), relay.app().clone());
    let api = Api::on(&database).relay_at(&authority, &app).start().await;
    assert!(line(&api, "the relay answers").await.contains(&authority));
    api.stop().await;
    let wrong = App {
        secret: "not the secret".into(),
        ..app.clone()
    };
    let api = Api::on(&database)
        .relay_at(&authority, &wrong)
        .start()
        .await;
    let refused = line(&api, "the relay refuses the app").await;
    assert!(refused.contains("PUSHER_APP_SECRET") && !refused.contains(&wrong.secret));
    api.stop().await;
    relay.finish().await;
    let api = Api::on(&database).relay_at(&authority, &app).start().await;
    let missing = line(&api, "no relay answers").await;
    assert!(
        missing.contains(&authority) && missing.contains("PUSHER_HOST"),
        "{missing}"
    );
    assert!(missing.contains("WARN"), "{missing}");
    api.stop().await;
}

#[tokio::test]
async fn what_is_not_set_up_is_logged_with_what_will_not_work() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database)
        .set("WHATSAPP_APP_SECRET", "")
        .start()
        .await;
    for text in [
        "PUSHER_APP_KEY",
        "BROADCAST_CONNECTION",
        "WHATSAPP_APP_SECRET",
        "WHATSAPP_PHONE_NUMBER_ID",
    ] {
        assert!(line(&api, text).await.contains("WARN"), "{text}");
    }
    let log = api.log().join("\n");
    assert!(!log.contains("WHATSAPP_VERIFY_TOKEN"), "it is set: {log}");
    api.stop().await;
}
