//! What answers over HTTP, and whether it lets WebSockets through.

use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::super::finding::{Finding, shown};
use super::super::http::Answer;

/// Seconds that clocks may differ before it is said; the header has no parts of seconds.
const NOTICEABLE: u64 = 10;

/// What kind of server stands in front, as far as it names itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proxy {
    Nginx,
    Apache,
    Caddy,
    Unknown,
}

impl Proxy {
    fn of(answer: &Answer) -> Self {
        let server = answer.header("server").unwrap_or_default().to_lowercase();
        match () {
            () if server.contains("nginx") || server.contains("openresty") => Self::Nginx,
            () if server.contains("apache") => Self::Apache,
            () if server.contains("caddy") => Self::Caddy,
            () => Self::Unknown,
        }
    }

    /// What lets WebSockets through.
    fn upgrade(self) -> &'static str {
        match self {
            Self::Nginx => {
                "nginx, in the location of the relay: proxy_http_version 1.1;\n\
                 proxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection \"upgrade\";"
            }
            Self::Apache => {
                "Apache: a2enmod proxy_http, and\n\
                 ProxyPass / http://127.0.0.1:6001/ upgrade=websocket"
            }
            Self::Caddy => {
                "Caddy: reverse_proxy 127.0.0.1:6001 passes WebSockets by itself; look for header_up lines that \
                 take Connection or Upgrade away"
            }
            Self::Unknown => {
                "have every proxy on the way pass the headers Upgrade and Connection, over HTTP/1.1; docs/proxies.md \
                 has what to write for nginx, HAProxy, Caddy and Apache"
            }
        }
    }
}

/// Whether a relay answers at `/up`.
pub(in crate::doctor) fn up(url: &str, answer: &Answer, elsewhere: Option<&str>) -> Finding {
    const ID: &str = "http";
    let (status, words) = (answer.status, answer.words());
    if is_relay(answer) {
        let took = answer.took.as_millis();
        return Finding::ok(ID, format!("a relay answers at {url} after {took} ms"));
    }
    if let Some(elsewhere) = elsewhere {
        return Finding::error(
            "path_prefix",
            format!("nothing of a relay is at {url} (status {status}); it is at {elsewhere}"),
            format!(
                "give clients the path, too: {elsewhere} (wsPath of pusher-js, `path` of the server libraries)"
            ),
        );
    }
    let location = answer.header("location").map(shown);
    match (status, location) {
        (301 | 302 | 307 | 308, Some(location)) => Finding::error(
            ID,
            format!("{url} sends elsewhere: to {location}"),
            "clients do not follow redirects of WebSockets: give them that address and scheme",
        ),
        (502..=504, _) => Finding::error(
            ID,
            format!("a proxy answers at {url} with {status}: it does not reach the relay"),
            "start the relay, and see that the proxy has its address and port",
        ),
        _ => Finding::error(
            ID,
            format!("{url} answers with {status}, and not as a relay does: {words}"),
            "is this the host, the port and the path prefix of the relay? Another site of the same server may answer instead",
        ),
    }
}

/// Nobody answers over HTTP.
pub(in crate::doctor) fn silent(url: &str, reason: &str) -> Finding {
    let text = format!("{url} does not answer: {}", shown(reason));
    let remedy = "see whether what listens there speaks HTTP, with or without TLS as the URL says";
    Finding::error("http", text, remedy)
}

/// A relay is there, and something else answers at `/up`.
pub(in crate::doctor) fn not_passed_on(url: &str, answer: &Answer) -> Finding {
    let status = answer.status;
    Finding::warn(
        "http",
        format!(
            "{url} answers with {status}, and not as the relay does that is there: /up is not passed on to it"
        ),
        "that may stay so where another site has /up, as those of Laravel have; who looks after the relay's health then asks it at \
         its own port (fanfare health). Otherwise have the proxy pass /up on, too",
    )
}

/// Whether an answer to `/up` is a relay's. (Reverb's is the same.)
pub(in crate::doctor) fn is_relay(answer: &Answer) -> bool {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    answer.status == 200 && body["health"] == "OK"
}

/// What the relay says of its version, held against ours.
pub(in crate::doctor) fn version(answer: &Answer) -> Finding {
    const ID: &str = "version";
    let own = env!("CARGO_PKG_VERSION");
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    match (body["app"].as_str(), body["version"].as_str()) {
        (Some("Fanfare"), Some(theirs)) if theirs == own => {
            Finding::ok(ID, format!("the relay is Fanfare {own}, as this doctor is"))
        }
        (Some("Fanfare"), Some(theirs)) => Finding::warn(
            ID,
            format!("the relay is Fanfare {}, this doctor {own}", shown(theirs)),
            "start the relay again with the program that was installed, or ask with that of the relay",
        ),
        _ => Finding::warn(
            ID,
            "what answers does not name itself as Fanfare",
            "another relay, or a proxy that answers / itself; then this cannot be seen from here",
        ),
    }
}

