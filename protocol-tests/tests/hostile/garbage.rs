//! Random bytes, and good requests with random faults, at both listeners.

use protocol_tests::{Connection, PublishedEvent, Request, TestServer, Upgrade, or_skip};

use crate::support::{Random, assert_unharmed, impatient, scrape, statuses_of};

/// How many connections are open at one time: below what an admin listener takes, which logs when it has to close some.
const AT_ONE_TIME: usize = 50;

/// Opens a connection to the listener at `authority` for each input, sends it and reads to the end.
async fn send_each(authority: &str, inputs: Vec<Vec<u8>>) -> Vec<Vec<u16>> {
    let mut statuses = Vec::new();
    for inputs in inputs.chunks(AT_ONE_TIME) {
        let mut connections = Vec::new();
        for input in inputs {
            let mut connection = Connection::open(authority).await;
            let _ended_early = connection.try_send(input).await;
            connection.finish_sending();
            connections.push(connection);
        }
        for connection in &mut connections {
            let (answer, _ended) = connection.receive_to_end().await;
            statuses.push(statuses_of(&answer));
        }
    }
    statuses
}

fn assert_no_fault(outcomes: &[Vec<u16>]) {
    for statuses in outcomes {
        let fault = statuses
            .iter()
            .any(|status| (500..600).contains(status) && ![501, 505].contains(status));
        assert!(!fault, "{statuses:?}");
    }
}

#[tokio::test]
async fn random_bytes_do_no_harm() {
    let server = or_skip!(impatient().start().await);
    let mut random = Random::new(3);
    let admin = server
        .admin_endpoint()
        .expect("the server has an admin listener")
        .clone();
    for authority in [&server.endpoint().authority, &admin.authority] {
        let inputs = (0..200)
            .map(|_| {
                let count = random.below(3000);
                let mut bytes = random.bytes(count);
                if random.below(2) == 0 {
                    bytes.extend(b"\r\n\r\n");
                }
                bytes
            })
            .collect();
        assert_no_fault(&send_each(authority, inputs).await);
    }
    scrape(&server).await;
    assert_unharmed(&server).await;
    server.finish().await;
}

/// A good input with a few bytes changed, doubled or left out.
fn damaged(random: &mut Random, good: &[u8]) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len());
        match random.below(4) {
            0 => bytes[at] = (random.next() >> 56) as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => {
                bytes.remove(at);
            }
            _ => bytes.insert(at, bytes[at]),
        }
    }
    bytes
}

#[tokio::test]
async fn damaged_requests_do_no_harm_and_publish_nothing_that_was_not_signed() {
    let server = or_skip!(impatient().start().await);
    let channel = server.channel("watched-");
    let mut witness = server.connect().await;
    witness.subscribe(&channel).await;
    let endpoint = server.endpoint();
    let event = PublishedEvent::new(&channel, "x", "signed");
    let publish = Request::post(server.app(), "/events").json(event.body());
    let upgrade = Upgrade::new(&format!("/app/{}?protocol=7", server.app().key));
    let good = [
        publish.encode(&endpoint.authority, &endpoint.prefix),
        publish
            .clone()
            .chunked(20)
            .encode(&endpoint.authority, &endpoint.prefix),
        Request::get(server.app(), "/channels").encode(&endpoint.authority, &endpoint.prefix),
        upgrade.encode(&endpoint.authority, &endpoint.prefix),
    ];
    let mut random = Random::new(4);
    for good in &good {
        let inputs = (0..150).map(|_| damaged(&mut random, good)).collect();
        assert_no_fault(&send_each(&endpoint.authority, inputs).await);
    }
    // Damage in a header that nobody reads leaves the request good.
    for event in witness.fence().await {
        assert_eq!(
            (event.name.as_str(), event.data_text()),
            ("x", "signed"),
            "{}",
            event.text
        );
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn random_text_messages_are_answered_or_ignored() {
    let server = TestServer::start().await;
    let good = [
        r#"{"event":"pusher:subscribe","data":{"channel":"public-a","auth":"key-10001:00","channel_data":"{\"user_id\":1}"}}"#,
        r#"{"event":"pusher:signin","data":{"auth":"key-10001:00","user_data":"{\"id\":\"u1\"}"}}"#,
        r#"{"event":"client-x","channel":"private-a","data":{"a":[1,2,3]}}"#,
        r#"{"event":"pusher:unsubscribe","data":{"channel":"public-a"}}"#,
    ];
    let mut random = Random::new(5);
    for _ in 0..60 {
        let mut client = server.connect().await;
        for _ in 0..20 {
            let picked = random.below(good.len());
            let message = damaged(&mut random, good[picked].as_bytes());
            let message = String::from_utf8_lossy(&message).into_owned();
            client.send_text(&message).await;
        }
        // A sign-in that is still one is refused by a close; everything else leaves the connection open.
        client.send_text(r#"{"event":"pusher:ping"}"#).await;
        loop {
            let frame = client.socket.read().await.expect("an answer or a close");
            if frame.opcode == protocol_tests::Opcode::CLOSE {
                let close = protocol_tests::Close::parse(&frame.payload);
                assert_eq!(close.code, Some(4009), "{close:?}");
                break;
            }
            if frame.as_text().contains("pusher:pong") {
                break;
            }
        }
    }
    assert_unharmed(&server).await;
    server.finish().await;
}
