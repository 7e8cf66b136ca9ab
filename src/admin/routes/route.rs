//! What a route is.

use super::super::gate::Needs;

/// A method that something is served with. HEAD is answered as GET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl Method {
    pub(super) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "GET" | "HEAD" => Self::Get,
            "POST" => Self::Post,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            _ => return None,
        })
    }

    pub(in crate::admin) fn name(self) -> &'static str {
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
pub(in crate::admin) enum Call {
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
    CloseNamedUser,
    CloseApp,
    SendEvent,
    Config,
    History,
    Webhooks,
    TestWebhooks,
    Doctor,
    StartDoctor,
    StopDoctor,
    Nodes,
    Drain,
}

/// A parameter of the query.
#[derive(Clone, Copy, Debug)]
pub(in crate::admin) struct Parameter {
    pub(in crate::admin) name: &'static str,
    pub(in crate::admin) kind: Kind,
    pub(in crate::admin) about: &'static str,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug)]
pub(in crate::admin) enum Kind {
    Text,
    /// A text that must be there, and is not empty.
    Needed,
    /// `true`, which must be there: so that nothing is done for what was left out.
    Consent,
    /// `true` or `false`; without it, `false`.
    Switch,
    /// A number from 1 up to the most; a default of 0 stands for none.
    Number {
        default: usize,
        most: usize,
    },
}

impl Kind {
    /// Whether nothing is done without the parameter.
    pub(in crate::admin) fn must_be_there(self) -> bool {
        matches!(self, Self::Needed | Self::Consent)
    }
}

/// One thing that there is.
#[derive(Debug)]
pub(in crate::admin) struct Route {
    pub(in crate::admin) method: Method,
    /// With `{name}` for segments that may be anything.
    pub(in crate::admin) path: &'static str,
    pub(in crate::admin) needs: Needs,
    pub(in crate::admin) call: Call,
    pub(in crate::admin) summary: &'static str,
    pub(in crate::admin) query: &'static [Parameter],
    /// The schema of the body.
    pub(in crate::admin) body: Option<&'static str>,
    /// What is answered when all is well: the status, and the schema of what comes with it.
    pub(in crate::admin) answer: (u16, Option<&'static str>),
    /// What else may be wrong than who asks, and than the path or the query: statuses.
    pub(in crate::admin) refusals: &'static [u16],
}
