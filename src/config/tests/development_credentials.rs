//! What everybody knows opens nothing to others.

use super::*;

const REFUSED: &str = "expected a loopback address such as 127.0.0.1:6001 while the development credentials (secret `local`) are in use; to listen elsewhere, configure an app of your own, found 0.0.0.0:6001";

#[test]
fn they_are_served_on_loopback_only() {
    assert_eq!(
        Setting::new()
            .flag("--listen", "server.listen", "0.0.0.0:6001")
            .mistake(),
        format!("--listen: server.listen: {REFUSED}")
    );
    assert_eq!(
        Setting::new()
            .variable("FANFARE_ADMIN__LISTEN", "0.0.0.0:6001")
            .mistake(),
        format!("environment variable FANFARE_ADMIN__LISTEN: admin.listen: {REFUSED}")
    );
    let written_out = "[server]\nlisten = \"0.0.0.0:6001\"\n[[apps]]\nid = \"x\"\nkey = \"y\"\nsecret = \"local\"\n";
    assert_eq!(
        mistake_in(written_out),
        format!("relay.toml:2: server.listen: {REFUSED}")
    );
}

#[test]
fn an_app_of_one_s_own_may_be_served_anywhere() {
    let setting =
        Setting::new()
            .file(&with_app(""))
            .flag("--listen", "server.listen", "0.0.0.0:6001");
    let config = setting.load();
    assert_eq!(config.server.listen.to_string(), "0.0.0.0:6001");
    assert!(config.apps.by_id("local").is_none());
}

#[test]
fn an_admin_listener_that_is_off_is_nowhere() {
    let config = Setting::new().file("[admin]\nlisten = \"\"").load();
    assert_eq!(config.admin.listen, None);
}
