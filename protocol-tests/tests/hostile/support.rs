//! What several topics share.

use std::time::Duration;

use protocol_tests::{HttpClient, PublishedEvent, Request, TestServer, TestServerBuilder};
use serde_json::Value;
use tokio::time::Instant;

/// How long a server whose timeouts are a few seconds may take to end a connection: less than a test's patience.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A server that waits for nobody longer than a few seconds: as long as a busy machine may let the healthy ones wait.
pub(crate) fn impatient() -> TestServerBuilder {
    TestServer::builder()
        .set("server.request_head_timeout", 3)
        .set("server.request_timeout", 4)
        .set("server.keep_alive", 3)
        .set("server.message_timeout", 3)
        .set("server.write_timeout", 3)
        .set("server.close_timeout", 3)
}

/// Sends each input on a connection of its own, and returns the statuses of the answers to each. The server must end
/// every connection by itself.
pub(crate) async fn exchange(server: &TestServer, inputs: &[Vec<u8>]) -> Vec<Vec<u16>> {
    let mut connections = Vec::new();
    for input in inputs {
        let mut connection = server.connection().await;
        // It may be refused before it is sent.
        let _ended_early = connection.try_send(input).await;
        connections.push(connection);
    }
    let mut statuses = Vec::new();
    for connection in &mut connections {
        let (bytes, _ended) = connection.receive_to_end().await;
        statuses.push(statuses_of(&bytes));
    }
    statuses
}

/// The statuses of the answers in what a server sent.
pub(crate) fn statuses_of(bytes: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(bytes);
    text.split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| {
            let status = answer.get(..3).and_then(|status| status.parse().ok());
            status.unwrap_or_else(|| panic!("not an HTTP answer: {text}"))
        })
        .collect()
}

/// Asserts that the server serves as before and has logged nothing of what was done to it.
pub(crate) async fn assert_unharmed(server: &TestServer) {
    let channel = server.channel("unharmed-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    server
        .publish(PublishedEvent::new(&channel, "x", "y"))
        .await;
    client.expect_event_on(&channel, "x").await;
    server
        .request(&Request::new("GET", "/up"))
        .await
        .expect_status(200);
    assert_log_is_quiet(server);
}

/// The head of a signed publish, of which the body is to follow.
pub(crate) fn publish_head(
    server: &TestServer,
    change: impl FnOnce(Request) -> Request,
) -> Vec<u8> {
    let event = PublishedEvent::new("public", "x", "x".repeat(5000));
    let request = change(Request::post(server.app(), "/events").json(event.body()));
    let endpoint = server.endpoint();
    request.encode_head(&endpoint.authority, &endpoint.prefix)
}

/// Asserts that nothing but the server's own start was logged.
pub(crate) fn assert_log_is_quiet(server: &TestServer) {
    const LINES_OF_A_START: usize = 10;
    let log = server.log();
    let is_quiet = |line: &String| {
        serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"] == "INFO")
    };
    let loud: Vec<&String> = log.iter().filter(|line| !is_quiet(line)).take(5).collect();
    assert!(loud.is_empty(), "{loud:#?}");
    assert!(
        log.len() <= LINES_OF_A_START,
        "{} lines, the last: {:?}",
        log.len(),
        log.last()
    );
}

/// Asserts that no more than [`SOON`] has passed.
pub(crate) fn assert_soon(since: Instant) {
    let took = since.elapsed();
    assert!(took < SOON, "it took {took:?}");
}

/// Numbers that look random and are the same in every run (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| (self.next() >> 56) as u8).collect()
    }
}

/// The server's resident memory in bytes.
pub(crate) fn resident_memory(server: &TestServer) -> u64 {
    let pid = server
        .process_id()
        .expect("the server has a process of its own");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kibibytes: u64 = kibibytes
        .and_then(|number| number.trim().parse().ok())
        .expect("VmRSS is in kB");
    kibibytes * 1024
}

/// What the admin listener's `/metrics` answers.
pub(crate) async fn scrape(server: &TestServer) -> String {
    let admin = server
        .admin_endpoint()
        .expect("the server has an admin listener");
    let request = Request::new("GET", "/metrics");
    let response = HttpClient::new(admin.clone()).send(&request).await;
    response.expect_status(200).text()
}

/// How many time series there are in a scrape.
pub(crate) fn series(scrape: &str) -> usize {
    let mut lines = scrape.lines().collect::<Vec<_>>();
    lines.retain(|line| !line.is_empty() && !line.starts_with('#'));
    lines.len()
}
