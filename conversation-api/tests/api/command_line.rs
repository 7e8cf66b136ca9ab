//! The commands: migrating, seeding, and settings that make no sense.

use std::process::Command;

use crate::support::database::run;
use crate::support::{Api, Database, Kind};

/// Runs a command that must fail; returns its exit code and what it printed.
fn fail(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_conversation-api"))
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(directory.path())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), error)
}

#[tokio::test]
async fn seeding_fills_an_empty_database_once() {
    for kind in Kind::BOTH {
        let database = Database::empty(kind).await;
        if kind == Kind::Postgres {
            run(&["migrate"], &database.url);
        }
        let first = run(&["seed"], &database.url);
        for line in [
            "admin@tims.local",
            "agent@tims.local",
            "password123",
            "department 2",
        ] {
            assert!(first.contains(line), "{first}");
        }
        let contents = database.contents().await;
        assert_eq!(contents[..4], [10, 0, 6, 6]);
        let second = run(&["seed"], &database.url);
        assert!(second.contains("there already"), "{second}");
        assert_eq!(database.contents().await, contents);
        let query = "SELECT COUNT(*) FROM conversations
            WHERE id = 1 AND department_id = 1 AND assigned_to = 5";
        assert_eq!(database.number(query).await, 1);
    }
}

#[tokio::test]
async fn seeding_leaves_a_database_with_other_data_alone() {
    let database = Database::empty(Kind::Sqlite).await;
    run(&["migrate"], &database.url);
    database
        .execute("INSERT INTO departments (name) VALUES ('Ours')")
        .await;
    let (code, error) = fail(&["seed"], &[("DATABASE_URL", &database.url)]);
    assert_eq!(code, 1);
    assert!(error.contains("not empty"), "{error}");
    assert_eq!(database.contents().await, [0; 6]);
}

#[tokio::test]
async fn serving_a_fresh_sqlite_file_creates_it_but_no_users() {
    let database = Database::empty(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    api.stranger().get("/up").await.expect_status(200);
    assert_eq!(database.contents().await, [0; 6]);
    api.stop().await;
    assert!(run(&["migrate"], &database.url).contains("was up to date"));
}

#[tokio::test]
async fn serving_a_postgresql_that_is_not_migrated_names_what_is_due() {
    let database = Database::empty(Kind::Postgres).await;
    let exit = Api::on(&database).start_and_exit().await;
    assert_eq!(exit.code, Some(1));
    let last = exit.log.last().unwrap();
    assert!(
        last.contains("run `conversation-api migrate` first"),
        "{last}"
    );
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres");
    let due = std::fs::read_dir(folder).unwrap().count();
    let migrated = run(&["migrate"], &database.url);
    assert!(
        migrated.contains(&format!("{due} migrations were run")),
        "{migrated}"
    );
    let api = Api::on(&database).start().await;
    api.stranger().get("/up").await.expect_status(200);
    api.stop().await;
}

#[test]
fn settings_that_make_no_sense_are_one_line_and_exit_code_64() {
    for (arguments, variables, expected) in [
        (
            &["serve", "--listen", "here"][..],
            &[][..],
            "--listen: expected an address",
        ),
        (
            &["serve", "--database-url", "mysql://x"],
            &[],
            "--database-url: expected sqlite://",
        ),
        (
            &["migrate"],
            &[("DATABASE_URL", "nonsense")],
            "DATABASE_URL: expected sqlite://",
        ),
        (
            &["serve"],
            &[("BROADCAST_DRIVER", "pusher")],
            "PUSHER_APP_ID: is not set",
        ),
        (
            &["serve"],
            &[("BROADCAST_CONNECTION", "carrier-pigeon")],
            "BROADCAST_CONNECTION: must be",
        ),
        (&["serve"], &[("LOG_LEVEL", "loud")], "LOG_LEVEL: expected"),
        (
            &["serve"],
            &[("WHATSAPP_TOKEN", "s3cr3t")],
            "WHATSAPP_PHONE_NUMBER_ID: expected",
        ),
    ] {
        let (code, error) = fail(arguments, variables);
        assert_eq!(code, 64, "{error}");
        assert!(
            error.starts_with(&format!("conversation-api: {expected}")),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!error.contains("s3cr3t"), "{error}");
    }
    let (code, error) = fail(&["dance"], &[]);
    assert_eq!(code, 64, "{error}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, error) = fail(&["serve", "--listen", &address], &[]);
    assert_eq!(code, 1);
    assert!(
        error.contains(&format!("cannot listen on {address}")),
        "{error}"
    );
}

/// Runs `migrate` in a folder with these files; returns the exit code and what it printed.
fn migrate_beside(
    files: &[(&str, &str)],
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> (tempfile::TempDir, i32, String) {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_conversation-api"))
        .arg("migrate")
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(directory.path())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    (directory, output.status.code().unwrap(), error)
}

#[test]
fn a_file_of_variables_is_read_and_the_environment_counts_more() {
    let dotenv = "APP=desk\nexport DATABASE_URL=\"sqlite://${APP}.db\" # ours\n";
    let other = "DATABASE_URL=sqlite://other.db";
    let files = [(".env", dotenv), ("other.env", other)];
    for (arguments, variables, expected) in [
        (&[][..], &[][..], "desk.db"),
        (&[], &[("APP", "support")], "support.db"),
        (
            &[],
            &[("DATABASE_URL", "sqlite://environment.db")],
            "environment.db",
        ),
        (&["--env-file", "other.env"], &[], "other.db"),
        (&["--database-url", "sqlite://flag.db"], &[], "flag.db"),
    ] {
        let (directory, code, error) = migrate_beside(&files, arguments, variables);
        assert_eq!(code, 0, "{error}");
        assert!(directory.path().join(expected).is_file(), "{expected}");
    }
    let (directory, code, _) = migrate_beside(&[], &[], &[]);
    assert_eq!(code, 0);
    assert!(directory.path().join("conversations.db").is_file());
}

#[test]
fn a_file_of_variables_that_makes_no_sense_is_named_and_not_shown() {
    for (content, arguments, expected) in [
        (
            "A=1\nPASSWORD=my secret",
            &[][..],
            "conversation-api: .env, line 2: expected quotes",
        ),
        (
            "my secret",
            &[],
            "conversation-api: .env, line 1: expected NAME=VALUE",
        ),
        (
            "",
            &["--env-file", "none.env"],
            "conversation-api: none.env: cannot be read",
        ),
    ] {
        let (_directory, code, error) = migrate_beside(&[(".env", content)], arguments, &[]);
        assert_eq!(code, 64, "{error}");
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
