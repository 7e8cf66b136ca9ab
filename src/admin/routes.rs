//! What there is, by method and path: the table that requests are answered by, and that the document of the API is made of.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

use super::gate::Needs;
use super::history::KEPT;
use super::refusal::Refusal;

/// A method that something is served with. HEAD is answered as GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl Method {
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "GET" | "HEAD" => Self::Get,
            "POST" => Self::Post,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Index,
    ConsoleFile,
    Health,
    Metrics,
    Stream,
    Document,
    WhoAmI,
    MakeTicket,
    Apps,
    App,
    CreateApp,
    ChangeApp,
    RemoveApp,
    RotateKeys,
    RemoveKey,
    StoredApps,
    Channels,
    Channel,
    Members,
    Connections,
    Connection,
    CloseConnection,
    CloseUser,
    CloseApp,
    SendEvent,
    Config,
    History,
    Webhooks,
    Nodes,
    Drain,
}

/// A parameter of the query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) about: &'static str,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    /// `true` or `false`; without it, `false`.
    Switch,
    /// A number from 1 up to the most.
    Number {
        default: usize,
        most: usize,
    },
}

/// One thing that there is.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: Method,
    /// With `{name}` for segments that may be anything.
    pub(super) path: &'static str,
    pub(super) needs: Needs,
    pub(super) call: Call,
    pub(super) summary: &'static str,
    pub(super) query: &'static [Parameter],
    /// The schema of the body.
    pub(super) body: Option<&'static str>,
    /// What is answered when all is well: the status, and the schema of what comes with it.
    pub(super) answer: (u16, Option<&'static str>),
    /// What else may be wrong than who asks: statuses.
    pub(super) refusals: &'static [u16],
}

const LIMIT: Parameter = Parameter {
    name: "limit",
    kind: Kind::Number {
        default: 100,
        most: 1000,
    },
    about: "How many at most.",
};

const AFTER: Parameter = Parameter {
    name: "after",
    kind: Kind::Text,
    about: "`next` of the part before.",
};

const PREFIX: Parameter = Parameter {
    name: "prefix",
    kind: Kind::Text,
    about: "Only those whose name begins so.",
};

const LAST: Parameter = Parameter {
    name: "last",
    kind: Kind::Number {
        default: KEPT,
        most: KEPT,
    },
    about: "How many of the newest samples.",
};

const RECONNECT: Parameter = Parameter {
    name: "reconnect",
    kind: Kind::Switch,
    about: "Close with 4200, after which clients connect again at once, in place of 4009, after which they do not.",
};

const SECRETS: Parameter = Parameter {
    name: "secrets",
    kind: Kind::Switch,
    about: "With the secrets of its key pairs, for a token of the role write. Of the configuration's apps the relay \
            keeps none.",
};

const FILTERS: &[Parameter] = &[
    Parameter {
        name: "app",
        kind: Kind::Text,
        about: "Only what concerns the app with this id.",
    },
    Parameter {
        name: "channel",
        kind: Kind::Text,
        about: "Only what concerns channels of this name; `*` stands for anything.",
    },
    Parameter {
        name: "event",
        kind: Kind::Text,
        about: "Only events of this name; `*` stands for anything.",
    },
];

/// One that only looks, at JSON.
const fn look(
    path: &'static str,
    call: Call,
    schema: &'static str,
    summary: &'static str,
) -> Route {
    Route {
        method: Method::Get,
        path,
        needs: Needs::Read,
        call,
        summary,
        query: &[],
        body: None,
        answer: (200, Some(schema)),
        refusals: &[],
    }
}

