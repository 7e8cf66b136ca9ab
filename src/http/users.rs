//! Users.

use super::service::Answer;
use super::verified::Verified;
use crate::relay::Relay;

/// `POST …/users/{user_id}/terminate_connections`: closes all connections that are signed in
/// as the user. There may be none.
pub(super) fn terminate_connections(
    relay: &Relay,
    request: &Verified<'_>,
    user_id: &str,
) -> Answer {
    relay.terminate_user(request.app, user_id);
    Answer::Empty
}
