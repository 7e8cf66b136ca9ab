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
    /// The relay, http:// or https:// [default: where the configuration listens].
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
    let Url {
        origin,
        prefix,
        trust,
    } = match &args.url {
        Some(url) => Url::parse(url)?,
        None => Url::of(&config::load(&args.files.sources())?.config)?,
    };
    let path = if args.ready { "/ready" } else { "/up" };
    let url = format!("{origin}{prefix}{path}");
    let agent = client::agent(TIMEOUT, trust)?;
    ask(&agent, &url).map_err(Failure::other)?;
    print(&format!("{url} answered 200 OK\n"))
}

fn ask(agent: &Agent, url: &str) -> Result<(), Unwell> {
    let unreachable = |error| Unwell::Unreachable {
        url: url.to_owned(),
        reason: client::reason(error),
    };
    let mut answer = agent.get(url).call().map_err(unreachable)?;
    let status = answer.status();
    if status.as_u16() == 200 {
        return Ok(());
    }
    let body = answer
        .body_mut()
        .with_config()
        .limit(MAX_ANSWER)
        .lossy_utf8(true)
        .read_to_string()
        .map_err(unreachable)?;
    Err(Unwell::Refused {
        url: url.to_owned(),
        status: status.to_string(),
        body: body.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
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
        let agent = client::agent(Duration::from_secs(30), Trust::System).unwrap();
        let result = ask(&agent, &format!("http://{address}/up"));
        let without_port = |error: Unwell| error.to_string().replace(&address.to_string(), "relay");
        (result.map_err(without_port), server.join().unwrap())
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
        let url = format!("http://{}/up", silent.local_addr().unwrap());
        let agent = client::agent(Duration::from_millis(50), Trust::OwnListener).unwrap();
        let error = ask(&agent, &url).unwrap_err();
        assert!(matches!(error, Unwell::Unreachable { .. }), "{error}");
        let error = ask(&agent, &url.replace("http:", "https:")).unwrap_err();
        assert!(matches!(error, Unwell::Unreachable { .. }), "{error}");
    }
}
