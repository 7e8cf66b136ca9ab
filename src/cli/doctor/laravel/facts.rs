//! What is known of a project, and of the relay that it is held against.

/// A project's variables, those that are set and not empty.
pub(in crate::cli::doctor) trait Variables {
    fn get(&self, name: &str) -> Option<String>;
}

/// What the relay has, as far as it is known.
#[derive(Default)]
pub(in crate::cli::doctor) struct Relay {
    /// Its app of the project's id; `None`: the relay's apps are not known.
    pub(in crate::cli::doctor) app: Option<KnownApp>,
    /// Where clients reach it: whether by TLS, host and port.
    pub(in crate::cli::doctor) place: Option<(bool, String, u16)>,
}

/// What the relay's configuration says of the app that the project names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli::doctor) enum KnownApp {
    /// There is none of that id.
    Missing,
    /// It has other keys.
    OtherKey,
    /// It has the key, with another secret.
    OtherSecret,
    Same,
}

/// What a driver's variables begin with.
pub(super) struct Driver<'v> {
    pub(super) name: &'static str,
    pub(super) prefix: &'static str,
    pub(super) variables: &'v dyn Variables,
}

impl Driver<'_> {
    pub(super) fn name_of(&self, part: &str) -> String {
        format!("{}_{part}", self.prefix)
    }

    pub(super) fn get(&self, part: &str) -> Option<String> {
        self.variables.get(&self.name_of(part))
    }

    /// What is built into the pages.
    pub(super) fn of_pages(&self, part: &str) -> Option<String> {
        self.variables.get(&format!("VITE_{}", self.name_of(part)))
    }
}
