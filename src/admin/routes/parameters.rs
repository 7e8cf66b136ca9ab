//! What stands in the queries.

use super::super::history::KEPT;
use super::route::{Kind, Parameter};

pub(super) const LIMIT: Parameter = Parameter {
    name: "limit",
    kind: Kind::Number {
        default: 100,
        most: 1000,
    },
    about: "How many at most.",
};

pub(super) const AFTER: Parameter = Parameter {
    name: "after",
    kind: Kind::Text,
    about: "`next` of the part before.",
};

pub(super) const PREFIX: Parameter = Parameter {
    name: "prefix",
    kind: Kind::Text,
    about: "Only those whose name begins so.",
};

pub(super) const LAST: Parameter = Parameter {
    name: "last",
    kind: Kind::Number {
        default: KEPT,
        most: KEPT,
    },
    about: "How many of the newest samples.",
};

pub(super) const WEBHOOK: Parameter = Parameter {
    name: "webhook",
    kind: Kind::Number {
        default: 0,
        most: 1000,
    },
    about: "Only the one at this place of the list, counted from 1; without it, all of them.",
};

pub(super) const RECONNECT: Parameter = Parameter {
    name: "reconnect",
    kind: Kind::Switch,
    about: "Close with 4200, after which clients connect again at once, in place of 4009, after which they do not.",
};

pub(super) const ALL: Parameter = Parameter {
    name: "all",
    kind: Kind::Consent,
    about: "`true`, as all of the app's are meant.",
};

pub(super) const USER: Parameter = Parameter {
    name: "user",
    kind: Kind::Needed,
    about: "The id of the user.",
};

pub(super) const DATABASE: Parameter = Parameter {
    name: "database",
    kind: Kind::Switch,
    about: "The one of the database, though the configuration may have one with this id, too, which is the one that is served.",
};

pub(super) const SECRETS: Parameter = Parameter {
    name: "secrets",
    kind: Kind::Switch,
    about: "With the secrets of its key pairs, for a token of the role write. Of the configuration's apps the relay \
            keeps none.",
};

pub(super) const FILTERS: &[Parameter] = &[
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
