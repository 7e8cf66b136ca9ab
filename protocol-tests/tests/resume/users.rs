//! Users of sessions that are taken up again: their events, whether they are online, and their end.

use protocol_tests::names::unique;
use protocol_tests::{Request, eventually, or_skip, within};
use serde_json::json;

use crate::page::EVENT;
use crate::session::{
    Session, app, parked, publish, publish_large, publish_numbers, start, wait_for_users,
    wait_until_parked,
};

#[tokio::test]
async fn events_for_a_user_come_after_the_user_has_signed_in_again() {
    let server = or_skip!(start(app()).await);
    let user = unique("u-");
    let channel = format!("#server-to-user-{user}");
    let mut session = Session::named(&server).await;
    session.sign_in(&user).await;
    session.subscribe(&channel).await;
    let away = session.park(&server).await;
    publish_numbers(&server, &channel, 0..3).await;
    let mut again = away.resume(&server).await;
    again.expect_nothing(&server).await;
    again.sign_in(&user).await;
    // pusher-js subscribes when it is signed in; events may come before the answer, as ever.
    again.client.send_subscribe(&channel, None, None).await;
    let succeeded = "pusher_internal:subscription_succeeded";
    let mut numbers = Vec::new();
    let mut is_subscribed = false;
    while numbers.len() < 3 || !is_subscribed {
        let event = again.next().await;
        match event.name.as_str() {
            EVENT => numbers.push(event.data_text().to_owned()),
            _ if event.name == succeeded => is_subscribed = true,
            _ => panic!("this should not come: {}", event.text),
        }
    }
    assert_eq!(numbers, ["0", "1", "2"]);
    publish(&server, &channel, 3).await;
    again.expect_numbers(&channel, 3..4).await;
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn user_who_missed_more_than_is_kept_is_notified() {
    let server = or_skip!(start(app().set("resume.session_bytes", 64 << 10)).await);
    let user = unique("u-");
    let channel = format!("#server-to-user-{user}");
    let mut session = Session::named(&server).await;
    session.sign_in(&user).await;
    session.subscribe(&channel).await;
    let away = session.park(&server).await;
    publish_large(&server, &channel, 0..30, 5000).await;
    let mut again = away.resume(&server).await;
    again.sign_in(&user).await;
    again.client.send_subscribe(&channel, None, None).await;
    let seen = again.fence(&server).await;
    let gaps: Vec<_> = seen
        .iter()
        .filter(|event| event.name == "fanfare:gap")
        .collect();
    assert_eq!(gaps.len(), 1, "{seen:?}");
    assert_eq!(gaps[0].channel.as_deref(), Some(channel.as_str()));
    assert_eq!(gaps[0].data_json(), json!({"missed": 30}));
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn another_user_who_signs_in_takes_over_nothing() {
    let app = app().set("watchlist", true).set("watchlist_grace", 0);
    let server = or_skip!(start(app).await);
    let statuses = "pusher_internal:watchlist_events";
    let mut session = Session::named(&server).await;
    session.sign_in("before").await;
    session.subscribe("#server-to-user-before").await;
    let mut watcher = server.connect().await;
    watcher
        .sign_in_with(&json!({"id": "w", "watchlist": ["before"]}).to_string())
        .await;
    watcher.expect_event(statuses).await;
    let away = session.park(&server).await;
    publish(&server, "#server-to-user-before", 0).await;
    let mut again = away.resume(&server).await;
    again.sign_in("after").await;
    let event = watcher.expect_event(statuses).await;
    assert!(event.data_text().contains("offline"), "{}", event.text);
    again
        .client
        .send_subscribe("#server-to-user-before", None, None)
        .await;
    again
        .expect_on("#server-to-user-before", "pusher:subscription_error")
        .await;
    publish(&server, "#server-to-user-before", 1).await;
    again.subscribe("#server-to-user-after").await;
    publish(&server, "#server-to-user-after", 2).await;
    again.expect_numbers("#server-to-user-after", 2..3).await;
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn user_who_does_not_sign_in_again_is_offline_after_ten_seconds() {
    let app = app().set("watchlist", true).set("watchlist_grace", 0);
    let server = or_skip!(start(app).await);
    let statuses = "pusher_internal:watchlist_events";
    let mut session = Session::named(&server).await;
    session.sign_in("u").await;
    let mut watcher = server.connect().await;
    watcher
        .sign_in_with(&json!({"id": "w", "watchlist": ["u"]}).to_string())
        .await;
    watcher.expect_event(statuses).await;
    let away = session.park(&server).await;
    let mut again = away.resume(&server).await;
    let event = watcher.expect_event(statuses).await;
    assert!(event.data_text().contains("offline"), "{}", event.text);
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn user_of_a_parked_session_stays_online() {
    let app = app().set("watchlist", true).set("watchlist_grace", 0);
    let server = or_skip!(start(app).await);
    let statuses = "pusher_internal:watchlist_events";
    let mut session = Session::named(&server).await;
    session.sign_in("u").await;
    let mut watcher = server.connect().await;
    watcher
        .sign_in_with(&json!({"id": "w", "watchlist": ["u"]}).to_string())
        .await;
    let event = watcher.expect_event(statuses).await;
    assert!(event.data_text().contains("online"), "{}", event.text);
    let away = session.park(&server).await;
    let mut again = away.resume(&server).await;
    again.sign_in("u").await;
    watcher.expect_nothing().await;
    again.leave().await;
    let event = watcher.expect_event(statuses).await;
    assert!(event.data_text().contains("offline"), "{}", event.text);
    server.finish().await;
}

#[tokio::test]
async fn user_whose_connections_are_terminated_has_no_session_any_more() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let mut session = Session::named(&server).await;
    session.sign_in("u").await;
    session.join(&channel, "u").await;
    let away = session.park(&server).await;
    publish(&server, &channel, 0).await;
    let path = "/users/u/terminate_connections";
    let request = Request::post(server.app(), path).body("{}");
    server.request(&request).await.expect_status(200);
    wait_until_parked(&server, 0).await;
    wait_for_users(&server, &channel, &[]).await;
    let mut again = away.begin_anew(&server).await;
    again.join(&channel, "u").await;
    let old = again.fence(&server).await;
    assert!(old.iter().all(|event| event.name != EVENT), "{old:?}");
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn terminating_the_connections_of_a_user_closes_a_resumed_one_too() {
    let server = or_skip!(start(app()).await);
    let mut session = Session::named(&server).await;
    session.sign_in("u").await;
    let away = session.park(&server).await;
    let mut again = away.resume(&server).await;
    again.sign_in("u").await;
    let request = Request::post(server.app(), "/users/u/terminate_connections").body("{}");
    server.request(&request).await.expect_status(200);
    let close = within("the close", again.client.socket.read_close()).await;
    assert_eq!(close.code, Some(4009));
    drop(again);
    let metrics_show_it_gone = || async {
        let open = server.metrics().await.sum("fanfare_connections", &[]);
        (open == 0.0).then_some(())
    };
    eventually("the connection to end", metrics_show_it_gone).await;
    assert_eq!(parked(&server).await, 0);
    server.finish().await;
}

#[tokio::test]
async fn terminating_the_connections_of_a_user_who_is_about_to_sign_in_again_ends_the_session() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let mut session = Session::named(&server).await;
    session.sign_in("u").await;
    session.join(&channel, "u").await;
    let away = session.park(&server).await;
    let mut again = away.resume(&server).await;
    let request = Request::post(server.app(), "/users/u/terminate_connections").body("{}");
    server.request(&request).await.expect_status(200);
    let close = within("the close", again.client.socket.read_close()).await;
    assert_eq!(close.code, Some(4009));
    drop(again);
    wait_for_users(&server, &channel, &[]).await;
    assert_eq!(parked(&server).await, 0);
    server.finish().await;
}
