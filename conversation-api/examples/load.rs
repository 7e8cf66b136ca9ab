//! Measures `POST /api/messages/send` on SQLite, events included.
//!
//! Starts a relay and a conversation-api of its own, from the programs beside this one, writes
//! for a while over keep-alive connections, and checks that a subscriber gets every event, each
//! conversation's in order. Prints what was measured; the exit code is 1 if an event is missing
//! or out of order, or a bound that was given is not kept.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser as _;
use protocol_tests::sign::hmac_sha256_hex;
use protocol_tests::subject::Endpoint;
use protocol_tests::{App, HttpClient, Request, TestServer, WsClient};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::timeout;

const APP_SECRET: &str = "load";
/// How long to wait for the events after the last answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to measure.
#[derive(clap::Parser)]
struct Args {
    /// How long to write.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Keep-alive connections that write.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// Conversations that they write in.
    #[arg(long, default_value_t = 60)]
    conversations: usize,
    /// Fail if fewer requests are answered in a second.
    #[arg(long, value_name = "REQUESTS")]
    at_least: Option<u32>,
    /// Fail if one in a hundred requests takes longer than so many milliseconds.
    #[arg(long, value_name = "MILLISECONDS")]
    p99_ms: Option<u32>,
}

impl Args {
    /// Says which bounds are not kept; returns whether all are.
    fn are_kept(&self, per_second: f64, p99: Duration) -> bool {
        let too_few = self
            .at_least
            .filter(|least| per_second < f64::from(*least))
            .map(|least| format!("{per_second:.0} requests/s are fewer than {least}"));
        let too_slow = self
            .p99_ms
            .filter(|most| p99 > Duration::from_millis(u64::from(*most)))
            .map(|most| format!("p99 of {p99:.1?} is more than {most} ms"));
        let broken: Vec<String> = [too_few, too_slow].into_iter().flatten().collect();
        for line in &broken {
            eprintln!("FAILED      {line}");
        }
        broken.is_empty()
    }
}

/// A conversation-api that ends with this value.
struct Api {
    child: Child,
    endpoint: Endpoint,
}

impl Drop for Api {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What one connection saw.
struct Written {
    /// Microseconds of each request.
    latencies: Vec<u128>,
    /// Ids of the messages that were answered with 201.
    ids: Vec<i64>,
}

/// What the subscriber saw.
#[derive(Default)]
struct Seen {
    /// How often each message's event came.
    times: HashMap<i64, usize>,
    out_of_order: usize,
    last: Option<Instant>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let directory = tempfile::tempdir().expect("the temporary directory is writable");
    let relay = TestServer::start().await;
    let api = start_api(directory.path(), &relay.endpoint().authority, relay.app());
    let token = log_in(&api.endpoint).await;
    let conversations = begin_conversations(&api.endpoint, args.conversations).await;
    let mut client = relay.connect().await;
    client.subscribe("private-department.1").await;
    let (stop, stopped) = oneshot::channel();
    let watching = tokio::spawn(watch(client, stopped));

    let begun = Instant::now();
    let end = begun + Duration::from_secs(args.seconds);
    let mut writers = JoinSet::new();
    for number in 0..args.connections {
        let mut conversations = conversations.clone();
        let length = conversations.len();
        conversations.rotate_left(number % length);
        writers.spawn(write(
            api.endpoint.clone(),
            token.clone(),
            conversations,
            end,
        ));
    }
    let written = writers.join_all().await;
    let elapsed = begun.elapsed();
    let answered = Instant::now();

    let mut ids: Vec<i64> = written
        .iter()
        .flat_map(|written| written.ids.clone())
        .collect();
    ids.sort_unstable();
    // The subscriber stops once it has seen them all, or nothing for a while.
    let _ = stop.send(ids.clone());
    let seen = watching.await.expect("the subscriber does not panic");
    drop(api);
    relay.finish().await;
    report(&args, &written, elapsed, &ids, &seen, answered)
}

fn report(
    args: &Args,
    written: &[Written],
    elapsed: Duration,
    ids: &[i64],
    seen: &Seen,
    answered: Instant,
) -> ExitCode {
    let mut latencies: Vec<u128> = written
        .iter()
        .flat_map(|written| written.latencies.clone())
        .collect();
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        let micros = latencies[index.min(latencies.len() - 1)];
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    };
    let lost = ids.iter().filter(|id| !seen.times.contains_key(id)).count();
    let repeated: usize = seen.times.values().map(|times| times - 1).sum();
    let behind = seen
        .last
        .map_or(PATIENCE, |last| last.saturating_duration_since(answered));
    eprintln!(
        "{} requests in {:.1} s over {} connections in {} conversations",
        ids.len(),
        elapsed.as_secs_f64(),
        args.connections,
        args.conversations
    );
    let per_second = ids.len() as f64 / elapsed.as_secs_f64();
    eprintln!("requests/s  {per_second:.0}");
    eprintln!("p50         {:.1?}", at(0.5));
    eprintln!("p99         {:.1?}", at(0.99));
    eprintln!("longest     {:.1?}", at(1.0));
    eprintln!(
        "events      {} of {} arrived, {repeated} repeats, {} out of order",
        ids.len() - lost,
        ids.len(),
        seen.out_of_order
    );
    eprintln!("last event  {behind:.0?} after the last answer");
    let is_complete = lost + seen.out_of_order == 0;
    if args.are_kept(per_second, at(0.99)) && is_complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The program `name` that was built beside this one.
fn program(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a program knows its own path");
    // target/release/examples/load → target/release/{name}
    let folder = this
        .ancestors()
        .nth(2)
        .expect("examples are built into examples/");
    folder.join(name)
}

fn start_api(directory: &Path, relay: &str, app: &App) -> Api {
    let (host, port) = relay.rsplit_once(':').expect("host:port");
    let command = |name: &str| {
        let mut command = Command::new(program("conversation-api"));
        command
            .arg(name)
            .env_clear()
            .current_dir(directory)
            .env("DATABASE_URL", "sqlite://load.db")
            .env("LISTEN", "127.0.0.1:0")
            .env("LOG_FORMAT", "json")
            .env("WHATSAPP_APP_SECRET", APP_SECRET)
            .env("BROADCAST_CONNECTION", "pusher")
            .env("PUSHER_APP_ID", &app.id)
            .env("PUSHER_APP_KEY", &app.key)
            .env("PUSHER_APP_SECRET", &app.secret)
            .env("PUSHER_HOST", host)
            .env("PUSHER_PORT", port);
        command
    };
    let seeded = command("seed").stdout(Stdio::null()).status();
    assert!(seeded.expect("conversation-api is built").success());
    let mut child = command("serve")
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut log = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
    let address = log
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| {
            let line: Value = serde_json::from_str(&line).ok()?;
            (line["message"] == "listening").then(|| line["address"].as_str().map(str::to_owned))?
        })
        .expect("it listens");
    // What else it prints is shown; nobody reading would make it wait.
    std::thread::spawn(move || {
        for line in log.map_while(Result::ok) {
            eprintln!("{line}");
        }
    });
    Api {
        child,
        endpoint: Endpoint::parse(&format!("http://{address}")),
    }
}