/// One that changes something.
const fn change(
    method: Method,
    path: &'static str,
    call: Call,
    answer: (u16, Option<&'static str>),
    summary: &'static str,
) -> Route {
    Route {
        method,
        path,
        needs: Needs::Write,
        call,
        summary,
        query: &[],
        body: None,
        answer,
        refusals: &[],
    }
}

/// All that there is.
pub(super) static ROUTES: &[Route] = &[
    Route {
        needs: Needs::Nothing,
        ..look("/", Call::Index, "Page", "The console: a page for people.")
    },
    Route {
        needs: Needs::Nothing,
        refusals: &[404],
        ..look(
            "/console/{file}",
            Call::ConsoleFile,
            "File",
            "What the console is made of.",
        )
    },
    Route {
        needs: Needs::Nothing,
        ..look(
            "/health",
            Call::Health,
            "Health",
            "Whether the listener answers.",
        )
    },
    Route {
        needs: Needs::Metrics,
        ..look(
            "/metrics",
            Call::Metrics,
            "Text",
            "Metrics for Prometheus; with admin.open_metrics without a token.",
        )
    },
    Route {
        needs: Needs::Stream,
        query: FILTERS,
        answer: (101, None),
        refusals: &[400, 426, 503],
        ..look(
            "/stream",
            Call::Stream,
            "Text",
            "A WebSocket of what passes, one JSON object a message. A browser, which can show no token here, \
             offers the protocols `fanfare.stream` and `ticket.TICKET`.",
        )
    },
    look(
        "/api/openapi.json",
        Call::Document,
        "Document",
        "This document.",
    ),
    look(
        "/api/whoami",
        Call::WhoAmI,
        "WhoAmI",
        "Whose token was shown, and what it may do.",
    ),
    Route {
        needs: Needs::Read,
        ..change(
            Method::Post,
            "/api/tickets",
            Call::MakeTicket,
            (201, Some("Ticket")),
            "A ticket that opens one stream, soon.",
        )
    },
    Route {
        query: &[PREFIX, AFTER, LIMIT],
        refusals: &[400],
        ..look(
            "/api/apps",
            Call::Apps,
            "Apps",
            "The apps, ordered by id. A prefix is that of the id.",
        )
    },
    Route {
        query: &[SECRETS],
        refusals: &[400, 404, 409, 503],
        ..look(
            "/api/apps/{app}",
            Call::App,
            "App",
            "An app with its settings; secrets are left out unless they are asked for.",
        )
    },
    Route {
        body: Some("AppSettings"),
        refusals: &[400, 408, 409, 413, 415, 503],
        ..change(
            Method::Post,
            "/api/apps",
            Call::CreateApp,
            (201, Some("StoredApp")),
            "Makes an app in the database. What of its id, key and secret is not given is made, and answered.",
        )
    },
    Route {
        body: Some("AppSettings"),
        refusals: &[400, 404, 408, 409, 413, 415, 503],
        ..change(
            Method::Patch,
            "/api/apps/{app}",
            Call::ChangeApp,
            (200, Some("StoredApp")),
            "Changes those settings of an app that are named (RFC 7396): one that is null goes back to its default. Apps of \
             the configuration are changed there.",
        )
    },
    Route {
        refusals: &[400, 404, 409, 503],
        ..change(
            Method::Delete,
            "/api/apps/{app}",
            Call::RemoveApp,
            (204, None),
            "Removes an app, and closes its connections with 4001.",
        )
    },
    Route {
        refusals: &[400, 404, 409, 503],
        ..change(
            Method::Post,
            "/api/apps/{app}/rotate",
            Call::RotateKeys,
            (200, Some("StoredApp")),
            "Gives an app another key pair. The old one is accepted, among extra_keys, until it is removed.",
        )
    },
    Route {
        refusals: &[400, 404, 409, 503],
        ..change(
            Method::Delete,
            "/api/apps/{app}/keys/{key}",
            Call::RemoveKey,
            (204, None),
            "Accepts a key pair no more that does not sign.",
        )
    },
    Route {
        query: &[AFTER, LIMIT],
        refusals: &[400, 409, 503],
        ..look(
            "/api/apps_database",
            Call::StoredApps,
            "StoredApps",
            "The apps of the database as they are kept, ordered by id, and why some of them are not served. Secrets are \
             left out.",
        )
    },
    Route {
        query: &[PREFIX, AFTER, LIMIT],
        refusals: &[400, 404, 503],
        ..look(
            "/api/apps/{app}/channels",
            Call::Channels,
            "Channels",
            "The occupied channels, ordered by name: in a cluster those of all nodes.",
        )
    },
    Route {
        refusals: &[400, 404, 503],
        ..look(
            "/api/apps/{app}/channels/{channel}",
            Call::Channel,
            "ChannelDetail",
            "One channel, occupied or not: in a cluster as all nodes have it.",
        )
    },
    Route {
        query: &[AFTER, LIMIT],
        refusals: &[400, 404, 503],
        ..look(
            "/api/apps/{app}/channels/{channel}/members",
            Call::Members,
            "Members",
            "The members of a presence channel, ordered by user id: in a cluster those of all nodes.",
        )
    },
    Route {
        query: &[AFTER, LIMIT],
        refusals: &[400, 404, 503],
        ..look(
            "/api/apps/{app}/connections",
            Call::Connections,
            "Connections",
            "The connections to this node: other nodes of a cluster have others.",
        )
    },
    Route {
        query: &[RECONNECT],
        refusals: &[400, 404],
        ..change(
            Method::Delete,
            "/api/apps/{app}/connections",
            Call::CloseApp,
            (202, Some("Closing")),
            "Closes all connections of the app to this node.",
        )
    },
    Route {
        refusals: &[400, 404, 503],
        ..look(
            "/api/apps/{app}/connections/{socket_id}",
            Call::Connection,
            "Connection",
            "A connection to this node, with its subscriptions.",
        )
    },
    Route {
        query: &[RECONNECT],
        refusals: &[400, 404, 503],
        ..change(
            Method::Delete,
            "/api/apps/{app}/connections/{socket_id}",
            Call::CloseConnection,
            (204, None),
            "Closes a connection to this node.",
        )
    },
    Route {
        query: &[RECONNECT],
        refusals: &[400, 404, 503],
        ..change(
            Method::Delete,
            "/api/apps/{app}/users/{user}/connections",
            Call::CloseUser,
            (204, None),
            "Closes all connections that are signed in as the user, on all nodes.",
        )
    },
    Route {
        body: Some("Event"),
        refusals: &[400, 403, 404, 408, 413, 415, 503],
        ..change(
            Method::Post,
            "/api/apps/{app}/events",
            Call::SendEvent,
            (202, Some("Sent")),
            "Publishes an event, as a backend would with a signature.",
        )
    },
    Route {
        refusals: &[404],
        ..look(
            "/api/apps/{app}/webhooks",
            Call::Webhooks,
            "Webhooks",
            "The webhooks of an app; what waits for them on this node, and what became of the rest.",
        )
    },
    Route {
        query: &[LAST],
        refusals: &[400],
        ..look(
            "/api/history",
            Call::History,
            "History",
            "What this node did in the last hour, a sample every few seconds: a list for each number, the oldest first.",
        )
    },
    look(
        "/api/config",
        Call::Config,
        "Config",
        "The configuration that the relay was started with, without secrets. Apps have routes of their own.",
    ),
    Route {
        refusals: &[503],
        ..look(
            "/api/nodes",
            Call::Nodes,
            "Nodes",
            "This node, and the others of the cluster.",
        )
    },
    change(
        Method::Post,
        "/api/drain",
        Call::Drain,
        (202, Some("Draining")),
        "Stops the relay in good order, as SIGTERM does: clients are sent away, and the process ends.",
    ),
];

/// A route that was found, and what stands in its path.
#[derive(Debug)]
pub(super) struct Found<'p> {
    pub(super) route: &'static Route,
    values: SmallVec<[(&'static str, Cow<'p, str>); 2]>,
}

