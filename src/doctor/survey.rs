//! The observations, one after the other. Each takes bounded time, and what cannot be seen because of what is wrong before it
//! is left out.

use std::io;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustls::RootCertStore;
use serde_json::Value;

use super::checks::{backend, certificate, gateway, idle, network, protocol};
use super::finding::{Finding, Level, shown};
use super::http::{self, Answer};
use super::observer::Observer;
use super::reach::Reach;
use super::rounds;
use super::stream;
use super::subject::{Subject, since_1970};
use super::websocket::{self, Ended, Opened, WebSocket};
use crate::cluster::redis;
use crate::database;
use crate::ingest::laravel_redis::RedisServer;
use crate::webhooks;

/// How long a silent connection is looked at.
const PATIENT_FOR: Duration = Duration::from_secs(130);
/// Between two questions whether to go on meanwhile.
const BETWEEN_QUESTIONS: Duration = Duration::from_secs(1);
/// How long a webhook, or Redis, may take to answer.
const BACKEND_PATIENCE: Duration = Duration::from_secs(10);
/// How long signatures hold where nothing else is configured.
const SIGNATURES_HOLD: Duration = Duration::from_secs(600);
/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 8;

/// What a configuration says of the relay, as far as it is looked at.
#[derive(Clone, Debug)]
pub struct RelaySettings {
    /// What the relay's paths begin with.
    pub path_prefix: Box<str>,
    /// What holds for webhooks.
    pub webhooks: webhooks::Settings,
    /// What channels are shared over, if they are.
    pub redis: Option<Box<redis::Settings>>,
    /// Where more apps come from, if it is there.
    pub apps_database: database::Settings,
    /// Where Laravel publishes to over Redis, if that is taken in.
    pub laravel_redis: Option<RedisServer>,
}

/// What is asked for beyond the usual.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The origin of the page that a client is on. Without one it is a program, or a page of one of `allowed_origins` where the
    /// app lets in no program.
    pub origin: Option<String>,
    /// Whether a silent connection is looked at.
    pub patient: bool,
}

/// The observations.
pub struct Survey {
    subject: Subject,
    settings: Option<RelaySettings>,
    reach: Reach,
}

/// A connection that the relay has greeted.
struct Established {
    socket: Box<WebSocket>,
    socket_id: String,
    /// How long it took until then.
    took: Duration,
}

impl Survey {
    /// Of a relay, as far as it can be seen, and of what its settings name where they are known.
    pub fn new(subject: Subject, settings: Option<RelaySettings>, reach: Reach) -> Self {
        Self {
            subject,
            settings,
            reach,
        }
    }

    /// Looks at everything, until it has or is told to stop.
    pub fn run(&self, request: &Request, observer: &mut dyn Observer) -> ControlFlow<()> {
        let asked = request.origin.clone();
        let request = &Request {
            origin: asked.or_else(|| self.subject.page()),
            ..request.clone()
        };
        let mut planned = self.public_ids(request);
        planned.extend(self.backend_ids());
        observer.planned(planned);
        self.public(request, observer)?;
        observer.planned(self.backend_ids());
        self.backends(observer)
    }

