//! Signatures that clients ask their backend for.
//!
//! Source: Pusher Channels, "Generating the authentication string", "Authorizing users" and
//! "Authenticating users".

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{Channel, Invalid, KeyPair, MasterKey, SocketId, names};

/// Signs subscriptions and sign-ins. Whether the user may do what is signed is for you to decide,
/// before.
///
/// The answers serialise to what pusher-js and Laravel Echo expect.
#[derive(Clone, Debug)]
pub struct Authorizer {
    pair: KeyPair,
    master_key: Option<MasterKey>,
}

/// The answer to a client that asks to subscribe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChannelAuth {
    /// `KEY:SIGNATURE`.
    pub auth: String,
    /// Who the member of a presence channel is, as text that was signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel_data: Option<String>,
    /// The key of an encrypted channel, in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_secret: Option<String>,
}

/// The answer to a client that asks to sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UserAuth {
    /// `KEY:SIGNATURE`.
    pub auth: String,
    /// Who the user is, as text that was signed.
    pub user_data: String,
}

/// A member of a presence channel.
#[derive(Clone, Debug, Serialize)]
pub struct Member {
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_info: Option<Box<RawValue>>,
}

/// A user who signs in.
#[derive(Clone, Debug, Serialize)]
pub struct User {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_info: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    watchlist: Vec<String>,
}

impl Member {
    /// A member by the user's id; numbers are sent as text, as the protocol treats them.
    pub fn new(user_id: impl ToString) -> Self {
        Self {
            user_id: user_id.to_string(),
            user_info: None,
        }
    }

    /// What the other members are to know of the user, up to 1 KB.
    pub fn info(mut self, info: &impl Serialize) -> Result<Self, Invalid> {
        self.user_info = Some(raw("user_info", info)?);
        Ok(self)
    }
}

impl User {
    /// A user by id.
    pub fn new(id: impl ToString) -> Self {
        Self {
            id: id.to_string(),
            user_info: None,
            watchlist: Vec::new(),
        }
    }

    /// What is known of the user, who gets it back; it also stands for the user on presence
    /// channels.
    pub fn info(mut self, info: &impl Serialize) -> Result<Self, Invalid> {
        self.user_info = Some(raw("user_info", info)?);
        Ok(self)
    }

    /// The ids of the users of whom the client wants to know whether they are online, up to 100.
    pub fn watchlist(mut self, user_ids: impl IntoIterator<Item = impl ToString>) -> Self {
        self.watchlist = user_ids.into_iter().map(|id| id.to_string()).collect();
        self
    }
}

impl Authorizer {
    /// Signs with this pair.
    pub fn new(pair: KeyPair) -> Self {
        let master_key = None;
        Self { pair, master_key }
    }

    /// Gives out the keys of encrypted channels, too.
    pub fn master_key(mut self, master_key: MasterKey) -> Self {
        self.master_key = Some(master_key);
        self
    }

    /// Lets a connection subscribe to a private or an encrypted channel, by its name on the wire
    /// (`channel_name` in the request). An encrypted one needs a master key.
    pub fn private(&self, socket_id: &SocketId, channel: &Channel) -> Result<ChannelAuth, Invalid> {
        names::check_channel(channel)?;
        if !channel.is_private() {
            return Err(Invalid::new("channel", format!("{channel} is not private")));
        }
        let shared_secret = match (&self.master_key, channel.is_encrypted()) {
            (_, false) => None,
            (Some(master_key), true) => Some(BASE64.encode(master_key.shared_secret(channel))),
            (None, true) => return Err(MasterKey::missing()),
        };
        Ok(ChannelAuth {
            auth: self.sign(&[socket_id.as_str(), ":", channel.name()]),
            channel_data: None,
            shared_secret,
        })
    }

    /// Lets a connection subscribe to a presence channel, as this member.
    pub fn presence(
        &self,
        socket_id: &SocketId,
        channel: &Channel,
        member: &Member,
    ) -> Result<ChannelAuth, Invalid> {
        names::check_channel(channel)?;
        names::check_user_id(&member.user_id)?;
        if !channel.is_presence() {
            return Err(Invalid::new("channel", format!("{channel} has no members")));
        }
        let data = json(member);
        Ok(ChannelAuth {
            auth: self.sign(&[socket_id.as_str(), ":", channel.name(), ":", &data]),
            channel_data: Some(data),
            shared_secret: None,
        })
    }

    /// Signs a connection in as this user.
    pub fn user(&self, socket_id: &SocketId, user: &User) -> Result<UserAuth, Invalid> {
        names::check_user_id(&user.id)?;
        let user_data = json(user);
        Ok(UserAuth {
            auth: self.sign(&[socket_id.as_str(), "::user::", &user_data]),
            user_data,
        })
    }

    fn sign(&self, parts: &[&str]) -> String {
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        format!("{}:{}", self.pair.key(), self.pair.sign(&parts))
    }
}

fn raw(field: &'static str, value: &impl Serialize) -> Result<Box<RawValue>, Invalid> {
    serde_json::value::to_raw_value(value).map_err(|error| Invalid::new(field, error.to_string()))
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("strings and JSON can be put into JSON")
}
