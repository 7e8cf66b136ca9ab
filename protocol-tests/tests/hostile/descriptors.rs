//! More HTTP connections than a server with few descriptors can have: some make room, and everybody else is served.

use std::time::Duration;

use protocol_tests::{
    Connection, HttpClient, PublishedEvent, Request, TestServer, TestServerBuilder, Upgrade,
    WsClient, eventually, or_skip,
};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::support::publish_head;

const OPEN_FILES: u64 = 700;
/// More than there are descriptors.
const FLOOD: usize = 800;
/// What HTTP connections may have at most: half of the descriptors, and a quarter more for a while.
const SHARE: f64 = 350.0 * 1.25;
const WEB_SOCKETS: usize = 50;
const PROBE: &[u8] = b"GET /up HTTP/1.1\r\nHost: x\r\n\r\n";

/// A server that ends nobody's connection in the time of a test but to make room.
fn patient() -> TestServerBuilder {
    TestServer::builder()
        .open_files(OPEN_FILES)
        .set("server.keep_alive", 600)
        .set("server.request_head_timeout", 600)
        .set("server.request_timeout", 600)
        .set("server.write_timeout", 600)
        .set("server.close_timeout", 600)
}

/// How long a connection may be idle before others may take its place.
const A_MOMENT: Duration = Duration::from_secs(1);

/// Somebody who publishes on one connection all the time, and who gets it.
struct Healthy {
    http: HttpClient,
    /// When the last request that was answered was sent, which is before the server takes its connection for idle.
    used: Instant,
    /// Connections that were lost after less than a moment.
    disturbed: usize,
    client: WsClient,
    channel: String,
}

impl Healthy {
    async fn with(server: &TestServer) -> Healthy {
        let channel = server.channel("healthy-");
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        let http = server.http();
        Healthy {
            http,
            used: Instant::now(),
            disturbed: 0,
            client,
            channel,
        }
    }

    async fn publish(&mut self, server: &TestServer) {
        let event = PublishedEvent::new(&self.channel, "x", "y");
        let request = Request::post(server.app(), "/events").json(event.body());
        let endpoint = server.endpoint();
        let bytes = request.encode(&endpoint.authority, &endpoint.prefix);
        let (sent, response) = loop {
            let sent = Instant::now();
            let _closed_before = self.http.connection().await.try_send(&bytes).await;
            match self.http.try_read_response_to("POST").await {
                Ok(response) => break (sent, response),
                Err(ended) => {
                    // A machine that is too slow for a publish now and then makes it idle.
                    self.disturbed += usize::from(self.used.elapsed() < A_MOMENT);
                    assert!(self.disturbed < 10, "{ended}");
                    self.used = Instant::now();
                }
            }
        };
        response.expect_status(200);
        self.used = sent;
        self.client.expect_event_on(&self.channel, "x").await;
    }

    fn assert_undisturbed(&self) {
        assert_eq!(self.disturbed, 0, "its connection was closed");
    }
}

/// Opens connections that send this, while somebody goes on publishing.
async fn flood(server: &TestServer, bytes: &[u8], healthy: &mut Healthy) -> Vec<Connection> {
    let mut connections = Vec::new();
    for number in 0..FLOOD {
        let mut connection = server.connection().await;
        // It may be closed before it has sent anything.
        let _closed_early = connection.try_send(bytes).await;
        if bytes == PROBE {
            let _answer = timeout(Duration::from_secs(10), connection.receive()).await;
        }
        connections.push(connection);
        if number % 10 == 0 {
            healthy.publish(server).await;
        }
    }
    connections
}

/// Probes, publishers and WebSockets that are new are served while the flood lasts.
async fn assert_serves_new_ones(server: &TestServer) {
    let mut clients = Vec::new();
    for _ in 0..WEB_SOCKETS {
        clients.push(server.connect().await);
        server
            .request(&Request::new("GET", "/up"))
            .await
            .expect_status(200);
    }
    let mut healthy = Healthy::with(server).await;
    healthy.publish(server).await;
    for client in &mut clients {
        client.expect_nothing().await;
    }
}

/// Closed to make room, by what they waited for: idle, head, request.
async fn closed(server: &TestServer) -> [f64; 3] {
    let metrics = server.metrics().await;
    let open = metrics.sum("fanfare_http_connections", &[]);
    assert!(open <= SHARE, "{open} connections");
    ["idle", "head", "request"]
        .map(|reason| metrics.sum("fanfare_http_closed_for_room_total", &[("reason", reason)]))
}

/// Asserts that one line says what happened, however often it did.
fn assert_logged_once(server: &TestServer) {
    let loud = loud_lines(server);
    assert!(
        loud.len() == 1 && loud[0].contains("share of the limit on open files"),
        "{loud:?}"
    );
}

/// What the log has beside news.
fn loud_lines(server: &TestServer) -> Vec<String> {
    let lines = server.log();
    let loud = lines.into_iter().filter(|line| {
        let line: Value = serde_json::from_str(line).expect("the log is JSON");
        // On a machine with too little time, the descriptors of closed ones are not yet free.
        line["level"] != "INFO" && line["target"] != "actix_server::accept"
    });
    loud.collect()
}

