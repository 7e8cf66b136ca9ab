//! Apps by PUSHER_APP_* variables.

use super::*;

const FILE: &str = "PUSHER_APP_ID=2\nPUSHER_APP_KEY=laravel\nPUSHER_APP_SECRET=\"s3cr3t\"\nPUSHER_HOST=relay.example.com\nPUSHER_PORT=443\n";

fn in_environment(id: &str, key: &str, secret: &str) -> Setting {
    Setting::new()
        .variable("PUSHER_APP_ID", id)
        .variable("PUSHER_APP_KEY", key)
        .variable("PUSHER_APP_SECRET", secret)
}

#[test]
fn they_join_those_of_the_file() {
    let setting = in_environment("3", "env", "s3cr3t")
        .file(&with_app(""))
        .env_file(FILE);
    let config = setting.load();
    assert_eq!(ids(&config), ["1", "3", "2"]);
    let (app, _) = config.apps.by_key("laravel").unwrap();
    let signature = Signer::new("laravel", b"s3cr3t").sign(&[b"text"]);
    assert!(app.keys.signing().verify(&[b"text"], &signature));
    assert!(!config.development);
}

#[test]
fn host_and_port_of_a_project_do_not_bind() {
    let config = Setting::new().env_file(FILE).load();
    assert_eq!(config.server.listen[0].at.to_string(), "127.0.0.1:6001");
    assert_eq!(ids(&config), ["2"]);
}

#[test]
fn the_same_app_twice_is_one() {
    let setting = in_environment("1", "k", "s3cr3t").file(&with_app("client_events = false"));
    let config = setting.load();
    assert_eq!(ids(&config), ["1"]);
    assert!(!config.apps.by_id("1").unwrap().client_events);
    assert_eq!(
        ids(&in_environment("2", "laravel", "s3cr3t")
            .env_file(FILE)
            .load()),
        ["2"]
    );
}

#[test]
fn the_same_id_with_other_credentials_is_a_mistake() {
    assert_eq!(
        in_environment("1", "k", "0ther")
            .file(&with_app(""))
            .mistake(),
        "environment: PUSHER_APP_SECRET: expected the key and secret of app `1` as in relay.toml:2 (apps[0].id), found others"
    );
    assert_eq!(
        in_environment("2", "laravel", "0ther")
            .env_file(FILE)
            .mistake(),
        ".env:3: PUSHER_APP_SECRET: expected the key and secret of app `2` as in environment (PUSHER_APP_ID), found others"
    );
}

#[test]
fn another_id_with_a_taken_key_is_a_mistake() {
    assert_eq!(
        in_environment("2", "k", "0ther")
            .file(&with_app(""))
            .mistake(),
        "environment: PUSHER_APP_KEY: expected a key of its own, found \"k\", which is that of apps[0].key (relay.toml:3)"
    );
}

#[test]
fn all_three_variables_are_needed_or_none() {
    let all = "PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET, each not empty";
    assert_eq!(
        in_environment("1", "k", "").mistake(),
        format!("environment: PUSHER_APP_SECRET: missing; expected {all}")
    );
    assert_eq!(
        in_environment("", "k", "s").mistake(),
        format!("environment: PUSHER_APP_ID: missing; expected {all}")
    );
    assert!(in_environment("", "", "").load().development);
    assert_eq!(
        Setting::new()
            .env_file("PUSHER_APP_ID=1\nPUSHER_APP_SECRET=s\n")
            .mistake(),
        format!(".env: PUSHER_APP_KEY: missing; expected {all}")
    );
    assert_eq!(
        Setting::new().env_file("APP_NAME=Shop\n").mistake(),
        format!(".env: PUSHER_APP_ID: missing; expected {all}")
    );
}

#[test]
fn what_is_wrong_in_the_env_file_is_named_without_the_value() {
    assert_eq!(
        Setting::new().env_file("\nPUSHER_APP_ID=a b\n").mistake(),
        ".env:2: PUSHER_APP_ID: expected quotes around a value with blanks, found more text"
    );
    assert_eq!(
        Setting::new()
            .env_file("PUSHER_APP_ID=1\nPUSHER_APP_KEY=k\nPUSHER_APP_SECRET=\" x\"")
            .mistake(),
        ".env:3: PUSHER_APP_SECRET: expected a text that is not empty and has no blanks at its ends, found another text"
    );
    let mut absent = Setting::new();
    absent.sources.env_file = Some(absent.directory.0.join("absent.env"));
    assert_eq!(
        absent.mistake(),
        "absent.env: cannot be read: No such file or directory (os error 2)"
    );
}

#[test]
fn references_and_other_lines_of_a_laravel_project_are_understood() {
    let text = "APP_NAME=\"My Shop\"\nBROKEN=a b\nSHARED=5\nPUSHER_APP_ID=${SHARED}\nexport PUSHER_APP_KEY='laravel' # public\nPUSHER_APP_SECRET=a$b\nVITE_PUSHER_APP_KEY=\"${PUSHER_APP_KEY}\"\n";
    let config = Setting::new().env_file(text).load();
    let app = config.apps.by_id("5").unwrap();
    let signature = Signer::new("laravel", b"a$b").sign(&[b"text"]);
    assert!(app.keys.signing().verify(&[b"text"], &signature));
}

#[test]
fn a_byte_that_is_no_text_spoils_its_own_variable_alone() {
    let latin_1 = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
    let file = latin_1(&format!("APP_NAME=\"Café\"\n# größer\n{FILE}"));
    assert_eq!(ids(&Setting::new().env_file(&file).load()), ["2"]);
    let file =
        latin_1("APP_NAME=\"Café\"\nPUSHER_APP_ID=2\nPUSHER_APP_KEY=k\nPUSHER_APP_SECRET=café\n");
    assert_eq!(
        Setting::new().env_file(&file).mistake(),
        ".env:4: PUSHER_APP_SECRET: expected text in UTF-8, found bytes that are none"
    );
    let toml = latin_1("[server]\n# größer\nworkers = 1\n");
    assert_eq!(
        mistake_in(&toml),
        "relay.toml:2: not valid TOML: a byte that is not UTF-8"
    );
}
