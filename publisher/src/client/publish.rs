//! Calls that publish.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::request::Call;
use super::{Batch, ChannelInfo, Client, Event, Info};
use crate::{Channel, Error, Invalid, MasterKey, names};

/// Channels that one request may name. Source: Pusher Channels HTTP API, "Trigger an event".
const CHANNELS: usize = 100;
/// Events that one request may hold. Source: Pusher Channels HTTP API, "Trigger a batch of events".
const BATCH: usize = 10;

#[derive(Serialize)]
struct EventBody<'a> {
    name: &'a str,
    data: &'a str,
    #[serde(flatten)]
    to: To<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum To<'a> {
    Channel(&'a str),
    Channels(Vec<&'a str>),
}

#[derive(Serialize)]
struct BatchBody<'a> {
    batch: Vec<EventBody<'a>>,
}

#[derive(Deserialize)]
struct EventAnswer {
    #[serde(default)]
    channels: BTreeMap<String, ChannelInfo>,
}

#[derive(Deserialize)]
struct BatchAnswer {
    #[serde(default)]
    batch: Vec<ChannelInfo>,
}

impl Client {
    /// Publishes an event to channels, at least one, and returns what it asks for of them
    /// ([`Event::info`]), by name.
    ///
    /// More than 100 channels make several requests, one after the other. If one fails, those
    /// before it are published; a second call with the same
    /// [idempotency key](Event::idempotency_key) does not publish them again.
    ///
    /// An [encrypted](Channel::encrypted) channel can only be the only one.
    pub async fn trigger(
        &self,
        channels: &[Channel],
        event: &Event,
    ) -> Result<BTreeMap<String, ChannelInfo>, Error> {
        event.check()?;
        check_channels(channels)?;
        let data = self.data(&channels[0], event)?;
        let requests = channels.len().div_ceil(CHANNELS);
        let keys = Keys::new(self, event.idempotency_key.as_deref(), requests)?;
        let mut known = BTreeMap::new();
        for (index, channels) in channels.chunks(CHANNELS).enumerate() {
            let names = channels.iter().map(Channel::name).collect();
            let body = event.body(To::Channels(names), &data);
            let key = keys.of_request(index);
            let call =
                Call::post(vec![("", "events")], json(&body)).idempotency_key(key.as_deref());
            let answer: EventAnswer = self.call(call).await?;
            known.extend(answer.channels);
        }
        Ok(known)
    }

    /// Publishes several events, each to a channel of its own, and returns what they ask for of
    /// their channels, in their order.
    ///
    /// A server takes all events of a request or none; more than 10 events make several requests,
    /// as with [`trigger`](Self::trigger).
    pub async fn trigger_batch(&self, batch: &Batch) -> Result<Vec<ChannelInfo>, Error> {
        let mut data = Vec::with_capacity(batch.events.len());
        for (channel, event) in &batch.events {
            event.check()?;
            names::check_channel(channel)?;
            if event.idempotency_key.is_some() {
                let reason = "an event of a batch has no key of its own: the batch has one";
                return Err(Invalid::new("idempotency_key", reason).into());
            }
            data.push(self.data(channel, event)?);
        }
        let events: Vec<_> = batch.events.iter().zip(&data).collect();
        let requests = events.len().div_ceil(BATCH);
        let keys = Keys::new(self, batch.idempotency_key.as_deref(), requests)?;
        let mut known = Vec::with_capacity(events.len());
        for (index, events) in events.chunks(BATCH).enumerate() {
            let bodies = events
                .iter()
                .map(|((channel, event), data)| event.body(To::Channel(channel.name()), data))
                .collect();
            let body = json(&BatchBody { batch: bodies });
            let key = keys.of_request(index);
            let call = Call::post(vec![("", "batch_events")], body).idempotency_key(key.as_deref());
            let mut answer: BatchAnswer = self.call(call).await?;
            // Without info, the answer has none of the events.
            answer.batch.resize(events.len(), ChannelInfo::default());
            known.extend(answer.batch);
        }
        Ok(known)
    }

    /// Publishes an event to all connections that are signed in as a user.
    pub async fn send_to_user(&self, user_id: &str, event: &Event) -> Result<(), Error> {
        let channel = Channel::of_user(user_id);
        self.trigger(&[channel], event).await?;
        Ok(())
    }

    /// The data as it is published to this channel.
    fn data(&self, channel: &Channel, event: &Event) -> Result<String, Invalid> {
        if !channel.is_encrypted() {
            return Ok(event.data.clone());
        }
        self.config
            .master_key
            .as_ref()
            .ok_or_else(MasterKey::missing)
            .map(|master_key| master_key.seal(channel, event.data.as_bytes()))
    }
}

impl Event {
    fn body<'a>(&'a self, to: To<'a>, data: &'a str) -> EventBody<'a> {
        EventBody {
            name: &self.name,
            data,
            to,
            socket_id: self.socket_id.as_ref().map(|id| id.as_str()),
            info: Info::joined(&self.info),
        }
    }
}

fn check_channels(channels: &[Channel]) -> Result<(), Invalid> {
    if channels.is_empty() {
        return Err(Invalid::new("channels", "an event needs at least one"));
    }
    if channels.len() > 1 && channels.iter().any(Channel::is_encrypted) {
        let reason = "an event on an encrypted channel can be on no other: each has its own key";
        return Err(Invalid::new("channels", reason));
    }
    channels.iter().try_for_each(names::check_channel)
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("strings and lists of them can be put into JSON")
}

/// The idempotency keys of the requests of one call.
struct Keys(Option<String>);

impl Keys {
    /// From the caller's key; else, where anything is tried again, from one made up.
    fn new(client: &Client, own: Option<&str>, requests: usize) -> Result<Self, Invalid> {
        let made_up = || {
            let retries = client.config.retry.is_on();
            retries.then(|| hex::encode(rand::random::<[u8; 16]>()))
        };
        let keys = Self(own.map(str::to_owned).or_else(made_up));
        // The last one is the longest.
        if let Some(longest) = keys.of_request(requests.saturating_sub(1)) {
            names::check_idempotency_key(&longest)?;
        }
        Ok(keys)
    }

    /// The key of a request: each has another, as they publish different things.
    fn of_request(&self, index: usize) -> Option<String> {
        let key = self.0.as_ref()?;
        Some(match index {
            0 => key.clone(),
            _ => format!("{key}.{index}"),
        })
    }
}
