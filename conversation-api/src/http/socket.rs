//! The connection to the relay from whose page a request comes.

use actix_web::HttpRequest;
use publisher::SocketId;

/// `X-Socket-ID`, which Laravel Echo adds. What is no socket id is as good as none: the event
/// then reaches the sender, too, which the inbox can bear, and the relay does not refuse it.
pub(super) fn socket_id(request: &HttpRequest) -> Option<SocketId> {
    let id = request.headers().get("X-Socket-ID")?.to_str().ok()?;
    SocketId::parse(id).ok()
}
