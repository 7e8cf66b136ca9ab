//! Tests that are left out where the server is a foreign one, which nobody can configure.

use crate::subject::{self, ForeignServer};

/// What a test needs and the foreign server does not have.
///
/// There is none for servers that the tests start themselves, so that each test that passes there has run.
#[derive(Debug)]
pub struct Skipped {
    need: String,
}

impl Skipped {
    /// # Panics
    /// When the tests start their own servers.
    pub fn for_want_of(need: &str) -> Skipped {
        Skipped::of(subject::foreign().as_ref(), need)
    }

    fn of(foreign: Option<&ForeignServer>, need: &str) -> Skipped {
        assert!(
            foreign.is_some(),
            "only a test of a foreign server may be skipped, but this needs {need}"
        );
        Skipped {
            need: need.to_owned(),
        }
    }

    /// Writes to stderr that the test was skipped, and why. `place` is the path of an item inside the test.
    #[doc(hidden)]
    pub fn report(&self, place: &str) {
        eprintln!(
            "skipped: {} needs {}, which a foreign server does not offer",
            test_around(place),
            self.need
        );
    }
}

fn test_around(place: &str) -> &str {
    let (test, _item) = place.rsplit_once("::").unwrap_or((place, ""));
    test.trim_end_matches("::{{closure}}")
}

/// Takes the value of a `Result<_, Skipped>`. Where the foreign server under test does not offer what the test needs,
/// reports that on stderr and returns from the test.
///
/// ```no_run
/// # async fn example() {
/// use protocol_tests::{TestServer, or_skip};
///
/// let server = or_skip!(TestServer::builder().set("server.workers", 1).start().await);
/// # server.finish().await;
/// # }
/// ```
#[macro_export]
macro_rules! or_skip {
    ($attempt:expr) => {
        match $attempt {
            Ok(it) => it,
            Err(skipped) => {
                fn here() {}
                return $crate::Skipped::report(&skipped, std::any::type_name_of_val(&here));
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "this needs an app")]
    fn no_test_of_a_server_of_its_own_can_be_skipped() {
        let _ = Skipped::of(None, "an app");
    }

    #[test]
    fn the_test_around_an_item_is_named() {
        let names = [
            ("tests::origins::here", "tests::origins"),
            ("tests::origins::{{closure}}::here", "tests::origins"),
        ];
        for (place, test) in names {
            assert_eq!(test_around(place), test);
        }
    }
}
