//! Fetching the files of messages from the Graph API: first where a file is, then the file.

use std::time::Duration;

use reqwest::{Response, Url};
use serde::Deserialize;

use super::answer::{self, GraphError};
use super::graph::Graph;
use crate::message::Failure;

/// How long a file may take to arrive.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Where Meta keeps files. Whoever is asked for one is shown the access token.
const HOSTS: [&str; 4] = ["fbsbx.com", "facebook.com", "fbcdn.net", "whatsapp.net"];

/// What the Graph API says of a file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MediaInfo {
    /// Where it is, for some minutes.
    pub url: String,
    /// Its digest in hexadecimal digits, if it is given.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Its size in bytes, if it is given.
    #[serde(default)]
    pub file_size: Option<u64>,
}

impl Graph {
    /// Asks where a file is. The id has letters, digits, `-` and `_` alone.
    pub async fn media_info(&self, id: &str) -> Result<MediaInfo, GraphError> {
        let address = format!("{}/{id}", self.sender.url);
        let answer = self.client.get(address).bearer_auth(&self.sender.token);
        let answer = answer.send().await.map_err(GraphError::no_answer)?;
        let body = answer::read(answer).await?;
        serde_json::from_value(body)
            .map_err(|error| GraphError::later(format!("the Graph API names no file: {error}")))
    }

    /// Begins to fetch a file. Redirects are not followed.
    pub async fn download(&self, url: &str) -> Result<Response, GraphError> {
        let url = self.trusted(url).ok_or_else(|| {
            let error = "the Graph API names an address that is not Meta's".to_owned();
            let failure = Failure::new(None, "File not fetched", &error);
            GraphError::Never { error, failure }
        })?;
        let request = self.client.get(url).bearer_auth(&self.sender.token);
        let answer = request.timeout(PATIENCE).send().await;
        let answer = answer.map_err(GraphError::no_answer)?;
        let status = answer.status();
        if status.is_success() {
            Ok(answer)
        } else {
            Err(GraphError::later(format!("the file was refused: {status}")))
        }
    }

    /// An address of Meta's, or where the Graph API itself is.
    fn trusted(&self, url: &str) -> Option<Url> {
        let url = Url::parse(url).ok()?;
        let of_graph = Url::parse(&self.sender.url).is_ok_and(|own| own.origin() == url.origin());
        let host = url.host_str()?;
        let of_meta = HOSTS.iter().any(|known| {
            host.strip_suffix(known)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        let has_user = !url.username().is_empty() || url.password().is_some();
        let is_trusted = of_graph || (of_meta && url.scheme() == "https");
        (is_trusted && !has_user).then_some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whatsapp::graph::{DEFAULT_URL, Sender};

    #[test]
    fn the_token_goes_to_meta_alone() {
        let sender = Sender {
            url: DEFAULT_URL.into(),
            token: "hidden".into(),
            phone_number_id: "1".into(),
        };
        let graph = Graph::new(sender, Duration::from_secs(1)).unwrap();
        for url in [
            "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1",
            "https://scontent.xx.fbcdn.net/v/1",
            "https://mmg.whatsapp.net/d/1",
            "https://graph.facebook.com/v23.0/1",
        ] {
            assert!(graph.trusted(url).is_some(), "{url}");
        }
        for url in [
            "",
            "lookaside.fbsbx.com/1",
            "http://lookaside.fbsbx.com/1",
            "ftp://lookaside.fbsbx.com/1",
            "https://fbsbx.com.evil.example/1",
            "https://evilfbsbx.com/1",
            "https://evil.example/?fbsbx.com",
            "https://user@lookaside.fbsbx.com/1",
            "https://lookaside.fbsbx.com@evil.example/1",
            "https://127.0.0.1/1",
            "http://169.254.169.254/latest",
            "file:///etc/passwd",
        ] {
            assert!(graph.trusted(url).is_none(), "{url}");
        }
    }
}
