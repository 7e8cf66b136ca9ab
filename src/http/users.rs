//! Users.

use super::answer::Answer;
use super::error::ApiError;
use super::verified::Verified;
use crate::relay::Relay;

/// `POST …/users/{user_id}/terminate_connections`: closes all connections that are signed in
/// as the user. There may be none.
pub(super) async fn terminate_connections(
    relay: &Relay,
    request: &Verified<'_>,
    user_id: &str,
) -> Result<Answer, ApiError> {
    relay.terminate_user(request.app, user_id).settled().await?;
    Ok(Answer::Empty)
}

/// `POST …/users/{user_id}/force_reconnect`: closes all connections that are signed in as the
/// user with 4200, so that clients connect again at once. There may be none.
///
/// An extension: Pusher has no such call.
pub(super) async fn force_reconnect(
    relay: &Relay,
    request: &Verified<'_>,
    user_id: &str,
) -> Result<Answer, ApiError> {
    relay.reconnect_user(request.app, user_id).settled().await?;
    Ok(Answer::Empty)
}
