//! Calls that ask about channels.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::request::Call;
use super::{ChannelInfo, ChannelState, Client, Info};
use crate::{Channel, Error, names};

#[derive(Deserialize)]
struct ChannelsAnswer {
    channels: BTreeMap<String, ChannelInfo>,
}

#[derive(Deserialize)]
struct UsersAnswer {
    users: Vec<UserAnswer>,
}

#[derive(Deserialize)]
struct UserAnswer {
    id: String,
}

impl Client {
    /// The occupied channels, by name, whose names begin with `prefix` (`""`: all of them).
    /// [`Info::UserCount`] needs a prefix of presence channels.
    pub async fn channels(
        &self,
        prefix: &str,
        info: &[Info],
    ) -> Result<BTreeMap<String, ChannelInfo>, Error> {
        let prefix = (!prefix.is_empty()).then(|| prefix.to_owned());
        let call = Call::get(vec![("", "channels")])
            .query("filter_by_prefix", prefix)
            .query("info", Info::joined(info));
        let answer: ChannelsAnswer = self.call(call).await?;
        Ok(answer.channels)
    }

    /// The state of one channel, occupied or not. What is asked for must apply to it.
    pub async fn channel(&self, channel: &Channel, info: &[Info]) -> Result<ChannelState, Error> {
        names::check_channel(channel)?;
        let call = Call::get(vec![("", "channels"), ("channel", channel.name())])
            .query("info", Info::joined(info));
        self.call(call).await
    }

    /// The ids of the users on a presence channel, each once.
    pub async fn users(&self, channel: &Channel) -> Result<Vec<String>, Error> {
        names::check_channel(channel)?;
        let path = vec![("", "channels"), ("channel", channel.name()), ("", "users")];
        let answer: UsersAnswer = self.call(Call::get(path)).await?;
        Ok(answer.users.into_iter().map(|user| user.id).collect())
    }
}
