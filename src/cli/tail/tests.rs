//! Against a real admin listener, and against servers that are none.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use actix_web::dev::ServerHandle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{Instant, timeout};

use super::*;
use crate::admin;
use crate::metrics::Metrics;
use crate::tap::{Kind, Tap, TapEvent};

const PATIENCE: Duration = Duration::from_secs(20);

struct Relay {
    address: SocketAddr,
    tap: Tap,
    handle: ServerHandle,
}

impl Relay {
    fn start(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let tap = Tap::new();
        let state = admin::testing::state(Metrics::new(), tap.clone());
        let listeners = vec![admin::Bound::Tcp(listener)];
        let server = admin::server(
            listeners,
            admin::testing::LIMITS,
            state,
            admin::Locks::default(),
            || {},
        )
        .unwrap();
        let handle = server.handle();
        tokio::spawn(server);
        Self {
            address,
            tap,
            handle,
        }
    }

    fn publish(&self, channel: &str) {
        self.tap.emit(|| TapEvent {
            app: Some("1"),
            channel: Some(channel),
            ..TapEvent::new(Kind::Publish)
        });
    }

    async fn stop(self) {
        self.tap.close();
        timeout(PATIENCE, self.handle.stop(true)).await.unwrap();
    }
}

fn free_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A port that stays this test's own while no relay listens on it.
fn held_port() -> (TcpSocket, SocketAddr) {
    let held = TcpSocket::new_v4().unwrap();
    held.set_reuseaddr(true).unwrap();
    held.bind(free_port()).unwrap();
    let address = held.local_addr().unwrap();
    (held, address)
}

fn args(address: SocketAddr) -> TailArgs {
    TailArgs {
        admin: Some(address.to_string().parse().unwrap()),
        token: None,
        app: None,
        channel: None,
        event: None,
        json: false,
    }
}

/// Text that a running `follow` writes and the test reads.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    async fn eventually_holds(&self, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.text().contains(what) {
            assert!(
                Instant::now() < deadline,
                "no {what:?} in {:?}",
                self.text()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn follow_its_admin<L: Write, N: Write>(
    args: &TailArgs,
    output: &mut Output<L, N>,
) -> Result<(), TailError> {
    let admin = args.admin.as_ref().unwrap();
    follow(args, admin, output).await
}

struct Following {
    lines: Written,
    notes: Written,
    task: tokio::task::JoinHandle<Result<(), TailError>>,
}

impl Following {
    fn start(args: TailArgs) -> Self {
        let (lines, notes) = (Written::default(), Written::default());
        let mut output = Output {
            style: Style::Plain,
            lines: lines.clone(),
            notes: notes.clone(),
        };
        let task = tokio::spawn(async move { follow_its_admin(&args, &mut output).await });
        Self { lines, notes, task }
    }

    async fn error(self) -> TailError {
        timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap_err()
    }
}

#[tokio::test]
async fn lines_that_match_are_shown_in_order() {
    let relay = Relay::start(free_port());
    let mut args = args(relay.address);
    args.app = Some("1".to_owned());
    args.channel = Some("a*&b".to_owned());
    let following = Following::start(args);
    following
        .notes
        .eventually_holds("following http://127.0.0.1:")
        .await;
    for channel in ["a1&b", "other", "a2&b", "a3"] {
        relay.publish(channel);
    }
    following.lines.eventually_holds("a2&b").await;
    let text = following.lines.text();
    let channels: Vec<_> = text
        .lines()
        .filter_map(|line| line.split("  ").last())
        .collect();
    assert_eq!(channels, ["a1&b", "a2&b"]);
    following.task.abort();
    relay.stop().await;
}

#[tokio::test]
async fn a_restart_is_reported_and_followed() {
    let (_held, address) = held_port();
    let relay = Relay::start(address);
    let following = Following::start(args(address));
    following.notes.eventually_holds("following").await;
    relay.stop().await;
    following
        .notes
        .eventually_holds("the relay is stopping; connecting again")
        .await;

    let relay = Relay::start(address);
    following.notes.eventually_holds("connected again").await;
    relay.publish("after");
    following.lines.eventually_holds("after").await;
    following.task.abort();
    relay.stop().await;
}

#[tokio::test]
async fn a_refusal_is_shown_in_the_relays_words() {
    let relay = Relay::start(free_port());
    let mut args = args(relay.address);
    args.channel = Some(String::new());
    let error = Following::start(args).error().await;
    assert!(matches!(error, TailError::Refused { .. }), "{error:?}");
    assert!(
        error.to_string().contains("the filter channel is wrong"),
        "{error}"
    );
    relay.stop().await;
}

#[tokio::test]
async fn a_relay_that_is_not_there_yet_is_waited_for() {
    let (_held, address) = held_port();
    let following = Following::start(args(address));
    let waiting = format!("waiting for a relay whose admin listener is http://{address}");
    following.notes.eventually_holds(&waiting).await;

    let relay = Relay::start(address);
    following.notes.eventually_holds("following").await;
    relay.publish("first");
    following.lines.eventually_holds("first").await;
    following.task.abort();
    relay.stop().await;
}

/// The error of `follow` with a server that answers every connection with these bytes.
async fn against(answer: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind(free_port()).await.unwrap();
    let following = Following::start(args(listener.local_addr().unwrap()));
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut request = [0; 4096];
    let _ = socket.read(&mut request).await.unwrap();
    socket.write_all(answer).await.unwrap();
    socket.shutdown().await.unwrap();
    following.error().await.to_string()
}

#[tokio::test]
async fn whoever_is_no_relay_is_recognised() {
    for (answer, expected) in [
        (&b"220 mail ready\r\n\r\n"[..], "not that of a relay"),
        (b"HTTP/1.1 200", "it breaks off"),
        (
            b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: x\r\n\r\n",
            "Sec-WebSocket-Accept does not match",
        ),
        (
            b"HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\n\x1b[2Jx",
            "\\u{1b}[2Jx",
        ),
        (b"HTTP/1.1 404 No\r\n\r\n", "HTTP status 404"),
    ] {
        let error = against(answer).await;
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_closed_pipe_ends_it() {
    let relay = Relay::start(free_port());
    let (reader, writer) = io::pipe().unwrap();
    let notes = Written::default();
    let mut output = Output {
        style: Style::Json,
        lines: writer,
        notes: notes.clone(),
    };
    let args = args(relay.address);
    let task = tokio::spawn(async move { follow_its_admin(&args, &mut output).await });
    notes.eventually_holds("following").await;
    drop(reader);
    relay.publish("news");
    let result = timeout(PATIENCE, task).await.unwrap().unwrap();
    let Err(TailError::Output(error)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    relay.stop().await;
}
