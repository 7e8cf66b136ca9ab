//! The hub with real sockets, and with an authority that answers when a test wants it to.

mod apps;
mod memory;
mod resume;
mod sealed;

use std::io;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use super::idempotency::SharedClaim;
use super::*;
use crate::apps::App;
use crate::auth::Signer;
use crate::cluster::Local;
use crate::protocol::member::{Member, Watchlist};
use crate::protocol::{ChannelName, Frame, SocketId};
use crate::session::{Session, SignOfLife, Timeouts};

/// An authority that, like one behind a network, takes its time with joins.
#[derive(Debug, Default)]
struct Slow {
    asked: Mutex<Vec<Join>>,
}

impl Slow {
    fn answer(&self, app: &Arc<AppHub>) {
        let asked = std::mem::take(&mut *self.asked.lock());
        for join in asked {
            Local.join(app, join);
        }
    }
}

impl Authority for Slow {
    fn start(&self, apps: Arc<Apps>) -> io::Result<()> {
        Local.start(apps)
    }

    fn join(&self, _app: &Arc<AppHub>, join: Join) {
        self.asked.lock().push(join);
    }

    fn confirm(&self, app: &Arc<AppHub>, peer: PeerHandle, channel: ChannelName) {
        Local.confirm(app, peer, channel);
    }

    fn leave(&self, app: &Arc<AppHub>, leave: Leave) {
        Local.leave(app, leave);
    }

    fn publish(
        &self,
        app: &Arc<AppHub>,
        channel: &str,
        broadcast: Broadcast,
        caching: Caching,
        admission: &Admission,
    ) -> Receipt {
        Local.publish(app, channel, broadcast, caching, admission)
    }

    fn sign_in(&self, app: &Arc<AppHub>, sign_in: SignIn) {
        Local.sign_in(app, sign_in);
    }

    fn sign_out(&self, app: &Arc<AppHub>, peer: PeerHandle, user: &Member) {
        Local.sign_out(app, peer, user);
    }

    fn close_user(&self, app: &Arc<AppHub>, user_id: &str, reason: CloseReason) -> Receipt {
        Local.close_user(app, user_id, reason)
    }

    fn unwatch(&self, app: &Arc<AppHub>, peer: &PeerHandle, watchlist: &Watchlist) {
        Local.unwatch(app, peer, watchlist);
    }

    fn undo_watch(&self, app: &Arc<AppHub>, peer: &PeerHandle, watchlist: &Watchlist) {
        Local.undo_watch(app, peer, watchlist);
    }

    fn reaches_beyond(&self) -> bool {
        Local.reaches_beyond()
    }

    fn has_others(&self) -> bool {
        Local.has_others()
    }

    fn admit(&self, bytes: usize) -> Result<Admission, Unavailable> {
        Local.admit(bytes)
    }

    fn channel(&self, app: &Arc<AppHub>, channel: &str, detail: Detail) -> Answer<ChannelReport> {
        Local.channel(app, channel, detail)
    }

    fn channels(
        &self,
        app: &Arc<AppHub>,
        prefix: &str,
        detail: Detail,
    ) -> Answer<Vec<(ChannelName, ChannelReport)>> {
        Local.channels(app, prefix, detail)
    }

    fn members(&self, app: &Arc<AppHub>, channel: &str) -> Answer<Vec<Arc<str>>> {
        Local.members(app, channel)
    }

    fn nodes(&self) -> Answer<Vec<String>> {
        Local.nodes()
    }

    fn claim(&self, app: &Arc<AppHub>, key: &str) -> Answer<SharedClaim> {
        Local.claim(app, key)
    }

    fn apps_changed(&self) {
        Local.apps_changed();
    }

    fn apps_changed_elsewhere(&self) -> Option<Arc<tokio::sync::Notify>> {
        Local.apps_changed_elsewhere()
    }

    fn standing(&self) -> Standing {
        Local.standing()
    }

    fn trouble(&self) -> Option<String> {
        Local.trouble()
    }

