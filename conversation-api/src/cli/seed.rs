//! `conversation-api seed`.

use std::fmt::Write as _;

use super::{DatabaseArgs, Failure, block_on, print};
use crate::auth::password;
use crate::settings::database_url;
use crate::store::demo::{PASSWORD, Seed, Seeded, USERS};
use crate::store::{Database, DatabaseUrl, Store};

/// Fills an empty database with demonstration data, and prints who can log in.
pub(super) fn run(args: &DatabaseArgs) -> Result<(), Failure> {
    let url = database_url(&args.environment()?)?;
    let passwords: Result<_, _> = USERS.iter().map(|_| password::hash(PASSWORD)).collect();
    let seed = Seed {
        passwords: passwords.map_err(Failure::other)?,
    };
    let first_line = match block_on(fill(&url, seed))? {
        Seeded::Filled => "The database has demonstration data now. Log in as:",
        Seeded::Already => "The demonstration data was there already. Log in as:",
        Seeded::NotEmpty => {
            return Err(Failure::other(
                "the database is not empty, and was not filled by seed: it is left as it is",
            ));
        }
    };
    print(&format!("{first_line}\n\n{}", log_ins()))
}

async fn fill(url: &DatabaseUrl, seed: Seed) -> Result<Seeded, Failure> {
    if url.database() == Database::Sqlite {
        Store::migrate(url).await.map_err(Failure::other)?;
    }
    let store = Store::open(url).await.map_err(Failure::other)?;
    let seeded = store.write(seed).await;
    store.close().await;
    seeded.map_err(Failure::other)
}

fn log_ins() -> String {
    let mut text = String::new();
    for user in USERS {
        let department = match user.department_id {
            Some(id) => format!("department {id}"),
            None => "all departments".into(),
        };
        writeln!(
            text,
            "  {:<24} {PASSWORD}  {:<18} {department}",
            user.email,
            user.role.name()
        )
        .expect("writing to a String cannot fail");
    }
    text
}
