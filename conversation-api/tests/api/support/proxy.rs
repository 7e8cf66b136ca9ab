//! A way to the relay that can be held up: what the process sends, or what the relay answers.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::task::JoinSet;

use protocol_tests::Port;

/// What is let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    Open,
    /// Requests arrive here and go no further.
    HoldRequests,
    /// Requests reach the relay, its answers arrive here and go no further.
    HoldAnswers,
}

/// A proxy in front of a relay.
pub(crate) struct Proxy {
    pub(crate) authority: String,
    /// It stays this proxy's while connections are refused.
    port: Port,
    shared: Arc<Shared>,
    accepting: Option<JoinSet<()>>,
}

struct Shared {
    upstream: Mutex<String>,
    gate: watch::Sender<Gate>,
    requests: Mutex<Vec<u8>>,
    answers: Mutex<Vec<u8>>,
}

impl Proxy {
    /// In front of the relay at `upstream`.
    pub(crate) fn to(upstream: &str) -> Proxy {
        let port = Port::hold();
        let mut proxy = Proxy {
            authority: port.address().to_string(),
            port,
            shared: Arc::new(Shared {
                upstream: Mutex::new(upstream.into()),
                gate: watch::Sender::new(Gate::Open),
                requests: Mutex::default(),
                answers: Mutex::default(),
            }),
            accepting: None,
        };
        proxy.accept();
        proxy
    }

    pub(crate) fn set(&self, gate: Gate) {
        self.shared.gate.send_replace(gate);
    }

    /// Leads to another relay from now on.
    pub(crate) fn lead_to(&self, upstream: &str) {
        *self.shared.upstream.lock().unwrap() = upstream.into();
    }

    /// Ends all connections and refuses new ones.
    pub(crate) async fn refuse(&mut self) {
        if let Some(mut accepting) = self.accepting.take() {
            accepting.shutdown().await;
        }
    }

    /// Accepts connections again, at the same address.
    pub(crate) fn accept(&mut self) {
        let listener = self.port.listen();
        let shared = Arc::clone(&self.shared);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                connections.spawn(carry(client, Arc::clone(&shared)));
            }
        });
        self.accepting = Some(accepting);
    }

    /// Everything that came from the process, as text.
    pub(crate) fn requests(&self) -> String {
        String::from_utf8_lossy(&self.shared.requests.lock().unwrap()).into_owned()
    }

    /// Everything that came from the relay, as text.
    pub(crate) fn answers(&self) -> String {
        String::from_utf8_lossy(&self.shared.answers.lock().unwrap()).into_owned()
    }

    /// The idempotency keys of the publishes that came from the process, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        let requests = self.requests();
        let lines = requests.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }
}

async fn carry(client: TcpStream, shared: Arc<Shared>) {
    let upstream = shared.upstream.lock().unwrap().clone();
    let Ok(relay) = TcpStream::connect(upstream).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_relay, to_relay) = relay.into_split();
    let requests = copy(
        from_client,
        to_relay,
        &shared,
        &shared.requests,
        Gate::HoldRequests,
    );
    let answers = copy(
        from_relay,
        to_client,
        &shared,
        &shared.answers,
        Gate::HoldAnswers,
    );
    tokio::select! {
        () = requests => {}
        () = answers => {}
    }
}

/// Copies until either side ends, waiting while the gate holds this direction.
async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    record: &Mutex<Vec<u8>>,
    held: Gate,
) {
    let mut gate = shared.gate.subscribe();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(count) => count,
        };
        record.lock().unwrap().extend_from_slice(&buffer[..count]);
        if gate.wait_for(|gate| *gate != held).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
