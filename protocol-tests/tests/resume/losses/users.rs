//! Pages that sign in: users whom they watch and who come and go, and events for themselves.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol_tests::names::unique;
use protocol_tests::random::Random;
use protocol_tests::{Frame, Opcode, PublishedEvent, TestServer, WsClient};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::publisher::Ledger;
use crate::page::{EVENT, Page};

/// One page in so many signs in.
const SIGNING_IN: usize = 3;
const FRIENDS: usize = 5;
/// How often one of them comes or goes.
const TURN: Duration = Duration::from_millis(300);
/// How often a page is sent an event of its own.
const OWN_EVENT: Duration = Duration::from_millis(50);

/// Whether a page of this number signs in.
pub(crate) fn signs_in(page: usize) -> bool {
    page.is_multiple_of(SIGNING_IN)
}

/// Answers pings for as long as the client is to be there.
async fn stay(mut client: WsClient) {
    while let Ok(frame) = client.socket.next().await {
        if frame.opcode == Opcode::PING {
            let pong = Frame::new(Opcode::PONG, frame.payload);
            client.socket.send(pong).await;
        }
    }
}

/// Those whom pages watch, on connections that nothing happens to.
pub(crate) struct Friends {
    names: Vec<String>,
    online: Mutex<Vec<bool>>,
}

impl Friends {
    pub(crate) fn new() -> Friends {
        Friends {
            names: (0..FRIENDS).map(|_| unique("friend-")).collect(),
            online: Mutex::new(vec![false; FRIENDS]),
        }
    }

    /// Their user ids.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Lets them come and go until it is to stop. Who is there then stays for as long as what is returned.
    pub(crate) async fn come_and_go(
        &self,
        server: &TestServer,
        mut random: Random,
        stopped: watch::Receiver<bool>,
    ) -> Vec<Option<JoinSet<()>>> {
        let mut clients: Vec<Option<JoinSet<()>>> = self.names.iter().map(|_| None).collect();
        while !*stopped.borrow() {
            sleep(TURN).await;
            let friend = random.below(FRIENDS);
            clients[friend] = match clients[friend].take() {
                Some(_leaves) => None,
                None => {
                    let mut client = server.connect().await;
                    client.sign_in(&self.names[friend]).await;
                    let mut there = JoinSet::new();
                    there.spawn(stay(client));
                    Some(there)
                }
            };
            self.online.lock().expect("nobody panics with it")[friend] = clients[friend].is_some();
        }
        clients
    }

    /// Of how many of them the page does not know how they are now.
    pub(crate) fn unknown_to(&self, page: &Page) -> usize {
        let diary = page.diary();
        let online = self.online.lock().expect("nobody panics with it");
        let both = self.names.iter().zip(&*online);
        both.filter(|(name, online)| diary.statuses.get(*name) != Some(*online))
            .count()
    }
}

/// Sends pages events of their own, until it is to stop.
pub(crate) async fn publish_to_users(
    server: &TestServer,
    groups: [&Arc<Vec<Page>>; 2],
    ledger: &Ledger,
    mut random: Random,
    stopped: watch::Receiver<bool>,
) {
    while !*stopped.borrow() {
        sleep(OWN_EVENT).await;
        let number = random.below(groups[0].len());
        for page in groups.into_iter().filter_map(|pages| pages.get(number)) {
            publish_to(server, page, ledger).await;
        }
    }
}

/// Sends everybody who signs in a last one, and returns the numbers of these by channel.
pub(crate) async fn publish_last(
    server: &TestServer,
    groups: [&Arc<Vec<Page>>; 2],
    ledger: &Ledger,
    last: &mut Vec<u32>,
) {
    for page in groups.into_iter().flat_map(|pages| pages.iter()) {
        if let Some((channel, number)) = publish_to(server, page, ledger).await {
            last.resize(last.len().max(channel + 1), 0);
            last[channel] = number;
        }
    }
}

async fn publish_to(server: &TestServer, page: &Page, ledger: &Ledger) -> Option<(usize, u32)> {
    let (channel, name) = page.plan.own_channel()?;
    let number = ledger.add(*channel, None);
    server
        .publish(PublishedEvent::new(name, EVENT, number.to_string()))
        .await;
    Some((*channel, number))
}