impl Found<'_> {
    /// What stands in the path for a name of the route.
    pub(super) fn value(&self, name: &str) -> &str {
        let mut values = self.values.iter();
        let value = values.find(|(known, _)| *known == name);
        value.map_or("", |(_, value)| value)
    }
}

/// Finds what a request is for.
pub(super) fn find<'p>(method: &str, path: &'p str) -> Result<Found<'p>, Refusal> {
    let mut methods: Vec<&str> = Vec::new();
    for route in ROUTES {
        let Some(values) = matched(route.path, path) else {
            continue;
        };
        if Method::of(method) == Some(route.method) {
            let values = values.into_iter().map(|(name, raw)| {
                let decoded = percent_decode_str(raw).decode_utf8();
                let decoded = decoded
                    .map_err(|_| Refusal::Invalid(format!("{raw:?} in the path is no UTF-8")))?;
                Ok((name, decoded))
            });
            let values = values.collect::<Result<_, Refusal>>()?;
            return Ok(Found { route, values });
        }
        methods.push(route.method.name());
    }
    if methods.is_empty() {
        return Err(Refusal::NoSuchPath(path.to_owned()));
    }
    Err(Refusal::Method(methods.join(", ")))
}

/// What stands for the names of a pattern, if the path is one of its.
fn matched<'p>(
    pattern: &'static str,
    path: &'p str,
) -> Option<SmallVec<[(&'static str, &'p str); 2]>> {
    let mut values = SmallVec::new();
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(values),
            (Some(wanted), Some(given)) => match name_in(wanted) {
                Some(name) if !given.is_empty() => values.push((name, given)),
                None if wanted == given => {}
                _ => return None,
            },
            _ => return None,
        }
    }
}

/// The name in a segment that may be anything.
pub(super) fn name_in(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_taken_apart_and_decoded() {
        let found = find("GET", "/api/apps/7/channels/presence-a%20b/members").unwrap();
        assert_eq!(found.route.call, Call::Members);
        assert_eq!(
            (found.value("app"), found.value("channel")),
            ("7", "presence-a b")
        );
        assert_eq!(find("HEAD", "/").unwrap().route.call, Call::Index);
        let found = find("DELETE", "/api/apps/7/users/a%2Fb/connections").unwrap();
        assert_eq!(
            (found.route.call, found.value("user")),
            (Call::CloseUser, "a/b")
        );
    }

    #[test]
    fn other_paths_and_methods_are_refused() {
        for path in [
            "",
            "/api",
            "/api/",
            "/api/apps//channels",
            "/api/apps/7/",
            "//",
            "/metrics/",
            "/api/apps/7/x",
        ] {
            assert!(
                matches!(find("GET", path), Err(Refusal::NoSuchPath(_))),
                "{path}"
            );
        }
        for (method, path, expected) in [
            ("POST", "/metrics", "GET"),
            ("OPTIONS", "/api/apps/7/connections/1.2", "GET, DELETE"),
            ("GET", "/api/drain", "POST"),
        ] {
            match find(method, path) {
                Err(Refusal::Method(methods)) => assert_eq!(methods, expected),
                other => panic!("{path}: {other:?}"),
            }
        }
        assert!(matches!(
            find("GET", "/api/apps/%ff"),
            Err(Refusal::Invalid(_))
        ));
    }

    #[test]
    fn whatever_changes_something_needs_a_token_that_may() {
        for route in ROUTES {
            let changes = route.method != Method::Get && route.call != Call::MakeTicket;
            assert_eq!(route.needs == Needs::Write, changes, "{}", route.path);
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "(/api/apps)?\\PC*") {
            let _ = find("GET", &path);
        }
    }
}
