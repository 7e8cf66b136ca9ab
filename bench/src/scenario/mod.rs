//! What every scenario shares: its options, its set-up, and the opening of connections.

mod broadcast;
mod carriers;
mod client_events;
mod client_fanout;
mod compression;
mod connect;
mod frames;
mod load;
mod nodes;
mod parked;
mod presence;
mod presence_reload;
mod probe;
mod publish;
mod stalled;
mod watched;

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::net::{Handler, Net, Tls};
use crate::pusher::Credentials;
use crate::receiver::{self, Counts};
use crate::report::{Latency, Report, new_latency};
use crate::sys;
use crate::usage::{Processes, Window};

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Scenario {
    /// N subscribers of one channel, events at a fixed rate
    Fanout,
    /// the same with the next event as soon as earlier ones have arrived
    MaxFanout,
    /// HTTP publishes to a channel without subscribers, closed loop
    Publish,
    /// the same with ten events per request
    BatchPublish,
    /// N subscribers over N/10 channels, round robin, closed loop
    ManyChannels,
    /// the closed loop of max-fanout at 10,000 subscribers, and how quickly a health path
    /// answers beside it
    Health,
    /// open and subscribe N connections, then hold them: rate and memory
    Connect,
    /// N members join one presence channel, again and again
    Presence,
    /// N members of one presence channel all leave and are back at once, again and again, and
    /// how quickly a health path answers beside it
    PresenceReload,
    /// N pairs exchange client events on private channels
    ClientEvents,
    /// N clients of one private channel send events to all others
    ClientFanout,
    /// fanout to N WebSockets, and then to N streams of the HTTP fallback: what a delivery costs each
    Fallback,
    /// fanout to N WebSockets, and then to N that name themselves, so that their sessions outlive them
    Resume,
    /// fanout to N WebSockets, and then to N that take events compressed: bytes and CPU of a delivery
    Compression,
    /// fanout to N WebSockets, and then to N over TLS (--tls); with --window, as many events in flight
    Tls,
    /// fanout while nobody, one and eight watch the live stream (--admin): what a delivery costs
    Watched,
    /// fanout to subscribers alone, and then beside N sessions whose clients are away
    Parked,
    /// fan-out where some subscribers stop reading
    SlowConsumer,
    /// publishes at the first node, N subscribers on the second, and N others on the third: what
    /// each publish costs the third
    Bystander,
    /// publishes at the first node, N subscribers there and on the second: how much later these
    /// have it
    CrossNode,
    /// N subscribers over N/9 channels and all nodes, publishes at all nodes at rates that grow
    /// until the p99 exceeds 50 ms
    Capacity,
}

impl Scenario {
    fn name(self) -> String {
        self.to_possible_value()
            .expect("no skipped variants")
            .get_name()
            .to_string()
    }
}

