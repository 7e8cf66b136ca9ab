//! nginx, HAProxy, Caddy and Apache in front of servers, as Debian has them.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::http::HttpClient;
use crate::names::unique;
use crate::redis::ports;
use crate::request::Request;
use crate::subject::Endpoint;
use crate::wait::eventually;

/// A running proxy. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub struct Balancer {
    authority: String,
    child: Child,
    // Removed with this value: the configuration and what the program writes.
    _directory: TempDir,
}

impl Balancer {
    /// An nginx in front of one server, with all at its defaults: it passes no WebSocket on, speaks HTTP/1.0 to the
    /// server, and collects what it is answered unless it is switched off.
    pub async fn nginx(target: &str) -> Balancer {
        let command = |directory: &Path| documented_command("nginx", directory);
        let configuration = |authority: &str, mark: &str| {
            let temporary = nginx_folders();
            format!(
                "daemon off;\nmaster_process off;\npid nginx.pid;\n\
                 events {{ worker_connections 512; }}\n\
                 http {{\naccess_log off;\n{temporary}\
                 server {{\nlisten {authority};\n\
                 location = {mark} {{ return 204; }}\n\
                 location / {{ proxy_pass http://{target}; }}\n}}\n}}\n"
            )
        };
        Balancer::start(command, configuration).await
    }

    /// An nginx in front of one server that passes WebSockets on under one path alone, and cuts those over which nothing
    /// passes for so many seconds.
    pub async fn nginx_with(target: &str, path: &str, seconds: u32) -> Balancer {
        let command = |directory: &Path| documented_command("nginx", directory);
        let configuration = |authority: &str, mark: &str| {
            let temporary = nginx_folders();
            format!(
                "daemon off;\nmaster_process off;\npid nginx.pid;\n\
                 events {{ worker_connections 512; }}\n\
                 http {{\naccess_log off;\n{temporary}\
                 server {{\nlisten {authority};\n\
                 location = {mark} {{ return 204; }}\n\
                 location / {{ return 404; }}\n\
                 location {path} {{\nproxy_pass http://{target};\nproxy_http_version 1.1;\n\
                 proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection \"upgrade\";\n\
                 proxy_read_timeout {seconds}s;\n}}\n}}\n}}\n"
            )
        };
        Balancer::start(command, configuration).await
    }

    /// An HAProxy in front of several nodes. It knows which of them has a session as README.md describes.
    pub async fn haproxy(targets: &[String]) -> Balancer {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        let readme = std::fs::read_to_string(readme).expect("the project has a README");
        let (_, documented) = readme.split_once("```haproxy\n").expect("it has a snippet");
        let (documented, _) = documented.split_once("```").expect("the snippet ends");
        let (of_frontend, backends) = documented
            .split_once("\n\n")
            .expect("lines for the frontend, and backends");
        let servers: String = targets
            .iter()
            .enumerate()
            .map(|(number, target)| format!("    server node-{number} {target}\n"))
            .collect();
        let backends = backends.replace("    # and the same servers as relays has\n", &servers);
        let command = |directory: &Path| documented_command("haproxy", directory);
        let configuration = |authority: &str, mark: &str| {
            format!(
                "defaults\n    mode http\n    timeout connect 5s\n    timeout client 80s\n    \
                 timeout server 40s\n    timeout tunnel 120s\n\
                 frontend public\n    bind {authority}\n    \
                 http-request return status 204 if {{ path {mark} }}\n{of_frontend}\n    \
                 default_backend relays\n\
                 backend relays\n    balance roundrobin\n{servers}\
                 {backends}\n"
            )
        };
        Balancer::start(command, configuration).await
    }

    /// A proxy in front of one server, by the piece of docs/proxies.md that begins with this language. Of the
    /// language `nginx`, `haproxy`, `caddyfile` or `apache`.
    ///
    /// # Panics
    /// When the page has no such piece.
    pub async fn documented(language: &'static str, target: &str) -> Balancer {
        let piece = documented_piece(language).replace("127.0.0.1:6001", target);
        Balancer::configured(language, &piece).await
    }

    /// A proxy that is configured with a piece like one of docs/proxies.md. That of `nginx-stream` does not
    /// answer at its authority, but at the same port of 127.0.0.2, which takes the place of `127.0.0.1:6000` in the piece.
    pub async fn configured(language: &'static str, piece: &str) -> Balancer {
        let configuration = move |authority: &str, mark: &str| match language {
            "nginx-stream" => format!(
                "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\n\
                 daemon off;\nmaster_process off;\npid nginx.pid;\n\
                 events {{ worker_connections 512; }}\n\
                 http {{\naccess_log off;\n{}\
                 server {{\nlisten {authority};\nlocation = {mark} {{ return 204; }}\n}}\n}}\n{}",
                nginx_folders(),
                piece.replace(
                    "127.0.0.1:6000",
                    &authority.replace("127.0.0.1", "127.0.0.2")
                )
            ),
            "nginx" => format!(
                "daemon off;\nmaster_process off;\npid nginx.pid;\n\
                 events {{ worker_connections 512; }}\n\
                 http {{\naccess_log off;\n{}\
                 server {{\nlisten {authority};\nlocation = {mark} {{ return 204; }}\n{piece}}}\n}}\n",
                nginx_folders()
            ),
            "haproxy" => format!(
                "defaults\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n\
                 frontend public\n    mode http\n    bind {authority}\n    \
                 http-request return status 204 if {{ path {mark} }}\n    \
                 default_backend fanfare\n{piece}"
            ),
            "caddyfile" => format!(
                "{{\nadmin off\nauto_https off\nstorage file_system ./storage\n}}\n\
                 http://{authority} {{\nrespond {mark} 204\n{piece}}}\n"
            ),
            "apache" => format!(
                "ServerRoot /usr/lib/apache2\nServerName localhost\nListen {authority}\n\
                 PidFile ${{RUN}}/apache.pid\nErrorLog /dev/stderr\nDefaultRuntimeDir ${{RUN}}\n\
                 User nobody\nGroup nogroup\n{}\
                 RewriteEngine On\nRewriteRule ^{mark}$ - [R=204,L]\nProxyPass {mark} !\n{piece}",
                apache_modules()
            ),
            other => panic!("no proxy is configured in {other}"),
        };
        Balancer::start(
            |directory| documented_command(language, directory),
            configuration,
        )
        .await
    }

