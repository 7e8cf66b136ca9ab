//! What lies between pages and a relay: a TCP proxy in a thread of its own, whose connections fail one by one or all at
//! once, each in a way that networks know. Each connection is known by its client's port.

use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use protocol_tests::candidate_port;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Nothing passes in either direction, and nobody is notified: a black hole.
    Held,
    /// Both sides are reset.
    Reset,
    /// The relay is notified that the client has ended, and nothing more comes from the client.
    EndedForRelay,
    /// The client is notified that the relay has ended; the relay goes on with nobody.
    EndedForClient,
}

type Lines = Arc<Mutex<HashMap<u16, watch::Sender<Way>>>>;

/// The proxy. Dropping it resets what is open.
#[derive(Debug)]
pub(crate) struct Road {
    authority: String,
    lines: Lines,
    restarts: watch::Sender<Restart>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How often the proxy was started anew, and how long nobody listened the last time.
#[derive(Clone, Copy, Debug, Default)]
struct Restart {
    count: u64,
    away: Duration,
}

impl Road {
    /// A proxy on a port of loopback that is still free when it comes back, to this address (`host:port`).
    pub(crate) async fn start(target: &str) -> Road {
        let lines = Lines::default();
        let (restarts, restarted) = watch::channel(Restart::default());
        let (stop, stopped) = oneshot::channel();
        let (bound, address) = oneshot::channel();
        let carrier = Carrier {
            target: target.to_owned(),
            lines: Arc::clone(&lines),
        };
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.expect("there are descriptors").block_on(async {
                let listener = listen().await;
                let address = listener.local_addr().expect("the socket is bound");
                let _waited_for = bound.send(address.to_string());
                tokio::select! {
                    () = carrier.accept(listener, restarted) => {}
                    _dropped = stopped => {}
                }
            });
        });
        Road {
            authority: address.await.expect("the thread lives"),
            lines,
            restarts,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// `127.0.0.1:port`.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Sets what becomes of the connection from this port; false if there is none (any more).
    pub(crate) fn set(&self, port: u16, way: Way) -> bool {
        let lines = lock(&self.lines);
        lines.get(&port).is_some_and(|line| line.send(way).is_ok())
    }

    /// Resets all connections, and lets nobody in for a while, as a proxy does that is started anew.
    pub(crate) fn restart(&self, away: Duration) {
        self.restarts.send_modify(|restart| {
            restart.count += 1;
            restart.away = away;
        });
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // The thread panics only together with its test.
            let _ended = thread.join();
        }
    }
}

fn lock(lines: &Lines) -> MutexGuard<'_, HashMap<u16, watch::Sender<Way>>> {
    lines.lock().expect("nobody panics with it")
}

/// Listens on a port that the system gives to nobody while the proxy is away.
async fn listen() -> TcpListener {
    loop {
        match TcpListener::bind(("127.0.0.1", candidate_port())).await {
            Ok(listener) => return listener,
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{error}"),
        }
    }
}

struct Carrier {
    target: String,
    lines: Lines,
}

impl Carrier {
    async fn accept(self, mut listener: TcpListener, mut restarts: watch::Receiver<Restart>) {
        let address = listener.local_addr().expect("the socket is bound");
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (client, peer) = accepted.expect("the listener is open");
                    self.carry(client, peer.port());
                }
                Ok(()) = restarts.changed() => {
                    let away = restarts.borrow_and_update().away;
                    drop(listener);
                    for line in lock(&self.lines).values() {
                        let _ended_already = line.send(Way::Reset);
                    }
                    sleep(away).await;
                    listener = loop {
                        // The port may be somebody's for a moment, who tries which are free.
                        match TcpListener::bind(address).await {
                            Ok(listener) => break listener,
                            Err(_) => sleep(Duration::from_millis(10)).await,
                        }
                    };
                }
            }
        }
    }

    /// Carries a connection in a task of its own.
    fn carry(&self, client: TcpStream, port: u16) {
        let (sender, way) = watch::channel(Way::Open);
        lock(&self.lines).insert(port, sender);
        let target = self.target.clone();
        let lines = Arc::clone(&self.lines);
        tokio::spawn(async move {
            // A relay that takes nobody in is the client's affair.
            if let Ok(server) = TcpStream::connect(&target).await {
                carry(client, server, way).await;
            }
            lock(&lines).remove(&port);
        });
    }
}

async fn carry(client: TcpStream, server: TcpStream, way: watch::Receiver<Way>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("the socket is open");
    }
    let mut ways = way.clone();
    let passing = async {
        tokio::join!(
            pass_on(&client, &server, way.clone(), Way::EndedForRelay),
            pass_on(&server, &client, way.clone(), Way::EndedForClient),
        )
    };
    tokio::select! {
        _both_ended = passing => {}
        Ok(_) = ways.wait_for(|way| *way == Way::Reset) => {
            for stream in [&client, &server] {
                let linger = SockRef::from(stream).set_linger(Some(Duration::ZERO));
                linger.expect("the socket is open");
            }
        }
    }
}

/// Passes on what comes from one side until that ends or `end` is what becomes of the connection; then the other side
/// is notified of an end, and what still comes is thrown away.
async fn pass_on(from: &TcpStream, to: &TcpStream, mut way: watch::Receiver<Way>, end: Way) {
    let ended = {
        let mut way = way.clone();
        async move { way.wait_for(|way| *way == end).await.is_ok() }
    };
    let is_end_of_its_own = tokio::select! {
        () = pump(from, to, &mut way) => true,
        true = ended => false,
    };
    // A client that was notified of an end that there was not ends, too, and the relay is not to know.
    let is_notified = end != Way::EndedForRelay || *way.borrow() != Way::EndedForClient;
    if is_notified {
        let _ended_already = SockRef::from(to).shutdown(Shutdown::Write);
    }
    if !is_end_of_its_own {
        swallow(from).await;
    }
}

async fn pump(from: &TcpStream, to: &TcpStream, way: &mut watch::Receiver<Way>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = read(from, &mut buffer).await {
        passable(way).await;
        if write(to, &buffer[..count]).await.is_err() {
            return;
        }
    }
    passable(way).await;
}

/// Waits until bytes may pass.
async fn passable(way: &mut watch::Receiver<Way>) {
    let _dropped = way.wait_for(|way| *way != Way::Held).await;
}

async fn swallow(from: &TcpStream) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(1..) = read(from, &mut buffer).await {}
}

async fn read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        match stream.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
