//! A server that answers as a test says: a relay that refuses, or the Graph API.

use std::sync::{Arc, Mutex};

use protocol_tests::eventually;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Arrived {
    /// The method and the path.
    pub(crate) fn target(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.strip_suffix(" HTTP/1.1").unwrap_or(line)
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let field = fields.find(|(known, _)| known.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.trim())
    }
}

impl Arrived {
    /// Whether a process asks at its start for a channel that nobody is on.
    fn is_question(&self) -> bool {
        self.head.starts_with("GET /apps/") && self.head.contains("/channels/private-user.0?")
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether more is declared than comes, and the connection stays open.
    pub(crate) is_held: bool,
}

impl From<(u16, String)> for Answer {
    fn from((status, body): (u16, String)) -> Answer {
        Answer {
            status,
            headers: vec![("Content-Type", "application/json".into())],
            body: body.into_bytes(),
            is_held: false,
        }
    }
}

impl Answer {
    /// A file.
    pub(crate) fn bytes(body: &[u8]) -> Answer {
        Answer {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
            is_held: false,
        }
    }

    /// With a header field.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    /// That never ends.
    pub(crate) fn held(mut self) -> Answer {
        self.is_held = true;
        self
    }

    fn encode(&self) -> Vec<u8> {
        let length = self.body.len() + usize::from(self.is_held);
        let mut answer = format!("HTTP/1.1 {} X\r\nContent-Length: {length}\r\n", self.status);
        for (name, value) in &self.headers {
            answer.push_str(&format!("{name}: {value}\r\n"));
        }
        answer.push_str("\r\n");
        [answer.as_bytes(), &self.body].concat()
    }
}

type Script = Box<dyn FnMut(&Arrived) -> Answer + Send>;

/// A server that ends with this value.
pub(crate) struct StandIn {
    pub(crate) authority: String,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

struct Shared {
    script: Mutex<Script>,
    arrived: Mutex<Vec<Arrived>>,
    is_released: watch::Sender<bool>,
}

impl StandIn {
    /// Answers each request with what `script` returns: a status and a body, or a whole answer. The
    /// question at the start, whether a relay is there, is answered apart.
    pub(crate) async fn start<A: Into<Answer>>(
        mut script: impl FnMut(&Arrived) -> A + Send + 'static,
    ) -> StandIn {
        let stand_in = StandIn::start_slow(move |arrived: &Arrived| script(arrived)).await;
        stand_in.release();
        stand_in
    }

    /// The same, but nothing is answered before [`Self::release`].
    pub(crate) async fn start_slow<A: Into<Answer>>(
        mut script: impl FnMut(&Arrived) -> A + Send + 'static,
    ) -> StandIn {
        let script = move |arrived: &Arrived| script(arrived).into();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(script)),
            arrived: Mutex::default(),
            is_released: watch::Sender::new(false),
        });
        let mut accepting = JoinSet::new();
        let accepted = Arc::clone(&shared);
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                connections.spawn(serve(client, Arc::clone(&accepted)));
            }
        });
        StandIn {
            authority,
            shared,
            _accepting: accepting,
        }
    }

    /// Answers from now on.
    pub(crate) fn release(&self) {
        self.shared.is_released.send_replace(true);
    }

    /// What has arrived so far.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.shared.arrived.lock().unwrap().clone()
    }

    /// Waits for at least so many requests.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Arrived> {
        eventually(&format!("{count} requests"), || async {
            let arrived = self.arrived();
            (arrived.len() >= count).then_some(arrived)
        })
        .await
    }
}

async fn serve(mut client: TcpStream, shared: Arc<Shared>) {
    let mut received = Vec::new();
    loop {
        let Some(arrived) = read(&mut client, &mut received).await else {
            return;
        };
        let answer = if arrived.is_question() {
            Answer::from((200, r#"{"occupied":false}"#.to_owned()))
        } else {
            let mut script = shared.script.lock().unwrap();
            let answer = script(&arrived);
            shared.arrived.lock().unwrap().push(arrived);
            answer
        };
        let mut is_released = shared.is_released.subscribe();
        if is_released.wait_for(|released| *released).await.is_err() {
            return;
        }
        if client.write_all(&answer.encode()).await.is_err() {
            return;
        }
    }
}

async fn read(client: &mut TcpStream, received: &mut Vec<u8>) -> Option<Arrived> {
    loop {
        let text = String::from_utf8_lossy(received).into_owned();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let arrived = Arrived {
                head: head.to_owned(),
                body: Value::Null,
            };
            let length: usize = arrived
                .header("content-length")
                .unwrap_or("0")
                .parse()
                .unwrap();
            if rest.len() >= length {
                let begin = head.len() + 4;
                let body = serde_json::from_slice(&received[begin..begin + length]);
                received.drain(..begin + length);
                return Some(Arrived {
                    body: body.unwrap_or_default(),
                    ..arrived
                });
            }
        }
        if client.read_buf(received).await.ok()? == 0 {
            return None;
        }
    }
}
