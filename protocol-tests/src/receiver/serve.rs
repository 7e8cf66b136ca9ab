//! The receiver's HTTP server.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};

use super::Shared;
use super::answer::hold_back;
use super::delivery::{self, RawRequest};
use crate::connection::{Connection, Ended};
use crate::http::{read_chunks, read_exactly};

/// Accepts connections until it is dropped, which closes all of them.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted.expect("the listener is open");
                let number = {
                    let mut record = shared.record();
                    record.connections += 1;
                    record.connections - 1
                };
                connections.spawn(serve(Connection::over(stream), number, Arc::clone(&shared)));
            }
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    shared.record().fault(&text_of(error));
                }
            }
        }
    }
}

/// Serves a connection to its end.
async fn serve(mut connection: Connection, number: usize, shared: Arc<Shared>) {
    // The other side ends it, or a script does.
    let _ended = serve_requests(&mut connection, number, &shared).await;
}

async fn serve_requests(
    connection: &mut Connection,
    number: usize,
    shared: &Shared,
) -> Result<(), Ended> {
    loop {
        let mut request = read_head(connection).await?;
        if shared.take_cut() {
            connection.reset_on_drop();
            return Ok(());
        }
        request.body = read_body(connection, &request).await?;
        let delivery = match delivery::read(request, &shared.apps, number) {
            Ok(delivery) => delivery,
            Err(fault) => {
                shared.record().fault(&fault);
                return Ok(());
            }
        };
        let (delivery, answer) = shared.record().begin(delivery);
        if let Some(delay) = answer.delay()
            && let Err(ended) = hold_back(connection, delay).await
        {
            shared.record().end(delivery, false);
            return Err(ended);
        }
        shared.record().end(delivery, answer.accepts());
        connection.try_send(&answer.encode()).await?;
        if !answer.keeps_alive() {
            return Ok(());
        }
    }
}

async fn read_head(connection: &mut Connection) -> Result<RawRequest, Ended> {
    loop {
        if let Some((request, length)) = parse_head(connection.buffered()) {
            connection.take(length);
            return Ok(request);
        }
        connection.receive().await?;
    }
}

fn parse_head(bytes: &[u8]) -> Option<(RawRequest, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut fields);
    let parsed = head.parse(bytes).unwrap_or_else(|error| {
        panic!(
            "not an HTTP request: {error}: {}",
            String::from_utf8_lossy(bytes)
        )
    });
    let httparse::Status::Complete(length) = parsed else {
        return None;
    };
    let headers = head.headers.iter().map(|field| {
        let value = String::from_utf8_lossy(field.value).into_owned();
        (field.name.to_lowercase(), value)
    });
    let request = RawRequest {
        method: head.method.unwrap_or_default().to_owned(),
        target: head.path.unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    Some((request, length))
}

async fn read_body(connection: &mut Connection, request: &RawRequest) -> Result<Vec<u8>, Ended> {
    let field = |name: &str| {
        let mut fields = request.headers.iter();
        let field = fields.find(|(known, _)| known == name);
        field.map(|(_, value)| value.as_str())
    };
    if field("transfer-encoding").is_some() {
        return read_chunks(connection).await;
    }
    let length = field("content-length").unwrap_or("0");
    let length: usize = length
        .parse()
        .unwrap_or_else(|_| panic!("Content-Length is {length:?}"));
    read_exactly(connection, length).await
}

fn text_of(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "a connection of the receiver was cancelled".to_owned();
    };
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "the receiver panicked".to_owned())
}
