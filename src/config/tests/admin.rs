//! What opens the admin listener.

use super::*;
use crate::admin::Role;

const TOKEN: &str = "0123456789abcdef";
const BEYOND: &str = "[admin]\nlisten = \"0.0.0.0:9601\"\n";

#[test]
fn others_than_this_machine_have_to_show_something() {
    assert_eq!(
        mistake_in(&format!("{BEYOND}{}", with_app(""))),
        "relay.toml:2: admin.listen: expected a token, in admin.token (FANFARE_ADMIN__TOKEN), admin.token_file or admin.tokens_file, where others than this machine can ask, found 0.0.0.0:9601 and none"
    );
    let open_metrics = format!("{BEYOND}open_metrics = true\n{}", with_app(""));
    assert!(mistake_in(&open_metrics).contains("admin.listen: expected a token"));
    for listen in [
        "127.0.0.1:9601",
        "localhost:9601",
        "unix:/run/fanfare-admin.sock",
        "",
    ] {
        let setting = Setting::new().variable("FANFARE_ADMIN__LISTEN", listen);
        assert!(setting.load().admin.tokens.is_empty(), "{listen}");
    }
    let with_token = Setting::new()
        .file(&format!("{BEYOND}{}", with_app("")))
        .variable("FANFARE_ADMIN__TOKEN", TOKEN);
    let admin = with_token.load().admin;
    let token = admin.tokens.iter().next().unwrap();
    assert_eq!(
        (token.role(), &**token.name()),
        (Role::Write, "admin.token")
    );
}

#[test]
fn a_token_is_judged_and_never_shown() {
    for (token, found) in [
        ("short", "one of 5 characters"),
        ("0123456789abcde!", "one with another character"),
    ] {
        assert_eq!(
            mistake_in(&format!("[admin]\ntoken = \"{token}\"")),
            format!(
                "relay.toml:2: admin.token: expected a token of at least 16 characters, of letters, digits and - . _ ~ + / = (`openssl rand -hex 32` makes one), found {found}"
            )
        );
    }
}

#[test]
fn a_token_may_stand_in_a_file_of_its_own() {
    let setting = Setting::new();
    let path = setting.directory.write("token", &format!("{TOKEN}\n"));
    let path = path.display();
    let setting = setting.file(&format!("[admin]\ntoken_file = \"{path}\""));
    assert_eq!(setting.load().admin.tokens.iter().count(), 1);
    let both = format!("[admin]\ntoken = \"{TOKEN}\"\ntoken_file = \"{path}\"");
    assert_eq!(
        mistake_in(&both),
        "relay.toml:3: admin.token_file: expected either `token` or `token_file`, found both"
    );
    let missing = mistake_in("[admin]\ntoken_file = \"/no/such\"");
    assert!(
        missing.contains("admin.token_file: expected the path of a file"),
        "{missing}"
    );
}

fn tokens_in(text: &str) -> Result<Vec<(Role, String)>, String> {
    let setting = Setting::new();
    let path = setting.directory.write("tokens", text);
    let setting = setting.file(&format!("[admin]\ntokens_file = \"{}\"", path.display()));
    let admin = load(&setting.sources)
        .map_err(|_| setting.mistake())?
        .config
        .admin;
    let tokens = admin.tokens.iter();
    Ok(tokens
        .map(|token| (token.role(), token.name().to_string()))
        .collect())
}

#[test]
fn a_file_has_tokens_with_roles_and_names() {
    let text = format!(
        "# who may look\nread {TOKEN}a prometheus\n\n  write {TOKEN}b ada of the shop\nread {TOKEN}c\n"
    );
    assert_eq!(
        tokens_in(&text).unwrap(),
        [
            (Role::Read, "prometheus".into()),
            (Role::Write, "ada of the shop".into()),
            (Role::Read, "read of line 5".into()),
        ]
    );
    for (text, expected) in [
        ("", "expected at least one token, found tokens with none"),
        ("owner 0123456789abcdef", "tokens:1: another line"),
        ("read", "tokens:1: another line"),
        ("read short", "tokens:1: one of 5 characters"),
        (
            "read 0123456789abcdef x\nread 0123456789abcdeg x",
            "tokens:2: a name for the second time",
        ),
        (
            "read 0123456789abcdef x\nwrite 0123456789abcdef y",
            "with a token for the second time",
        ),
    ] {
        let line = tokens_in(text).unwrap_err();
        assert!(line.contains(expected) && !line.contains(TOKEN), "{line}");
    }
}

#[test]
fn the_variable_of_commands_sets_nothing() {
    let setting = Setting::new().variable("FANFARE_ADMIN_TOKEN", TOKEN);
    assert!(setting.load().admin.tokens.is_empty());
}