async fn flood_of(bytes: impl Fn(&TestServer) -> Vec<u8>, reason: usize) {
    let server = or_skip!(patient().start().await);
    let mut healthy = Healthy::with(&server).await;
    let connections = flood(&server, &bytes(&server), &mut healthy).await;
    healthy.assert_undisturbed();
    assert_serves_new_ones(&server).await;
    let closed = closed(&server).await;
    let least = FLOOD as f64 - SHARE;
    assert!(closed[reason] >= least, "{closed:?}");
    assert_logged_once(&server);
    drop(connections);
    eventually("nothing to be left of the flood", || async {
        let metrics = server.metrics().await;
        (metrics.sum("fanfare_http_connections", &[]) <= 1.0).then_some(())
    })
    .await;
    healthy.publish(&server).await;
    healthy.assert_undisturbed();
    server.finish().await;
}

#[tokio::test]
async fn idle_connections_make_room_for_others() {
    flood_of(|_| PROBE.to_vec(), 0).await;
}

#[tokio::test]
async fn connections_that_send_nothing_make_room_for_others() {
    flood_of(|_| Vec::new(), 1).await;
}

#[tokio::test]
async fn heads_that_do_not_end_make_room_for_others() {
    flood_of(|_| b"GET /up HTTP/1.1\r\nHost:".to_vec(), 1).await;
}

#[tokio::test]
async fn bodies_that_do_not_come_make_room_for_others() {
    flood_of(|server| publish_head(server, |request| request), 2).await;
}

#[tokio::test]
async fn refused_web_sockets_that_stay_make_room_for_others() {
    flood_of(
        |server| {
            let endpoint = server.endpoint();
            Upgrade::new("/app/nobody?protocol=7").encode(&endpoint.authority, &endpoint.prefix)
        },
        0,
    )
    .await;
}

#[tokio::test]
async fn the_longest_idle_is_closed_first() {
    let server = or_skip!(patient().start().await);
    let mut first = server.http();
    let mut used = server.http();
    for http in [&mut first, &mut used] {
        let probe = Request::new("GET", "/up");
        http.send(&probe).await.expect_status(200);
    }
    let mut others = Vec::new();
    for _ in 0..FLOOD {
        let mut http = server.http();
        for http in [&mut http, &mut used] {
            let probe = Request::new("GET", "/up");
            http.send(&probe).await.expect_status(200);
        }
        others.push(http);
    }
    first.read_to_end().await;
    assert_eq!(used.opened(), 1);
    // Those that came last are all there.
    for http in others.iter_mut().rev().take(200) {
        let probe = Request::new("GET", "/up");
        http.send(&probe).await.expect_status(200);
        assert_eq!(http.opened(), 1);
    }
    let [idle, head, request] = closed(&server).await;
    assert!(idle > 0.0 && (head, request) == (0.0, 0.0));
    server.finish().await;
}

#[tokio::test]
async fn floods_of_every_kind_at_once_make_room_for_others() {
    let server = or_skip!(patient().start().await);
    let kinds = [
        PROBE.to_vec(),
        Vec::new(),
        b"GET /up HTTP/1.1\r\nHost:".to_vec(),
        publish_head(&server, |request| request),
    ];
    let mut healthy = Healthy::with(&server).await;
    let attack = async {
        let mut connections = Vec::new();
        for number in 0..2 * FLOOD {
            let mut connection = server.connection().await;
            let _closed_early = connection.try_send(&kinds[number % kinds.len()]).await;
            connections.push(connection);
            // As fast as the server is, and not faster.
            if number % 10 == 0 {
                let probe = Request::new("GET", "/up");
                server.request(&probe).await.expect_status(200);
            }
        }
        connections
    };
    let others = async {
        for _ in 0..50 {
            healthy.publish(&server).await;
        }
        assert_serves_new_ones(&server).await;
    };
    let (connections, ()) = tokio::join!(attack, others);
    healthy.assert_undisturbed();
    assert_serves_new_ones(&server).await;
    assert_logged_once(&server);
    drop(connections);
    server.finish().await;
}

#[tokio::test]
async fn connections_to_the_admin_listener_take_nothing_from_the_public_one() {
    let server = or_skip!(patient().start().await);
    let admin = server.admin_endpoint().expect("there is one").clone();
    let mut silent = Vec::new();
    for _ in 0..FLOOD {
        silent.push(Connection::open(&admin.authority).await);
    }
    let mut healthy = Healthy::with(&server).await;
    let idle = flood(&server, PROBE, &mut healthy).await;
    healthy.assert_undisturbed();
    assert_serves_new_ones(&server).await;
    drop(silent);
    assert!(closed(&server).await[0] > 0.0);
    // Each of the listeners says so once.
    let loud = loud_lines(&server);
    assert!(
        loud.len() == 2
            && loud[0].contains("\"admin\"")
            && loud[1].contains("share of the limit on open files"),
        "{loud:?}"
    );
    drop(idle);
    server.finish().await;
}
