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
    assert_eq!(config.server.listen[0].at.to_string(), "0.0.0.0:6001");
    assert!(config.apps.by_id("local").is_none());
}

#[test]
fn an_admin_listener_that_is_off_is_nowhere() {
    let config = Setting::new().file("[admin]\nlisten = \"\"").load();
    assert_eq!(config.admin.listen, None);
}

/// Whether the only app takes a page of another site, and guards its HTTP API against pages.
fn openness(config: &Config) -> (bool, bool) {
    let app = config.apps.iter().next().unwrap();
    let page = app.allowed_origins.check([&b"https://example.com"[..]]);
    (page.is_ok(), app.secret_is_known)
}

#[test]
fn foreign_pages_are_kept_out_wherever_they_are_given() {
    let guarded = (false, true);
    assert_eq!(openness(&Setting::new().load()), guarded);
    let known = "id = \"1\"\nkey = \"k\"\nsecret = \"local\"\n";
    let in_file = |more: &str| Setting::new().file(&format!("[[apps]]\n{known}{more}"));
    assert_eq!(openness(&in_file("").load()), guarded);
    let extra = with_app("extra_keys = [{ key = \"x\", secret = \"local\" }]");
    assert_eq!(openness(&Setting::new().file(&extra).load()), guarded);
    let pasted = "PUSHER_APP_ID=local\nPUSHER_APP_KEY=local\nPUSHER_APP_SECRET=local\n";
    assert_eq!(openness(&Setting::new().env_file(pasted).load()), guarded);

    let any = in_file("allowed_origins = [\"*\"]").load();
    assert_eq!(openness(&any), (true, true));
    let own = Setting::new().file(&with_app("")).load();
    assert_eq!(openness(&own), (true, false));
}

#[test]
fn the_development_app_goes_on_until_the_next_start_when_a_database_comes() {
    let setting = Setting::new();
    let text = format!("[server]\nstate_dir = {:?}\n", setting.directory.0);
    let setting = setting.file(&text);
    let loaded = load(&setting.sources).unwrap();
    assert!(loaded.config.development);
    let mut rereader = Rereader::new(setting.sources.clone(), &loaded);
    setting.directory.write("apps.db", "");
    let mut reread = |text: &str, is_development: bool| {
        setting.directory.write("relay.toml", text);
        rereader.read(is_development).unwrap().config
    };
    let config = reread(&text, true);
    assert!(config.development);
    assert_eq!(ids(&config), ["local"]);
    let config = reread(&(text.clone() + &with_app("")), true);
    assert!(!config.development);
    // It is not served again.
    let config = reread(&text, false);
    assert!(!config.development && ids(&config).is_empty());
    assert!(!setting.load().development);
}
