//! How long a silent connection lasts.

use std::time::Duration;

use super::super::finding::{Finding, shown};
use super::codes;

const ID: &str = "idle";

/// What became of a connection over which nothing was sent but answers to pings.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::doctor) enum Watched {
    /// It was still there at the end.
    Lasted,
    /// It ended without a goodbye, so long after something last went over it.
    Cut { silent_for: Duration },
    /// It was closed in good order.
    Closed {
        code: u16,
        words: String,
        /// Whether it was subscribed to a channel of those that authorise a connection.
        authorised: bool,
    },
}

/// With what the relay closes connections that are not authorised in time.
const UNAUTHORISED: u16 = 4009;

pub(in crate::doctor) fn judge(watched: &Watched, after: Duration) -> Finding {
    let seconds = after.as_secs_f64();
    match watched {
        Watched::Lasted => Finding::ok(
            ID,
            format!("a silent connection is still there after {seconds:.0} s"),
        ),
        Watched::Cut { silent_for } => {
            let silence = silent_for.as_secs_f64();
            Finding::error(
                ID,
                format!(
                    "a silent connection is cut {seconds:.1} s after it was opened, {silence:.1} s after anything went over it"
                ),
                "let the proxy wait for longer than server.activity_timeout, after which the relay and its clients ask each other (60 s will do): proxy_read_timeout of nginx, `timeout tunnel` of HAProxy, ProxyTimeout of \
                 Apache, the idle timeout of a cloud's load balancer; or have the relay ask its clients more often \
                 (server.activity_timeout)",
            )
        }
        Watched::Closed {
            code: UNAUTHORISED,
            words,
            authorised: false,
        } => Finding::warn(
            ID,
            format!(
                "how long a silent connection lasts is not known: it could not subscribe to a private channel, and the relay closes \
                 those that are not authorised after {seconds:.1} s (authorized_connections_timeout): {}",
                shown(words)
            ),
            "mend what keeps it from private channels first, which is found as `private`",
        ),
        Watched::Closed { code, words, .. } => Finding::error(
            ID,
            format!(
                "a silent connection is closed with {code} after {seconds:.1} s: {}",
                shown(words)
            ),
            codes::remedy(u64::from(*code), words),
        ),
    }
}

/// There was no connection to look at, for a reason that was found.
pub(in crate::doctor) fn not_watched(reason: Finding) -> Finding {
    Finding {
        id: ID,
        text: format!("there is no silent connection to look at: {}", reason.text),
        ..reason
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Level;
    use super::*;

    #[test]
    fn a_cut_is_measured() {
        let after = Duration::from_millis(10_240);
        let cut = Watched::Cut {
            silent_for: Duration::from_secs(10),
        };
        let finding = judge(&cut, after);
        assert!(
            finding.text.contains("10.2 s") && finding.level == Level::Error,
            "{finding:?}"
        );
        assert_eq!(judge(&Watched::Lasted, after).level, Level::Ok);
    }

    #[test]
    fn one_that_is_closed_for_want_of_rights_says_nothing_of_silence() {
        let judged = |code, authorised| {
            let words = "x".into();
            let closed = Watched::Closed {
                code,
                words,
                authorised,
            };
            judge(&closed, Duration::from_secs(5))
        };
        assert_eq!(judged(4009, false).level, Level::Warn);
        assert_eq!(judged(4200, false).level, Level::Error);
        let closed = judged(4009, true);
        assert!(closed.level == Level::Error && closed.text.contains("4009"));
    }
}
