//! Who is on which node.

use std::net::SocketAddrV4;

use anyhow::ensure;

use crate::scenario::Way;

/// A subscriber.
pub(super) struct Seat {
    pub(super) node: usize,
    channel: usize,
}

pub(super) struct Plan {
    pub(super) nodes: Vec<SocketAddrV4>,
    /// How many of the nodes, from the first, are published at.
    publishing: usize,
    /// Publisher connections to each of these.
    pub(super) publishers: usize,
    pub(super) channels: Vec<String>,
    /// How many of the channels, from the first, are published to.
    live: usize,
    pub(super) seats: Vec<Seat>,
    pub(super) payload: usize,
}

/// One publish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Turn {
    pub(super) channel: usize,
    pub(super) node: usize,
}

fn channels(run_id: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|index| format!("bench-{run_id}-{index:06}"))
        .collect()
}

impl Plan {
    /// Published at the first node to `listeners` on the second; on the third, as many
    /// connections with a channel each that nobody publishes to. A single node has them all.
    pub(super) fn bystander(
        nodes: &[SocketAddrV4],
        run_id: &str,
        listeners: usize,
        payload: usize,
    ) -> anyhow::Result<Self> {
        ensure!(
            nodes.len() != 2,
            "bystander needs a third node, or one only"
        );
        let at = |wanted: usize| wanted.min(nodes.len() - 1);
        let seat = |node, channel| Seat { node, channel };
        let listening = (0..listeners).map(|_| seat(at(1), 0));
        let standing_by = (1..=listeners).map(|channel| seat(at(2), channel));
        Ok(Self {
            nodes: nodes.to_vec(),
            publishing: 1,
            publishers: 64,
            channels: channels(run_id, listeners + 1),
            live: 1,
            seats: listening.chain(standing_by).collect(),
            payload,
        })
    }

    /// Published by one publisher at the first node, to half of `listeners` there and half on
    /// the second.
    pub(super) fn cross_node(
        nodes: &[SocketAddrV4],
        run_id: &str,
        listeners: usize,
        payload: usize,
    ) -> Self {
        let far = usize::from(nodes.len() > 1);
        let node = |index| if index % 2 == 0 { 0 } else { far };
        Self {
            nodes: nodes.to_vec(),
            publishing: 1,
            publishers: 1,
            channels: channels(run_id, 1),
            live: 1,
            seats: (0..listeners)
                .map(|index| Seat {
                    node: node(index),
                    channel: 0,
                })
                .collect(),
            payload,
        }
    }

    /// Every channel has subscribers on all nodes, and is published to at all of them.
    pub(super) fn spread(
        nodes: &[SocketAddrV4],
        run_id: &str,
        listeners: usize,
        channel_count: usize,
        payload: usize,
    ) -> Self {
        let seat = |index| Seat {
            node: index % nodes.len(),
            channel: index / nodes.len() % channel_count,
        };
        Self {
            nodes: nodes.to_vec(),
            publishing: nodes.len(),
            publishers: 192 / nodes.len(),
            channels: channels(run_id, channel_count),
            live: channel_count,
            seats: (0..listeners).map(seat).collect(),
            payload,
        }
    }

    /// The channel and the way of each subscriber.
    pub(super) fn connections(&self) -> (Vec<Option<&str>>, Vec<Way>) {
        let way = |seat: &Seat| Way {
            server: Some(self.nodes[seat.node]),
            ..Way::default()
        };
        let channel = |seat: &Seat| Some(self.channels[seat.channel].as_str());
        let seats = self.seats.iter();
        (
            seats.clone().map(channel).collect(),
            seats.map(way).collect(),
        )
    }

    /// The nodes that are published at.
    pub(super) fn published_at(&self) -> &[SocketAddrV4] {
        &self.nodes[..self.publishing]
    }

    /// The channels take turns, and for each channel the nodes.
    pub(super) fn turn(&self, number: u64) -> Turn {
        let channel = (number % self.live as u64) as usize;
        let round = (number / self.live as u64) as usize;
        Turn {
            channel,
            node: (round + channel) % self.publishing,
        }
    }

    /// What is published to a channel at one node is a stream of its own, as order holds only
    /// within it. Its number is the channel number of its marks.
    pub(super) fn stream(&self, turn: Turn) -> u32 {
        (turn.channel * self.publishing + turn.node) as u32
    }

    pub(super) fn streams(&self) -> usize {
        self.channels.len() * self.publishing
    }

    pub(super) fn channel_of_stream(&self, stream: u32) -> Option<usize> {
        let channel = stream as usize / self.publishing;
        (channel < self.channels.len()).then_some(channel)
    }

    /// To the ledger, a connection is as many subscribers as its channel has streams.
    pub(super) fn stream_subscribers(&self) -> Vec<Option<u32>> {
        let stream = |channel, node| Some(self.stream(Turn { channel, node }));
        self.seats
            .iter()
            .flat_map(|seat| (0..self.publishing).map(move |node| stream(seat.channel, node)))
            .collect()
    }

    pub(super) fn stream_subscriber(&self, conn: usize, stream: u32) -> usize {
        conn * self.publishing + stream as usize % self.publishing
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn nodes(count: u16) -> Vec<SocketAddrV4> {
        (1..=count)
            .map(|port| SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port))
            .collect()
    }

    #[test]
    fn spread_channels_have_subscribers_and_publishes_on_every_node() {
        for count in [1, 3] {
            let plan = Plan::spread(&nodes(count), "x", 900, 100, 128);
            let mut seats = BTreeMap::<(usize, usize), usize>::new();
            for seat in &plan.seats {
                *seats.entry((seat.channel, seat.node)).or_default() += 1;
            }
            assert_eq!(seats.len(), 100 * usize::from(count));
            assert!(seats.values().all(|seats| *seats == 9 / usize::from(count)));
            let turns = 100 * u64::from(count);
            let streams = (0..turns).map(|number| plan.stream(plan.turn(number)));
            let streams: std::collections::BTreeSet<u32> = streams.collect();
            assert_eq!(streams.len(), plan.streams());
        }
    }

    #[test]
    fn a_subscriber_of_a_channel_is_one_of_each_of_its_streams() {
        let plan = Plan::spread(&nodes(3), "x", 900, 100, 128);
        let subscribers = plan.stream_subscribers();
        for (conn, seat) in plan.seats.iter().enumerate() {
            for node in 0..3 {
                let stream = plan.stream(Turn {
                    channel: seat.channel,
                    node,
                });
                assert_eq!(plan.channel_of_stream(stream), Some(seat.channel));
                let subscriber = plan.stream_subscriber(conn, stream);
                assert_eq!(subscribers[subscriber], Some(stream));
            }
        }
    }

    #[test]
    fn bystanders_are_where_nothing_is_published_or_listened_to() {
        let plan = Plan::bystander(&nodes(3), "x", 100, 128).unwrap();
        let on = |node| plan.seats.iter().filter(move |seat| seat.node == node);
        assert_eq!((on(0).count(), on(1).count(), on(2).count()), (0, 100, 100));
        assert!(on(1).all(|seat| seat.channel == plan.turn(7).channel));
        assert!(on(2).all(|seat| seat.channel != plan.turn(7).channel));
        assert!(Plan::bystander(&nodes(2), "x", 100, 128).is_err());
    }
}
