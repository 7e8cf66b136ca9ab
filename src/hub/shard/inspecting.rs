//! What the shard's connections are like, for somebody who asks in pieces.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::carrier::{Carrier, Fallback};
use super::peer::Peer;
use super::tables::{Client, Tables};
use crate::hub::inspected::{CarriedBy, ConnectionReport};
use crate::hub::mailbox::{Inspection, Look, Seen, With};

impl Tables {
    /// Answers a question. Whoever asked may be gone by now.
    pub(super) fn inspect(&self, inspection: Inspection) {
        match inspection {
            Inspection::Numbers(answer) => {
                let _ = answer.send(self.numbers());
            }
            Inspection::Look(look, answer) => {
                if !answer.is_closed() {
                    let _ = answer.send(self.look(&look));
                }
            }
        }
    }

    fn look(&self, look: &Look) -> Vec<Seen> {
        let is_meant = |peer: &Peer| {
            let is_of_app = peer.app().index == look.app;
            is_of_app && look.socket_id.is_none_or(|id| id == peer.socket_id()) && !peer.is_over()
        };
        let peers = look.peers.iter().filter_map(|id| self.peer_and_client(*id));
        let meant = peers.filter(|(peer, _)| is_meant(peer));
        let seen = meant.map(|(peer, client)| {
            let report = peer.report(client, matches!(look.with, With::Channels));
            if let With::Close(reason) = &look.with {
                peer.close(reason);
            }
            Seen {
                peer: peer.id(),
                report,
            }
        });
        seen.collect()
    }
}

impl Peer {
    fn report(&self, client: Client, with_channels: bool) -> ConnectionReport {
        let (user_id, subscriptions, channels) = self.with_session(|session| {
            let live = || session.subscriptions();
            let user_id = session.user().map(|user| Arc::clone(user.user_id()));
            let channels = live().map(|(channel, member)| {
                let member = member.map(|member| Arc::clone(member.user_id()));
                (channel.clone(), member)
            });
            let channels = with_channels.then(|| channels.collect());
            (user_id, live().count(), channels)
        });
        ConnectionReport {
            socket_id: self.socket_id(),
            connected_at: UNIX_EPOCH + Duration::from_secs(client.since.into()),
            address: client.address,
            user_id,
            carried_by: match *self.carrier.borrow() {
                Carrier::Socket(_) => CarriedBy::WebSocket,
                Carrier::Tls(_) => CarriedBy::WebSocketOverTls,
                Carrier::Requests(Fallback::Streaming) => CarriedBy::Streaming,
                Carrier::Requests(Fallback::Polling) => CarriedBy::Polling,
                Carrier::None => CarriedBy::Nothing,
            },
            compressed: self.window().is_some(),
            subscriptions,
            waiting_bytes: self.outbox.borrow().bytes(),
            channels,
        }
    }
}
