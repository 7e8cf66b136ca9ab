//! Who may ask for what.
//!
//! Where there are tokens, every request but those for the page shows one, and whoever shows a wrong one too often is not listened
//! to for a while, whatever they show then: otherwise guessing would go on at full speed, and only its failures be slow.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::header::{AUTHORIZATION, HeaderMap, SEC_WEBSOCKET_PROTOCOL};
use parking_lot::Mutex;
use serde_json::Value;

use super::keyring::Keyring;
use super::refusal::Refusal;
use super::tickets::{HOLDS_FOR, Tickets};
use super::tokens::{Role, Token};
use super::who::Who;
use crate::clients::Rates;
use crate::metrics::Gauge;
use crate::net::rate::Rate;
use crate::throttle::Throttle;

/// Wrong tokens that one address may show at once, and then one a second.
const WRONG_AT_ONCE: u32 = 10;

/// What stands before a ticket among the protocols that a WebSocket offers.
const TICKET: &str = "ticket.";

/// What a route asks of whoever comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing: what is there is no secret.
    Nothing,
    /// A token of any role, unless metrics are open.
    Metrics,
    /// A token of any role.
    Read,
    /// A token of any role, or a ticket.
    Stream,
    /// A token that may change something.
    Write,
}

/// Lets those in who may come in.
#[derive(Debug)]
pub(super) struct Gate {
    keyring: Arc<Keyring>,
    open_metrics: bool,
    wrong: Rates,
    /// Wrong tokens are logged now and then.
    log: Mutex<Throttle>,
    tickets: Tickets,
}

impl Gate {
    /// `guessing` shows how many addresses are known that have shown wrong tokens.
    pub(super) fn new(
        keyring: Arc<Keyring>,
        open_metrics: bool,
        guessing: Gauge,
        now: Instant,
    ) -> Self {
        Self {
            keyring,
            open_metrics,
            wrong: Rates::new(Rate::new(1, WRONG_AT_ONCE), now, guessing),
            log: Mutex::default(),
            tickets: Tickets::default(),
        }
    }

    /// Whether a token has to be shown at all.
    pub(super) fn is_locked(&self) -> bool {
        !self.keyring.tokens().is_empty()
    }

    /// Waits until somebody who was let in would not be let in any more.
    pub(super) fn withdrawn(&self, who: &Who) -> impl Future<Output = ()> + use<> {
        self.keyring.withdrawn(who)
    }

    /// Names and roles of the tokens that hold.
    pub(super) fn shown(&self) -> Value {
        let tokens = self.keyring.tokens();
        let tokens = tokens.iter().map(Token::shown);
        tokens.collect()
    }

    /// Who it is that asks, if they may.
    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        address: Option<IpAddr>,
        needs: Needs,
        now: Instant,
    ) -> Result<Who, Refusal> {
        let somebody = Who {
            token: None,
            role: Role::Write,
            address,
        };
        let is_open = match needs {
            Needs::Nothing => true,
            Needs::Metrics => self.open_metrics,
            Needs::Read | Needs::Stream | Needs::Write => false,
        };
        if is_open || !self.is_locked() {
            return Ok(somebody);
        }
        let ticket = (needs == Needs::Stream).then(|| ticket_in(headers));
        let shown = bearer_in(headers);
        let ticket = ticket.flatten();
        if shown.is_none() && ticket.is_none() {
            return Err(Refusal::MissingToken);
        }
        // Those who come by a Unix socket are one.
        let paced = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        if let Err(empty) = self.wrong.look(paced, now) {
            return Err(Refusal::Paced(empty.wait));
        }
        let found = match (shown, ticket) {
            (Some(shown), _) => self.keyring.tokens().find(shown).map(|token| Who {
                token: Some(token.clone()),
                role: token.role(),
                address,
            }),
            (None, Some(ticket)) => {
                let who = self.tickets.take(ticket, now);
                who.filter(|who| self.keyring.lets_in(who))
            }
            (None, None) => None,
        };
        let Some(who) = found else {
            // Looked at above: there is one left.
            let _ = self.wrong.take(paced, now);
            self.log_wrong(address, now);
            return Err(Refusal::WrongToken);
        };
        if needs == Needs::Write && who.role < Role::Write {
            return Err(Refusal::ReadOnlyToken);
        }
        Ok(who)
    }

    /// Makes a ticket, and says how long it holds.
    pub(super) fn ticket_for(&self, who: &Who, now: Instant) -> (String, Duration) {
        (self.tickets.make(who.clone(), now), HOLDS_FOR)
    }

    fn log_wrong(&self, address: Option<IpAddr>, now: Instant) {
        if self.log.lock().lets_through(now) {
            let address = address.map(tracing::field::display);
            tracing::warn!(
                address,
                "somebody showed the admin listener a wrong token (fanfare_admin_refused_total counts them)"
            );
        }
    }
}

/// The token of an `Authorization: Bearer`.
fn bearer_in(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_matches(' '))
}

