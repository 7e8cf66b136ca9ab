//! An HTTP server that records what it is asked and answers as a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use publisher::{Client, Config, Retry, Scheme};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What is answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A status, header fields (each with its line end) and a body.
    Reply(u16, &'static str, String),
    /// The end of the connection.
    Close,
    /// Half an answer, then the end of the connection.
    Broken,
    /// Nothing, until the other side ends the connection.
    Never,
}

impl Answer {
    pub(crate) fn ok(body: &str) -> Answer {
        Answer::Reply(200, "", body.to_owned())
    }

    pub(crate) fn status(status: u16) -> Answer {
        Answer::Reply(status, "", String::new())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Which of the server's connections brought it, counted from 0.
    pub(crate) connection: usize,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|(known, _)| known == name);
        field.map(|(_, value)| value.as_str())
    }

    /// A parameter of the query; "" if there is none.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        let pair = self.query.iter().find(|(known, _)| known == name);
        pair.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{}: {error}", self.body))
    }
}

type Script = Box<dyn FnMut(&Received) -> Answer + Send>;

/// The server, on a free port of loopback.
pub(crate) struct Server {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Answers each request with what `script` says.
    pub(crate) async fn start(script: impl FnMut(&Received) -> Answer + Send + 'static) -> Server {
        Server::listen(None, Box::new(script)).await
    }

    /// Answers every request over TLS with `{}`.
    pub(crate) async fn over_tls(tls: TlsAcceptor) -> Server {
        Server::listen(Some(tls), Box::new(|_| Answer::ok("{}"))).await
    }

    async fn listen(tls: Option<TlsAcceptor>, script: Script) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(script));
        let accepting = tokio::spawn({
            let received = Arc::clone(&received);
            async move {
                for number in 0.. {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (tls, received, script) =
                        (tls.clone(), Arc::clone(&received), Arc::clone(&script));
                    tokio::spawn(async move {
                        let Some(tls) = tls else {
                            return serve(stream, number, received, script).await;
                        };
                        // A client that does not trust the certificate goes away.
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, number, received, script).await;
                        }
                    });
                }
            }
        });
        Server {
            address,
            received,
            accepting,
        }
    }

    /// Answers with each of these in turn, and with the last one from then on.
    pub(crate) async fn answering(answers: impl IntoIterator<Item = Answer>) -> Server {
        let mut answers: Vec<_> = answers.into_iter().collect();
        Server::start(move |_| match answers.len() {
            1 => answers[0].clone(),
            _ => answers.remove(0),
        })
        .await
    }

    #[cfg(feature = "ably")]
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An app of this server.
    pub(crate) fn config(&self) -> Config {
        Config::new("app", "key", "secret")
            .scheme(Scheme::Http)
            .host("127.0.0.1")
            .port(self.address.port())
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// A client of this server that tries nothing again.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.config().retry(Retry::none())).unwrap()
    }

    /// The requests so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The only request so far.
    pub(crate) fn only_request(&self) -> Received {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "{received:#?}");
        received.remove(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    connection: usize,
    received: Arc<Mutex<Vec<Received>>>,
    script: Arc<Mutex<Script>>,
) {
    let mut bytes = Vec::new();
    while let Some(request) = read(&mut stream, &mut bytes, connection).await {
        received.lock().unwrap().push(request.clone());
        let answer = (script.lock().unwrap())(&request);
        match answer {
            Answer::Reply(status, fields, body) => {
                let head = format!(
                    "HTTP/1.1 {status} Scripted\r\n{fields}Content-Length: {}\r\n\r\n",
                    body.len()
                );
                if stream.write_all((head + &body).as_bytes()).await.is_err() {
                    return;
                }
            }
            Answer::Broken => {
                let half = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{";
                // The client may have gone: then there is nothing to break.
                let _ = stream.write_all(half).await;
                return;
            }
            Answer::Close => return,
            Answer::Never => {
                let _ = stream.read(&mut [0]).await;
                return;
            }
        }
    }
}

/// The next request; `None` at the end of the connection.
async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
    connection: usize,
) -> Option<Received> {
    loop {
        if let Some((length, request)) = parse(bytes, connection) {
            bytes.drain(..length);
            return Some(request);
        }
        match stream.read_buf(bytes).await {
            Ok(count) if count > 0 => {}
            _ => return None,
        }
    }
}

fn parse(bytes: &[u8], connection: usize) -> Option<(usize, Received)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, rest) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, length)| length.parse().unwrap());
    let body = rest.get(..length)?;
    let request = Received {
        connection,
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.split('&').filter_map(pair).collect(),
        headers,
        body: body.to_owned(),
    };
    Some((head.len() + 4 + length, request))
}

fn pair(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let value = percent_encoding::percent_decode_str(value).decode_utf8();
    Some((name.to_owned(), value.unwrap().into_owned()))
}
