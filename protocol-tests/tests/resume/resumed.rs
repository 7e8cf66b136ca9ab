//! What comes when a session is taken up again: everything that it has missed, channel by channel, and nothing else.

use std::time::{Duration, Instant};

use protocol_tests::client::channel_data;
use protocol_tests::{Event, PublishedEvent, Request, TestServer, or_skip, within};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::page::EVENT;
use crate::session::{
    KINDS, Kind, Session, app, parked, publish, publish_large, publish_numbers, start, token,
    users, wait_for_users,
};

/// How long channels may take to be asked for again.
const TO_ASK: Duration = Duration::from_secs(10);
/// How long before its time a timer may end.
const TOLERANCE: Duration = Duration::from_millis(500);

/// So many large events are more than the kernel holds of a connection that is not read.
const MANY: usize = 800;

fn is_old(event: &Event) -> bool {
    event.name == EVENT
}

#[tokio::test]
async fn missed_events_come_in_order_after_subscription_succeeded_and_then_live_ones() {
    let server = or_skip!(start(app()).await);
    for kind in KINDS {
        let channels = ["public-", "private-", "presence-"].map(|prefix| server.channel(prefix));
        let token = token();
        let mut session = Session::open_as(&server, &token, kind).await;
        session.subscribe(&channels[0]).await;
        session.subscribe(&channels[1]).await;
        session.join(&channels[2], "u").await;
        session.park(&server).await;
        for number in 0..20 {
            for channel in &channels {
                publish(&server, channel, number).await;
            }
        }
        let mut again = Session::open_as(&server, &token, kind).await;
        // What is published before a channel is asked for again counts as missed, too.
        for channel in &channels {
            publish(&server, channel, 20).await;
        }
        again.expect_nothing(&server).await;
        again.subscribe(&channels[0]).await;
        again.expect_numbers(&channels[0], 0..21).await;
        publish(&server, &channels[0], 21).await;
        publish(&server, &channels[1], 21).await;
        again.expect_numbers(&channels[0], 21..22).await;
        again.expect_nothing(&server).await;
        again.subscribe(&channels[1]).await;
        again.expect_numbers(&channels[1], 0..22).await;
        again.join(&channels[2], "u").await;
        again.expect_numbers(&channels[2], 0..21).await;
        publish_numbers(&server, &channels[2], 21..30).await;
        again.expect_numbers(&channels[2], 21..30).await;
        again.expect_nothing(&server).await;
        again.leave().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn session_is_resumed_as_often_as_it_is_cut_off() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("private-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    session.subscribe(&channel).await;
    for round in 0..5 {
        session.prove().await;
        session.park(&server).await;
        publish_numbers(&server, &channel, round * 10..round * 10 + 5).await;
        session = Session::open(&server, &token).await;
        assert_eq!(session.id(), id);
        session.subscribe(&channel).await;
        publish_numbers(&server, &channel, round * 10 + 5..round * 10 + 10).await;
        session
            .expect_numbers(&channel, round * 10..round * 10 + 10)
            .await;
    }
    session.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn session_that_is_cut_off_before_its_channels_are_back_loses_nothing() {
    let server = or_skip!(start(app()).await);
    let channels = ["public-a-", "public-b-"].map(|prefix| server.channel(prefix));
    let token = token();
    let mut session = Session::open(&server, &token).await;
    for channel in &channels {
        session.subscribe(channel).await;
    }
    session.park(&server).await;
    for channel in &channels {
        publish_numbers(&server, channel, 0..3).await;
    }
    Session::open(&server, &token).await.park(&server).await;
    let mut again = Session::open(&server, &token).await;
    again.subscribe(&channels[0]).await;
    again.expect_numbers(&channels[0], 0..3).await;
    again.prove().await;
    again.park(&server).await;
    publish(&server, &channels[0], 3).await;
    let mut again = Session::open(&server, &token).await;
    again.subscribe(&channels[1]).await;
    again.expect_numbers(&channels[1], 0..3).await;
    again.subscribe(&channels[0]).await;
    again.expect_numbers(&channels[0], 3..4).await;
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn what_is_sent_again_and_cut_off_again_comes_a_third_time() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("private-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.subscribe(&channel).await;
    session.park(&server).await;
    publish_large(&server, &channel, 0..MANY, 4000).await;
    for read in [0, 50, 100] {
        let mut again = Session::open(&server, &token).await;
        again
            .client
            .socket
            .connection()
            .set_receive_buffer(64 << 10);
        again.answers = false;
        again.subscribe(&channel).await;
        again.expect_numbers(&channel, 0..read).await;
        again.park(&server).await;
    }
    let mut again = Session::open(&server, &token).await;
    again.subscribe(&channel).await;
    again.expect_numbers(&channel, 0..MANY).await;
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn channel_that_is_asked_for_twice_gives_what_was_missed_once() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.subscribe(&channel).await;
    session.park(&server).await;
    publish_numbers(&server, &channel, 0..3).await;
    let mut again = Session::open(&server, &token).await;
    for _ in 0..2 {
        again.client.send_subscribe(&channel, None, None).await;
    }
    let seen = again.fence(&server).await;
    let numbers: Vec<&str> = seen
        .iter()
        .filter(|event| event.name == EVENT)
        .map(Event::data_text)
        .collect();
    assert_eq!(numbers, ["0", "1", "2"], "{seen:?}");
    assert_eq!(seen[0].name, "pusher_internal:subscription_succeeded");
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn member_who_comes_back_as_another_user_is_announced_as_that() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let mut observer = server.connect().await;
    observer
        .subscribe_presence(&channel, "observer", json!({}))
        .await;
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.join(&channel, "before").await;
    observer.expect_event("pusher_internal:member_added").await;
    session.park(&server).await;
    let mut again = Session::open(&server, &token).await;
    let roster = again.join(&channel, "after").await;
    assert_eq!(roster.ids, ["after", "observer"]);
    // What it has missed was for the other user.
    again.expect_gap(&channel, None).await;
    let mut changes = Vec::new();
    for event in observer.next_events(2).await {
        changes.push((event.name.clone(), event.data_json()["user_id"].clone()));
    }
    changes.sort_by(|one, other| one.0.cmp(&other.0));
    let expected = [
        ("pusher_internal:member_added".to_owned(), json!("after")),
        ("pusher_internal:member_removed".to_owned(), json!("before")),
    ];
    assert_eq!(changes, expected);
    publish(&server, &channel, 0).await;
    again.expect_numbers(&channel, 0..1).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn authorisation_of_before_the_cut_is_valid_after_it() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("private-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    let auth = server.app().channel_auth(session.id(), &channel, None);
    session.subscribe(&channel).await;
    session.park(&server).await;
    publish(&server, &channel, 0).await;
    let mut again = Session::open(&server, &token).await;
    again
        .client
        .send_subscribe(&channel, Some(&auth), None)
        .await;
    again
        .expect_on(&channel, "pusher_internal:subscription_succeeded")
        .await;
    again.expect_numbers(&channel, 0..1).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn channel_that_is_not_authorised_again_gives_nothing() {
    let server = or_skip!(start(app()).await);
    let channels = ["private-", "presence-"].map(|prefix| server.channel(prefix));
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.subscribe(&channels[0]).await;
    session.join(&channels[1], "u").await;
    session.park(&server).await;
    for channel in &channels {
        publish(&server, channel, 0).await;
    }
    let mut again = Session::open(&server, &token).await;
    let member = channel_data("u", Value::Null);
    let data = [None, Some(member.as_str())];
    for (channel, data) in channels.iter().zip(data) {
        for auth in [
            Some("key-10001:0000"),
            Some(server.app().channel_auth("1.1", channel, data).as_str()),
            None,
        ] {
            again.client.send_subscribe(channel, auth, data).await;
            again.expect_on(channel, "pusher:subscription_error").await;
        }
        publish(&server, channel, 1).await;
    }
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn roster_is_that_of_the_return() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let token = token();
    let mut gone = server.connect().await;
    gone.subscribe_presence(&channel, "gone", json!({})).await;
    let mut session = Session::open(&server, &token).await;
    session.join(&channel, "u").await;
    session.park(&server).await;
    drop(gone);
    wait_for_users(&server, &channel, &["u"]).await;
    let mut new = server.connect().await;
    new.subscribe_presence(&channel, "new", json!({})).await;
    publish(&server, &channel, 0).await;
    let mut again = Session::open(&server, &token).await;
    let roster = again.join(&channel, "u").await;
    assert_eq!(roster.ids, ["new", "u"]);
    again.expect_numbers(&channel, 0..1).await;
    // Who came and went is in the roster, and not announced once more.
    again.expect_nothing(&server).await;
    drop(new);
    again
        .expect_on(&channel, "pusher_internal:member_removed")
        .await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn client_events_of_others_come_later_too() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let token = token();
    let mut sender = server.connect().await;
    sender.subscribe_presence(&channel, "s", json!({})).await;
    let mut session = Session::open(&server, &token).await;
    session.join(&channel, "u").await;
    session.park(&server).await;
    for number in 0..3 {
        sender
            .send_client_event(&channel, "client-number", json!(number))
            .await;
    }
    sender.wait_for_event("pusher_internal:member_added").await;
    sender.ping_fence().await;
    let mut again = Session::open(&server, &token).await;
    again.join(&channel, "u").await;
    for number in 0..3 {
        let event = again.expect_on(&channel, "client-number").await;
        assert_eq!(event.data, number);
        assert_eq!(event.message["user_id"], "s");
    }
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn events_that_exclude_their_sender_do_not_come_later_either() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("private-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.subscribe(&channel).await;
    let mut other = Session::open(&server, &crate::session::token()).await;
    other.subscribe(&channel).await;
    let id = session.id().to_owned();
    session.park(&server).await;
    for number in 0..10 {
        let mut event = PublishedEvent::new(&channel, EVENT, number.to_string());
        if number % 2 == 0 {
            event = event.excluding(&id);
        }
        server.publish(event).await;
    }
    let mut again = Session::open(&server, &token).await;
    again.subscribe(&channel).await;
    for number in [1, 3, 5, 7, 9] {
        again.expect_numbers(&channel, number..number + 1).await;
    }
    again.expect_nothing(&server).await;
    other.expect_numbers(&channel, 0..10).await;
    again.leave().await;
    other.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn channel_that_was_left_before_the_cut_is_not_kept() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.subscribe(&channel).await;
    session.client.unsubscribe(&channel).await;
    session.fence_own().await;
    session.park(&server).await;
    publish(&server, &channel, 0).await;
    let mut again = Session::open(&server, &token).await;
    again.subscribe(&channel).await;
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn channel_that_is_left_after_the_cut_is_left() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.join(&channel, "u").await;
    session.park(&server).await;
    publish(&server, &channel, 0).await;
    let mut again = Session::open(&server, &token).await;
    again.client.unsubscribe(&channel).await;
    wait_for_users(&server, &channel, &[]).await;
    again.join(&channel, "u").await;
    let seen = again.fence(&server).await;
    assert!(!seen.iter().any(is_old), "{seen:?}");
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn channel_not_asked_for_again_in_ten_seconds_is_left_and_then_an_ordinary_one() {
    let server = or_skip!(start(app()).await);
    let channels = ["presence-", "public-"].map(|prefix| server.channel(prefix));
    let kept = server.channel("public-");
    let mut observer = server.connect().await;
    observer
        .subscribe_presence(&channels[0], "observer", json!({}))
        .await;
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.join(&channels[0], "u").await;
    session.subscribe(&channels[1]).await;
    session.subscribe(&kept).await;
    observer.expect_event("pusher_internal:member_added").await;
    session.park(&server).await;
    publish(&server, &channels[1], 0).await;
    let began = Instant::now();
    let mut again = Session::open(&server, &token).await;
    again.subscribe(&kept).await;
    let gone = async {
        tokio::select! {
            event = observer.next_event() => event,
            event = again.next() => panic!("nothing is due: {}", event.text),
        }
    };
    let gone = within("the member to be announced as gone", gone).await;
    assert_eq!(gone.name, "pusher_internal:member_removed", "{}", gone.text);
    let waited = began.elapsed();
    assert!(waited >= TO_ASK - TOLERANCE, "left after {waited:?}");
    assert_eq!(users(&server, &channels[0]).await, ["observer"]);
    let path = format!("/channels/{}", channels[1]);
    assert_eq!(server.get(&path, &[]).await["occupied"], false);
    publish(&server, &channels[1], 1).await;
    again.join(&channels[0], "u").await;
    observer.expect_event("pusher_internal:member_added").await;
    again.expect_gap(&channels[0], None).await;
    again.subscribe(&channels[1]).await;
    again.expect_gap(&channels[1], None).await;
    publish(&server, &channels[1], 2).await;
    again.expect_numbers(&channels[1], 2..3).await;
    publish(&server, &kept, 0).await;
    again.expect_numbers(&kept, 0..1).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn events_for_a_user_come_after_the_user_has_signed_in_again() {
    let server = or_skip!(start(app()).await);
    let user = protocol_tests::names::unique("u-");
    let channel = format!("#server-to-user-{user}");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.sign_in(&user).await;
    session.subscribe(&channel).await;
    session.park(&server).await;
    publish_numbers(&server, &channel, 0..3).await;
    let mut again = Session::open(&server, &token).await;
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
    let user = protocol_tests::names::unique("u-");
    let channel = format!("#server-to-user-{user}");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.sign_in(&user).await;
    session.subscribe(&channel).await;
    session.park(&server).await;
    publish_large(&server, &channel, 0..30, 5000).await;
    let mut again = Session::open(&server, &token).await;
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
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.sign_in("before").await;
    session.subscribe("#server-to-user-before").await;
    let mut watcher = server.connect().await;
    watcher
        .sign_in_with(&json!({"id": "w", "watchlist": ["before"]}).to_string())
        .await;
    watcher.expect_event(statuses).await;
    session.park(&server).await;
    publish(&server, "#server-to-user-before", 0).await;
    let mut again = Session::open(&server, &token).await;
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
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.sign_in("u").await;
    let mut watcher = server.connect().await;
    watcher
        .sign_in_with(&json!({"id": "w", "watchlist": ["u"]}).to_string())
        .await;
    watcher.expect_event(statuses).await;
    session.park(&server).await;
    let mut again = Session::open(&server, &token).await;
    let event = watcher.expect_event(statuses).await;
    assert!(event.data_text().contains("offline"), "{}", event.text);
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}

// What is proven

#[tokio::test]
async fn what_is_proven_received_does_not_come_again() {
    let server = or_skip!(start(app()).await);
    for kind in KINDS {
        let channels = ["public-", "private-"].map(|prefix| server.channel(prefix));
        let token = token();
        let mut session = Session::open_as(&server, &token, kind).await;
        for channel in &channels {
            session.subscribe(channel).await;
            publish_numbers(&server, channel, 0..10).await;
            session.expect_numbers(channel, 0..10).await;
        }
        session.prove().await;
        session.park(&server).await;
        let mut again = Session::open_as(&server, &token, kind).await;
        for channel in &channels {
            again.subscribe(channel).await;
        }
        again.expect_nothing(&server).await;
        again.leave().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn what_is_not_proven_received_comes_again() {
    let server = or_skip!(start(app()).await);
    for kind in KINDS {
        let channel = server.channel("private-");
        let token = token();
        let mut session = Session::open_as(&server, &token, kind).await;
        session.subscribe(&channel).await;
        publish_numbers(&server, &channel, 0..5).await;
        session.expect_numbers(&channel, 0..5).await;
        session.prove().await;
        // From here on it is a page that is busy: it receives and answers nothing.
        session.answers = false;
        publish_numbers(&server, &channel, 5..10).await;
        session.expect_numbers(&channel, 5..10).await;
        session.park(&server).await;
        publish_numbers(&server, &channel, 10..12).await;
        let mut again = Session::open_as(&server, &token, kind).await;
        again.subscribe(&channel).await;
        again.expect_numbers(&channel, 5..12).await;
        again.expect_nothing(&server).await;
        again.leave().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn answers_of_a_client_that_is_back_prove_nothing_of_what_its_old_connection_was_sent() {
    // As much is on its way to others that the relay learns late, in its order of events, who is away.
    const OTHERS: usize = 200;
    const BACKLOG: usize = 600;
    let app = app().limit("publish_wait_ms", 20_000);
    let builder = TestServer::builder()
        .app(app)
        .set("server.workers", 1)
        .set("server.activity_timeout", 1);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("public-");
    // Events of one channel would be written together.
    let busy = ["busy-a-", "busy-b-"].map(|prefix| server.channel(prefix));
    let mut others = Vec::new();
    for _ in 0..OTHERS {
        let mut other = server.connect().await;
        for channel in &busy {
            other.subscribe(channel).await;
        }
        others.push(other);
    }
    for kind in KINDS {
        let token = token();
        let mut session = Session::open_as(&server, &token, kind).await;
        session.subscribe(&channel).await;
        session.answers = false;
        publish_numbers(&server, &channel, 0..3).await;
        session.expect_numbers(&channel, 0..3).await;
        let batch = (0..10).map(|number| {
            let channel = &busy[number % busy.len()];
            json!({"name": "busy", "channel": channel, "data": ""})
        });
        let batch: Vec<Value> = batch.collect();
        let mut http = server.http();
        for _ in 0..BACKLOG / batch.len() {
            let request = Request::post(server.app(), "/batch_events");
            let request = request.json(&json!({"batch": batch}));
            http.send(&request).await.expect_status(200);
        }
        session.reset();
        let mut again = Session::open_as(&server, &token, kind).await;
        // Asked twice, it has answered once.
        within("questions", async {
            while again.asked < 2 {
                let frame = again.client.socket.next().await.expect("it is connected");
                assert!(again.take(frame).await.is_none(), "nothing else is due");
            }
        })
        .await;
        again.subscribe(&channel).await;
        let seen = again.fence(&server).await;
        let numbers: Vec<&str> = seen.iter().map(Event::data_text).collect();
        assert_eq!(numbers, ["0", "1", "2"], "{kind:?}");
        again.leave().await;
    }
    drop(others);
    server.finish().await;
}

#[tokio::test]
async fn websocket_pongs_prove_nothing_of_a_page() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open_as(&server, &token, Kind::Page).await;
    session.subscribe(&channel).await;
    session.answers = false;
    publish_numbers(&server, &channel, 0..3).await;
    session.expect_numbers(&channel, 0..3).await;
    let asked = within("a question", async {
        while session.asked == 0 {
            let frame = session.client.socket.next().await.expect("it is connected");
            let event = Event::parse(frame.as_text());
            session.asked += usize::from(event.name == "pusher:ping");
        }
    });
    asked.await;
    let pong = protocol_tests::Frame::new(protocol_tests::Opcode::PONG, []);
    session.client.socket.send(pong).await;
    // A ping of its own proves nothing either: it may have been sent before the events were received.
    session.fence_own().await;
    session.park(&server).await;
    let mut again = Session::open(&server, &token).await;
    again.subscribe(&channel).await;
    again.expect_numbers(&channel, 0..3).await;
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn session_is_asked_at_most_once_a_second_and_only_after_events() {
    let server = or_skip!(start(app()).await);
    let [page, other] = KINDS.map(|kind| expect_few_questions(&server, kind));
    tokio::join!(page, other);
    server.finish().await;
}

async fn expect_few_questions(server: &TestServer, kind: Kind) {
    let channel = server.channel("public-");
    let mut session = Session::open_as(server, &token(), kind).await;
    session.subscribe(&channel).await;
    publish(server, &channel, 0).await;
    session.expect_numbers(&channel, 0..1).await;
    session.prove().await;
    let asked = session.asked;
    // Nothing has come since: there is nothing to ask.
    sleep(Duration::from_millis(1500)).await;
    session.fence_own().await;
    assert_eq!(session.asked, asked);
    let began = Instant::now();
    let mut number = 1;
    while began.elapsed() < Duration::from_secs(3) {
        publish(server, &channel, number).await;
        session.expect_numbers(&channel, number..number + 1).await;
        number += 1;
        sleep(Duration::from_millis(20)).await;
    }
    let most = began.elapsed().as_secs_f64() + 2.0;
    let questions = session.asked - asked;
    assert!(questions >= 1, "{number} events, and no question");
    assert!(questions as f64 <= most, "{questions} questions");
    session.leave().await;
}

#[tokio::test]
async fn cache_channel_gives_each_missed_event_once() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("private-cache-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.subscribe(&channel).await;
    session.expect_on(&channel, "pusher:cache_miss").await;
    session.park(&server).await;
    publish_numbers(&server, &channel, 0..3).await;
    let mut again = Session::open(&server, &token).await;
    again.subscribe(&channel).await;
    again.expect_numbers(&channel, 0..3).await;
    again.expect_nothing(&server).await;
    assert_eq!(parked(&server).await, 0);
    again.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn restart_of_the_relay_forgets_sessions() {
    let server = or_skip!(TestServer::builder().app(app()).start().await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    session.subscribe(&channel).await;
    session.park(&server).await;
    publish(&server, &channel, 0).await;
    let server = server.restart().await;
    let mut again = Session::open(&server, &token).await;
    assert_ne!(again.id(), id);
    again.subscribe(&channel).await;
    again.expect_nothing(&server).await;
    again.leave().await;
    server.finish().await;
}
