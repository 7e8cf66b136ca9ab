//! A Prometheus that scrapes relays every second, as Debian has it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};

use protocol_tests::names::unique;
use protocol_tests::subject::Endpoint;
use protocol_tests::wait::eventually;
use protocol_tests::{HttpClient, Request};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::files;

/// A running Prometheus. Dropping it kills it and waits for its end.
pub(crate) struct Prometheus {
    endpoint: Endpoint,
    child: Child,
    // Removed with this value: its configuration and its data.
    _directory: TempDir,
}

impl Prometheus {
    /// Starts one with the alerts of the project.
    pub(crate) async fn start(targets: &[String]) -> Prometheus {
        const ATTEMPTS: usize = 20;
        let mark = unique("mark-");
        let targets: Vec<String> = targets.iter().map(|one| format!("'{one}'")).collect();
        let configuration = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s, external_labels: {{ test: '{mark}' }} }}\n\
             rule_files: ['{}']\n\
             scrape_configs:\n  - job_name: fanfare\n    static_configs: [{{ targets: [{}] }}]\n",
            files::path("docker/monitoring/alerts.yml").display(),
            targets.join(", ")
        );
        for _ in 0..ATTEMPTS {
            if let Some(started) = try_start(&configuration, &mark).await {
                return started;
            }
        }
        panic!("Prometheus does not start with this:\n{configuration}");
    }

    /// The series that a query answers with now.
    pub(crate) async fn query(&self, query: &str) -> Vec<Value> {
        let request = Request::new("GET", "/api/v1/query").query("query", query);
        let answer = self.get(&request).await;
        assert_eq!(answer["data"]["resultType"], "vector", "{query}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// The alerting rules, with their health.
    pub(crate) async fn rules(&self) -> Vec<Value> {
        let answer = self.get(&Request::new("GET", "/api/v1/rules")).await;
        let groups = answer["data"]["groups"].as_array().unwrap().clone();
        let rules = groups
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap());
        rules.cloned().collect()
    }

    async fn get(&self, request: &Request) -> Value {
        let answer = HttpClient::new(self.endpoint.clone()).send(request).await;
        let text = answer.text();
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        assert_eq!(answer["status"], "success", "{answer}");
        answer
    }
}

/// `None`: it has ended, as somebody else had the port.
async fn try_start(configuration: &str, mark: &str) -> Option<Prometheus> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("prometheus.yml");
    fs::write(&file, configuration).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = free.local_addr().unwrap().to_string();
    drop(free);
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", file.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            directory.path().join("data").display()
        ))
        .arg(format!("--web.listen-address={authority}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // A test run that is itself killed runs no destructors: the kernel then ends the program with its test.
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            },
        );
    }
    let child = command.spawn();
    let mut prometheus = Prometheus {
        endpoint: Endpoint {
            authority,
            prefix: String::new(),
        },
        child: child.unwrap_or_else(|error| panic!("prometheus: {error}: run `make setup` first")),
        _directory: directory,
    };
    let is_ours = eventually("Prometheus to be ready", || {
        let has_ended = prometheus.child.try_wait().unwrap().is_some();
        let endpoint = prometheus.endpoint.clone();
        async move {
            if has_ended {
                return Some(false);
            }
            TcpStream::connect(&endpoint.authority).await.ok()?;
            let mut client = HttpClient::new(endpoint);
            let answer = client.send(&Request::new("GET", "/-/ready")).await;
            if answer.status != 200 {
                return None;
            }
            let config = client
                .send(&Request::new("GET", "/api/v1/status/config"))
                .await;
            Some(config.text().contains(mark))
        }
    })
    .await;
    is_ours.then_some(prometheus)
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
