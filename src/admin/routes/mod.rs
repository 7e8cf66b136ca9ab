//! What there is, by method and path.
//!
//! - [`mod@route`]: what a route is; [`parameters`]: what stands in the queries
//! - [`table`]: all of them
//! - [`mod@find`]: which of them a request is for

mod find;
mod parameters;
mod route;
mod table;

pub(super) use find::{Found, find, name_in};
pub(super) use route::{Call, Kind, Parameter, Route};
pub(super) use table::ROUTES;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::gate::Needs;
    use super::super::refusal::Refusal;
    use super::route::Method;
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
