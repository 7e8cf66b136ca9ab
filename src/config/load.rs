//! From the sources to a configuration.

use std::path::PathBuf;

use super::credentials::{self, EnvFile};
use super::file::ConfigFile;
use super::fixed::Fixed;
use super::listener::Listen;
use super::overrides::Overrides;
use super::references::{self, Resolved};
use super::section::{Layers, Section};
use super::{Config, ConfigError, Origin, Sources, keys, read};

/// A configuration, and what it was made of.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The layers that set something, the weakest first.
    pub layers: Vec<Layer>,
    /// Where each app of the registry comes from, in its order.
    pub app_origins: Vec<Origin>,
    /// The file that it was read from, if it was.
    pub file: Option<PathBuf>,
    /// The files of secrets that it names.
    pub secret_files: Vec<PathBuf>,
    /// What it sets that holds only from the start on.
    pub(super) fixed: Fixed,
}

/// Something that a configuration was made of, for people to read.
#[derive(Debug, PartialEq, Eq)]
pub struct Layer {
    /// The source.
    pub source: String,
    /// Why it counts, or what it sets; never a value.
    pub detail: String,
}

/// Reads all sources and checks the whole.
pub fn load(sources: &Sources) -> Result<Loaded, ConfigError> {
    load_while(sources, false)
}

/// The same while a relay is at work: the development app that it serves goes on for as long as the configuration has no
/// other, though a database has come to be there.
pub(super) fn load_while(sources: &Sources, is_development: bool) -> Result<Loaded, ConfigError> {
    let file = ConfigFile::read(sources)?;
    let mut table = file.as_ref().map(ConfigFile::parse).transpose()?;
    let resolved = match (&mut table, &file) {
        (Some(table), Some(file)) => references::resolve(table, file, &sources.environment)?,
        _ => Resolved::default(),
    };
    let overrides = Overrides::new(sources, &resolved)?;
    let layers = Layers {
        file: file.as_ref(),
        resolved: &resolved,
        overrides: &overrides,
    };
    let root = Section::root(&layers, table.as_ref(), keys::ROOT)?;

    let server_section = root.child("server", keys::SERVER)?;
    let admin_section = root.child("admin", keys::ADMIN)?;
    let server = read::server::server(&server_section)?;
    let admin = read::admin::admin(&admin_section)?;
    let tls_section = root.child("tls", keys::TLS_WITH_TABLES)?;
    let tls = read::tls::tls(&tls_section)?;
    let compression = read::compression(&root.child("compression", keys::COMPRESSION)?)?;
    let webhooks_section = root.child("webhooks", keys::WEBHOOKS)?;
    let webhooks = read::webhooks::settings(&webhooks_section, &server.state_dir)?;
    let cluster = root.child("cluster", keys::CLUSTER)?;
    let cluster = read::cluster::cluster(&cluster, webhooks.leave_delay)?;
    read::cluster::role_makes_sense(&server_section, server.role, &cluster)?;
    let metrics = read::metrics(&root.child("metrics", keys::METRICS)?)?;
    let log = read::log(&root.child("log", keys::LOG)?)?;
    if server.listen.is_empty() && tls.listen.is_none() {
        return Err(server_section.invalid("listen", read::server::PLACES, "an empty list"));
    }
    read::server::listeners_differ(&[
        (&server_section, server.addresses().collect()),
        (&admin_section, admin.address().into_iter().collect()),
        (&tls_section, tls.listen.iter().collect()),
    ])?;

    let apps_database = root.child("apps_database", keys::APPS_DATABASE)?;
    let apps_database = read::database::database(&apps_database, &server.state_dir)?;
    let has_database = apps_database.place.is_there();
    let mut apps = read::apps::from_file(&root, &webhooks)?;
    let environment_has_app = add_credentials(&mut apps, sources)?;
    let is_bare = apps.is_empty() && !has_database;
    if read::apps::has_development_credentials(&apps, is_bare) {
        let of_server = server.listen.iter().map(|listener| listener.at.clone());
        let of_tls = tls.listen.iter().cloned().map(Listen::Tcp);
        stay_on_loopback(&server_section, of_server)?;
        stay_on_loopback(&admin_section, admin.listen.iter().cloned())?;
        stay_on_loopback(&tls_section, of_tls)?;
    }
    read::admin::is_guarded(&admin_section, &admin)?;
    let mut secret_files = read::apps::secret_files(&apps);
    secret_files.extend(admin.token_files.iter().cloned());
    let development = is_bare || (is_development && apps.is_empty());
    let (apps, app_origins) = read::apps::registry(apps, development)?;
    let laravel_redis = read::ingest::laravel_redis(&root, &apps, has_database, &cluster)?;

    Ok(Loaded {
        config: Config {
            server,
            tls,
            cluster,
            webhooks,
            compression,
            laravel_redis,
            admin,
            metrics,
            log,
            apps_database,
            apps,
            development,
        },
        layers: describe(sources, file.as_ref(), &overrides, environment_has_app),
        app_origins,
        fixed: Fixed::of(table.as_ref(), &overrides),
        file: file.map(|file| file.path),
        secret_files,
    })
}

/// The apps of variables and of the file with variables. Returns whether the environment has one.
fn add_credentials(
    apps: &mut Vec<read::apps::ReadApp>,
    sources: &Sources,
) -> Result<bool, ConfigError> {
    let in_environment = credentials::in_environment(&sources.environment)?;
    let environment_has_app = in_environment.is_some();
    if let Some(credentials) = in_environment {
        read::apps::add(apps, credentials)?;
    }
    if let Some(path) = &sources.env_file {
        let env_file = EnvFile::read(path, &sources.environment)?;
        read::apps::add(apps, credentials::in_file(&env_file)?)?;
    }
    Ok(environment_has_app)
}

/// Credentials that everybody knows are for this machine alone.
fn stay_on_loopback(
    section: &Section<'_>,
    places: impl Iterator<Item = Listen>,
) -> Result<(), ConfigError> {
    for place in places {
        read::apps::stay_on_loopback(section, &place)?;
    }
    Ok(())
}

fn describe(
    sources: &Sources,
    file: Option<&ConfigFile>,
    overrides: &Overrides<'_>,
    environment_has_app: bool,
) -> Vec<Layer> {
    let mut layers = Vec::new();
    let mut add = |source: String, detail: String| layers.push(Layer { source, detail });
    if let Some(file) = file {
        add(file.path().display().to_string(), file.chosen.into());
    }
    let mut variables: Vec<&str> = overrides.variables().collect();
    if environment_has_app {
        variables.push("PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET");
    }
    if !variables.is_empty() {
        add("environment".into(), variables.join(", "));
    }
    if let Some(path) = &sources.env_file {
        add(path.display().to_string(), "--env-file".into());
    }
    if !sources.flags.is_empty() {
        let names: Vec<&str> = sources.flags.iter().map(|flag| flag.name).collect();
        add("flags".into(), names.join(", "));
    }
    layers
}