/// How far the server's clock is from ours.
pub(in crate::doctor) fn clock(
    answer: &Answer,
    now: SystemTime,
    window: Duration,
) -> Option<Finding> {
    const ID: &str = "clock";
    let theirs = httpdate::parse_http_date(answer.header("date")?).ok()?;
    let difference = match theirs.duration_since(now) {
        Ok(ahead) => ahead,
        Err(behind) => behind.duration(),
    };
    let seconds = difference.as_secs();
    let side = if theirs > now { "ahead of" } else { "behind" };
    let text = format!("the server's clock is {seconds} s {side} the one of this machine");
    let remedy = format!(
        "set both by NTP: signatures of requests hold for {} s, and are refused after that",
        window.as_secs()
    );
    Some(match seconds {
        _ if difference >= window => Finding::error(ID, text, remedy),
        NOTICEABLE.. => Finding::warn(ID, text, remedy),
        _ => Finding::ok(ID, "the server's clock and that of this machine agree"),
    })
}

/// Why there was no WebSocket, while a relay answers over HTTP.
pub(in crate::doctor) fn no_upgrade(answer: &Answer) -> Finding {
    const ID: &str = "upgrade";
    let words = answer.words();
    let text = format!(
        "a WebSocket is asked for and the answer is {}: {words}",
        answer.status
    );
    match answer.status {
        421 => Finding::error(
            ID,
            text,
            "this node takes publishes only (server.role = \"api\"): clients need the address of another one",
        ),
        503 => Finding::error(
            ID,
            text,
            "the relay is not ready or is stopping: /ready says why",
        ),
        502 | 504 => Finding::error(
            ID,
            text,
            "the proxy does not reach the relay for WebSockets: compare its two addresses",
        ),
        _ => Finding::error(ID, text, Proxy::of(answer).upgrade()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Level;
    use super::*;

    #[test]
    fn a_relay_is_known_by_its_answer() {
        let relay = Answer::made(200, &[], r#"{"health":"OK"}"#);
        assert_eq!(up("u", &relay, None).level, Level::Ok);
        let other = Answer::made(200, &[], "<html>");
        assert_eq!(
            (up("u", &other, None).id, up("u", &other, None).level),
            ("http", Level::Error)
        );
        assert_eq!(up("u", &other, Some("v")).id, "path_prefix");
        assert_eq!(not_passed_on("u", &other).level, Level::Warn);
        let moved = Answer::made(301, &[("location", "https://a\u{1b}[2J")], "");
        let finding = up("u", &moved, None);
        assert!(finding.text.contains("https://a") && !finding.text.contains('\u{1b}'));
        assert!(
            up("u", &Answer::made(502, &[], ""), None)
                .text
                .contains("does not reach")
        );
    }

    #[test]
    fn versions_are_held_against_each_other() {
        let named = |version: &str| {
            let body = format!(r#"{{"app":"Fanfare","version":"{version}"}}"#);
            version_level(&body)
        };
        fn version_level(body: &str) -> Level {
            version(&Answer::made(200, &[], body)).level
        }
        assert_eq!(named(env!("CARGO_PKG_VERSION")), Level::Ok);
        assert_eq!(named("0.0.1"), Level::Warn);
        assert_eq!(version_level("<html>"), Level::Warn);
    }

    #[test]
    fn clocks_may_differ_by_a_little() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let level = |seconds: i64| {
            let theirs = now.checked_add(Duration::from_secs(seconds.unsigned_abs()));
            let theirs = match seconds {
                0.. => theirs.unwrap(),
                _ => now - Duration::from_secs(seconds.unsigned_abs()),
            };
            let date = httpdate::fmt_http_date(theirs);
            let answer = Answer::made(200, &[("date", &date)], "");
            clock(&answer, now, Duration::from_secs(600)).unwrap().level
        };
        assert_eq!([level(0), level(-3), level(9)], [Level::Ok; 3]);
        assert_eq!([level(30), level(-599)], [Level::Warn; 2]);
        assert_eq!([level(600), level(-7200)], [Level::Error; 2]);
        assert_eq!(clock(&Answer::default(), now, Duration::ZERO), None);
    }

    #[test]
    fn each_proxy_has_its_remedy() {
        for (server, remedy) in [
            ("nginx/1.22.1", "proxy_set_header Upgrade"),
            ("Apache/2.4", "upgrade=websocket"),
            ("Caddy", "reverse_proxy"),
            ("x", "docs/proxies.md"),
        ] {
            let finding = no_upgrade(&Answer::made(400, &[("server", server)], ""));
            assert!(finding.remedy.unwrap().contains(remedy), "{server}");
        }
    }
}
