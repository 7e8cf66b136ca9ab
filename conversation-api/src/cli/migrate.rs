//! `conversation-api migrate`.

use super::{DatabaseArgs, Failure, block_on, print};
use crate::settings::database_url;
use crate::store::Store;

/// Brings the schema up to date, and prints what that took.
pub(super) fn run(args: &DatabaseArgs) -> Result<(), Failure> {
    let url = database_url(&args.environment()?)?;
    let due = block_on(Store::migrate(&url)).map_err(Failure::other)?;
    print(&match due {
        0 => "The schema was up to date.\n".into(),
        1 => "The schema is up to date: 1 migration was run.\n".into(),
        due => format!("The schema is up to date: {due} migrations were run.\n"),
    })
}