#[derive(Args, Clone)]
pub(crate) struct RunOptions {
    /// Server under test, ws://127.x.y.z:PORT (loopback only). bystander, cross-node and capacity
    /// take the URLs of several that are one; watched those of other builds, too, that nobody watches
    #[arg(long, value_delimiter = ',', required = true)]
    pub(crate) url: Vec<String>,
    #[arg(long)]
    pub(crate) app_id: String,
    #[arg(long)]
    pub(crate) key: String,
    #[arg(long)]
    pub(crate) secret: String,
    /// Where the server speaks TLS: tls; connect, whose connections are all over TLS then
    #[arg(long, value_name = "HOST:PORT", requires = "tls_ca")]
    pub(crate) tls: Option<SocketAddrV4>,
    /// File of the authority that issued the server's certificate
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,
    /// The name that the certificate is for
    #[arg(long, default_value = "localhost")]
    pub(crate) tls_name: String,
    /// watched: the admin listener of the first server, which asks for no token
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) admin: Option<SocketAddrV4>,
    /// Every connection over TLS begins a session of its own
    #[arg(long)]
    pub(crate) no_resumption: bool,
    /// Server processes; their children are found by themselves. Of several servers: theirs in
    /// the order of the URLs, then those of what they share
    #[arg(long, value_delimiter = ',')]
    pub(crate) pid: Vec<i32>,
    #[arg(long)]
    pub(crate) scenario: Scenario,
    /// Connections (client-events: pairs; presence, presence-reload: members). Defaults: fanout,
    /// max-fanout, many-channels, compression, presence-reload 1000; connect, health 10000; slow-consumer 200;
    /// fallback, resume 2000; parked 10000; presence, bystander 100; client-events, client-fanout 50; cross-node 20; watched 10; capacity 900
    #[arg(long)]
    pub(crate) connections: Option<usize>,
    /// Events per second: fallback, resume (10), compression (20), parked, fanout, cross-node (100), slow-consumer (200), bystander (1000) and watched (5000);
    /// capacity: the first rate (1000); client-fanout: of each client (5); client-events: most per
    /// client, 0 for no bound (0)
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Measured seconds; capacity: of each rate
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Bytes of event data; slow-consumer 8192, compression 2048, others 128
    #[arg(long)]
    pub(crate) payload: Option<usize>,
    /// Events in flight in a closed loop; max-fanout and health 4, many-channels 32
    #[arg(long)]
    pub(crate) window: Option<usize>,
    /// Publisher connections; fanout and slow-consumer 1, max-fanout and health the window,
    /// many-channels 8, publish and batch-publish 16
    #[arg(long)]
    pub(crate) publishers: Option<usize>,
    /// Connections (or joins) under way at once; connect 256, presence 16, presence-reload all
    #[arg(long)]
    pub(crate) inflight: Option<usize>,
    /// connect: seconds to hold the idle connections
    #[arg(long, default_value_t = 3.0)]
    pub(crate) hold: f64,
    /// connect: how many times all connections come and go
    #[arg(long, default_value_t = 1)]
    pub(crate) rounds: usize,
    /// client-fanout: HTTP publishes per second to the same channel
    #[arg(long, default_value_t = 0.0)]
    pub(crate) publish_rate: f64,
    /// client-fanout: channels per second that come and go beside it
    #[arg(long, default_value_t = 0.0)]
    pub(crate) churn: f64,
    /// presence-reload: members more, who stay and watch
    #[arg(long, default_value_t = 10)]
    pub(crate) observers: usize,
    /// client-fanout, presence-reload: the server's webhooks go to the `relay-bench receiver` at
    /// this address, which is asked what it was sent
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) receiver: Option<SocketAddrV4>,
    /// health, presence-reload: what is asked for
    #[arg(long, default_value = "/up")]
    pub(crate) probe_path: String,
    /// slow-consumer: share of the connections that stop reading
    #[arg(long, default_value_t = 0.01)]
    pub(crate) stalled: f64,
    /// slow-consumer: bound for the healthy clients' p99 latency
    #[arg(long, default_value_t = 100.0)]
    pub(crate) p99_bound_ms: f64,
    /// Unmeasured seconds of the same load first
    #[arg(long, default_value_t = 0.5)]
    pub(crate) warmup: f64,
    /// Microseconds the client sleeps between batches of reads, so that on loopback fewer of
    /// the server's sends have to wake the client (which no remote client costs it). It blurs
    /// latencies by as much and slows closed loops, so it is off unless asked for
    #[arg(long, default_value_t = 0)]
    pub(crate) pause_us: u64,
    /// Pin the generator to this CPU
    #[arg(long)]
    pub(crate) cpu: Option<usize>,
    /// Free text copied into the report
    #[arg(long)]
    pub(crate) label: Option<String>,
    /// One JSON object instead of the table
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a running scenario works with.
struct Bench {
    options: RunOptions,
    net: Net,
    /// All of them; the first is the net's own.
    servers: Vec<SocketAddrV4>,
    server: Processes,
    report: Report,
    /// Keeps the channels of one run apart from those of another.
    run_id: String,
}

