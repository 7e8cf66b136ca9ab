//! What a path asks for.

use std::borrow::Cow;

use actix_web::http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

use super::error::ApiError;
use crate::metrics;
use crate::protocol::path;

/// What a request is for; the parts of the path decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route<'p> {
    /// `/`
    Root,
    /// `/up`, `/health`: the process is alive.
    Alive,
    /// `/ready`: it takes connections.
    Ready,
    /// `/.well-known/acme-challenge/{token}`: an authority asks whether a name is ours (RFC 8555, 8.3).
    AcmeChallenge(&'p str),
    /// Something of an app's: `/apps/{id}/…`
    App(Cow<'p, str>, AppRoute<'p>),
}

/// What a request to an app is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AppRoute<'p> {
    /// `events`
    Events,
    /// `batch_events`
    BatchEvents,
    /// `channels`
    Channels,
    /// `channels/{channel}`
    Channel(Cow<'p, str>),
    /// `channels/{channel}/users`
    ChannelUsers(Cow<'p, str>),
    /// `users/{user_id}/terminate_connections`
    TerminateConnections(Cow<'p, str>),
    /// `users/{user_id}/force_reconnect`
    ForceReconnect(Cow<'p, str>),
}

impl<'p> Route<'p> {
    /// The route of a path, which may or may not begin with the configured prefix.
    pub(super) fn of(path: &'p str, path_prefix: &str) -> Result<Self, ApiError> {
        let path = path::bare(path, path_prefix);
        match path {
            "" | "/" => return Ok(Self::Root),
            "/up" | "/health" => return Ok(Self::Alive),
            "/ready" => return Ok(Self::Ready),
            _ => {}
        }
        if let Some(token) = path.strip_prefix("/.well-known/acme-challenge/") {
            return Ok(Self::AcmeChallenge(token));
        }
        if path.starts_with("/app/") {
            return Err(upgrade_required());
        }
        let below_apps = path.strip_prefix("/apps/").ok_or_else(unknown_path)?;
        if below_apps.split('/').any(str::is_empty) {
            return Err(unknown_path());
        }
        let mut segments = below_apps.split('/');
        let mut next = || segments.next();
        let route = match [next(), next(), next(), next(), next(), next()] {
            [Some(id), Some("events"), None, ..] => (id, AppRoute::Events),
            [Some(id), Some("batch_events"), None, ..] => (id, AppRoute::BatchEvents),
            [Some(id), Some("channels"), None, ..] => (id, AppRoute::Channels),
            [Some(id), Some("channels"), Some(name), None, ..] => {
                (id, AppRoute::Channel(decode(name)?))
            }
            [
                Some(id),
                Some("channels"),
                Some(name),
                Some("users"),
                None,
                _,
            ] => (id, AppRoute::ChannelUsers(decode(name)?)),
            [
                Some(id),
                Some("users"),
                Some(user),
                Some("terminate_connections"),
                None,
                _,
            ] => (id, AppRoute::TerminateConnections(decode(user)?)),
            [
                Some(id),
                Some("users"),
                Some(user),
                Some("force_reconnect"),
                None,
                _,
            ] => (id, AppRoute::ForceReconnect(decode(user)?)),
            _ => return Err(unknown_path()),
        };
        Ok(Self::App(decode(route.0)?, route.1))
    }

    /// Under which name the request is counted.
    pub(super) fn label(&self) -> metrics::Route {
        match self {
            Self::Root | Self::Alive | Self::Ready | Self::AcmeChallenge(_) => {
                metrics::Route::Health
            }
            Self::App(_, AppRoute::Events) => metrics::Route::Events,
            Self::App(_, AppRoute::BatchEvents) => metrics::Route::BatchEvents,
            Self::App(_, AppRoute::Channels) => metrics::Route::Channels,
            Self::App(_, AppRoute::Channel(_)) => metrics::Route::Channel,
            Self::App(_, AppRoute::ChannelUsers(_)) => metrics::Route::ChannelUsers,
            Self::App(_, AppRoute::TerminateConnections(_)) => metrics::Route::TerminateConnections,
            Self::App(_, AppRoute::ForceReconnect(_)) => metrics::Route::ForceReconnect,
        }
    }

    /// The methods that the path is served with.
    pub(super) fn methods(&self) -> &'static str {
        if self.changes() {
            "POST, OPTIONS"
        } else {
            "GET, HEAD, OPTIONS"
        }
    }

    /// Fails with 405 unless the path is served with the method.
    pub(super) fn check_method(&self, method: &Method) -> Result<(), ApiError> {
        let changes = self.changes();
        match *method {
            Method::POST if changes => Ok(()),
            Method::GET | Method::HEAD if !changes => Ok(()),
            Method::OPTIONS => Ok(()),
            _ => Err(ApiError::method_not_allowed(self.methods())),
        }
    }

    fn changes(&self) -> bool {
        matches!(
            self,
            Self::App(
                _,
                AppRoute::Events
                    | AppRoute::BatchEvents
                    | AppRoute::TerminateConnections(_)
                    | AppRoute::ForceReconnect(_),
            )
        )
    }
}

fn decode(segment: &str) -> Result<Cow<'_, str>, ApiError> {
    percent_decode_str(segment)
        .decode_utf8()
        .map_err(|_| ApiError::bad_request("the path is not valid UTF-8 once it is decoded"))
}

fn upgrade_required() -> ApiError {
    ApiError::new(
        StatusCode::UPGRADE_REQUIRED,
        "a WebSocket is opened here, but the request came without the headers `Upgrade: \
         websocket` and `Connection: Upgrade`: is there a proxy that takes them away? It must \
         pass both on, over HTTP/1.1",
    )
}

fn unknown_path() -> ApiError {
    ApiError::not_found("no such path: the HTTP API is served below /apps/APP_ID")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn app(route: AppRoute<'_>) -> Option<Route<'_>> {
        Some(Route::App("7".into(), route))
    }

    #[test]
    fn paths_are_read_with_and_without_the_prefix() {
        for (path, expected) in [
            ("/", Some(Route::Root)),
            ("/up", Some(Route::Alive)),
            ("/ready", Some(Route::Ready)),
            (
                "/.well-known/acme-challenge/token",
                Some(Route::AcmeChallenge("token")),
            ),
            ("/apps/7/events", app(AppRoute::Events)),
            ("/apps/7/batch_events", app(AppRoute::BatchEvents)),
            ("/apps/7/channels", app(AppRoute::Channels)),
            (
                "/apps/7/channels/a%23b",
                app(AppRoute::Channel("a#b".into())),
            ),
            (
                "/apps/7/channels/a/users",
                app(AppRoute::ChannelUsers("a".into())),
            ),
            (
                "/apps/7/users/u%2F1/terminate_connections",
                app(AppRoute::TerminateConnections("u/1".into())),
            ),
            (
                "/apps/7/users/u%2F1/force_reconnect",
                app(AppRoute::ForceReconnect("u/1".into())),
            ),
            ("/apps/7", None),
            ("/apps//events", None),
            ("/apps/7/channels//", None),
            ("/apps/7/channels//users", None),
            ("/apps/7/events/", app(AppRoute::Events)),
            ("/apps/7/events//", None),
            ("/apps/7/events/more", None),
            ("/apps/7/channels/a/users/b", None),
            ("/apps/7/users//force_reconnect", None),
            ("/apps/7/users/u/force_reconnect/more", None),
            ("/apps/7/channels/%ff", None),
            ("/apps/7/../7/events", None),
            ("//apps/7/events", app(AppRoute::Events)),
            ("/up/", Some(Route::Alive)),
            ("*", None),
        ] {
            assert_eq!(Route::of(path, "").ok(), expected, "{path}");
            let prefixed = format!("/ws{path}");
            if path.starts_with('/') {
                assert_eq!(Route::of(&prefixed, "/ws").ok(), expected, "{prefixed}");
                assert_eq!(Route::of(path, "/ws").ok(), expected, "{path}");
            }
        }
    }

    #[test]
    fn a_websockets_path_without_its_upgrade_is_answered_with_a_hint_at_proxies() {
        for path in ["/app/key", "//app/key", "/ws/app/key/"] {
            let error = Route::of(path, "/ws").unwrap_err();
            assert_eq!(error.status, StatusCode::UPGRADE_REQUIRED);
            assert!(error.message.contains("proxy"), "{}", error.message);
        }
    }

    #[test]
    fn a_wrong_method_is_answered_with_the_right_ones() {
        let route = Route::of("/apps/7/events", "").unwrap();
        assert!(route.check_method(&Method::POST).is_ok());
        let error = route.check_method(&Method::GET).unwrap_err();
        assert_eq!(error.allow, Some("POST, OPTIONS"));
        let route = Route::of("/apps/7/users/u/force_reconnect", "").unwrap();
        assert!(route.check_method(&Method::POST).is_ok());
        let error = route.check_method(&Method::GET).unwrap_err();
        assert_eq!(error.allow, Some("POST, OPTIONS"));
        assert!(Route::Root.check_method(&Method::HEAD).is_ok());
    }

    proptest! {
        #[test]
        fn no_path_makes_the_router_panic(path in "\\PC*", prefix in "(/[a-z]+)?") {
            let _ = Route::of(&path, &prefix);
        }
    }
}
