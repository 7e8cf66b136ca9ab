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
#[must_use = "a member is not authorised until it is signed"]
pub struct Member {
    user_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_info: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sign_in: bool,
}

/// A user who signs in.
#[derive(Clone, Debug, Serialize)]
#[must_use = "a user is not signed in until it is signed"]
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
            sign_in: false,
        }
    }

    /// Whoever subscribes is signed in as the user by it, so that
    /// [`terminate_connections`](crate::Client::terminate_connections) and
    /// [`force_reconnect`](crate::Client::force_reconnect) reach the connection although it has not
    /// signed in by itself.
    ///
    /// An extension of Fanfare's: other servers ignore it.
    pub fn sign_in(mut self) -> Self {
        self.sign_in = true;
        self
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

    /// As [`Authorizer::private`], and signs who subscribes, which only matters with
    /// [`Member::sign_in`].
    pub fn private_as(
        &self,
        socket_id: &SocketId,
        channel: &Channel,
        member: &Member,
    ) -> Result<ChannelAuth, Invalid> {
        names::check_user_id(&member.user_id)?;
        let auth = self.private(socket_id, channel)?;
        let data = json(member);
        Ok(ChannelAuth {
            auth: self.sign(&[socket_id.as_str(), ":", channel.name(), ":", &data]),
            channel_data: Some(data),
            ..auth
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn documented() -> (Authorizer, SocketId) {
        let pair = KeyPair::new("278d425bdf160c739803", "7ad3773142a6692b25b8");
        (Authorizer::new(pair), SocketId::parse("1234.1234").unwrap())
    }

    #[test]
    fn the_documented_channel_is_signed() {
        let (authorizer, socket_id) = documented();
        let channel = Channel::named("private-foobar");
        let answer = authorizer.private(&socket_id, &channel).unwrap();
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"auth":"278d425bdf160c739803:58df8b0c36d6982b82c3ecf6b4662e34fe8c25bba48f5369f135bf843651c3a4"}"#
        );
    }

    #[test]
    fn the_documented_user_is_signed() {
        let (authorizer, socket_id) = documented();
        let answer = authorizer.user(&socket_id, &User::new(12345)).unwrap();
        assert_eq!(
            serde_json::to_value(&answer).unwrap(),
            json!({
                "auth": "278d425bdf160c739803:4708d583dada6a56435fb8bc611c77c359a31eebde13337c16ab43aa6de336ba",
                "user_data": r#"{"id":"12345"}"#,
            })
        );
    }

    #[test]
    fn a_member_is_signed_as_sent() {
        let (authorizer, socket_id) = documented();
        let channel = Channel::presence("foobar");
        let member = Member::new(10)
            .info(&json!({"name": "Mr. Channels"}))
            .unwrap();
        let answer = authorizer.presence(&socket_id, &channel, &member).unwrap();
        let data = r#"{"user_id":"10","user_info":{"name":"Mr. Channels"}}"#;
        let signed = format!("1234.1234:presence-foobar:{data}");
        assert_eq!(answer.channel_data.as_deref(), Some(data));
        assert_eq!(
            answer.auth,
            format!(
                "278d425bdf160c739803:{}",
                authorizer.pair.sign(&[signed.as_bytes()])
            )
        );
    }

    #[test]
    fn an_encrypted_channel_comes_with_its_key() {
        let (authorizer, socket_id) = documented();
        let channel = Channel::encrypted("x");
        let error = authorizer.private(&socket_id, &channel).unwrap_err();
        assert_eq!(error.field, "master_key");
        let master_key = MasterKey::new([1; 32]);
        let secret = BASE64.encode(master_key.shared_secret(&channel));
        let answer = authorizer
            .master_key(master_key)
            .private(&socket_id, &channel);
        assert_eq!(answer.unwrap().shared_secret, Some(secret));
    }

    #[test]
    fn only_what_fits_a_channel_is_signed() {
        let (authorizer, socket_id) = documented();
        let member = Member::new("u");
        for name in [
            "public",
            "presence-x",
            "private-a b",
            "#server-to-user-7",
            "",
        ] {
            let answer = authorizer.private(&socket_id, &Channel::named(name));
            assert!(answer.is_err(), "{name}");
        }
        for name in ["public", "private-x", "presence-ä"] {
            let answer = authorizer.presence(&socket_id, &Channel::named(name), &member);
            assert_eq!(answer.unwrap_err().field, "channel", "{name}");
        }
        let nobody = authorizer.presence(&socket_id, &Channel::presence("x"), &Member::new(""));
        assert_eq!(nobody.unwrap_err().field, "user_id");
        let nobody = authorizer.user(&socket_id, &User::new(""));
        assert_eq!(nobody.unwrap_err().field, "user_id");
    }

    #[test]
    fn a_user_may_watch_others() {
        let user = User::new("u1")
            .watchlist([2, 3])
            .info(&json!({"name": "x"}))
            .unwrap();
        let (authorizer, socket_id) = documented();
        assert_eq!(
            authorizer.user(&socket_id, &user).unwrap().user_data,
            r#"{"id":"u1","user_info":{"name":"x"},"watchlist":["2","3"]}"#
        );
    }
}