    /// Starts a program on a free port. It answers requests for a mark of its own: whoever else has the port does not.
    async fn start(
        command: impl Fn(&Path) -> Command,
        configuration: impl Fn(&str, &str) -> String,
    ) -> Balancer {
        const ATTEMPTS: usize = 20;
        let mark = format!("/{}", unique("mark-"));
        for _ in 0..ATTEMPTS {
            let directory = tempfile::tempdir().expect("the temporary directory is writable");
            let authority = format!("127.0.0.1:{}", ports::candidate());
            let text = configuration(&authority, &mark);
            std::fs::write(directory.path().join(CONFIGURATION), &text)
                .expect("the temporary directory is writable");
            let mut command = command(directory.path());
            let child = ended_with_its_test(&mut command).spawn();
            let child = child.unwrap_or_else(|error| {
                panic!("cannot start {command:?}: {error}: run `make setup` first")
            });
            let mut balancer = Balancer {
                authority,
                child,
                _directory: directory,
            };
            if balancer.answers(&mark).await {
                return balancer;
            }
        }
        panic!(
            "the proxy does not start with this:\n{}",
            configuration("127.0.0.1:…", &mark)
        );
    }

    /// `127.0.0.1:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Waits until it answers; false: it has ended instead.
    async fn answers(&mut self, mark: &str) -> bool {
        let endpoint = Endpoint {
            authority: self.authority.clone(),
            prefix: String::new(),
        };
        let request = Request::new("GET", mark);
        let (child, endpoint, request) = (&mut self.child, &endpoint, &request);
        eventually("the proxy to start", || {
            let ended = child.try_wait();
            let has_ended = ended.expect("the child is ours to wait for").is_some();
            async move {
                if has_ended {
                    return Some(false);
                }
                TcpStream::connect(&endpoint.authority).await.ok()?;
                let answer = HttpClient::new(endpoint.clone()).send(request).await;
                (answer.status == 204).then_some(true)
            }
        })
        .await
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// The piece of docs/proxies.md that begins with this language.
///
/// # Panics
/// When the page has no such piece.
pub fn documented_piece(language: &str) -> String {
    piece_of("docs/proxies.md", language)
}

/// The first piece of a page of the project that begins with this language.
///
/// # Panics
/// When the page has no such piece.
pub fn piece_of(page: &str, language: &str) -> String {
    let page = documented_page(page);
    let fence = format!("```{language}\n");
    let (_, piece) = page
        .split_once(&fence)
        .expect("it has a piece of this language");
    let (piece, _) = piece.split_once("```").expect("the piece ends");
    piece.to_owned()
}

/// The first piece of docs/proxies.md that stands within a sentence and is one of those.
///
/// # Panics
/// When the page has no such piece.
pub fn documented_words(is_one: impl Fn(&str) -> bool) -> String {
    let page = documented_page("docs/proxies.md");
    let mut pieces = page
        .lines()
        .flat_map(|line| line.split('`').skip(1).step_by(2));
    let piece = pieces.find(|piece| is_one(piece));
    piece.expect("there are such words").to_owned()
}

fn documented_page(page: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    std::fs::read_to_string(page).expect("the project documents proxies")
}

const CONFIGURATION: &str = "proxy.conf";

/// How the proxy is started that reads a configuration in this language.
fn documented_command(language: &str, directory: &Path) -> Command {
    let configuration = directory.join(CONFIGURATION);
    match language {
        "nginx" | "nginx-stream" => {
            let mut command = Command::new(program("nginx"));
            command.arg("-p").arg(directory);
            command.args(["-e", "stderr", "-c"]).arg(configuration);
            command
        }
        "haproxy" => {
            let mut command = Command::new(program("haproxy"));
            command.args(["-db", "-f"]).arg(configuration);
            command
        }
        "caddyfile" => {
            let mut command = Command::new("caddy");
            command.args(["run", "--adapter", "caddyfile", "--config"]);
            command.arg(configuration).env("HOME", directory);
            command.current_dir(directory).stderr(Stdio::null());
            command
        }
        "apache" => {
            let mut command = Command::new(program("apache2"));
            command.arg("-X").arg("-f").arg(configuration);
            command.env("RUN", directory).stderr(Stdio::null());
            command
        }
        other => panic!("no proxy is configured in {other}"),
    }
}

/// Where nginx may write.
fn nginx_folders() -> String {
    ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {name};\n"))
        .concat()
}

/// The modules that Apache loads, as Debian has them.
fn apache_modules() -> String {
    [
        "mpm_event",
        "authz_core",
        "headers",
        "proxy",
        "proxy_http",
        "rewrite",
    ]
    .map(|name| format!("LoadModule {name}_module modules/mod_{name}.so\n"))
    .concat()
}

/// Debian has servers where only root looks for programs.
fn program(name: &str) -> PathBuf {
    let path = Path::new("/usr/sbin").join(name);
    if path.exists() { path } else { name.into() }
}

/// A test run that is itself killed runs no destructors: the kernel then ends the program with its test.
fn ended_with_its_test(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            },
        )
    }
}
