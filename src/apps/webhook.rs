//! Where an app's backend is notified.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use url::Url;

/// One webhook of an app: an address, and its events.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Where the events are posted; `http` or `https`.
    pub url: WebhookUrl,
    /// The events that it takes.
    pub events: WebhookEvents,
    /// Whether several events may come in one request.
    pub batch: bool,
    /// Headers that every request carries. Their values may be secrets.
    pub headers: HeaderMap,
    /// The channels whose events it takes.
    pub filter: ChannelFilter,
}

impl Webhook {
    /// Whether it takes this event on this channel.
    pub fn wants(&self, event: WebhookEvent, channel: &str) -> bool {
        self.events.has(event) && self.filter.matches(channel)
    }
}

/// Header values do not print.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Webhook")
            .field("url", &self.url)
            .field("events", &self.events)
            .field("batch", &self.batch)
            .field("headers", &names)
            .field("filter", &self.filter)
            .finish()
    }
}

/// The address of a webhook. It prints without user, path and query, which may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(Url);

/// Why a text is no address of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a URL that begins with https:// or http://, such as https://example.com/webhook")]
pub struct InvalidUrl;

impl WebhookUrl {
    /// Reads an absolute `http` or `https` URL.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let url = Url::parse(text).map_err(|_| InvalidUrl)?;
        let is_http = matches!(url.scheme(), "http" | "https");
        (is_http && url.has_host())
            .then_some(Self(url))
            .ok_or(InvalidUrl)
    }

    /// The URL, with all that may be secret in it.
    pub fn secret(&self) -> &Url {
        &self.0
    }

    /// Its host.
    pub fn host(&self) -> Option<url::Host<&str>> {
        self.0.host()
    }
}

/// Scheme, host and port.
impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a backend can be notified of.
///
/// Source: Pusher Channels, "Webhooks".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookEvent {
    /// A channel has its first subscriber.
    ChannelOccupied,
    /// A channel's last subscriber has left.
    ChannelVacated,
    /// A user's first connection is on a presence channel.
    MemberAdded,
    /// A user's last connection has left a presence channel.
    MemberRemoved,
    /// A client has sent an event.
    ClientEvent,
    /// A subscriber found a cache channel without an event.
    CacheMiss,
    /// A channel's number of subscribers has changed.
    SubscriptionCount,
}

impl WebhookEvent {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ChannelOccupied,
        Self::ChannelVacated,
        Self::MemberAdded,
        Self::MemberRemoved,
        Self::ClientEvent,
        Self::CacheMiss,
        Self::SubscriptionCount,
    ];

    /// Its name in the configuration and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChannelOccupied => "channel_occupied",
            Self::ChannelVacated => "channel_vacated",
            Self::MemberAdded => "member_added",
            Self::MemberRemoved => "member_removed",
            Self::ClientEvent => "client_event",
            Self::CacheMiss => "cache_miss",
            Self::SubscriptionCount => "subscription_count",
        }
    }

    /// The event of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of events.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct WebhookEvents(u8);

impl WebhookEvents {
    /// Whether the event is one of the set.
    pub fn has(self, event: WebhookEvent) -> bool {
        self.0 & event.bit() != 0
    }

    /// The names of its events.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let own = WebhookEvent::ALL.into_iter();
        own.filter(move |event| self.has(*event))
            .map(WebhookEvent::name)
    }
}

impl FromIterator<WebhookEvent> for WebhookEvents {
    fn from_iter<I: IntoIterator<Item = WebhookEvent>>(events: I) -> Self {
        Self(events.into_iter().fold(0, |set, event| set | event.bit()))
    }
}

impl fmt::Debug for WebhookEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Channels by how their names begin and end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelFilter {
    /// How the name must begin; any, if empty.
    pub prefix: Box<str>,
    /// How the name must end; any, if empty.
    pub suffix: Box<str>,
}

impl ChannelFilter {
    /// Whether the channel is one of them.
    pub fn matches(&self, channel: &str) -> bool {
        channel.starts_with(&*self.prefix) && channel.ends_with(&*self.suffix)
    }
}

/// What a webhook's own headers may not be: they belong to the transport, or carry what the relay
/// has to set itself.
fn is_reserved_header(name: &HeaderName) -> bool {
    const OF_THE_TRANSPORT: [HeaderName; 8] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::EXPECT,
        header::HOST,
        header::TE,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
    ];
    let of_the_relay = ["x-pusher-", "x-fanfare-"];
    OF_THE_TRANSPORT.contains(name)
        || of_the_relay
            .iter()
            .any(|prefix| name.as_str().starts_with(prefix))
}

/// A header as it stands in a configuration; None if it is none, or a reserved one.
pub fn parse_header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    let mut value = HeaderValue::from_str(value).ok()?;
    value.set_sensitive(true);
    (!is_reserved_header(&name)).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_absolute_and_spoken_over_http() {
        for good in [
            "https://example.com",
            "http://127.0.0.1:8000/hook?x=1",
            "HTTPS://user:pass@[::1]/",
        ] {
            assert!(WebhookUrl::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "example.com/hook",
            "/hook",
            "ftp://example.com",
            "https://",
            "file:///etc/passwd",
        ] {
            assert_eq!(WebhookUrl::parse(bad), Err(InvalidUrl), "{bad}");
        }
    }

    #[test]
    fn what_may_be_secret_does_not_print() {
        let (name, value) = parse_header("X-Token", "s3cr3t").unwrap();
        let webhook = Webhook {
            url: WebhookUrl::parse("https://me:s3cr3t@example.com:444/s3cr3t?t=s3cr3t").unwrap(),
            events: WebhookEvent::ALL.into_iter().collect(),
            batch: false,
            headers: [(name, value)].into_iter().collect(),
            filter: ChannelFilter::default(),
        };
        let shown = format!("{webhook:?} {}", webhook.url);
        assert!(!shown.contains("s3cr3t"), "{shown}");
        assert!(shown.ends_with(" https://example.com:444"), "{shown}");
    }

    #[test]
    fn events_are_known_by_their_names() {
        for event in WebhookEvent::ALL {
            assert_eq!(WebhookEvent::of_name(event.name()), Some(event));
            let only: WebhookEvents = [event].into_iter().collect();
            let others = WebhookEvent::ALL
                .into_iter()
                .filter(|other| only.has(*other));
            assert_eq!(others.collect::<Vec<_>>(), [event]);
        }
        assert_eq!(WebhookEvent::of_name("channel_occupied "), None);
    }

    #[test]
    fn a_filter_looks_at_both_ends_of_a_name() {
        let filter = |prefix: &str, suffix: &str| ChannelFilter {
            prefix: prefix.into(),
            suffix: suffix.into(),
        };
        assert!(filter("", "").matches("anything"));
        assert!(filter("presence-", "").matches("presence-a"));
        assert!(!filter("presence-", "").matches("private-a"));
        assert!(filter("private-", ".log").matches("private-a.log"));
        assert!(!filter("private-", ".log").matches("private-a"));
    }

    #[test]
    fn headers_of_the_transport_and_of_the_relay_are_reserved() {
        for reserved in [
            "Host",
            "content-length",
            "X-Pusher-Key",
            "x-fanfare-event-id",
        ] {
            assert!(parse_header(reserved, "x").is_none(), "{reserved}");
        }
        for bad in ["", "a b", "a\n", "ä"] {
            assert!(parse_header(bad, "x").is_none(), "{bad:?}");
        }
        assert!(parse_header("X-Env", "a\r\nb").is_none());
        assert!(parse_header("Authorization", "Bearer x").is_some());
    }
}
