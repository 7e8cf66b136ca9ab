//! Where is listened, what is said there first, and which proxies are believed.

use super::*;

fn listeners(lines: &str) -> Vec<String> {
    let config = Setting::new().file(&format!("[server]\n{lines}")).load();
    let shown = config.server.listen.iter().map(|one| {
        let proxied = if one.proxy_protocol { " proxied" } else { "" };
        format!("{}{proxied}", one.at)
    });
    shown.collect()
}

#[test]
fn one_or_several_are_listened_on() {
    assert_eq!(listeners(""), ["127.0.0.1:6001"]);
    assert_eq!(listeners("listen = \"127.0.0.1:1\""), ["127.0.0.1:1"]);
    assert_eq!(
        listeners("listen = [\"127.0.0.1:1\", \"unix:/run/x.sock\"]"),
        ["127.0.0.1:1", "unix:/run/x.sock"]
    );
    let setting = Setting::new().variable("FANFARE_SERVER__LISTEN", "127.0.0.1:1, unix:/x");
    assert_eq!(setting.load().server.listen.len(), 2);
}

#[test]
fn all_or_some_begin_with_the_proxy_protocol() {
    let listen = "listen = [\"127.0.0.1:1\", \"unix:/x\"]";
    assert_eq!(
        listeners(&format!("{listen}\nproxy_protocol = true")),
        ["127.0.0.1:1 proxied", "unix:/x proxied"]
    );
    assert_eq!(
        listeners(&format!("{listen}\nproxy_protocol = [\"unix:/x\"]")),
        ["127.0.0.1:1", "unix:/x proxied"]
    );
    assert_eq!(listeners("proxy_protocol = false"), ["127.0.0.1:6001"]);
    let setting = Setting::new().variable("FANFARE_SERVER__PROXY_PROTOCOL", "127.0.0.1:6001");
    assert!(setting.load().server.listen[0].proxy_protocol);
}

#[test]
fn unix_sockets_have_permissions() {
    let lines = "[server]\nsocket_mode = \"666\"\nsocket_group = \"www-data\"";
    let access = Setting::new().file(lines).load().server.unix_access;
    assert_eq!(access.mode, 0o666);
    assert_eq!(access.group.as_deref(), Some("www-data"));
    assert_eq!(Setting::new().load().server.unix_access.mode, 0o660);
}

#[test]
fn proxies_are_listed() {
    let lines = "[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"unix\"]";
    let proxies = Setting::new().file(lines).load().server.trusted_proxies;
    assert!(proxies.trusts("10.1.1.1".parse().ok()) && proxies.trusts(None));
    assert!(!proxies.trusts("127.0.0.1".parse().ok()));
    let setting = Setting::new().variable("FANFARE_SERVER__TRUSTED_PROXIES", "::1,10.0.0.1");
    let proxies = setting.load().server.trusted_proxies;
    assert!(proxies.trusts("::1".parse().ok()));
    let setting = Setting::new().variable("FANFARE_SERVER__TRUSTED_PROXIES", "");
    assert!(setting.load().server.trusted_proxies.is_empty());
}

#[test]
fn mistakes_are_named() {
    for (lines, mistake) in [
        ("listen = []", "server.listen: expected host:port, such as"),
        (
            "listen = [6001]",
            "server.listen: expected host:port, such as",
        ),
        (
            "listen = [\"127.0.0.1:1\", \"127.0.0.1:1\"]",
            "server.listen: expected each of the list once, found 127.0.0.1:1",
        ),
        (
            "listen = \"unix:x.sock\"",
            "server.listen: expected host:port, such as",
        ),
        (
            "proxy_protocol = [\"127.0.0.1:2\"]",
            "server.proxy_protocol: expected true, false, or some of server.listen, found \"127.0.0.1:2\"",
        ),
        (
            "proxy_protocol = 1",
            "server.proxy_protocol: expected true, false, or some of server.listen, found 1",
        ),
        (
            "socket_mode = \"7777\"",
            "server.socket_mode: expected permissions such as \"0660\", found \"7777\"",
        ),
        (
            "socket_mode = 660",
            "server.socket_mode: expected permissions such as \"0660\", found 660",
        ),
        (
            "trusted_proxies = [\"proxy\"]",
            "server.trusted_proxies: expected addresses, networks such as 10.0.0.0/8, and \"unix\", found \"proxy\"",
        ),
    ] {
        let line = mistake_in(&format!("[server]\n{lines}"));
        let expected = format!("relay.toml:2: {mistake}");
        assert!(line.starts_with(&expected), "{line}");
    }
}
