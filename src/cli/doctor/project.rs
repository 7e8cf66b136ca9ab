//! A Laravel project, and the relay that it is held against.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::Failure;
use super::apps::Apps;
use super::laravel::{self, KnownApp, Place, Relay, Variables};
use crate::auth::Signer;
use crate::config::EnvFile;
use crate::doctor::{Finding, PublicUrl, Subject, shown};

/// A project's `.env`, which is only read.
pub(super) struct Project {
    file: EnvFile,
}

impl Variables for Project {
    /// A value that cannot be read is none, and is found by [`Project::unreadable`].
    fn get(&self, name: &str) -> Option<String> {
        self.file.get(name).ok().flatten().map(str::to_owned)
    }
}

/// Variables that matter, without what they begin with.
const PARTS: [&str; 7] = [
    "APP_ID",
    "APP_KEY",
    "APP_SECRET",
    "HOST",
    "PORT",
    "SCHEME",
    "APP_CLUSTER",
];

impl Project {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        // The file is what is looked at: variables of this process are not the project's.
        let file = EnvFile::read(path, &BTreeMap::new())?;
        Ok(Self { file })
    }

    /// What is wrong with it, for a relay that has these apps, is reached there, and may take in what Laravel publishes to Redis.
    pub(super) fn held_against(
        &self,
        apps: Option<&Apps>,
        url: Option<&PublicUrl>,
        takes_redis: bool,
    ) -> Vec<Finding> {
        let relay = Relay {
            takes_redis,
            app: apps.and_then(|apps| self.known_app(apps)),
            place: url.map(|url| Place {
                tls: url.tls,
                host: url.host.clone(),
                port: url.port,
            }),
        };
        let mut findings = self.unreadable();
        findings.extend(laravel::judge(self, &relay));
        findings
    }

    /// The app that the project has, to be tried at an address; `None`: it has none, or one that cannot be.
    pub(super) fn subject(&self, url: PublicUrl, apps: Option<&Apps>) -> Option<Subject> {
        let (id, key, secret) = self.credentials()?;
        let may_stand_in_a_path = |text: &str| {
            let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
            text.bytes().all(unreserved)
        };
        if !may_stand_in_a_path(&id) || !may_stand_in_a_path(&key) {
            return None;
        }
        let app = apps.and_then(|apps| apps.by_id(&id));
        Some(Subject {
            url,
            signer: Signer::new(&key, secret.as_bytes()),
            app: app.map(|app| (**app).clone()),
            app_id: id,
        })
    }

    fn unreadable(&self) -> Vec<Finding> {
        let names = ["REVERB_", "PUSHER_", "VITE_REVERB_", "VITE_PUSHER_"];
        let names = names
            .iter()
            .flat_map(|prefix| PARTS.map(|part| format!("{prefix}{part}")));
        let errors = names.filter_map(|name| self.file.get(&name).err());
        let finding = |error: crate::config::ConfigError| {
            let text = shown(&error.to_string());
            Finding::error(
                "laravel.file",
                text,
                "correct the line; values with blanks or # need quotes",
            )
        };
        errors.map(finding).collect()
    }

    /// `None` where it is not known, as the database of apps cannot be read.
    fn known_app(&self, apps: &Apps) -> Option<KnownApp> {
        let (id, key, secret) = self.credentials()?;
        let Some(app) = apps.by_id(&id) else {
            return apps.trouble.is_none().then_some(KnownApp::Missing);
        };
        let own = Signer::new(&key, secret.as_bytes());
        let pair = app.keys.iter().find(|pair| pair.key() == key);
        Some(match pair {
            None => KnownApp::OtherKey,
            Some(pair) if *pair == own => KnownApp::Same,
            Some(_) => KnownApp::OtherSecret,
        })
    }

    /// Id, key and secret.
    fn credentials(&self) -> Option<(String, String, String)> {
        let connection = self
            .get("BROADCAST_CONNECTION")
            .or_else(|| self.get("BROADCAST_DRIVER"));
        let prefixes = match connection.as_deref() {
            Some("pusher") => ["PUSHER", "REVERB"],
            _ => ["REVERB", "PUSHER"],
        };
        prefixes.into_iter().find_map(|prefix| {
            let get = |part: &str| self.get(&format!("{prefix}_APP_{part}"));
            Some((get("ID")?, get("KEY")?, get("SECRET")?))
        })
    }
}
