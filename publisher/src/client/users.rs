//! Calls about users.

use serde::de::IgnoredAny;

use super::Client;
use super::request::Call;
use crate::{Error, names};

impl Client {
    /// Closes all connections that are signed in as a user; they do not come back by themselves
    /// (close code 4009). There may be none.
    pub async fn terminate_connections(&self, user_id: &str) -> Result<(), Error> {
        self.of_user(user_id, "terminate_connections").await
    }

    /// Closes all connections that are signed in as a user so that their clients connect again at
    /// once (close code 4200), such as for rights that have changed. There may be none.
    ///
    /// An extension of Fanfare's: other servers refuse it.
    pub async fn force_reconnect(&self, user_id: &str) -> Result<(), Error> {
        self.of_user(user_id, "force_reconnect").await
    }

    async fn of_user(&self, user_id: &str, what: &str) -> Result<(), Error> {
        names::check_user_id(user_id)?;
        let path = vec![("", "users"), ("user_id", user_id), ("", what)];
        let _: IgnoredAny = self.call(Call::post(path, "{}")).await?;
        Ok(())
    }
}
