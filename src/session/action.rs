//! What a message asks the relay to do.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Ended, SignOfLife};
use crate::metrics::MessageKind;
use crate::protocol::member::{Member, Watchlist};
use crate::protocol::{ChannelName, CloseCode, Frame};

/// The outcome of one message or timer.
#[derive(Debug)]
pub enum Action {
    /// Nothing to do.
    Nothing,
    /// Answer this.
    Send(Frame),
    /// Ask the client whether it is there.
    Ping(SignOfLife),
    /// The client has answered a `pusher:ping`, and with it handled all that was sent before.
    Pong,
    /// Do these, one after the other.
    Each(Vec<Action>),
    /// Answer `pusher:error`; the connection stays open.
    Mistake {
        /// The code in the error, if the protocol has one.
        code: Option<CloseCode>,
        /// What is wrong, and what is expected.
        message: String,
    },
    /// Answer `pusher:subscription_error`; the connection stays open.
    RefuseSubscription {
        /// The name as the client sent it.
        channel: String,
        /// Type of the error, such as `AuthError`.
        kind: &'static str,
        /// HTTP-like status.
        status: u16,
        /// What is wrong, and what is expected.
        message: String,
    },
    /// Ask the channel's authority to let the connection in.
    Join {
        /// The channel.
        channel: ChannelName,
        /// Who joins; on presence channels only.
        member: Option<Arc<Member>>,
        /// The user as whom the subscription signs the connection in, before it joins.
        sign_in: Option<Arc<Member>>,
    },
    /// The connection is on the channel already: confirm it again.
    Confirm {
        /// The channel.
        channel: ChannelName,
    },
    /// Notify the channel's authority that the connection has left.
    Leave {
        /// The channel.
        channel: ChannelName,
        /// Who leaves; on presence channels only.
        member: Option<Arc<Member>>,
    },
    /// The client has signed in again as the user that the connection is registered as.
    UserIsBack,
    /// Leave what the client, which has come back, has not asked for again.
    LeaveUnclaimed(Box<Ended>),
    /// The connection belongs to this user from now on.
    SignIn {
        /// The user.
        user: Arc<Member>,
        /// The users of whom it wants to be notified.
        watchlist: Watchlist,
        /// Whether more were named than count, of which the connection is notified.
        is_cut: bool,
        /// The answer, to be sent once the user is registered; None, if it was a subscription that was
        /// signed for the user.
        reply: Option<Frame>,
    },
    /// Send an event to the others on the channel.
    ClientEvent {
        /// The channel.
        channel: ChannelName,
        /// The event, ready to be sent.
        frame: Frame,
    },
    /// Close the connection.
    Close(CloseReason),
    /// Close the connection of a client that takes nothing, or sends too much.
    CloseOverload {
        /// Which of the two.
        cause: Overload,
        /// What the client is sent.
        reason: CloseReason,
    },
}

/// How a client asks too much of the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// It takes nothing of what waits for it, which is dropped.
    Stall,
    /// It sends too much of this.
    Flood(MessageKind),
}

impl Action {
    pub(super) fn close(code: CloseCode, reason: &'static str) -> Self {
        Self::Close(CloseReason::new(code, reason))
    }
}

/// Why a connection is closed; sent as `pusher:error` and in the close frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason {
    /// The code, which decides what the client does next.
    pub code: CloseCode,
    /// For people.
    pub text: Cow<'static, str>,
}

impl CloseReason {
    /// A reason.
    pub fn new(code: CloseCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }
}
