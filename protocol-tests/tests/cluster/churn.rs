//! Many who come, go and move between the nodes of a cluster at random.

use std::collections::BTreeSet;

use protocol_tests::random::Random;
use protocol_tests::{Cluster, WsClient};
use tokio::task::JoinSet;

use crate::roster::{Member, Users, users_of};
use crate::support::wait_for_users;

/// Connections of which any number may be on the channel, and the users that they belong to.
const TABS: usize = 40;
const USERS: usize = 15;
/// Changes under way at a time.
const AT_ONCE: usize = 8;

/// Connections to the nodes, each on the channel or not.
pub(crate) struct Tabs {
    channel: String,
    tabs: Vec<Option<Tab>>,
    pub(crate) random: Random,
}

struct Tab {
    /// The node's position.
    node: usize,
    member: Member,
}

/// What becomes of a tab.
enum Change {
    /// It is opened, or moves to another node.
    Join(usize, Box<WsClient>),
    /// It leaves in order.
    Leave,
    /// Its connection breaks.
    Break,
    /// It leaves and joins again on the same connection.
    Again,
}

impl Tabs {
    /// Nobody is there yet.
    pub(crate) fn new(channel: &str) -> Tabs {
        Tabs {
            channel: channel.to_owned(),
            tabs: (0..TABS).map(|_| None).collect(),
            random: Random::from_environment(),
        }
    }

    /// Changes some tabs, all at once, and waits until that is done. Returns how many.
    pub(crate) async fn change_some(&mut self, cluster: &Cluster) -> usize {
        let chosen: BTreeSet<usize> = (0..AT_ONCE).map(|_| self.random.below(TABS)).collect();
        let mut under_way = JoinSet::new();
        for position in &chosen {
            let tab = self.tabs[*position].take();
            let change = self.choose(cluster, tab.is_some()).await;
            let user = format!("user-{}", position % USERS);
            let (position, channel) = (*position, self.channel.clone());
            under_way
                .spawn(async move { (position, carry_out(tab, change, &channel, &user).await) });
        }
        for (position, tab) in under_way.join_all().await {
            self.tabs[position] = tab;
        }
        chosen.len()
    }

    async fn choose(&mut self, cluster: &Cluster, is_there: bool) -> Change {
        match self.random.below(5) {
            2 if is_there => Change::Leave,
            3 if is_there => Change::Break,
            4 if is_there => Change::Again,
            _ => {
                let running = cluster.positions();
                let node = running[self.random.below(running.len())];
                Change::Join(node, Box::new(cluster[node].connect().await))
            }
        }
    }

    /// Gives up the tabs of a node that has died.
    pub(crate) fn forget_node(&mut self, node: usize) {
        for tab in &mut self.tabs {
            if tab.as_ref().is_some_and(|tab| tab.node == node) {
                *tab = None;
            }
        }
    }

    /// Waits until everybody believes what is true, and every node says so; asserts that it stays so.
    pub(crate) async fn settle(self, cluster: &Cluster) -> (Vec<Member>, Users) {
        let tabs = self.tabs.into_iter().flatten();
        let mut members: Vec<Member> = tabs.map(|tab| tab.member).collect();
        let truth = users_of(members.iter().map(|member| member.user_id.clone()));
        for member in &mut members {
            member.until(&truth).await;
        }
        let ids: Vec<String> = truth.keys().cloned().collect();
        wait_for_users(cluster, &self.channel, &ids).await;
        for member in &mut members {
            for event in cluster.fence_on(&mut member.client, &self.channel).await {
                member.apply(&event);
            }
            assert_eq!(member.believed, truth);
        }
        (members, truth)
    }
}

async fn carry_out(tab: Option<Tab>, change: Change, channel: &str, user: &str) -> Option<Tab> {
    match (change, tab) {
        (Change::Join(node, client), old) => {
            drop(old);
            let member = Member::join(*client, channel, user).await;
            Some(Tab { node, member })
        }
        (Change::Again, Some(mut tab)) => {
            tab.member.rejoin().await;
            Some(tab)
        }
        (Change::Leave, Some(tab)) => {
            tab.member.leave().await;
            None
        }
        (_, tab) => {
            if let Some(mut tab) = tab {
                tab.member.client.socket.connection().reset_on_drop();
            }
            None
        }
    }
}