/// The ticket among the protocols that a WebSocket offers.
fn ticket_in(headers: &HeaderMap) -> Option<&str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL);
    let texts = values.filter_map(|value| value.to_str().ok());
    texts
        .flat_map(|text| text.split(','))
        .find_map(|protocol| protocol.trim().strip_prefix(TICKET))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::super::tokens::Tokens;
    use super::*;

    const READ: &str = "read-read-read-read";
    const WRITE: &str = "write-write-write-write";

    fn keyring(tokens: Vec<Token>) -> Arc<Keyring> {
        Arc::new(Keyring::new(Tokens::from(tokens)))
    }

    fn gate() -> Gate {
        let tokens = vec![
            Token::new(Role::Read, "reader", READ).unwrap(),
            Token::new(Role::Write, "writer", WRITE).unwrap(),
        ];
        Gate::new(keyring(tokens), false, Gauge::default(), Instant::now())
    }

    fn bearer(token: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        headers.insert(AUTHORIZATION, value);
        headers
    }

    fn address(last: u8) -> Option<IpAddr> {
        Some([10, 0, 0, last].into())
    }

    #[test]
    fn each_role_may_do_what_it_is_for() {
        let (gate, now) = (gate(), Instant::now());
        let admit = |headers: &HeaderMap, needs| gate.admit(headers, address(1), needs, now);
        for needs in [Needs::Metrics, Needs::Read, Needs::Stream, Needs::Write] {
            let refusal = admit(&HeaderMap::new(), needs).unwrap_err();
            assert!(matches!(refusal, Refusal::MissingToken), "{needs:?}");
            let who = admit(&bearer(WRITE), needs).unwrap();
            assert_eq!(who.token_name(), Some("writer"));
            let read = admit(&bearer(READ), needs);
            match needs {
                Needs::Write => assert!(matches!(read, Err(Refusal::ReadOnlyToken))),
                _ => assert_eq!(read.unwrap().role, Role::Read),
            }
        }
        assert!(admit(&HeaderMap::new(), Needs::Nothing).is_ok());
        let wrong = admit(&bearer("wrong"), Needs::Read).unwrap_err();
        assert!(matches!(wrong, Refusal::WrongToken));
    }

    #[test]
    fn whoever_guesses_is_not_listened_to_for_a_while() {
        let (gate, start) = (gate(), Instant::now());
        let try_one =
            |token: &str, last, now| gate.admit(&bearer(token), address(last), Needs::Read, now);
        for _ in 0..WRONG_AT_ONCE {
            let refusal = try_one("wrong", 1, start).unwrap_err();
            assert!(matches!(refusal, Refusal::WrongToken));
        }
        for token in ["wrong", READ] {
            let refusal = try_one(token, 1, start).unwrap_err();
            assert!(matches!(refusal, Refusal::Paced(_)), "{token}");
        }
        assert!(try_one(READ, 2, start).is_ok(), "others are");
        assert!(try_one(READ, 1, start + Duration::from_secs(2)).is_ok());
        let missing = gate.admit(&HeaderMap::new(), address(1), Needs::Read, start);
        assert!(
            matches!(missing, Err(Refusal::MissingToken)),
            "that is no guess"
        );
    }

    #[test]
    fn a_ticket_opens_a_stream_and_nothing_else() {
        let (gate, now) = (gate(), Instant::now());
        let reader = gate
            .admit(&bearer(READ), address(1), Needs::Read, now)
            .unwrap();
        let (ticket, _) = gate.ticket_for(&reader, now);
        let mut headers = HeaderMap::new();
        let offered = format!("fanfare.stream, ticket.{ticket}");
        let offered = HeaderValue::from_str(&offered).unwrap();
        headers.insert(SEC_WEBSOCKET_PROTOCOL, offered);
        for needs in [Needs::Read, Needs::Metrics, Needs::Write] {
            assert!(gate.admit(&headers, address(1), needs, now).is_err());
        }
        let who = gate
            .admit(&headers, address(1), Needs::Stream, now)
            .unwrap();
        assert_eq!(who.token_name(), Some("reader"));
        let again = gate.admit(&headers, address(1), Needs::Stream, now);
        assert!(matches!(again, Err(Refusal::WrongToken)));
    }

    #[test]
    fn without_tokens_everybody_may_do_everything() {
        let gate = Gate::new(keyring(Vec::new()), false, Gauge::default(), Instant::now());
        let who = gate.admit(&HeaderMap::new(), None, Needs::Write, Instant::now());
        assert_eq!(who.unwrap().role, Role::Write);
    }

    #[test]
    fn metrics_can_be_open_by_themselves() {
        let tokens = vec![Token::new(Role::Read, "reader", READ).unwrap()];
        let gate = Gate::new(keyring(tokens), true, Gauge::default(), Instant::now());
        let admit = |needs| gate.admit(&HeaderMap::new(), address(1), needs, Instant::now());
        assert!(admit(Needs::Metrics).is_ok());
        assert!(admit(Needs::Read).is_err() && admit(Needs::Stream).is_err());
    }
}