    fn backlog_bytes(&self) -> usize {
        Local.backlog_bytes()
    }

    fn begin_leaving(&self) {
        Local.begin_leaving();
    }

    fn stop(&self) -> Receipt {
        Local.stop()
    }
}

/// What may be sent again to one client.
const SESSION_BYTES: usize = 300_000;

struct Fixture {
    hub: Hub,
    authority: Arc<Slow>,
    shard: Shard,
    app: Arc<AppHub>,
    /// Whether the sessions of connections outlive them.
    outlives: Outlives,
}

impl Fixture {
    /// A hub with one shard, which works while the test waits.
    fn new() -> Self {
        let mut app = App::new("1", Signer::new("key", b"secret"));
        app.limits.presence_members = 2;
        app.limits.outbox_bytes = 1 << 16;
        app.resume.session_bytes = SESSION_BYTES;
        app.watchlist = true;
        let authority = Arc::new(Slow::default());
        let registry = Registry::new(vec![app]).unwrap();
        let hub = Hub::new(&registry, &Webhooks::none(), Metrics::new(), 10);
        let shard = hub.register_shard(authority.clone());
        let worker = shard.clone();
        tokio::task::spawn_local(async move { worker.run().await });
        let app = hub.app("1").unwrap();
        Self {
            hub,
            authority,
            shard,
            app,
            outlives: Outlives::No,
        }
    }

    async fn connect(&self, id: u128) -> (Registration, TcpStream) {
        let (server, client) = sockets().await;
        let (_reader, writer) = server.into_split();
        (self.register(id, Carrier::Socket(writer)), client)
    }

    fn register(&self, id: u128, carrier: Carrier) -> Registration {
        let timeouts = Arc::new(Timeouts {
            activity: Duration::from_secs(120),
            pong: Duration::from_secs(30),
            message: Duration::from_secs(30),
            write: Duration::from_secs(10),
            close: Duration::from_secs(5),
        });
        let socket_id = SocketId::from_random(id << 70);
        let session = Session::new(
            Arc::clone(&self.app.app),
            socket_id,
            timeouts,
            SignOfLife::Frame,
            Instant::now(),
        );
        let permit = AppPermit::of(&self.app).unwrap();
        self.shard.register(permit, session, carrier, self.outlives)
    }

    /// Asks for a public channel, as a client's message would.
    fn ask(&self, registration: &Registration, channel: &str) {
        let text = format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}"#);
        let action = registration.with_session(|session| session.on_text(&text, Instant::now()));
        let crate::session::Action::Join {
            channel, member, ..
        } = action
        else {
            panic!("{action:?}");
        };
        let join = Join {
            peer: registration.handle(),
            channel,
            member,
        };
        self.authority.join(&self.app, join);
    }

    fn publish(&self, channel: &str, size: usize) {
        let frame = Frame::text(size, |out| out.resize(out.len() + size, b'x'));
        let reservation = self.app.room().try_reserve(1, 0).unwrap();
        let broadcast = Broadcast::reserved(frame, None, reservation);
        let admission = Admission::default();
        let receipt =
            self.authority
                .publish(&self.app, channel, broadcast, Caching::None, &admission);
        assert!(!receipt.is_pending());
    }

    fn gauges(&self) -> (i64, i64) {
        (
            self.app.metrics.channels.get(),
            self.app.metrics.subscriptions.get(),
        )
    }
}

/// The two ends of a connection, the relay's first.
async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (server, _) = listener.accept().await.unwrap();
    // As the relay's are: with Nagle's algorithm, what is written arrives when the system likes.
    server.set_nodelay(true).unwrap();
    (server, client)
}

/// Lets the shard carry out all its commands.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

fn run(test: impl AsyncFnOnce(Fixture)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async { test(Fixture::new()).await });
}

