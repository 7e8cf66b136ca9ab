//! `conversation-api outbox`.

use super::{DatabaseArgs, Failure, block_on, print};
use crate::settings::database_url;
use crate::store::{Database, DatabaseUrl, Store};

/// What is to be done with what could not be sent.
#[derive(Clone, Debug, clap::Subcommand)]
pub(super) enum OutboxCommand {
    /// Send again what was refused for good, once its reason is gone: a process that serves does it.
    Retry(DatabaseArgs),
}

/// Does it, and prints how much there was.
pub(super) fn run(command: &OutboxCommand) -> Result<(), Failure> {
    let OutboxCommand::Retry(args) = command;
    let url = database_url(&args.environment()?)?;
    print(&match block_on(retry(&url))? {
        0 => "Nothing has been given up.\n".into(),
        1 => "1 row is on its way again.\n".into(),
        rows => format!("{rows} rows are on their way again.\n"),
    })
}

async fn retry(url: &DatabaseUrl) -> Result<u64, Failure> {
    if url.database() == Database::Sqlite {
        Store::migrate(url).await.map_err(Failure::other)?;
    }
    let store = Store::open(url).await.map_err(Failure::other)?;
    let revived = store.revive().await;
    store.close().await;
    revived.map_err(Failure::other)
}
