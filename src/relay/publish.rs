//! Events of backends.

use std::sync::Arc;

use smallvec::SmallVec;

use super::Relay;
use crate::hub::broadcast::{BacklogFull, Broadcast, Reservation};
use crate::hub::{Admission, AppHub, Authority, Caching, Receipt, Standing, Unavailable};
use crate::protocol::server::{self, EventData};
use crate::protocol::{ChannelRef, Frame, SocketId};

/// An event as a backend publishes it; checked, and not yet accepted.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// The event's name.
    pub name: &'a str,
    /// Its data.
    pub data: &'a EventData<'a>,
    /// Where it goes; each channel once.
    pub channels: &'a [ChannelRef<'a>],
    /// The connection that does not get it.
    pub except: Option<SocketId>,
}

/// Why events were not published. Nothing was, then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// There is no room on this node.
    #[error(transparent)]
    BacklogFull(#[from] BacklogFull),
    /// There is no way to the other nodes, and no room to wait for one.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Becomes ready when published events are where all nodes find them.
#[derive(Debug, Default)]
#[must_use = "the publisher's answer waits for it"]
pub struct Receipts(SmallVec<[Receipt; 1]>);

impl Receipts {
    fn add(&mut self, receipt: Receipt) {
        if receipt.is_pending() {
            self.0.push(receipt);
        }
    }

    /// Waits for it. Fails if the node goes before all of them are.
    pub async fn settled(self) -> Result<(), PublishError> {
        for receipt in self.0 {
            receipt.settled().await?;
        }
        Ok(())
    }
}

/// One event on one channel, ready to be posted.
struct Post<'p, 'a> {
    channel: &'p ChannelRef<'a>,
    frame: Frame,
    except: Option<SocketId>,
    deliveries: usize,
}

impl Relay {
    /// Publishes all of the events or none. Waits while too much is on its way to the app's
    /// connections, and fails when that lasts; nothing is posted then.
    pub async fn publish(
        &self,
        app: &Arc<AppHub>,
        publications: &[Publication<'_>],
    ) -> Result<Receipts, PublishError> {
        let authority = &*self.authority;
        if authority.standing() == Standing::NotYet {
            return Err(Unavailable::NotYet.into());
        }
        let beyond = authority.reaches_beyond();
        let mut posts: SmallVec<[Post<'_, '_>; 1]> = SmallVec::new();
        let (mut deliveries, mut bytes) = (0, 0);
        for publication in publications {
            for channel in publication.channels {
                let wanted = app.wanted(channel);
                if !wanted.any && !beyond {
                    continue;
                }
                let frame = server::event(publication.name, channel.as_str(), publication.data);
                deliveries += wanted.deliveries;
                bytes += frame.len();
                posts.push(Post {
                    channel,
                    frame,
                    except: publication.except,
                    deliveries: wanted.deliveries,
                });
            }
        }
        let mut receipts = Receipts::default();
        if !posts.is_empty() {
            let reservation = app.room().reserve(deliveries, bytes).await?;
            let admission = authority.admit(bytes)?;
            receipts = post_all(authority, app, posts, reservation, &admission);
        }
        for publication in publications {
            app.metrics
                .publishes
                .inc_by(publication.channels.len() as u64);
            self.show_publication(app, publication);
        }
        Ok(receipts)
    }

    /// Delivers an event to this node's own connections: one that reaches every node by itself.
    /// Waits and fails as [`Relay::publish`] does, for each channel.
    pub async fn publish_here(
        &self,
        app: &Arc<AppHub>,
        publication: &Publication<'_>,
    ) -> Result<(), BacklogFull> {
        for channel in publication.channels {
            let wanted = app.wanted(channel);
            if !wanted.any {
                continue;
            }
            let frame = server::event(publication.name, channel.as_str(), publication.data);
            let reservation = app.room().reserve(wanted.deliveries, frame.len()).await?;
            let broadcast = Broadcast::reserved(frame, publication.except, reservation);
            app.publish_locally(channel.as_str(), broadcast, Caching::on(channel.kind()));
        }
        self.show_publication(app, publication);
        Ok(())
    }
}

/// Posts everything, each part with its share of the reservation.
fn post_all(
    authority: &dyn Authority,
    app: &Arc<AppHub>,
    posts: SmallVec<[Post<'_, '_>; 1]>,
    mut reservation: Reservation,
    admission: &Admission,
) -> Receipts {
    let mut receipts = Receipts::default();
    for post in posts {
        let share = reservation.split(post.deliveries, post.frame.len());
        let broadcast = Broadcast::reserved(post.frame, post.except, share);
        let caching = Caching::on(post.channel.kind());
        let channel = post.channel.as_str();
        receipts.add(authority.publish(app, channel, broadcast, caching, admission));
    }
    receipts
}