#[test]
fn a_connection_that_is_gone_before_the_answer_leaves_nothing_behind() {
    run(async |fixture| {
        let (registration, _client) = fixture.connect(1).await;
        fixture.ask(&registration, "news");
        drop(registration);
        fixture.authority.answer(&fixture.app);
        assert_eq!(fixture.gauges(), (1, 1));
        settle().await;
        assert_eq!(fixture.gauges(), (0, 0));
        assert_eq!(fixture.app.metrics.connections.get(), 0);
    });
}

#[test]
fn a_connection_that_unsubscribes_before_the_answer_leaves_again() {
    run(async |fixture| {
        let (registration, _client) = fixture.connect(1).await;
        let (other, _other_client) = fixture.connect(2).await;
        fixture.ask(&other, "news");
        fixture.ask(&registration, "news");
        let unsubscribe = r#"{"event":"pusher:unsubscribe","data":{"channel":"news"}}"#;
        registration.with_session(|session| session.on_text(unsubscribe, Instant::now()));
        fixture.authority.answer(&fixture.app);
        settle().await;
        assert_eq!(fixture.gauges(), (1, 1));
        assert!(!registration.with_session(|session| session.is_subscribed("news")));
        drop(other);
        assert_eq!(fixture.gauges(), (0, 0));
    });
}

#[test]
fn events_between_question_and_answer_are_not_missed_after_it() {
    run(async |fixture| {
        let (registration, mut client) = fixture.connect(1).await;
        fixture.ask(&registration, "news");
        fixture.publish("news", 3);
        fixture.authority.answer(&fixture.app);
        fixture.publish("news", 5);
        settle().await;
        let mut received = vec![0; 4096];
        let count = client.read(&mut received).await.unwrap();
        let received = String::from_utf8_lossy(&received[..count]).into_owned();
        assert!(received.contains("subscription_succeeded"), "{received}");
        assert!(
            received.ends_with("xxxxx") && !received.ends_with("xxxxxx"),
            "{received}"
        );
    });
}

#[test]
fn who_takes_events_too_slowly_is_closed_once_with_4100() {
    run(async |fixture| {
        let (registration, mut client) = fixture.connect(1).await;
        fixture.ask(&registration, "news");
        fixture.authority.answer(&fixture.app);
        for _ in 0..2000 {
            fixture.publish("news", 10_000);
            if !registration.is_open() {
                break;
            }
            settle().await;
        }
        assert_eq!(registration.closed_with(), Some(4100));
        assert_eq!(fixture.app.metrics.outbox_overflows.get(), 1);
        // The client reads at last: whole frames, and the reason at the end.
        let flush = std::future::poll_fn(|cx| registration.poll_flush(cx));
        let mut received = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        let read = async {
            while !received.ends_with(b"(outbox_bytes)") {
                let count = client.read(&mut buffer).await.unwrap();
                received.extend_from_slice(&buffer[..count]);
            }
        };
        let (flushed, ()) = tokio::join!(flush, read);
        assert_eq!(flushed, Flushed::Closed);
        let codes = received
            .windows(4)
            .filter(|window| window == b"4100")
            .count();
        assert_eq!(codes, 1);
    });
}

#[test]
fn an_app_that_is_gone_is_not_kept_by_what_is_on_its_way_to_it() {
    run(async |fixture| {
        let (registration, _client) = fixture.connect(1).await;
        fixture.ask(&registration, "news");
        drop(registration);
        fixture.authority.answer(&fixture.app);
        let Fixture { hub, app, .. } = fixture;
        let gone = Arc::downgrade(&app);
        drop((hub, app));
        assert_eq!(gone.strong_count(), 0);
        // The shard finds a join that nobody is left to undo.
        settle().await;
    });
}

#[test]
fn no_more_sockets_are_admitted_than_may_be_open() {
    run(async |fixture| {
        let mut permits: Vec<_> = (0..10).map(|_| fixture.hub.admit().unwrap()).collect();
        assert_eq!(fixture.hub.admit().unwrap_err(), Full);
        permits.pop();
        permits.push(fixture.hub.admit().unwrap());
        assert_eq!(fixture.hub.connections().get(), 10);
    });
}
