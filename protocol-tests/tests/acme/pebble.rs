//! Pebble, an authority for tests, with a name server of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use protocol_tests::{Port, TcpProxy, TestServer, TestServerBuilder, eventually};
use rcgen::{CertificateParams, KeyPair};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::clock::Shifted;
use crate::dns::NameServer;
use crate::process::Process;

/// What a test asks of it.
#[derive(Clone, Copy)]
pub(crate) struct Habits {
    /// Seconds that a certificate is valid.
    pub(crate) validity: u32,
    /// Of a hundred nonces, how many are refused.
    pub(crate) refused_nonces: u32,
}

impl Default for Habits {
    fn default() -> Habits {
        Habits {
            validity: 90 * 86_400,
            refused_nonces: 0,
        }
    }
}

/// A running authority. It reaches servers, and is reached by them, over proxies, which are open to be cut.
pub(crate) struct Pebble {
    directory: TempDir,
    habits: Habits,
    process: Option<Process>,
    address: String,
    /// That of the address.
    _port: Option<Port>,
    pub(crate) names: NameServer,
    /// The way to it.
    pub(crate) way: TcpProxy,
    /// The ways that it takes to look whether a name is somebody's.
    http: TcpProxy,
    tls: TcpProxy,
}

impl Pebble {
    pub(crate) async fn start(habits: Habits) -> Pebble {
        let directory = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        fs::write(directory.path().join("certificate.pem"), certificate.pem()).unwrap();
        fs::write(directory.path().join("key.pem"), key.serialize_pem()).unwrap();
        let mut pebble = Pebble {
            directory,
            habits,
            process: None,
            address: String::new(),
            _port: None,
            names: NameServer::start().await,
            way: TcpProxy::start(&[]).await,
            http: TcpProxy::start(&[]).await,
            tls: TcpProxy::start(&[]).await,
        };
        // Nobody is where a name points to, before a server is.
        pebble.http.hold();
        pebble.tls.hold();
        pebble.restart().await;
        pebble
    }

    /// Ends it, with all that it knows of accounts and orders, and starts it again.
    pub(crate) async fn restart(&mut self) {
        self.process = None;
        // Its own for as long as it runs: whoever listens there is this one.
        let port = Port::hold();
        let address = port.address().to_string();
        let mut process = Process::start(self.command(&address), self.directory.path());
        eventually("pebble to listen", || {
            assert!(!process.has_ended(), "pebble has ended: {}", process.log());
            let address = &address;
            async move { TcpStream::connect(address).await.ok() }
        })
        .await;
        self.way.set_targets(std::slice::from_ref(&address));
        self.address = address;
        self.process = Some(process);
        self._port = Some(port);
    }

    /// Whether it has issued anything.
    pub(crate) fn has_issued(&self) -> bool {
        let process = self.process.as_ref().unwrap();
        process.log().contains("Issued certificate")
    }

    /// Lets its answers have another time in them.
    pub(crate) async fn set_clock(&self, date: &'static str) -> Shifted {
        let file = |name: &str| fs::read(self.directory.path().join(name)).unwrap();
        let identity = (file("certificate.pem"), file("key.pem"));
        let shifted = Shifted::start(identity, self.address.clone(), date).await;
        self.way.set_targets(&[shifted.authority().to_owned()]);
        shifted
    }

    /// A server that is to order a certificate for these names.
    pub(crate) fn server(
        &self,
        challenge: &str,
        domains: &[&str],
        state: &Path,
    ) -> TestServerBuilder {
        let trusted = self.directory.path().join("certificate.pem");
        TestServer::builder()
            .set("tls.listen", "127.0.0.1:0")
            .set("server.state_dir", text(state))
            .set("tls.acme.domains", domains.to_vec())
            .set("tls.acme.contact", "mailto:ops@example.com")
            .set(
                "tls.acme.directory",
                format!("https://{}/dir", self.way.authority()),
            )
            .set("tls.acme.challenge", challenge)
            .set("tls.acme.ca_certificates", text(&trusted))
    }

    /// Lets every name point to this server.
    pub(crate) fn point_to(&self, server: &TestServer) {
        self.point_to_each(&[server]);
    }

    /// Lets every name point to these servers in turn.
    pub(crate) fn point_to_each(&self, servers: &[&TestServer]) {
        let plain = servers.iter().map(|it| it.endpoint().authority.clone());
        self.http.set_targets(&plain.collect::<Vec<_>>());
        self.http.restore();
        let over_tls = servers.iter().map(|it| it.tls_authority().to_owned());
        self.tls.set_targets(&over_tls.collect::<Vec<_>>());
        self.tls.restore();
    }

    fn command(&self, address: &str) -> Command {
        let port = |proxy: &TcpProxy| -> u16 {
            let (_, port) = proxy.authority().rsplit_once(':').unwrap();
            port.parse().unwrap()
        };
        let config = json!({ "pebble": {
            "listenAddress": address,
            "certificate": "certificate.pem",
            "privateKey": "key.pem",
            "httpPort": port(&self.http),
            "tlsPort": port(&self.tls),
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": self.habits.validity,
        } });
        fs::write(
            self.directory.path().join("config.json"),
            config.to_string(),
        )
        .unwrap();
        let mut command = Command::new("pebble");
        command
            .args([
                "-config",
                "config.json",
                "-dnsserver",
                self.names.authority(),
            ])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env(
                "PEBBLE_WFE_NONCEREJECT",
                self.habits.refused_nonces.to_string(),
            );
        command
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// The files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The file of the only certificate that is kept below a folder.
pub(crate) fn certificate(folder: &Path) -> PathBuf {
    let is_certificate = |file: &PathBuf| file.extension().is_some_and(|it| it == "pem");
    files(folder).into_iter().find(is_certificate).unwrap()
}
