//! Who may subscribe to what.

use std::sync::Arc;

use super::{Action, Session, State, Subscription};
use crate::auth::channel::{AuthStringError, verify_channel};
use crate::protocol::channel::{Access, SERVER_TO_USER_PREFIX};
use crate::protocol::client::{NotText, Subscribe};
use crate::protocol::member::{self, Member, MemberError, MemberLimits};
use crate::protocol::{ChannelName, ChannelNameError};

/// Why a subscription is refused before the channel's authority is asked.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(transparent)]
    Name(#[from] ChannelNameError),
    #[error(transparent)]
    Auth(#[from] AuthStringError),
    #[error(transparent)]
    Field(#[from] NotText),
    #[error(transparent)]
    Member(#[from] MemberError),
    #[error("a presence channel needs \"channel_data\" with a user_id, or a signed-in user")]
    NoMember,
    #[error(
        "the channel carries events to one user: only connections signed in as that user may subscribe"
    )]
    NotThatUser,
    #[error("a connection may be on at most {0} channels (channels_per_connection)")]
    TooManyChannels(usize),
}

impl Refusal {
    /// The type and status that go with the text in `pusher:subscription_error`.
    fn kind_and_status(&self) -> (&'static str, u16) {
        match self {
            Self::Name(_) => ("InvalidChannel", 400),
            Self::Auth(_) | Self::Field(NotText("auth")) | Self::NotThatUser => ("AuthError", 401),
            Self::Field(_)
            | Self::Member(
                MemberError::Malformed { .. }
                | MemberError::NoId { .. }
                | MemberError::BadWatchlist,
            )
            | Self::NoMember => ("InvalidChannelData", 400),
            Self::Member(MemberError::IdTooLong { .. } | MemberError::InfoTooLarge { .. }) => {
                ("LimitReached", 413)
            }
            Self::TooManyChannels(_) => ("LimitReached", 403),
        }
    }
}

impl Session {
    pub(super) fn on_subscribe(&mut self, request: &Subscribe<'_>) -> Action {
        match self.check_subscription(request) {
            Ok((channel, member)) => match self.subscriptions.get_mut(&channel) {
                Some(subscription) if subscription.state == State::Unwanted => {
                    subscription.state = State::WantedAgain;
                    subscription.member = member;
                    Action::Nothing
                }
                Some(_) => Action::Confirm { channel },
                None => {
                    let subscription = Subscription {
                        member: member.as_ref().map(Arc::clone),
                        state: State::Asked,
                    };
                    self.subscriptions.insert(channel.clone(), subscription);
                    Action::Join { channel, member }
                }
            },
            Err(refusal) => {
                let (kind, status) = refusal.kind_and_status();
                Action::RefuseSubscription {
                    channel: request.channel.to_string(),
                    kind,
                    status,
                    message: refusal.to_string(),
                }
            }
        }
    }

    fn check_subscription(
        &mut self,
        request: &Subscribe<'_>,
    ) -> Result<(ChannelName, Option<Arc<Member>>), Refusal> {
        let limits = &self.app.limits;
        let channel = ChannelName::parse(&request.channel, limits.channel_name_length)?;
        let member = match channel.kind().access {
            Access::Public => None,
            Access::ServerToUser => {
                self.check_own_channel(channel.as_str())?;
                None
            }
            Access::Private | Access::Encrypted => {
                self.check_signature(request)?;
                None
            }
            Access::Presence => {
                self.check_signature(request)?;
                Some(self.member(request)?)
            }
        };
        if channel.kind().needs_signature() {
            self.authorize_by = None;
        }
        let most = limits.channels_per_connection;
        if self.subscriptions.len() >= most && !self.subscriptions.contains_key(&channel) {
            return Err(Refusal::TooManyChannels(most));
        }
        Ok((channel, member))
    }

    fn check_own_channel(&self, channel: &str) -> Result<(), Refusal> {
        let of_user = channel.strip_prefix(SERVER_TO_USER_PREFIX);
        match (&self.user, of_user) {
            (Some(user), Some(id)) if **user.user_id() == *id => Ok(()),
            _ => Err(Refusal::NotThatUser),
        }
    }

    /// The signature covers channel_data wherever it is given, on private channels too.
    fn check_signature(&self, request: &Subscribe<'_>) -> Result<(), Refusal> {
        let auth = request.auth()?.ok_or(AuthStringError::Missing)?;
        let channel_data = request.channel_data()?;
        verify_channel(
            &self.app.keys,
            &auth,
            self.socket_id,
            &request.channel,
            channel_data.as_deref(),
        )?;
        Ok(())
    }

    fn member(&self, request: &Subscribe<'_>) -> Result<Arc<Member>, Refusal> {
        let limits = MemberLimits {
            user_id_length: self.app.limits.presence_user_id_length,
            user_info_bytes: self.app.limits.presence_user_info_bytes,
        };
        match (request.channel_data()?, &self.user) {
            (Some(data), user) => Ok(member::parse_channel_data(&data, user.as_ref(), limits)?),
            (None, Some(user)) => {
                user.check_info(limits)?;
                Ok(Arc::clone(user))
            }
            (None, None) => Err(Refusal::NoMember),
        }
    }
}
