//! A TCP proxy in a thread of its own, whose connections can be cut, held up, slowed down and restored.

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

/// Passes connections on, to one address or to several in turn. Dropping it closes them.
#[derive(Debug)]
pub struct TcpProxy {
    authority: String,
    state: watch::Sender<State>,
    // Dropping it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Debug)]
struct State {
    way: Way,
    /// Counts what has closed all connections that there were.
    cuts: u64,
    targets: Vec<String>,
    /// Bytes a second from all servers together; `None`: as fast as they come.
    rate: Option<u32>,
}

/// When the next bytes may pass from servers to clients, of all connections together.
type NextFree = Arc<Mutex<Instant>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    /// Bytes wait, new connections too.
    Held,
    /// New connections are closed at once.
    Cut,
}

impl TcpProxy {
    /// A proxy on a free port of loopback, to these addresses (`host:port`). Each new connection goes to the next one
    /// that takes it.
    pub async fn start(targets: &[String]) -> TcpProxy {
        let (state, watched) = watch::channel(State {
            way: Way::Open,
            cuts: 0,
            targets: targets.to_vec(),
            rate: None,
        });
        let (stop, stopped) = oneshot::channel();
        let (bound, address) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("there are descriptors");
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await;
                let listener = listener.expect("there are free ports");
                let address = listener.local_addr().expect("the socket is bound");
                let _waited_for = bound.send(address.to_string());
                tokio::select! {
                    () = accept(listener, watched) => {}
                    _dropped = stopped => {}
                }
            });
        });
        TcpProxy {
            authority: address.await.expect("the thread lives"),
            state,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// `127.0.0.1:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Closes all connections, and every new one at once.
    pub fn cut(&self) {
        self.state.send_modify(|state| {
            state.way = Way::Cut;
            state.cuts += 1;
        });
    }

    /// Holds all bytes back, and new connections too, as a network does that drops every packet.
    pub fn hold(&self) {
        self.state.send_modify(|state| state.way = Way::Held);
    }

    /// Closes all connections; new ones are welcome.
    pub fn close_connections(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Passes everything on again at full speed, what was held back first.
    pub fn restore(&self) {
        self.state.send_modify(|state| {
            state.way = Way::Open;
            state.rate = None;
        });
    }

    /// Lets so many bytes a second pass from the servers, of all connections together, as a slow link does.
    pub fn limit(&self, bytes_a_second: u32) {
        self.state
            .send_modify(|state| state.rate = Some(bytes_a_second));
    }

    /// Where new connections go from now on.
    pub fn set_targets(&self, targets: &[String]) {
        self.state
            .send_modify(|state| state.targets = targets.to_vec());
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The thread panics only together with its test.
            let _ended = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, state: watch::Receiver<State>) {
    let mut turn = 0;
    let free = Arc::new(Mutex::new(Instant::now()));
    loop {
        let (stream, _) = listener.accept().await.expect("the listener is open");
        tokio::spawn(serve(stream, turn, state.clone(), Arc::clone(&free)));
        turn += 1;
    }
}

/// Serves a connection until one side ends it or it is cut.
async fn serve(client: TcpStream, turn: usize, state: watch::Receiver<State>, free: NextFree) {
    let cuts = state.borrow().cuts;
    let cut = {
        let mut state = state.clone();
        async move {
            let is_cut = |state: &State| state.way == Way::Cut || state.cuts != cuts;
            let _proxy_dropped = state.wait_for(is_cut).await;
        }
    };
    tokio::select! {
        biased;
        () = cut => {}
        () = pass_on(client, turn, state, free) => {}
    }
}

async fn pass_on(
    client: TcpStream,
    turn: usize,
    mut state: watch::Receiver<State>,
    free: NextFree,
) {
    open(&mut state).await;
    let targets = state.borrow().targets.clone();
    let Some(server) = connect(&targets, turn).await else {
        return;
    };
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("the socket is open");
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = pump(from_client, to_server, state.clone(), None) => {}
        () = pump(from_server, to_client, state, Some(free)) => {}
    }
}

/// Waits until bytes may pass.
async fn open(state: &mut watch::Receiver<State>) {
    let _proxy_dropped = state.wait_for(|state| state.way == Way::Open).await;
}

async fn connect(targets: &[String], turn: usize) -> Option<TcpStream> {
    for position in 0..targets.len() {
        let target = &targets[(turn + position) % targets.len()];
        if let Ok(stream) = TcpStream::connect(target).await {
            return Some(stream);
        }
    }
    None
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    free: Option<NextFree>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        open(&mut state).await;
        let rate = state.borrow().rate;
        if let (Some(free), Some(rate)) = (&free, rate) {
            sleep_until(take_turn(free, count, rate)).await;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

/// When these bytes may pass.
fn take_turn(free: &NextFree, count: usize, rate: u32) -> Instant {
    let time = Duration::from_secs_f64(count as f64 / f64::from(rate));
    let mut free = free.lock().expect("nobody panics with it");
    let turn = Instant::now().max(*free);
    *free = turn + time;
    turn
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::net::TcpSocket;
    use tokio::time::timeout;

    use super::*;
    use crate::wait::within;

    /// A server that sends every byte back, with its own letter before it.
    async fn echo(letter: u8) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    while let Ok(byte) = stream.read_u8().await {
                        stream.write_all(&[letter, byte]).await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream, byte: u8) -> [u8; 2] {
        stream.write_all(&[byte]).await.unwrap();
        read(stream).await
    }

    async fn read(stream: &mut TcpStream) -> [u8; 2] {
        let mut answer = [0; 2];
        within("the echo", stream.read_exact(&mut answer))
            .await
            .unwrap();
        answer
    }

    async fn expect_closed(stream: &mut TcpStream) {
        match within("the end", stream.read_u8()).await {
            Ok(byte) => panic!("{byte} instead of the end"),
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                ),
                "{error}"
            ),
        }
    }

    #[tokio::test]
    async fn held_bytes_come_later() {
        let proxy = TcpProxy::start(&[echo(b'a').await]).await;
        let mut stream = TcpStream::connect(proxy.authority()).await.unwrap();
        assert_eq!(ask(&mut stream, b'1').await, *b"a1");
        proxy.hold();
        stream.write_all(b"2").await.unwrap();
        let mut late = TcpStream::connect(proxy.authority()).await.unwrap();
        late.write_all(b"3").await.unwrap();
        for stream in [&mut stream, &mut late] {
            let nothing = timeout(Duration::from_millis(50), stream.read_u8()).await;
            assert!(nothing.is_err(), "{nothing:?}");
        }
        proxy.restore();
        assert_eq!(read(&mut stream).await, *b"a2");
        assert_eq!(read(&mut late).await, *b"a3");
    }

    #[tokio::test]
    async fn limited_connections_share_the_rate() {
        let proxy = TcpProxy::start(&[echo(b'a').await]).await;
        proxy.limit(1000);
        let start = Instant::now();
        let asking = async || {
            let mut stream = TcpStream::connect(proxy.authority()).await.unwrap();
            for _ in 0..50 {
                ask(&mut stream, b'1').await;
            }
        };
        tokio::join!(asking(), asking());
        assert!(start.elapsed() >= Duration::from_millis(190));
    }

    #[tokio::test]
    async fn cut_connections_are_closed_and_new_ones_too_until_restored() {
        let proxy = TcpProxy::start(&[echo(b'a').await]).await;
        let mut stream = TcpStream::connect(proxy.authority()).await.unwrap();
        assert_eq!(ask(&mut stream, b'1').await, *b"a1");
        proxy.cut();
        expect_closed(&mut stream).await;
        let mut late = TcpStream::connect(proxy.authority()).await.unwrap();
        expect_closed(&mut late).await;
        proxy.restore();
        let mut stream = TcpStream::connect(proxy.authority()).await.unwrap();
        assert_eq!(ask(&mut stream, b'2').await, *b"a2");
        proxy.close_connections();
        expect_closed(&mut stream).await;
        let mut stream = TcpStream::connect(proxy.authority()).await.unwrap();
        assert_eq!(ask(&mut stream, b'3').await, *b"a3");
    }

    #[tokio::test]
    async fn connections_take_turns_and_pass_by_who_is_away() {
        // It has the port, and does not listen.
        let nobody = TcpSocket::new_v4().unwrap();
        nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let away = nobody.local_addr().unwrap().to_string();
        let targets = [echo(b'a').await, away, echo(b'b').await];
        let proxy = TcpProxy::start(&targets).await;
        let mut seen = Vec::new();
        for _ in 0..3 {
            let mut stream = TcpStream::connect(proxy.authority()).await.unwrap();
            seen.push(ask(&mut stream, b'1').await[0]);
        }
        assert_eq!(seen, b"abb");
        proxy.set_targets(&targets[..1]);
        let mut stream = TcpStream::connect(proxy.authority()).await.unwrap();
        assert_eq!(ask(&mut stream, b'1').await, *b"a1");
    }
}
