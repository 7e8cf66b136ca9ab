//! `GET /stream`: the live stream over a WebSocket, one JSON object a message. The query
//! filters: `app` is an id, `channel` and `event` are patterns in which `*` stands for anything.

use std::pin::pin;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use actix_ws::{CloseCode, CloseReason, Message, MessageStream, Session};
use futures_util::future::{Either, select};
use tokio::time::{Instant, timeout, timeout_at};

use super::body::Arriving;
use super::refusal::Refusal;
use crate::tap::{Filter, Pattern, Tap, Watcher};

/// How often a watcher is pinged.
const PING_EVERY: Duration = Duration::from_secs(20);

/// Silence after which a watcher counts as gone: it did not answer two pings.
const SILENT_FOR: Duration = Duration::from_secs(50);

/// How long a watcher may take to make room for one more message.
const SLOW_FOR: Duration = Duration::from_secs(5);

/// Bytes of a frame from a watcher, who has nothing to send but pongs and a close.
const MAX_FRAME: usize = 4 * 1024;

/// What a browser offers beside its ticket, and is answered with.
const PROTOCOL: &str = "fanfare.stream";

pub(super) fn stream(
    request: &HttpRequest,
    arriving: Arriving,
    tap: &Tap,
    withdrawn: impl Future<Output = ()> + 'static,
) -> Result<HttpResponse, Refusal> {
    actix_http::ws::verify_handshake(request.head()).map_err(Refusal::NotAWebSocket)?;
    let filter = parse_filter(request.query_string())?;
    let watcher = tap.watch(filter)?;
    let (frames, handled) = arriving.into_parts();
    let (response, session, from_client) =
        actix_ws::handle_with_protocols(request, frames, &[PROTOCOL])
            .expect("the handshake was verified above");
    let served = serve(
        watcher,
        session,
        from_client.max_frame_size(MAX_FRAME),
        withdrawn,
    );
    actix_web::rt::spawn(async move {
        served.await;
        drop(handled);
    });
    Ok(response)
}

fn parse_filter(query: &str) -> Result<Filter, Refusal> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query)
        .map_err(|error| Refusal::BadQuery(error.to_string()))?;
    let mut filter = Filter::default();
    for (name, value) in pairs.into_inner() {
        match name.as_str() {
            "app" => set(&mut filter.app, "app", value)?,
            "channel" => set(&mut filter.channel, "channel", pattern("channel", &value)?)?,
            "event" => set(&mut filter.event, "event", pattern("event", &value)?)?,
            _ => return Err(Refusal::UnknownFilter(name)),
        }
    }
    Ok(filter)
}

fn pattern(name: &'static str, text: &str) -> Result<Pattern, Refusal> {
    Pattern::parse(text).map_err(|error| Refusal::BadPattern { name, error })
}

fn set<T>(filter: &mut Option<T>, name: &'static str, value: T) -> Result<(), Refusal> {
    match filter.replace(value) {
        None => Ok(()),
        Some(_) => Err(Refusal::RepeatedFilter(name)),
    }
}

/// Serves one watcher until it leaves, stalls, the tap is closed or what let it in holds no more. Whatever ends first ends
/// the other direction too.
async fn serve(
    watcher: Watcher,
    session: Session,
    from_client: MessageStream,
    withdrawn: impl Future<Output = ()>,
) {
    let reason = {
        let write = pin!(write(watcher, session.clone()));
        let read = pin!(read(from_client, session.clone()));
        let withdrawn = pin!(withdrawn);
        match select(select(write, read), withdrawn).await {
            Either::Left((Either::Left((reason, _)) | Either::Right((reason, _)), _)) => reason,
            Either::Right(_) => reason(CloseCode::Policy, "the token holds no more"),
        }
    };
    // A peer that takes nothing is left to the stream's timeout; the watcher is gone already.
    let _ = timeout(SLOW_FOR, session.close(reason)).await;
}

/// Sends what the watcher sees, and pings.
async fn write(mut watcher: Watcher, mut session: Session) -> Option<CloseReason> {
    let mut ping_at = Instant::now() + PING_EVERY;
    loop {
        let sent = match timeout_at(ping_at, watcher.next()).await {
            Ok(Some(line)) => timeout(SLOW_FOR, session.text(&*line)).await,
            Ok(None) => return reason(CloseCode::Away, "the relay is stopping"),
            Err(_) => {
                ping_at += PING_EVERY;
                timeout(SLOW_FOR, session.ping(b"")).await
            }
        };
        match sent {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => return reason(CloseCode::Policy, "too slow"),
        }
    }
}

/// Answers pings and notices when the watcher leaves or falls silent.
async fn read(mut from_client: MessageStream, mut session: Session) -> Option<CloseReason> {
    loop {
        match timeout(SILENT_FOR, from_client.recv()).await {
            Ok(Some(Ok(Message::Ping(payload)))) => {
                let sent = timeout(SLOW_FOR, session.pong(&payload)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return reason(CloseCode::Policy, "too slow");
                }
            }
            Ok(Some(Ok(Message::Close(theirs)))) => return theirs,
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(_))) => return reason(CloseCode::Protocol, "not a valid frame"),
            Ok(None) => return None,
            Err(_) => return reason(CloseCode::Away, "no answer to pings"),
        }
    }
}

fn reason(code: CloseCode, text: &str) -> Option<CloseReason> {
    Some((code, text).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_come_from_the_query() {
        let filter = parse_filter("app=10001&channel=private-%2A&event=made").unwrap();
        assert_eq!(filter.app.as_deref(), Some("10001"));
        assert!(filter.channel.unwrap().matches("private-x"));
        assert!(filter.event.unwrap().matches("made"));
        let filter = parse_filter("").unwrap();
        assert!(filter.app.is_none() && filter.channel.is_none() && filter.event.is_none());
    }

    #[test]
    fn a_wrong_filter_is_named() {
        for (query, expected) in [
            ("chanel=x", "\"chanel\""),
            ("channel=", "the filter channel is wrong"),
            ("event=", "the filter event is wrong"),
            ("app=1&app=2", "the filter app is given twice"),
            ("event=a&event=b", "the filter event is given twice"),
        ] {
            let text = parse_filter(query).unwrap_err().to_string();
            assert!(text.contains(expected), "{query}: {text}");
        }
    }
}
