//! What a member of a presence channel believes, and whether it can be true.

use std::collections::BTreeMap;

use protocol_tests::client::channel_data;
use protocol_tests::{Cluster, Event, PATIENCE, Roster, TestServer, WsClient, within};
use serde_json::Value;
use tokio::time::timeout;

use crate::support::{info_of, wait_for_users};

/// User id → user_info.
pub(crate) type Users = BTreeMap<String, Value>;

/// These users, with what [`info_of`] says of them.
pub(crate) fn users_of(ids: impl IntoIterator<Item = String>) -> Users {
    ids.into_iter()
        .map(|id| (id.clone(), info_of(&id)))
        .collect()
}

/// A connection on a presence channel, which folds what it is sent into what it believes. It panics on an event that
/// contradicts that: somebody added who is there, or removed who is not.
pub(crate) struct Member {
    pub(crate) client: WsClient,
    pub(crate) channel: String,
    pub(crate) user_id: String,
    pub(crate) believed: Users,
    /// How often it was sent that somebody came or left.
    pub(crate) changes: usize,
}

impl Member {
    /// Connects to a node and joins.
    pub(crate) async fn of(node: &TestServer, channel: &str, user_id: &str) -> Member {
        Member::join(node.connect().await, channel, user_id).await
    }

    /// Joins.
    pub(crate) async fn join(client: WsClient, channel: &str, user_id: &str) -> Member {
        let mut member = Member {
            client,
            channel: channel.to_owned(),
            user_id: user_id.to_owned(),
            believed: Users::new(),
            changes: 0,
        };
        member.send_join().await;
        member.take_success().await;
        member
    }

    /// Leaves and joins again without waiting in between.
    pub(crate) async fn rejoin(&mut self) {
        let channel = self.channel.clone();
        self.client.unsubscribe(&channel).await;
        self.send_join().await;
        self.take_success().await;
    }

    /// Leaves, and waits until the node knows.
    pub(crate) async fn leave(mut self) -> WsClient {
        self.client.unsubscribe(&self.channel).await;
        for event in self.client.ping_fence().await {
            self.apply(&event);
        }
        self.client
    }

    async fn send_join(&mut self) {
        let data = channel_data(&self.user_id, info_of(&self.user_id));
        self.client
            .send_signed_subscribe(&self.channel, Some(&data))
            .await;
    }

    /// Takes messages to the roster, which is what it believes then.
    async fn take_success(&mut self) {
        let success = loop {
            let event = self.client.next_event().await;
            if event.name == "pusher_internal:subscription_succeeded" {
                break event;
            }
            self.apply(&event);
        };
        let roster = Roster::parse(&success.data_json());
        self.believed = roster.hash.into_iter().collect();
        let own = self.believed.get(&self.user_id);
        assert_eq!(own, Some(&info_of(&self.user_id)), "{}", success.text);
    }

    /// Folds one message in; what is not about members is passed over.
    pub(crate) fn apply(&mut self, event: &Event) {
        let is_added = match event.name.as_str() {
            "pusher_internal:member_added" => true,
            "pusher_internal:member_removed" => false,
            _ => return,
        };
        assert_eq!(event.channel(), self.channel, "{}", event.text);
        let data = event.data_json();
        let user_id = data["user_id"].as_str().expect("user_id is a string");
        let is_news = if is_added {
            let info = data["user_info"].clone();
            self.believed.insert(user_id.to_owned(), info).is_none()
        } else {
            self.believed.remove(user_id).is_some()
        };
        let who = &self.user_id;
        assert!(is_news, "{who} knew that before: {}", event.text);
        assert!(
            user_id != who,
            "{who} was notified of itself: {}",
            event.text
        );
        self.changes += 1;
    }

    /// Takes messages until it believes this.
    pub(crate) async fn until(&mut self, truth: &Users) {
        let reached = timeout(PATIENCE, async {
            while self.believed != *truth {
                let event = Event::parse(&self.client.next_text().await);
                self.apply(&event);
            }
        })
        .await;
        let missing: Vec<_> = truth
            .keys()
            .filter(|id| !self.believed.contains_key(*id))
            .collect();
        let ghosts: Vec<_> = self
            .believed
            .keys()
            .filter(|id| !truth.contains_key(*id))
            .collect();
        assert!(
            reached.is_ok(),
            "{} believes for {PATIENCE:?} that {ghosts:?} are there and {missing:?} are not",
            self.user_id
        );
        assert_eq!(self.believed, *truth);
    }

    /// Takes messages until one of this name.
    pub(crate) async fn until_event(&mut self, name: &str) {
        within(name, async {
            loop {
                let event = Event::parse(&self.client.next_text().await);
                if event.name == name {
                    return;
                }
                self.apply(&event);
            }
        })
        .await;
    }
}

// Many members

/// So many members of one channel, spread over the nodes, each of whom knows all others by now; and who they are.
pub(crate) async fn spread_members(
    cluster: &Cluster,
    channel: &str,
    count: usize,
) -> (Vec<Member>, Users) {
    let positions = cluster.positions();
    let mut members = Vec::new();
    for number in 0..count {
        let node = &cluster[positions[number % positions.len()]];
        members.push(Member::of(node, channel, &format!("u{number}")).await);
    }
    let truth = users_of((0..count).map(|number| format!("u{number}")));
    for member in &mut members {
        member.until(&truth).await;
        member.changes = 0;
    }
    (members, truth)
}

/// Asserts that everybody is there for everybody, and that nobody was sent any change since [`spread_members`].
pub(crate) async fn expect_unchanged(cluster: &Cluster, members: &mut [Member], truth: &Users) {
    let channel = members[0].channel.clone();
    for member in members {
        for event in cluster.fence_on(&mut member.client, &channel).await {
            member.apply(&event);
        }
        assert_eq!(member.believed, *truth);
        assert_eq!(member.changes, 0, "{} saw changes", member.user_id);
    }
    let ids: Vec<String> = truth.keys().cloned().collect();
    wait_for_users(cluster, &channel, &ids).await;
}

/// Asserts that one more member, on any node, is seen to come and to go by all.
pub(crate) async fn expect_alive(cluster: &Cluster, members: &mut [Member], truth: &Users) {
    let channel = members[0].channel.clone();
    for node in cluster.nodes() {
        let late = Member::of(node, &channel, "late").await;
        let mut with_late = truth.clone();
        with_late.extend(users_of(["late".to_owned()]));
        assert_eq!(late.believed, with_late);
        for member in &mut *members {
            member.until(&with_late).await;
        }
        drop(late);
        for member in &mut *members {
            member.until(truth).await;
        }
    }
}