    /// The ids of what is found where clients come, if nothing is wrong.
    fn public_ids(&self, request: &Request) -> Vec<&'static str> {
        let mut ids = vec!["dns", "tcp"];
        if self.subject.url.tls {
            ids.extend([
                "certificate.expiry",
                "certificate.name",
                "certificate.chain",
            ]);
        }
        ids.extend(["http", "version", "clock", "signature", "upgrade"]);
        if request.origin.is_some() {
            ids.push("origin");
        }
        ids.extend(["private", "presence"]);
        if request.patient {
            ids.push("idle");
        }
        ids
    }

    /// The ids of what is found of [`backends`](Self::backends).
    fn backend_ids(&self) -> Vec<&'static str> {
        let mut ids = Vec::new();
        if let Some(relay) = &self.settings {
            let webhooks = self.subject.app.iter().flat_map(|app| &app.webhooks);
            ids.extend(webhooks.map(|_| "webhook"));
            ids.extend(relay.redis.as_ref().map(|_| "redis"));
            ids.extend(relay.laravel_redis.as_ref().map(|_| "ingest.redis"));
            if relay.apps_database.place.is_there() {
                ids.push("apps_database");
            }
        }
        ids.push("files");
        ids
    }

    /// What clients meet.
    fn public(&self, request: &Request, observer: &mut dyn Observer) -> ControlFlow<()> {
        let done = ControlFlow::Continue(());
        let url = &self.subject.url;
        let resolved = stream::resolve(&url.host, url.port);
        observer.found(network::name(&url.host, &resolved))?;
        let mut addresses = resolved.unwrap_or_default();
        if addresses.is_empty() {
            return done;
        }
        addresses.retain(|address| self.reach.has(*address));
        addresses.truncate(MOST_ADDRESSES);
        if addresses.is_empty() {
            return observer.found(network::out_of_reach(&url.host));
        }
        let tried = connect_to_all(&addresses, url.port);
        observer.found(network::connections(url.port, &tried))?;
        let mut tried = tried.into_iter();
        let Some((address, _)) = tried.find(|(_, tried)| tried.is_answered()) else {
            return done;
        };
        if url.tls {
            match self.certificate(address) {
                Ok(certificate) => observer.all(certificate)?,
                Err(no_tls) => return observer.found(no_tls),
            }
        }
        self.relay(address, request, observer)
    }

    /// What is seen of the certificate; the error: there is no TLS.
    fn certificate(&self, address: IpAddr) -> Result<Vec<Finding>, Finding> {
        let host = &self.subject.url.host;
        let stream = stream::open(&self.subject.url, address).map_err(|error| {
            let text = format!("no TLS is agreed on: {}", shown(&error.to_string()));
            let remedy = "does TLS end at this port? A relay without [tls] speaks plain ws:// there, and a proxy in \
                          front of it needs a certificate";
            Finding::error("tls", text, remedy)
        })?;
        let facts = certificate::look(stream.certificates(), host, &authorities());
        let facts = facts.ok_or_else(|| {
            let remedy = "serve one of the usual kind (X.509, version 3)";
            Finding::error("tls", "the server's certificate cannot be read", remedy)
        })?;
        let now = i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX);
        Ok(certificate::judge(host, &facts, now))
    }

    /// What answers at the address, and what clients and publishers meet there.
    fn relay(
        &self,
        address: IpAddr,
        request: &Request,
        observer: &mut dyn Observer,
    ) -> ControlFlow<()> {
        let url = &self.subject.url;
        let place = format!("{url}/up");
        let up = match self.get(address, "/up") {
            Ok(up) => up,
            Err(error) => return observer.found(gateway::silent(&place, &error.to_string())),
        };
        let origin = request.origin.as_deref();
        if gateway::is_relay(&up) {
            observer.found(gateway::up(&place, &up, None))?;
            if let Ok(root) = self.get(address, "/") {
                observer.found(gateway::version(&root))?;
            }
            observer.all(self.clock(&up).into_iter().collect())?;
            observer.found(self.signature(address))?;
            let client = self.established(address, origin);
            return self.client(client, address, request, observer);
        }
        // Another site of the host may have /up for itself, as Laravel's have, beside a relay that has the other paths.
        let signature = self.signature(address);
        observer.goes_on()?;
        let client = self.established(address, origin);
        let refused = client.as_ref().err().map(|finding| finding.id);
        let is_greeted = refused.is_none_or(|id| protocol::REFUSALS.contains(&id));
        if !is_greeted && signature.level != Level::Ok {
            let elsewhere = self.elsewhere(address);
            return observer.found(gateway::up(&place, &up, elsewhere.as_deref()));
        }
        observer.found(gateway::not_passed_on(&place, &up))?;
        observer.all(self.clock(&up).into_iter().collect())?;
        observer.found(signature)?;
        self.client(client, address, request, observer)
    }

    fn get(&self, address: IpAddr, path: &str) -> io::Result<Answer> {
        let url = &self.subject.url;
        let path = format!("{}{path}", url.prefix);
        http::request(url, address, "GET", &path, b"")
    }

    fn clock(&self, answer: &Answer) -> Option<Finding> {
        let app = self.subject.app.as_ref();
        let window = app.map(|app| app.limits.auth_timestamp_window);
        gateway::clock(answer, SystemTime::now(), window.unwrap_or(SIGNATURES_HOLD))
    }

    /// Where a relay is, if the path is all that was wrong.
    fn elsewhere(&self, address: IpAddr) -> Option<String> {
        let url = &self.subject.url;
        let configured = self
            .settings
            .as_ref()
            .map(|settings| settings.path_prefix.to_string());
        let others = configured.into_iter().chain([String::new()]);
        let mut others = others.filter(|prefix| *prefix != url.prefix);
        others.find_map(|prefix| {
            let path = format!("{prefix}/up");
            let answer = http::request(url, address, "GET", &path, b"").ok()?;
            gateway::is_relay(&answer).then(|| url.with_prefix(&prefix).to_string())
        })
    }

    fn signature(&self, address: IpAddr) -> Finding {
        // Only as much as is needed to see that it is accepted: others' channels may be very many.
        let own = [("filter_by_prefix", "private-fanfare-doctor-")];
        let asked = self.subject.ask(address, ("GET", "/channels"), &own, b"");
        match asked {
            Ok(answer) => protocol::signature(&self.subject.app_id, &answer),
            Err(error) => Finding::error(
                "signature",
                format!("the API does not answer: {}", shown(&error.to_string())),
                "have every proxy pass /apps/ on to the relay, too",
            ),
        }
    }

    /// What a client sees, whose connection is established or refused.
    fn client(
        &self,
        established: Result<Established, Finding>,
        address: IpAddr,
        request: &Request,
        observer: &mut dyn Observer,
    ) -> ControlFlow<()> {
        let origin = request.origin.as_deref();
        let Established {
            mut socket,
            socket_id,
            took,
        } = match established {
            Ok(established) => established,
            Err(finding) => return observer.found(finding),
        };
        let took = took.as_millis();
        observer.found(Finding::ok(
            "upgrade",
            format!("a WebSocket is established after {took} ms"),
        ))?;
        if let Some(origin) = origin {
            let text = match self.subject.page() {
                Some(page) if page == origin => {
                    format!(
                        "pages of {} may connect, as allowed_origins has it",
                        shown(origin)
                    )
                }
                _ => format!("pages of {} may connect", shown(origin)),
            };
            observer.found(Finding::ok("origin", text))?;
        }
        rounds::run(&self.subject, address, &mut socket, &socket_id, observer)?;
        drop(socket);
        if request.patient {
            return self.silence(address, origin, observer);
        }
        ControlFlow::Continue(())
    }

    /// A connection of the app.
    fn established(&self, address: IpAddr, origin: Option<&str>) -> Result<Established, Finding> {
        let started = Instant::now();
        let key = self.subject.signer.key();
        let failed = |reason: &str| {
            Finding::error(
                "upgrade",
                format!("a WebSocket is asked for in vain: {}", shown(reason)),
                "see whether a proxy on the way lets WebSockets pass: it must pass the headers Upgrade and Connection on, over HTTP/1.1, \
                 and what comes after them as it comes",
            )
        };
        let opened = websocket::open(&self.subject.url, address, key, origin);
        let mut socket = match opened.map_err(|error| failed(&error.to_string()))? {
            Opened::Yes(socket) => socket,
            Opened::No(answer) => return Err(gateway::no_upgrade(&answer)),
        };
        let first = socket.next(Instant::now() + websocket::PATIENCE);
        let first = first.map_err(|ended| failed(&ended.to_string()))?;
        let data = match &first["data"] {
            Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
            other => other.clone(),
        };
        match (first["event"].as_str(), data["socket_id"].as_str()) {
            (Some("pusher:connection_established"), Some(id)) => Ok(Established {
                socket,
                socket_id: id.to_owned(),
                took: started.elapsed(),
            }),
            (Some("pusher:error"), _) => Err(protocol::refused(
                data["code"].as_u64().unwrap_or_default(),
                data["message"].as_str().unwrap_or_default(),
                origin,
            )),
            _ => Err(failed("what came first is no greeting of the protocol")),
        }
    }

    /// A connection over which nothing is sent, once it is authorised: others may be closed after
    /// `authorized_connections_timeout`.
    fn silence(
        &self,
        address: IpAddr,
        origin: Option<&str>,
        observer: &mut dyn Observer,
    ) -> ControlFlow<()> {
        observer.takes(PATIENT_FOR);
        let Established {
            mut socket,
            socket_id,
            ..
        } = match self.established(address, origin) {
            Ok(established) => established,
            Err(finding) => return observer.found(idle::not_watched(finding)),
        };
        let authorised = rounds::authorise(&self.subject, &mut socket, &socket_id);
        let started = Instant::now();
        let end = started + PATIENT_FOR;
        let watched = loop {
            match socket.next(end.min(Instant::now() + BETWEEN_QUESTIONS)) {
                Ok(_) => {}
                Err(Ended::TimedOut) if Instant::now() < end => observer.goes_on()?,
                Err(Ended::TimedOut) => break idle::Watched::Lasted,
                Err(Ended::Closed(code, words)) => {
                    break idle::Watched::Closed {
                        code,
                        words,
                        authorised,
                    };
                }
                Err(Ended::Cut(_) | Ended::Refused(_)) => {
                    let silent_for = socket.last.elapsed();
                    break idle::Watched::Cut { silent_for };
                }
            }
        };
        observer.found(idle::judge(&watched, started.elapsed()))
    }

    /// What the configuration names beside the relay.
    fn backends(&self, observer: &mut dyn Observer) -> ControlFlow<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        if let (Some(relay), Ok(runtime)) = (&self.settings, &runtime) {
            for webhook in self.subject.app.iter().flat_map(|app| &app.webhooks) {
                let signer = self.subject.signer.clone();
                let asked = webhooks::probe(&relay.webhooks, webhook, signer, BACKEND_PATIENCE);
                let outcome = runtime.block_on(asked);
                observer.found(backend::webhook(&webhook.url.to_string(), &outcome))?;
            }
            let greet = |settings| runtime.block_on(redis::greet(settings, BACKEND_PATIENCE / 2));
            if let Some(settings) = &relay.redis {
                for (place, answer) in greet(settings) {
                    observer.found(backend::redis(&place, &answer))?;
                }
            }
            if let Some(server) = &relay.laravel_redis {
                let target = redis::Target::Single(server.connection_info().clone());
                let settings = redis::Settings {
                    target,
                    ..redis::Settings::default()
                };
                for (place, answer) in greet(&settings) {
                    observer.found(backend::laravel_redis(&place, &answer))?;
                }
            }
            let settings = &relay.apps_database;
            if settings.place.is_there() {
                let answer = runtime.block_on(database::greet(settings));
                observer.found(backend::apps_database(&settings.place.to_string(), &answer))?;
            }
            if let Some(concern) = settings.concern(relay.redis.is_some()) {
                observer.found(backend::apps_of_one_node(&concern))?;
            }
        }
        if let Ok(limit) = service::net::descriptors::raise_limit() {
            observer.found(backend::files(limit))?;
        }
        ControlFlow::Continue(())
    }
}

/// Connects to all of them at the same time.
fn connect_to_all(addresses: &[IpAddr], port: u16) -> Vec<(IpAddr, network::Tried)> {
    let attempt = |address: IpAddr| match stream::connect(address, port) {
        Ok((_, took)) => network::Tried::Answered(took),
        Err(_) if !stream::has_route(address, port) => network::Tried::NoRoute,
        Err(error) => network::Tried::Failed(error.to_string()),
    };
    thread::scope(|scope| {
        let connecting: Vec<_> = addresses
            .iter()
            .map(|address| scope.spawn(move || attempt(*address)))
            .collect();
        let done = connecting.into_iter().map(|thread| {
            let failed = |_| network::Tried::Failed("the attempt failed".to_owned());
            thread.join().unwrap_or_else(failed)
        });
        addresses.iter().copied().zip(done).collect()
    })
}

/// Authorities that this system trusts.
fn authorities() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}
