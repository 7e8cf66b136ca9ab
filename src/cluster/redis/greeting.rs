//! Whether servers of Redis answer, for people who want to know.

use std::fs;
use std::time::{Duration, Instant};

use redis::{AsyncConnectionConfig, ConnectionInfo, IntoConnectionInfo as _};

use super::link::{Reach, client};
use super::settings::{Settings, Target};

/// What one server said: its version, and how long it took to answer; or why it did not, for people.
pub type Greeted = Result<(String, Duration), String>;

/// Asks each server that the settings name, sentinels themselves where those are named. Each may take so long. The
/// texts hold no password.
pub async fn greet(settings: &Settings, patience: Duration) -> Vec<(String, Greeted)> {
    let root_certificates = match settings.ca_certificates.as_ref().map(fs::read).transpose() {
        Ok(certificates) => certificates,
        Err(error) => {
            return vec![(settings.target.to_string(), Err(error.to_string()))];
        }
    };
    let reach = Reach {
        patience,
        root_certificates,
    };
    let servers: Vec<ConnectionInfo> = match &settings.target {
        Target::Single(server) => vec![server.clone()],
        Target::Cluster(servers) => servers.clone(),
        Target::Sentinel(sentinels) => {
            let addresses = sentinels.addresses.iter().cloned();
            let infos = addresses.filter_map(|address| address.into_connection_info().ok());
            infos.collect()
        }
    };
    let mut answers = Vec::new();
    for server in servers {
        let place = format!("Redis at {}", server.addr());
        let asked = tokio::time::timeout(patience * 2, ask(server, &reach)).await;
        let answer = match asked {
            Ok(answer) => answer.map_err(|error| error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        };
        answers.push((place, answer));
    }
    answers
}

async fn ask(server: ConnectionInfo, reach: &Reach) -> redis::RedisResult<(String, Duration)> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(reach.patience))
        .set_response_timeout(Some(reach.patience));
    let client = client(server, reach)?;
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let started = Instant::now();
    let _pong: String = redis::cmd("PING").query_async(&mut connection).await?;
    let took = started.elapsed();
    let text: String = redis::cmd("INFO")
        .arg("server")
        .query_async(&mut connection)
        .await
        // Its user may not be allowed to ask.
        .unwrap_or_default();
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"));
    Ok((version.unwrap_or("unknown").trim().to_owned(), took))
}
