//! What a member of a presence channel believes, and whether it can be true.

use std::collections::BTreeMap;

use protocol_tests::client::channel_data;
use protocol_tests::{Event, PATIENCE, Roster, TestServer, WsClient, within};
use serde_json::Value;
use tokio::time::timeout;

use crate::support::info_of;

/// User id → user_info.
pub(crate) type Users = BTreeMap<String, Value>;

/// These users, with what [`info_of`] says of them.
pub(crate) fn users_of(ids: impl IntoIterator<Item = String>) -> Users {
    ids.into_iter()
        .map(|id| (id.clone(), info_of(&id)))
        .collect()
}

/// A connection on a presence channel, which folds what it is told into what it believes. It panics on an event that
/// contradicts that: somebody added who is there, or removed who is not.
pub(crate) struct Member {
    pub(crate) client: WsClient,
    pub(crate) channel: String,
    pub(crate) user_id: String,
    pub(crate) believed: Users,
    /// How often it was told that somebody came or left.
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
        let is_news = match is_added {
            true => {
                let info = data["user_info"].clone();
                self.believed.insert(user_id.to_owned(), info).is_none()
            }
            false => self.believed.remove(user_id).is_some(),
        };
        let who = &self.user_id;
        assert!(is_news, "{who} knew that before: {}", event.text);
        assert!(user_id != who, "{who} was told of itself: {}", event.text);
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
