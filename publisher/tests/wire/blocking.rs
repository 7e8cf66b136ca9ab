//! Programs without `async` drive the client with a runtime of their own.

use std::thread;

use publisher::{Channel, Event};
use tokio::runtime::Runtime;

use crate::server::{Answer, Server};

/// As the README has it.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn threads_share_a_client_and_a_runtime_of_one_thread() {
    const THREADS: usize = 4;
    const EVENTS: usize = 5;

    let servers = Runtime::new().unwrap();
    let server = servers.block_on(Server::answering([Answer::ok("{}")]));
    let (client, runtime) = (server.client(), runtime());
    let channels = [Channel::public("c")];
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for _ in 0..EVENTS {
                    let event = Event::text("e", "d");
                    let sent = client.trigger(&channels, &event);
                    runtime.block_on(sent).unwrap();
                }
            });
        }
    });
    let received = server.received();
    assert_eq!(received.len(), THREADS * EVENTS);
    // Connections are kept from one call to the next.
    let connections = received.iter().map(|request| request.connection).max();
    assert!(connections < Some(received.len() / 2), "{connections:?}");
}

/// Nothing runs between two calls, not even what would notice that the server has closed.
#[test]
fn a_connection_that_ended_between_calls_is_replaced() {
    let servers = Runtime::new().unwrap();
    let closes = Answer::Reply(200, "Connection: close\r\n", "{}".into());
    let server = servers.block_on(Server::answering([closes]));
    let (client, runtime) = (server.client(), runtime());
    let channels = [Channel::public("c")];
    for _ in 0..2 {
        let event = Event::text("e", "d");
        let sent = client.trigger(&channels, &event);
        runtime.block_on(sent).unwrap();
    }
    assert_eq!(server.received().len(), 2);
}
