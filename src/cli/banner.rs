//! What is printed for a newcomer at start: how to connect and how to publish.

use std::net::SocketAddr;

use super::tail;
use super::url::{DEFAULT_URL, reachable_host};
use crate::config::{Admin, Config};
use crate::server::Bound;

/// What to paste where, for the development app; `None` with apps of one's own, whose owner
/// knows. `program` is how to call this program once more.
pub(super) fn text(config: &Config, program: &str, bound: Bound) -> Option<String> {
    if !config.development {
        return None;
    }
    // Who chose a Unix socket alone knows what to do with it.
    let address = bound.public?;
    let host = reachable_host(&address.ip().to_string());
    let port = address.port();
    let prefix = &config.server.path_prefix;
    let url = format!("http://{host}:{port}{prefix}");
    let (ws_path, path_note) = if prefix.is_empty() {
        (String::new(), String::new())
    } else {
        (
            format!("\n        wsPath: '{prefix}',"),
            format!("\n    (and 'path' => '{prefix}' in the options of config/broadcasting.php)"),
        )
    };
    let url_flag = if url == DEFAULT_URL {
        String::new()
    } else {
        format!(" --url {url}")
    };
    let follow = follow(program, bound.admin);
    Some(format!(
        "
Fanfare serves the development app on {url} (id, key and secret: local).
Pages of this machine may connect: those at localhost, *.test and the like.

In a frontend, after npm install laravel-echo pusher-js:

    import Echo from 'laravel-echo';
    import Pusher from 'pusher-js';

    window.Pusher = Pusher;
    window.Echo = new Echo({{
        broadcaster: 'pusher',
        key: 'local',
        cluster: '',
        wsHost: '{host}',
        wsPort: {port},{ws_path}
        forceTLS: false,
        enabledTransports: ['ws', 'wss'],
    }});
    window.Echo.channel('news').listen('.greeting', (event) => console.log(event.text));

In the .env of a Laravel project:

    BROADCAST_CONNECTION=pusher
    PUSHER_APP_ID=local
    PUSHER_APP_KEY=local
    PUSHER_APP_SECRET=local
    PUSHER_HOST={host}
    PUSHER_PORT={port}
    PUSHER_SCHEME=http{path_note}

{follow}To publish a first event, in another terminal:

    {program} trigger{url_flag} news greeting '{{\"text\":\"hello\"}}'

For apps of your own, see config.toml or {program} --help.

"
    ))
}

/// How to see what passes, if that is to be seen.
fn follow(program: &str, admin: Option<SocketAddr>) -> String {
    let Some(admin) = admin else {
        return String::new();
    };
    let admin_flag = if tail::Address::of(&Admin::default()) == Some(admin.into()) {
        String::new()
    } else {
        format!(" --admin {admin}")
    };
    format!(
        "\
To see all that passes, in another terminal:

    {program} tail{admin_flag}

"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flag, Sources, load};

    fn config(key: &'static str, value: &str) -> Config {
        let sources = Sources {
            directory: "/nonexistent".into(),
            flags: vec![Flag {
                name: "flag",
                key,
                value: value.into(),
            }],
            ..Sources::default()
        };
        load(&sources).unwrap().config
    }

    fn bound(public: &str, admin: &str) -> Bound {
        Bound {
            public: public.parse().ok(),
            admin: admin.parse().ok(),
        }
    }

    #[test]
    fn it_names_the_addresses_that_were_bound_and_the_program_as_it_was_called() {
        let config = config("server.listen", "127.0.0.1:0");
        let bound = bound("127.0.0.1:4321", "127.0.0.1:4322");
        let text = text(&config, "cargo run --", bound).unwrap();
        assert!(
            text.contains("    cargo run -- tail --admin 127.0.0.1:4322\n"),
            "{text}"
        );
        assert!(text.contains("wsPort: 4321,\n        forceTLS"), "{text}");
        assert!(
            text.contains("PUSHER_PORT=4321\n    PUSHER_SCHEME=http\n\n"),
            "{text}"
        );
        assert!(
            text.contains(
                "cargo run -- trigger --url http://127.0.0.1:4321 news greeting '{\"text\":\"hello\"}'"
            ),
            "{text}"
        );
    }

    #[test]
    fn at_the_default_addresses_the_commands_need_none() {
        let config = config("server.workers", "1");
        let bound = bound("127.0.0.1:6001", "127.0.0.1:9601");
        let text = text(&config, "fanfare", bound).unwrap();
        assert!(text.contains("    fanfare tail\n"), "{text}");
        assert!(text.contains("    fanfare trigger news greeting"), "{text}");
    }

    #[test]
    fn a_path_prefix_is_part_of_everything() {
        let config = config("server.path_prefix", "/relay");
        let text = text(&config, "fanfare", bound("[::1]:6001", "")).unwrap();
        assert!(!text.contains("tail"), "{text}");
        assert!(
            text.contains("wsHost: '[::1]'") && text.contains("wsPath: '/relay',"),
            "{text}"
        );
        assert!(text.contains("'path' => '/relay'"), "{text}");
        assert!(
            text.contains("--url http://[::1]:6001/relay news"),
            "{text}"
        );
    }
}
