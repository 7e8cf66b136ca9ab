//! A server that answers as a test says: a relay that refuses, or the Graph API.

use std::sync::{Arc, Mutex};

use protocol_tests::eventually;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Arrived {
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

type Script = Box<dyn FnMut(&Arrived) -> (u16, String) + Send>;

/// A server that ends with this value.
pub(crate) struct StandIn {
    pub(crate) authority: String,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

struct Shared {
    script: Mutex<Script>,
    arrived: Mutex<Vec<Arrived>>,
}

impl StandIn {
    /// Answers each request with the status and the body that `script` returns. The question at
    /// the start, whether a relay is there, is answered apart.
    pub(crate) async fn start(
        script: impl FnMut(&Arrived) -> (u16, String) + Send + 'static,
    ) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            script: Mutex::new(Box::new(script)),
            arrived: Mutex::default(),
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
        let (status, body) = {
            if arrived.is_question() {
                (200, r#"{"occupied":false}"#.to_owned())
            } else {
                let mut script = shared.script.lock().unwrap();
                let answer = script(&arrived);
                shared.arrived.lock().unwrap().push(arrived);
                answer
            }
        };
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if client.write_all(answer.as_bytes()).await.is_err() {
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