async fn log_in(endpoint: &Endpoint) -> String {
    let body = json!({"email": "admin@tims.local", "password": "password123"});
    let request = Request::new("POST", "/api/auth/login").json(&body);
    let answer = HttpClient::new(endpoint.clone())
        .send(&request)
        .await
        .expect_status(200);
    answer.json()["token"].as_str().expect("a token").to_owned()
}

/// Has customers write; returns their conversations, which are all department 1's.
async fn begin_conversations(endpoint: &Endpoint, number: usize) -> Vec<i64> {
    let mut http = HttpClient::new(endpoint.clone());
    for customer in 0..number {
        let body = json!({"entry": [{"changes": [{"field": "messages", "value": {"messages": [{
            "from": format!("4930{customer:06}"), "id": format!("wamid.load.{customer}"),
            "type": "text", "text": {"body": "hello"},
        }]}}]}]})
        .to_string();
        let signature = format!("sha256={}", hmac_sha256_hex(APP_SECRET, body.as_bytes()));
        let request = Request::new("POST", "/api/webhooks/whatsapp")
            .header("X-Hub-Signature-256", &signature)
            .body(body);
        http.send(&request).await.expect_status(200);
    }
    // The demonstration data has the first six.
    (0..number)
        .map(|customer| i64::try_from(customer).expect("it is small") + 7)
        .collect()
}

async fn write(
    endpoint: Endpoint,
    token: String,
    conversations: Vec<i64>,
    end: Instant,
) -> Written {
    let mut http = HttpClient::new(endpoint);
    let authorization = format!("Bearer {token}");
    let mut written = Written {
        latencies: Vec::new(),
        ids: Vec::new(),
    };
    for conversation in conversations.iter().cycle() {
        let begun = Instant::now();
        if begun >= end {
            break;
        }
        let body = json!({
            "conversation_id": conversation, "type": "text",
            "content": "Thank you, it will be on its way tomorrow morning.",
        });
        let request = Request::new("POST", "/api/messages/send")
            .header("Authorization", &authorization)
            .json(&body);
        let answer = http.send(&request).await.expect_status(201);
        written.latencies.push(begun.elapsed().as_micros());
        written
            .ids
            .push(answer.json()["id"].as_i64().expect("an id"));
    }
    written
}

/// Takes events until all that it is to expect have come, or nothing has for a while.
async fn watch(mut client: WsClient, mut stopped: oneshot::Receiver<Vec<i64>>) -> Seen {
    let mut seen = Seen::default();
    let mut latest: HashMap<i64, i64> = HashMap::new();
    let mut expected = None;
    loop {
        let all_seen = |ids: &Vec<i64>| ids.iter().all(|id| seen.times.contains_key(id));
        if expected.as_ref().is_some_and(all_seen) {
            return seen;
        }
        let text = if expected.is_none() {
            tokio::select! {
                text = client.next_text() => text,
                ids = &mut stopped => {
                    expected = ids.ok();
                    continue;
                }
            }
        } else {
            match timeout(PATIENCE, client.next_text()).await {
                Ok(text) => text,
                Err(_) => return seen,
            }
        };
        let event = protocol_tests::Event::parse(&text);
        if event.name != "message.sent" {
            continue;
        }
        let data = event.data_json();
        let (id, conversation) = (data["id"].as_i64(), data["conversation_id"].as_i64());
        let (id, conversation) = (id.expect("an id"), conversation.expect("an id"));
        let times = seen.times.entry(id).or_default();
        *times += 1;
        let latest = latest.entry(conversation).or_default();
        if *times == 1 && id < *latest {
            seen.out_of_order += 1;
        }
        *latest = id.max(*latest);
        seen.last = Some(Instant::now());
    }
}
