//! What a path asks for.

use crate::hub::Fallback;
use crate::protocol::path;
use crate::resume::token::{self, Named};

/// What pusher-js puts in front of the path unless it is configured otherwise (`httpPath`).
const PUSHER: &str = "/pusher";
/// Characters of a session's name at least. pusher-js takes eight of 32 different ones: fewer would be
/// too easily guessed.
const SHORTEST: usize = 8;
/// Characters of a session's name at most.
const LONGEST: usize = 64;

/// What a request of the fallback is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Target<'p> {
    /// The key of the app.
    pub(super) key: &'p str,
    /// The session as the path names it, server number and all.
    pub(super) session: &'p str,
    pub(super) purpose: Purpose,
    /// How the page names itself.
    pub(super) page: Named<'p>,
}

/// What is asked of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be carried in this way.
    Receive(Fallback),
    /// To take messages.
    Send,
}

impl<'p> Target<'p> {
    /// Reads `/app/{key}/{server}/{session}/{purpose}`, behind `/pusher` or nothing, that behind the token
    /// of a page or nothing, and all that behind the configured prefix or nothing. None: it is no path of the
    /// fallback.
    pub fn of(path: &'p str, path_prefix: &str) -> Option<Self> {
        let (page, path) = token::split(path, path_prefix);
        let path = path::bare(path, path_prefix);
        let path = path.strip_prefix(PUSHER).unwrap_or(path);
        let (key, rest) = path.strip_prefix("/app/")?.split_once('/')?;
        let (session, purpose) = rest.rsplit_once('/')?;
        let purpose = match purpose {
            "xhr_streaming" => Purpose::Receive(Fallback::Streaming),
            "xhr" => Purpose::Receive(Fallback::Polling),
            "xhr_send" => Purpose::Send,
            _ => return None,
        };
        let (server, name) = session.split_once('/')?;
        let is_server =
            (1..=4).contains(&server.len()) && server.bytes().all(|b| b.is_ascii_digit());
        let is_name = (SHORTEST..=LONGEST).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
        (!key.is_empty() && is_server && is_name).then_some(Self {
            key,
            session,
            purpose,
            page,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_read_with_and_without_what_stands_in_front() {
        let stream = Purpose::Receive(Fallback::Streaming);
        let poll = Purpose::Receive(Fallback::Polling);
        for (path, expected) in [
            ("/pusher/app/key/12/abcdefgh/xhr_streaming", Some(stream)),
            ("/app/key/12/abcdefgh/xhr", Some(poll)),
            ("//app/key/0/abcdefgh/xhr_send", Some(Purpose::Send)),
            ("/relay/pusher/app/key/12/abcdefgh/xhr/", Some(poll)),
            ("/relay/app/key/12/abcdefgh/xhr", Some(poll)),
            (
                "/s/0123456789-0123456789-01/app/key/12/abcdefgh/xhr",
                Some(poll),
            ),
            (
                "/relay/s/0123456789-0123456789-01/pusher/app/key/12/abcdefgh/xhr",
                Some(poll),
            ),
            ("/other/app/key/12/abcdefgh/xhr", None),
            ("/app/key", None),
            ("/app/key/12/abcdefgh", None),
            ("/app/key/12/abcdefgh/xhr/more", None),
            ("/app/key/12/short/xhr", None),
            ("/app/key/12/abcde.gh/xhr", None),
            ("/app/key/x/abcdefgh/xhr", None),
            ("/app//12/abcdefgh/xhr", None),
            ("/pusher/apps/1/events", None),
        ] {
            let target = Target::of(path, "/relay");
            assert_eq!(target.map(|target| target.purpose), expected, "{path}");
            if let Some(target) = target {
                assert_eq!(target.key, "key");
                assert!(target.session.ends_with("/abcdefgh"), "{}", target.session);
            }
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "(/[a-z0-9%é]{0,9}|/app|/xhr)*", prefix in "(/[a-z]+)?") {
            let _ = Target::of(&path, &prefix);
        }
    }
}
