//! Has a node work on the network: what it wants done takes time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use redis::{ErrorKind, RedisError};
use tokio::sync::mpsc;

use super::discovery;
use super::io::{Event, Input, Io, Use};
use super::jobs::Lane;
use super::state::{Node, rights};
use crate::cluster::redis::link::{Link, LinkId, Pushed, Reach, Unusable};
use crate::cluster::redis::rights::Rights;
use crate::cluster::redis::settings::{Settings, Target};
use crate::cluster::redis::shared::Shared;
use crate::hub::Apps;
use crate::metrics::ClusterMetrics;

/// Messages that are dealt with before calls are made.
const AT_ONCE: usize = 1024;

/// What has come of it.
enum Outcome {
    Event(Event),
    Connected(String, LinkId, Result<Link, Unusable>),
}

/// Has a node work on the network.
pub(in crate::cluster::redis) struct Driver {
    node: Node,
    shared: Arc<Shared>,
    target: Target,
    reach: Reach,
    rights: Rights,
    links: HashMap<LinkId, Arc<Link>>,
    under_way: FuturesUnordered<LocalBoxFuture<'static, Outcome>>,
    sender: mpsc::UnboundedSender<(LinkId, Pushed)>,
    pushed: mpsc::UnboundedReceiver<(LinkId, Pushed)>,
}

impl Driver {
    pub(in crate::cluster::redis) fn new(
        settings: Settings,
        reach: Reach,
        shared: Arc<Shared>,
        metrics: ClusterMetrics,
        apps: Arc<Apps>,
    ) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the thread that reads from Redis is the one that takes out what was read, in turns"
        )]
        let (sender, pushed) = mpsc::unbounded_channel();
        let (target, rights) = (settings.target.clone(), rights(&settings));
        let (rng, now) = (rand::make_rng(), Instant::now());
        Self {
            node: Node::new(settings, Arc::clone(&shared), metrics, apps, rng, now),
            shared,
            target,
            reach,
            rights,
            links: HashMap::new(),
            under_way: FuturesUnordered::new(),
            sender,
            pushed,
        }
    }

    /// Works until the node has gone.
    pub(in crate::cluster::redis) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut requests = Vec::new();
        while !self.node.has_ended() {
            let next = self.node.wakes_at();
            let time = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shared.requests.pushed() => {
                    requests = shared.requests.take(requests);
                    let now = Instant::now();
                    for request in requests.drain(..) {
                        self.node.on(Input::Request(request), now);
                    }
                }
                Some((link, pushed)) = self.pushed.recv() => {
                    let now = Instant::now();
                    self.node.on(Input::Pushed(link, pushed), now);
                    for _ in 0..AT_ONCE {
                        let Ok((link, pushed)) = self.pushed.try_recv() else { break };
                        self.node.on(Input::Pushed(link, pushed), now);
                    }
                }
                Some(outcome) = self.under_way.next(), if !self.under_way.is_empty() => {
                    self.on_outcome(outcome);
                }
                () = time => self.node.on(Input::Time, Instant::now()),
            }
            self.start_all();
        }
        shared.requests.close();
    }

    fn on_outcome(&mut self, outcome: Outcome) {
        let event = match outcome {
            Outcome::Event(event) => event,
            Outcome::Connected(address, id, link) => {
                let link = link.map(|link| {
                    self.links.insert(id, Arc::new(link));
                    id
                });
                Event::Connected(address, link)
            }
        };
        self.node.on(Input::Event(event), Instant::now());
    }

    fn start_all(&mut self) {
        for io in self.node.take_io() {
            let future: LocalBoxFuture<'static, Outcome> = match io {
                Io::Discover(known) => {
                    let (target, reach) = (self.target.clone(), self.reach.clone());
                    Box::pin(async move {
                        let found = discovery::find(target, known, &reach).await;
                        Outcome::Event(Event::Discovered(found))
                    })
                }
                Io::Connect(address, info, id) => {
                    let (reach, rights) = (self.reach.clone(), self.rights.clone());
                    let sender = self.sender.clone();
                    Box::pin(async move {
                        let patience = reach.patience;
                        let connect = Link::connect(info, reach, id, sender, &rights);
                        let link = tokio::time::timeout(patience * 2, connect).await;
                        let link = link.unwrap_or_else(|_| {
                            let error = RedisError::from((ErrorKind::Io, "no answer in time"));
                            Err(error.into())
                        });
                        Outcome::Connected(address, id, link)
                    })
                }
                Io::Disconnect(id) => {
                    if let Some(link) = self.links.remove(&id) {
                        linger(link);
                    }
                    continue;
                }
                // One that was given up is not used any more.
                Io::Use(id, what) => match self.links.get(&id) {
                    Some(link) => on_link(Arc::clone(link), what),
                    None => continue,
                },
            };
            self.under_way.push(future);
        }
    }
}

fn on_link(link: Arc<Link>, what: Use) -> LocalBoxFuture<'static, Outcome> {
    Box::pin(async move {
        Outcome::Event(match what {
            Use::Call(lane, since, pipeline, items) => {
                let answers = match lane {
                    Lane::Calls => link.call(pipeline).await,
                    Lane::Sync | Lane::Questions => link.call_for_much(pipeline).await,
                };
                Event::Answered(link.id, (lane, since), items, answers)
            }
            Use::Listen(pipeline, topics) => {
                Event::Listened(link.id, topics, link.listen(pipeline).await)
            }
            Use::Ping => Event::Pinged(link.id, link.ping().await),
            Use::LoadScripts => Event::ScriptsLoaded(link.id, link.load_scripts().await),
        })
    })
}

/// Keeps a lost link for a moment: what it was sent before it broke is still to be read, and a server
/// that has died does not have it any more.
fn linger(link: Arc<Link>) {
    const LINGERS_FOR: Duration = Duration::from_millis(500);
    tokio::task::spawn_local(async move {
        tokio::time::sleep(LINGERS_FOR).await;
        drop(link);
    });
}
