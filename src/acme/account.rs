//! The account with the directory: the one that is kept, or a new one.

use instant_acme::{Account, Error, NewAccount};

use super::directory::Directory;
use super::kept::{Kept, StoredAccount};
use super::settings::Settings;

/// The account for the next order. The operator has agreed to the terms of the directory by
/// configuring it.
pub(super) async fn account(
    directory: &Directory,
    kept: &Kept,
    settings: &Settings,
) -> Result<Account, Error> {
    let builder = || Account::builder_with_http(Box::new(directory.clone()));
    let contact: Vec<&str> = settings.contact.as_deref().into_iter().collect();
    if let Some(stored) = kept.account() {
        let known_contact = stored.contact.clone();
        let credentials = serde_json::to_value(&stored.credentials)?;
        let account = builder().from_credentials(stored.credentials).await?;
        if known_contact != settings.contact {
            account.update_contacts(&contact).await?;
            keep(kept, settings, serde_json::from_value(credentials)?);
        }
        return Ok(account);
    }
    let new_account = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let url = settings.directory.clone().into();
    let (account, credentials) = builder().create(&new_account, url, None).await?;
    keep(kept, settings, credentials);
    Ok(account)
}

/// An account that cannot be kept does as well, until the process ends.
fn keep(kept: &Kept, settings: &Settings, credentials: instant_acme::AccountCredentials) {
    let account = StoredAccount {
        contact: settings.contact.clone(),
        credentials,
    };
    if let Err(error) = kept.keep_account(&account) {
        let folder = kept.folder().path().display();
        tracing::warn!(%folder, %error, "the account with the certificate authority cannot be kept");
    }
}