pub(crate) fn run(options: RunOptions) -> anyhow::Result<()> {
    let nofile = sys::raise_nofile().context("RLIMIT_NOFILE")?;
    sys::remove_timer_slack();
    if let Some(cpu) = options.cpu {
        sys::pin_to_cpu(cpu).with_context(|| format!("pinning to CPU {cpu}"))?;
    }
    let wanted = options.connections.unwrap_or(0) + options.publishers.unwrap_or(16) + 64;
    let sockets_per_connection = match options.scenario {
        Scenario::ClientEvents
        | Scenario::Fallback
        | Scenario::Resume
        | Scenario::Compression
        | Scenario::Tls => 2,
        _ => 1,
    };
    ensure!(
        wanted as u64 * sockets_per_connection <= nofile,
        "RLIMIT_NOFILE can be raised to {nofile} only, too few for that many connections"
    );
    let servers: Vec<SocketAddrV4> = options
        .url
        .iter()
        .map(|url| loopback_target(url))
        .collect::<Result<_, _>>()?;
    let takes_several = matches!(
        options.scenario,
        Scenario::Bystander | Scenario::CrossNode | Scenario::Capacity | Scenario::Watched
    );
    ensure!(
        takes_several || servers.len() == 1,
        "this scenario is of one server"
    );
    let credentials = Credentials {
        app_id: options.app_id.clone(),
        key: options.key.clone(),
        secret: options.secret.clone(),
    };
    let mut report = Report::new(&options.scenario.name());
    if let Some(label) = &options.label {
        report.set("label", label.as_str());
    }
    report.set("nofile_limit", nofile);
    report.set("pause_us", options.pause_us);
    report.set("machine", crate::usage::machine_json());
    let mut bench = Bench {
        net: Net::new(servers[0], credentials, options.pause_us * 1000)?,
        servers,
        server: Processes::new(options.pid.clone())?,
        report,
        run_id: format!("{:08x}", sys::now_ns() as u32 ^ std::process::id()),
        options,
    };
    if let (Some(address), Some(authority)) = (bench.options.tls, &bench.options.tls_ca) {
        let (name, resumes) = (&bench.options.tls_name, !bench.options.no_resumption);
        bench.net.tls = Some(Tls::new(address, authority, name, resumes)?);
    }
    match bench.options.scenario {
        Scenario::Fanout
        | Scenario::MaxFanout
        | Scenario::ManyChannels
        | Scenario::Health
        | Scenario::SlowConsumer => broadcast::run(&mut bench)?,
        Scenario::Fallback => carriers::run(&mut bench, carriers::Other::Stream)?,
        Scenario::Resume => carriers::run(&mut bench, carriers::Other::Named)?,
        Scenario::Compression => compression::run(&mut bench)?,
        Scenario::Tls => carriers::run(&mut bench, carriers::Other::Tls)?,
        Scenario::Watched => watched::run(&mut bench)?,
        Scenario::Parked => parked::run(&mut bench)?,
        Scenario::Publish => publish::run(&mut bench, 1)?,
        Scenario::BatchPublish => publish::run(&mut bench, 10)?,
        Scenario::Connect => connect::run(&mut bench)?,
        Scenario::Presence => presence::run(&mut bench)?,
        Scenario::PresenceReload => presence_reload::run(&mut bench)?,
        Scenario::ClientEvents => client_events::run(&mut bench)?,
        Scenario::ClientFanout => client_fanout::run(&mut bench)?,
        Scenario::Bystander | Scenario::CrossNode | Scenario::Capacity => nodes::run(&mut bench)?,
    }
    if bench.server.is_known() && !bench.server.all_alive() {
        bench.report.problem("a server process DIED during the run");
    }
    bench.report.finish(bench.options.json)
}

fn loopback_target(url: &str) -> anyhow::Result<SocketAddrV4> {
    let rest = url
        .strip_prefix("ws://")
        .context("the URL must start with ws://")?;
    let address = rest.trim_end_matches('/').replace("localhost", "127.0.0.1");
    let target: SocketAddrV4 = address
        .parse()
        .context("the URL must be ws://127.x.y.z:PORT")?;
    ensure!(
        target.ip().is_loopback(),
        "only a server on this machine can be measured"
    );
    Ok(target)
}

/// Nanoseconds in so many seconds.
fn ns(seconds: f64) -> u64 {
    Duration::from_secs_f64(seconds.max(0.0)).as_nanos() as u64
}

/// How one connection is opened.
#[derive(Clone, Copy, Default)]
struct Way {
    /// None: to the net's own server.
    server: Option<SocketAddrV4>,
    receive_buffer: Option<i32>,
    /// A stream of the HTTP fallback, at the net's own server.
    is_stream: bool,
    /// A WebSocket that is sent events compressed, at the net's own server.
    takes_compressed: bool,
    /// A WebSocket that names itself, at the net's own server: its session outlives it.
    is_named: bool,
    /// A WebSocket over TLS.
    is_over_tls: bool,
}

/// Opens connections with a bounded number under way, each through its subscription.
struct Opener<'a> {
    /// The channel of each connection; None stops at connection_established.
    channels: Vec<Option<&'a str>>,
    ways: Vec<Way>,
    started_at: Vec<u64>,
    under_way: usize,
    inflight: usize,
    established: Latency,
    subscribed: Latency,
    finished: usize,
    failed: usize,
    last_finish: u64,
}

impl<'a> Opener<'a> {
    fn new(channels: Vec<Option<&'a str>>, inflight: usize) -> Self {
        Self {
            ways: vec![Way::default(); channels.len()],
            started_at: Vec::with_capacity(channels.len()),
            channels,
            under_way: 0,
            inflight,
            established: new_latency(),
            subscribed: new_latency(),
            finished: 0,
            failed: 0,
            last_finish: 0,
        }
    }

