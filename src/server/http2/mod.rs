//! HTTP/2: several requests at a time over a connection, each answered as over HTTP/1.1.
//!
//! - [`settings`]: what holds for every connection
//! - [`connection`]: what a connection is beside its requests; [`progress`]: how far each of those is
//! - [`stream`]: one request and its answer; [`sending`]: the answer's body; [`rest`]: what is left of the request's
//! - [`convert`]: from the one form of a head to the other; [`host`]: which host is meant
//!
//! What one connection may hold: its streams and their heads, what it has sent of bodies that nobody has read
//! (the connection's window), and of each answer what the client takes next. All connections of a worker together
//! have no more than so many streams beside the first of each. Who sends what costs more than it
//! carries is refused: streams that are reset before they are answered ([`connection`]), frames that belong to no request
//! (`service::net::multiplexed`), and what h2 has limits of its own for: CONTINUATION, empty and tiny DATA, resets of
//! streams that were not yet accepted, streams that break the rules.

mod connection;
mod convert;
mod host;
mod progress;
mod rest;
mod sending;
mod settings;
mod stream;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use actix_http::Request;
use actix_service::Service;
use actix_web::body::MessageBody;
use actix_web::dev::ServiceResponse;
use futures_util::stream::{FuturesUnordered, Stream as _};
use h2::server::Builder;
use service::net::entry::Entry;
use service::net::multiplexed::Multiplexed;
use service::net::yielding::wake_after_others;
use tokio::time::timeout;

use self::connection::{Connection, Next};
use self::settings::MOST_STREAMS;
pub(super) use self::settings::{Settings, Stop};
use crate::metrics::Gauge;
use crate::tls::Socket;

/// Requests that are begun before others have their turn.
const A_TURN: usize = 16;
/// Bytes of a request's head.
const MOST_HEAD: u32 = 16 << 10;
/// Bytes of a body that a client sends ahead of its being read, and those of all bodies.
const WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 256 << 10;
/// Bytes of an answer that wait to be written, beside the rest of it.
const SEND_BUFFER: usize = 32 << 10;

/// An open connection, counted until this is dropped.
struct Open<'s>(&'s Gauge);

impl<'s> Open<'s> {
    fn new(gauge: &'s Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve<S, B>(
    stream: Multiplexed<Socket>,
    peer: Option<SocketAddr>,
    entry: Entry,
    service: Rc<S>,
    settings: Rc<Settings>,
) where
    S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    let _open = Open::new(&settings.numbers.connections);
    let _to_be_ended = settings.stop.connections.enter();
    let allowance = stream.allowance();
    let handshake = timeout(settings.waits.head, builder().handshake(stream));
    let begun = tokio::select! {
        begun = handshake => begun,
        () = entry.evicted() => return,
    };
    let h2 = match begun {
        Ok(Ok(h2)) => h2,
        Ok(Err(error)) => return settings.note_error(&error),
        Err(_too_slow) => return,
    };
    let mut stopping = settings.stop.begun.clone();
    let mut stopping = pin!(async move { stopping.wait_for(|is| *is).await.is_ok() });
    let mut connection = Connection::new(h2, entry, allowance, Rc::clone(&settings));
    let mut streams = FuturesUnordered::new();
    poll_fn(|cx| {
        if !connection.is_stopping() && stopping.as_mut().poll(cx).is_ready() {
            connection.stop();
        }
        for _ in 0..A_TURN {
            while let Poll::Ready(Some(ended)) = Pin::new(&mut streams).poll_next(cx) {
                connection.note(ended);
            }
            match connection.poll_next(cx) {
                Next::Request(incoming) => {
                    let (service, settings) = (Rc::clone(&service), Rc::clone(&settings));
                    streams.push(incoming.answer(service, settings, peer));
                }
                Next::Again => {}
                Next::Refused => streams.clear(),
                Next::End => return Poll::Ready(()),
                Next::Nothing => return Poll::Pending,
            }
        }
        wake_after_others(cx);
        Poll::Pending
    })
    .await;
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(MOST_HEAD)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER);
    builder
}
