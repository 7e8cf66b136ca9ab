//! A name server that knows where every name is, or none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

const HEADER: usize = 12;
const A: [u8; 2] = [0, 1];

/// Answers for every name that it is 127.0.0.1. Dropping it ends it.
pub(crate) struct NameServer {
    authority: String,
    knows_names: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl NameServer {
    pub(crate) async fn start() -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let authority = socket.local_addr().unwrap().to_string();
        let knows_names = Arc::new(AtomicBool::new(true));
        let task = tokio::spawn(serve(socket, Arc::clone(&knows_names)));
        NameServer {
            authority,
            knows_names,
            task,
        }
    }

    /// `127.0.0.1:port`.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether it knows the names from now on, or says that there are none such.
    pub(crate) fn set_knows_names(&self, knows_names: bool) {
        self.knows_names.store(knows_names, Ordering::Relaxed);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, knows_names: Arc<AtomicBool>) {
    let mut query = [0; 1500];
    loop {
        let (length, from) = socket.recv_from(&mut query).await.unwrap();
        if let Some(answer) = answer(&query[..length], knows_names.load(Ordering::Relaxed)) {
            socket.send_to(&answer, from).await.unwrap();
        }
    }
}

/// The answer to a query of one question (RFC 1035, 4.1).
fn answer(query: &[u8], knows_names: bool) -> Option<Vec<u8>> {
    let mut end = HEADER;
    while *query.get(end)? != 0 {
        end += usize::from(query[end]) + 1;
    }
    let question = query.get(HEADER..end + 5)?;
    let is_address = question.ends_with(&[A, [0, 1]].concat());
    let (code, count) = match (knows_names, is_address) {
        (true, true) => (0, 1),
        (true, false) => (0, 0),
        (false, _) => (3, 0),
    };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(question);
    if count == 1 {
        // The name of the question, for a minute.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}