    /// Opens all of them. Fails only when the generator cannot; refusals are in `failed`.
    fn run(&mut self, net: &mut Net) -> anyhow::Result<()> {
        let mut progress_at = sys::now_ns();
        let mut progress = 0;
        while self.finished + self.failed < self.channels.len() {
            while self.started_at.len() < self.channels.len() && self.under_way < self.inflight {
                let way = self.ways[self.started_at.len()];
                self.started_at.push(sys::now_ns());
                if way.is_stream {
                    net.open_stream()?;
                } else if way.is_over_tls {
                    net.open_tls_ws()?;
                } else if way.is_named {
                    net.open_named_ws()?;
                } else if way.takes_compressed {
                    net.open_compressed_ws()?;
                } else {
                    let server = way.server.unwrap_or(net.server);
                    net.open_ws_at(server, way.receive_buffer)?;
                }
                self.under_way += 1;
            }
            net.poll(100_000_000, self)?;
            let now = sys::now_ns();
            if self.finished + self.failed > progress {
                (progress, progress_at) = (self.finished + self.failed, now);
            } else if now - progress_at > 20_000_000_000 {
                self.failed = self.channels.len() - self.finished;
            }
        }
        Ok(())
    }

    fn finish_one(&mut self, conn: usize) {
        let now = sys::now_ns();
        self.subscribed
            .saturating_record(now - self.started_at[conn]);
        self.last_finish = now;
        self.finished += 1;
        self.under_way -= 1;
    }
}

impl Handler for Opener<'_> {
    fn control(&mut self, net: &mut Net, conn: usize, event: &str, _message: &Value) {
        match event {
            "pusher:connection_established" => {
                self.established
                    .saturating_record(sys::now_ns() - self.started_at[conn]);
                match self.channels[conn] {
                    Some(channel) => net.subscribe(conn, channel, None),
                    None => self.finish_one(conn),
                }
            }
            "pusher_internal:subscription_succeeded" => self.finish_one(conn),
            _ => {}
        }
    }

    fn closed(&mut self, _net: &mut Net, _conn: usize, _reason: &str) {
        // Also counts one that was already subscribed: it will not be there to measure.
        self.failed += 1;
        self.under_way = self.under_way.saturating_sub(1);
    }
}

/// Ignores control messages.
struct Ignore;
impl Handler for Ignore {}

impl Bench {
    /// Opens one connection per channel given, for a scenario that needs every one of them.
    fn open_all(&mut self, channels: Vec<Option<&str>>, ways: Vec<Way>) -> anyhow::Result<()> {
        let count = channels.len();
        let mut opener = Opener::new(channels, 256);
        if !ways.is_empty() {
            opener.ways = ways;
        }
        opener.run(&mut self.net)?;
        self.report.set("connections", opener.finished);
        ensure!(
            opener.failed == 0,
            "only {} of {count} connections could be subscribed: closed {:?}, errors {:?}",
            opener.finished,
            self.net.counters.ws_closed,
            self.net.counters.protocol_errors,
        );
        Ok(())
    }

    /// Handles whatever comes for a while.
    fn idle(&mut self, seconds: f64) -> anyhow::Result<()> {
        let until = sys::now_ns() + ns(seconds);
        loop {
            let now = sys::now_ns();
            if now >= until {
                return Ok(());
            }
            self.net.poll(until - now, &mut Ignore)?;
        }
    }

    /// Asks a receiver of webhooks until it was sent enough, or for so long; what it was sent then.
    fn await_webhooks(
        &mut self,
        receiver: SocketAddrV4,
        seconds: f64,
        enough: impl Fn(&Counts) -> bool,
    ) -> anyhow::Result<Counts> {
        let until = sys::now_ns() + ns(seconds);
        loop {
            let reported = receiver::ask(receiver)?;
            if enough(&reported) || sys::now_ns() > until {
                return Ok(reported);
            }
            self.idle(0.05)?;
        }
    }

    /// The server's CPU use with the connections open and nothing to do.
    fn measure_idle(&mut self) -> anyhow::Result<()> {
        self.idle(0.2)?;
        let window = Window::open(&self.server);
        self.idle(0.5)?;
        let usage = window.close(&self.server);
        if self.server.is_known() {
            let per_second = usage.server.exact_ns as f64 / usage.wall_ns as f64 * 1e6;
            self.report.set("server_idle_us_per_s", per_second.round());
        }
        Ok(())
    }
}
