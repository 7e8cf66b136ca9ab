//! Who may subscribe to what.

use std::sync::Arc;

use super::{Action, Session, State, Subscription};
use crate::auth::channel::{AuthStringError, verify_channel};
use crate::protocol::channel::{Access, SERVER_TO_USER_PREFIX};
use crate::protocol::client::{NotText, Subscribe};
use crate::protocol::member::{self, Member, MemberError};
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
    #[error("the subscription is signed for another user than the connection is signed in as")]
    AnotherUser,
    #[error("a connection may be on at most {0} channels (channels_per_connection)")]
    TooManyChannels(usize),
}

impl Refusal {
    /// The type and status that go with the text in `pusher:subscription_error`.
    fn kind_and_status(&self) -> (&'static str, u16) {
        match self {
            Self::Name(_) => ("InvalidChannel", 400),
            Self::Auth(_)
            | Self::Field(NotText("auth"))
            | Self::NotThatUser
            | Self::AnotherUser => ("AuthError", 401),
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

/// A subscription that may be asked for.
struct Checked {
    channel: ChannelName,
    /// Who joins; on presence channels only.
    member: Option<Arc<Member>>,
    /// The user whose connection it must be, if that was signed.
    user: Option<Arc<Member>>,
}

impl Session {
    pub(super) fn on_subscribe(&mut self, request: &Subscribe<'_>) -> Action {
        match self.check_subscription(request) {
            Ok(Checked {
                channel,
                member,
                user,
            }) => match self.subscriptions.get_mut(channel.as_str()) {
                Some(subscription) if subscription.held => self.claim(channel, member, user),
                Some(subscription) if subscription.state == State::Unwanted => {
                    subscription.state = State::WantedAgain;
                    subscription.member = member;
                    Action::Nothing
                }
                Some(subscription)
                    if subscription.state == State::Live && !subscription.confirming =>
                {
                    subscription.confirming = true;
                    Action::Confirm { channel }
                }
                // The answer that is on its way is one to this, too.
                Some(_) => Action::Nothing,
                None => self.ask(channel, member, user),
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

    fn ask(
        &mut self,
        channel: ChannelName,
        member: Option<Arc<Member>>,
        user: Option<Arc<Member>>,
    ) -> Action {
        let subscription = Subscription {
            channel: channel.clone(),
            member: member.as_ref().map(Arc::clone),
            state: State::Asked,
            confirming: false,
            held: false,
            notified: 0,
        };
        self.unanswered += 1;
        self.subscriptions.insert(subscription);
        let (mut first, sign_in) = self.signed_by_subscription(user);
        let join = Action::Join {
            channel,
            member,
            sign_in,
        };
        if first.is_empty() {
            return join;
        }
        first.push(join);
        Action::Each(first)
    }

    fn check_subscription(&mut self, request: &Subscribe<'_>) -> Result<Checked, Refusal> {
        let limits = &self.app.record().limits;
        let channel = ChannelName::parse(&request.channel, limits.channel_name_length)?;
        let (member, user) = match channel.kind().access {
            Access::Public => (None, None),
            Access::ServerToUser => {
                self.check_own_channel(channel.as_str())?;
                (None, None)
            }
            Access::Private | Access::Encrypted => {
                self.check_signature(request)?;
                (None, self.signed_user(request)?)
            }
            Access::Presence => {
                self.check_signature(request)?;
                (Some(self.member(request)?), self.signed_user(request)?)
            }
        };
        if channel.kind().needs_signature() {
            self.authorize_by = None;
        }
        let most = limits.channels_per_connection;
        let is_full = self.subscriptions.len() >= most;
        if is_full && self.subscriptions.get(channel.as_str()).is_none() {
            return Err(Refusal::TooManyChannels(most));
        }
        Ok(Checked {
            channel,
            member,
            user,
        })
    }

    /// Whose connection it is, if the app has signed that it is somebody's.
    fn signed_user(&self, request: &Subscribe<'_>) -> Result<Option<Arc<Member>>, Refusal> {
        let Some(data) = request.channel_data()? else {
            return Ok(None);
        };
        if !member::signs_in(&data) {
            return Ok(None);
        }
        let known = self.signed_in_user();
        let user = member::parse_channel_data(&data, known, self.member_limits())?;
        match known {
            Some(known) if known.user_id() != user.user_id() => Err(Refusal::AnotherUser),
            _ => Ok(Some(user)),
        }
    }

    fn check_own_channel(&self, channel: &str) -> Result<(), Refusal> {
        let of_user = channel.strip_prefix(SERVER_TO_USER_PREFIX);
        match (self.signed_in_user(), of_user) {
            (Some(user), Some(id)) if **user.user_id() == *id => Ok(()),
            _ => Err(Refusal::NotThatUser),
        }
    }

    /// The signature covers channel_data wherever it is given, on private channels too.
    fn check_signature(&self, request: &Subscribe<'_>) -> Result<(), Refusal> {
        let auth = request.auth()?.ok_or(AuthStringError::Missing)?;
        let channel_data = request.channel_data()?;
        verify_channel(
            &self.app.record().keys,
            &auth,
            self.socket_id,
            &request.channel,
            channel_data.as_deref(),
        )?;
        Ok(())
    }

    fn member(&self, request: &Subscribe<'_>) -> Result<Arc<Member>, Refusal> {
        let limits = self.member_limits();
        match (request.channel_data()?, self.signed_in_user()) {
            (Some(data), user) => Ok(member::parse_channel_data(&data, user, limits)?),
            (None, Some(user)) => {
                user.check_info(limits)?;
                Ok(Arc::clone(user))
            }
            (None, None) => Err(Refusal::NoMember),
        }
    }
}
