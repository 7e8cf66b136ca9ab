//! All routes: what requests are answered by, and what the document of the API is made of.

use super::super::gate::Needs;
use super::parameters::{
    AFTER, ALL, DATABASE, FILTERS, LAST, LIMIT, PREFIX, RECONNECT, SECRETS, USER, WEBHOOK,
};
use super::route::{Call, Method, Route};

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
pub(in crate::admin) static ROUTES: &[Route] = &[
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
        refusals: &[426, 503],
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
        ..look(
            "/api/apps",
            Call::Apps,
            "Apps",
            "The apps, ordered by id. A prefix is that of the id.",
        )
    },
    Route {
        query: &[SECRETS],
        refusals: &[404, 409, 503],
        ..look(
            "/api/apps/{app}",
            Call::App,
            "App",
            "An app with its settings; secrets are left out unless they are asked for.",
        )
    },
    Route {
        body: Some("AppSettings"),
        refusals: &[408, 409, 413, 415, 503],
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
        refusals: &[404, 408, 409, 413, 415, 503],
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
        query: &[DATABASE],
        refusals: &[404, 409, 503],
        ..change(
            Method::Delete,
            "/api/apps/{app}",
            Call::RemoveApp,
            (204, None),
            "Removes an app, and closes its connections with 4001.",
        )
    },
    Route {
        refusals: &[404, 409, 503],
        ..change(
            Method::Post,
            "/api/apps/{app}/rotate",
            Call::RotateKeys,
            (200, Some("StoredApp")),
            "Gives an app another key pair. The old one is accepted, among extra_keys, until it is removed.",
        )
    },
    Route {
        refusals: &[404, 409, 503],
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
        refusals: &[409, 503],
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
        refusals: &[404, 503],
        ..look(
            "/api/apps/{app}/channels",
            Call::Channels,
            "Channels",
            "The occupied channels, ordered by name: in a cluster those of all nodes.",
        )
    },
    Route {
        refusals: &[404, 503],
        ..look(
            "/api/apps/{app}/channels/{channel}",
            Call::Channel,
            "ChannelDetail",
            "One channel, occupied or not: in a cluster as all nodes have it.",
        )
    },
    Route {
        query: &[AFTER, LIMIT],
        refusals: &[404, 503],
        ..look(
            "/api/apps/{app}/channels/{channel}/members",
            Call::Members,
            "Members",
            "The members of a presence channel, ordered by user id: in a cluster those of all nodes.",
        )
    },
    Route {
        query: &[AFTER, LIMIT],
        refusals: &[404, 503],
        ..look(
            "/api/apps/{app}/connections",
            Call::Connections,
            "Connections",
            "The connections to this node: other nodes of a cluster have others.",
        )
    },
    Route {
        query: &[ALL, RECONNECT],
        refusals: &[404],
        ..change(
            Method::Delete,
            "/api/apps/{app}/connections",
            Call::CloseApp,
            (202, Some("Closing")),
            "Closes all connections of the app to this node. A request for one user's whose id is `..` comes here by way of \
             most clients, which is why this takes `all=true`.",
        )
    },
    Route {
        refusals: &[404, 503],
        ..look(
            "/api/apps/{app}/connections/{socket_id}",
            Call::Connection,
            "Connection",
            "A connection to this node, with its subscriptions.",
        )
    },
    Route {
        query: &[RECONNECT],
        refusals: &[404, 503],
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
        refusals: &[404, 503],
        ..change(
            Method::Delete,
            "/api/apps/{app}/users/{user}/connections",
            Call::CloseUser,
            (204, None),
            "Closes all connections that are signed in as the user, on all nodes.",
        )
    },
    Route {
        query: &[USER, RECONNECT],
        refusals: &[404, 503],
        ..change(
            Method::Delete,
            "/api/apps/{app}/users/connections",
            Call::CloseNamedUser,
            (204, None),
            "The same, for ids of any kind: most clients take `.` and `..` in a path for steps.",
        )
    },
    Route {
        body: Some("Event"),
        refusals: &[403, 404, 408, 413, 415, 503],
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
            "The webhooks of an app; what waits for each on this node, what became of the rest, and the last failures. Of a \
             cluster, each node sends what happens at it, and knows no more.",
        )
    },
    Route {
        query: &[WEBHOOK],
        refusals: &[404, 409, 429, 503],
        ..change(
            Method::Post,
            "/api/apps/{app}/webhooks/test",
            Call::TestWebhooks,
            (200, Some("WebhookTests")),
            "Sends a signed request with the event `test` to the webhooks of an app, once, from this node, and waits for \
             their answers, ten seconds at most. One such call is served at a time, and two seconds lie between them.",
        )
    },
    Route {
        body: Some("DoctorRequest"),
        refusals: &[404, 408, 409, 413, 415, 429, 503],
        ..change(
            Method::Post,
            "/api/apps/{app}/doctor",
            Call::StartDoctor,
            (202, Some("DoctorRun")),
            "Looks why clients of an app do not connect, as `fanfare doctor` does, from this node and through the address that \
             is given. One run is under way at a time, for a minute, or three where it is patient.",
        )
    },
    look(
        "/api/doctor",
        Call::Doctor,
        "Doctor",
        "The last run of the doctor on this node, with what has been found so far.",
    ),
    change(
        Method::Delete,
        "/api/doctor",
        Call::StopDoctor,
        (204, None),
        "Stops the run of the doctor that is under way, once its step has come to an end.",
    ),
    Route {
        query: &[LAST],
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
        "The configuration that holds, without secrets; which settings wait for a restart, and why it could not be read again. Apps have routes of their own.",
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
