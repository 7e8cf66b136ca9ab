//! `fanfare health`: whether a relay answers, for supervisors that have no other client.

use std::time::Duration;

use ureq::Agent;

use super::serve::Files;
use super::url::Url;
use super::{Failure, client, print};
use crate::config;

/// How long an answer may take. Less than the patience of whoever runs the command.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of an answer that are shown.
const MAX_ANSWER: u64 = 4096;

/// Ask whether a relay is up. The exit code is 0 if it is, and 1 if it is not.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct HealthArgs {
    /// The relay: http://, https:// or unix:/path [default: where the configuration listens].
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Ask whether it takes new connections (/ready), not only whether it answers (/up).
    #[arg(long)]
    ready: bool,

    #[command(flatten)]
    files: Files,
}

/// Why a relay does not count as healthy.
#[derive(Debug, thiserror::Error)]
enum Unwell {
    /// There was no answer in time.
    #[error("{url}: {reason}; is the relay running there?")]
    Unreachable { url: String, reason: String },
    /// It reports itself that it is not.
    #[error("{url} answered {status}: {body}")]
    Refused {
        url: String,
        status: String,
        body: String,
    },
}

/// Asks once.
pub(super) fn run(args: &HealthArgs) -> Result<(), Failure> {
    let url = match &args.url {
        Some(url) => Url::parse(url)?,
        None => Url::of(&config::load(&args.files.sources())?.config)?,
    };
    let path = if args.ready { "/ready" } else { "/up" };
    let agent = client::agent(TIMEOUT, &url)?;
    let place = ask(&agent, &url, path).map_err(Failure::other)?;
    print(&format!("{place} answered 200 OK\n"))
}

/// Returns what answered, for people.
fn ask(agent: &Agent, url: &Url, path: &str) -> Result<String, Unwell> {
    let path = format!("{}{path}", url.prefix);
    let place = match &url.socket {
        Some(_) => format!("{} ({path})", url.place()),
        None => format!("{}{path}", url.origin),
    };
    let unreachable = |error| Unwell::Unreachable {
        url: place.clone(),
        reason: client::reason(error),
    };
    let request = agent.get(format!("{}{path}", url.origin));
    let mut answer = request.call().map_err(unreachable)?;
    let status = answer.status();
    if status.as_u16() == 200 {
        return Ok(place);
    }
    let body = answer
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER)
        .lossy_utf8(true)
        .read_to_string()
        .map_err(unreachable)?;
    Err(Unwell::Refused {
        url: place,
        status: status.to_string(),
        body: body.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::super::secure::Trust;
    use super::*;

    /// Asks a server that gives one answer; returns the result and the first line of the request.
    fn exchange(answer: &'static str) -> (Result<(), String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let line = lines.next().unwrap().unwrap();
            while !lines.next().unwrap().unwrap().is_empty() {}
            stream.write_all(answer.as_bytes()).unwrap();
            line
        });
        let url = Url::parse(&format!("http://{address}")).unwrap();
        let agent = client::agent(Duration::from_secs(30), &url).unwrap();
        let result = ask(&agent, &url, "/up");
        let without_port = |error: Unwell| error.to_string().replace(&address.to_string(), "relay");
        let result = result.map(drop).map_err(without_port);
        (result, server.join().unwrap())
    }

    #[test]
    fn what_answers_with_200_is_well() {
        let (result, request) =
            exchange("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
        assert_eq!(result, Ok(()));
        assert_eq!(request, "GET /up HTTP/1.1");
    }

    #[test]
    fn what_answers_anything_else_is_not_and_the_reason_is_shown() {
        let (result, _) = exchange(
            "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\nConnection: close\r\n\r\nbusy\n",
        );
        assert_eq!(
            result,
            Err("http://relay/up answered 503 Service Unavailable: busy".into())
        );
        let (result, _) = exchange(
            "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
        assert_eq!(result, Err("http://relay/up answered 302 Found: ".into()));
    }

    #[test]
    fn what_does_not_answer_in_time_is_not() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.sock");
        let _silent = UnixListener::bind(&path).unwrap();
        for url in [
            format!("http://{address}"),
            format!("https://{address}"),
            format!("unix:{}", path.display()),
        ] {
            let mut url = Url::parse(&url).unwrap();
            url.trust = Trust::OwnListener;
            let agent = client::agent(Duration::from_millis(50), &url).unwrap();
            let error = ask(&agent, &url, "/up").unwrap_err();
            assert!(matches!(error, Unwell::Unreachable { .. }), "{error}");
        }
    }
}
