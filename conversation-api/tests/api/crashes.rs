//! The process is killed between the steps of sending. Nothing is lost, and what is repeated is
//! the same event under the same key.

use protocol_tests::{TestServer, eventually};

use crate::support::api::Builder;
use crate::support::graph::{message, start_with, takes};
use crate::support::proxy::Gate;
use crate::support::stand_in::Answer;
use crate::support::{Api, Database, Kind, Proxy, StandIn, meta};

#[tokio::test]
async fn killed_between_commit_and_publish_the_event_goes_out_later() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let proxy = Proxy::to(&relay.endpoint().authority);
        let database = Database::seeded(kind).await;
        let start = Api::on(&database)
            .relay_at(&proxy.authority, relay.app())
            .doomed();
        let api = start.clone().start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        let mut client = relay.connect().await;
        agent.subscribe(&mut client, "private-conversation.1").await;
        proxy.set(Gate::HoldRequests);
        let ids = [agent.write(1, "one").await, agent.write(1, "two").await];
        eventually("the first publish to be under way", || async {
            (!proxy.keys().is_empty()).then_some(())
        })
        .await;
        api.kill().await;
        client.expect_nothing().await;
        proxy.set(Gate::Open);
        let api = start.start().await;
        for id in ids {
            let event = client.expect_event("message.sent").await;
            assert_eq!(event.data_json()["id"], id);
        }
        api.everything_sent().await;
        client.expect_nothing().await;
        let keys = proxy.keys();
        assert_eq!(keys.len(), 3, "the first was under way twice: {keys:?}");
        assert_eq!(keys[0], keys[1]);
        assert_ne!(keys[1], keys[2]);
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn killed_between_publish_and_noting_it_the_repeat_is_known_to_be_one() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let proxy = Proxy::to(&relay.endpoint().authority);
        let database = Database::seeded(kind).await;
        let start = Api::on(&database)
            .relay_at(&proxy.authority, relay.app())
            .doomed();
        let api = start.clone().start().await;
        let mut client = relay.connect().await;
        let mut agent = api.log_in("agent@tims.local").await;
        agent.subscribe(&mut client, "private-conversation.1").await;
        proxy.set(Gate::HoldAnswers);
        let payload = meta::message("wamid.1", "491701000001", "Grace", "hello");
        meta::deliver(&mut agent, &payload).await.expect_status(200);
        let first = client.expect_event("message.received").await;
        eventually("the relay's answer to be held", || async {
            proxy.answers().contains("200 OK").then_some(())
        })
        .await;
        api.kill().await;
        let waiting = "SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL";
        assert_eq!(database.number(waiting).await, 1);
        proxy.set(Gate::Open);
        let api = start.start().await;
        api.everything_sent().await;
        // The relay knows the key and answers as before, without delivering again.
        client.expect_nothing().await;
        let keys = proxy.keys();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys[0], keys[1]);
        let stored = database.texts("SELECT event_id FROM outbox").await;
        assert_eq!(stored, keys[..1]);
        let bodies = proxy.requests();
        let id = first.data_json()["id"].as_i64().unwrap();
        let payload = format!(r#"\"id\":{id},"#);
        assert_eq!(
            bodies.matches(&payload).count(),
            2,
            "the repeat carries the same id"
        );
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn killed_at_any_time_under_load_nothing_is_lost() {
    // Its client reads nothing before the end.
    let relay = TestServer::builder().set("server.activity_timeout", 600);
    let relay = relay.start().await.expect("it is our own");
    let database = Database::seeded(Kind::Sqlite).await;
    let start = Api::on(&database).relay(&relay).doomed();
    let mut client = relay.connect().await;
    client.subscribe("private-department.1").await;
    let mut answered = Vec::new();
    for _ in 0..3 {
        let api = start.clone().start().await;
        let admin = api.log_in("admin@tims.local").await;
        let mut writers = tokio::task::JoinSet::new();
        for conversation in 1..=3 {
            let mut desk = admin.another();
            writers.spawn(async move {
                let mut ids = Vec::new();
                for _ in 0..15 {
                    ids.push(desk.write(conversation, "x").await);
                }
                ids
            });
        }
        answered.extend(writers.join_all().await.concat());
        api.kill().await;
    }
    let api = start.start().await;
    api.everything_sent().await;
    let mut announced: Vec<i64> = client
        .fence()
        .await
        .iter()
        .map(|event| event.data_json()["id"].as_i64().unwrap())
        .collect();
    announced.sort_unstable();
    answered.sort_unstable();
    assert_eq!(announced, answered);
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn killed_between_replies_only_the_one_under_way_is_sent_again() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let mut is_held = false;
        // All of them wait before the first is answered; the last but one never is.
        let graph = StandIn::start_slow(move |arrived| {
            let holds = !is_held && arrived.body["text"]["body"] == "under way";
            is_held |= holds;
            let answer = Answer::from(takes(arrived));
            if holds { answer.held() } else { answer }
        })
        .await;
        let (doomed, mut agent) = start_with(&database, &graph, Builder::doomed).await;
        let mut ids = Vec::new();
        for content in ["first", "one", "two", "under way", "last"] {
            ids.push(agent.write(1, content).await);
        }
        graph.release();
        let times = |content: &str| {
            let arrived = graph.arrived();
            let of = arrived
                .iter()
                .filter(|request| request.body["text"]["body"] == content);
            of.count()
        };
        eventually("the reply that is not answered", || {
            let is_there = times("under way") > 0;
            async move { is_there.then_some(()) }
        })
        .await;
        for id in &ids[..3] {
            assert_eq!(message(&mut agent, *id).await["status"], "sent");
        }
        doomed.kill().await;
        let (api, _agent) = start_with(&database, &graph, |api| api).await;
        api.everything_sent().await;
        for content in ["one", "two", "last"] {
            assert_eq!(times(content), 1, "{content}");
        }
        api.stop().await;
    }
}
