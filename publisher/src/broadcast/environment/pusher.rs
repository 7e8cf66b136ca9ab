//! The app and the server of the driver `pusher`.

use super::Environment;
use super::pusher_url::PusherUrl;
use crate::{Config, Invalid, MasterKey, Scheme};

const MASTER_KEY: &str = "PUSHER_ENCRYPTION_MASTER_KEY_BASE64";

impl<'a> Environment<'a> {
    /// The app and the server of the driver `pusher`.
    pub(in crate::broadcast) fn pusher(self) -> Result<Config, Invalid> {
        let config = match self.get("PUSHER_URL") {
            Some(url) => self.app_of(PusherUrl::parse(url)?)?,
            None => self.app()?,
        };
        Ok(match self.get(MASTER_KEY) {
            None => config,
            Some(key) => {
                let key = MasterKey::from_base64(key)
                    .map_err(|error| Invalid::new(MASTER_KEY, error.reason))?;
                config.master_key(key)
            }
        })
    }

    /// The app that a URL names. Whoever sets another beside it may mean either.
    fn app_of(self, url: PusherUrl) -> Result<Config, Invalid> {
        for (variable, value) in [
            ("PUSHER_APP_ID", &url.app_id),
            ("PUSHER_APP_KEY", &url.key),
            ("PUSHER_APP_SECRET", &url.secret),
        ] {
            if self.get(variable).is_some_and(|own| own != value) {
                let reason = "is not what PUSHER_URL says: set one of them";
                return Err(Invalid::new(variable, reason));
            }
        }
        Ok(url.config())
    }

    /// The app that its own variables name.
    fn app(self) -> Result<Config, Invalid> {
        let cluster = self.cluster()?;
        let scheme = match self.get("PUSHER_SCHEME") {
            None if cluster.is_some() => Scheme::Https,
            None | Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) => return Err(Invalid::new("PUSHER_SCHEME", "must be http or https")),
        };
        let default_port = match (cluster, scheme) {
            (None, Scheme::Http) => 6001,
            _ => scheme.default_port(),
        };
        let config = Config::new(
            self.required("PUSHER_APP_ID")?,
            self.required("PUSHER_APP_KEY")?,
            self.required("PUSHER_APP_SECRET")?,
        )
        .scheme(scheme)
        .port(self.number("PUSHER_PORT", default_port)?);
        Ok(match cluster {
            Some(cluster) => config.cluster(cluster),
            None => config.host(self.get("PUSHER_HOST").unwrap_or("127.0.0.1")),
        })
    }

    /// The cluster of Pusher's that has the app, unless a host is named, which wins as in Laravel.
    fn cluster(self) -> Result<Option<&'a str>, Invalid> {
        const VARIABLE: &str = "PUSHER_APP_CLUSTER";
        if self.get("PUSHER_HOST").is_some() {
            return Ok(None);
        }
        let cluster = self.get(VARIABLE);
        let is_part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if cluster.is_some_and(|cluster| !cluster.chars().all(is_part_of_name)) {
            let reason = "must be the name of one of Pusher's clusters, such as mt1";
            return Err(Invalid::new(VARIABLE, reason));
        }
        Ok(cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{connection, environment, fault};
    use super::*;
    use crate::Connection;

    const APP: [(&str, &str); 3] = [
        ("PUSHER_APP_ID", "1"),
        ("PUSHER_APP_KEY", "key"),
        ("PUSHER_APP_SECRET", "secret"),
    ];

    fn pusher(more: &[(&str, &str)]) -> Result<Config, Invalid> {
        Config::from_env(&environment(&[&APP, more].concat()))
    }

    fn origin(more: &[(&str, &str)]) -> String {
        pusher(more).unwrap().origin()
    }

    #[test]
    fn pusher_is_a_relay_on_this_machine_unless_another_is_named() {
        assert_eq!(origin(&[]), "http://127.0.0.1:6001");
        assert_eq!(
            origin(&[("PUSHER_HOST", ""), ("PUSHER_PORT", "null")]),
            "http://127.0.0.1:6001"
        );
        let tls = [("PUSHER_SCHEME", "https"), ("PUSHER_HOST", "example.com")];
        assert_eq!(origin(&tls), "https://example.com:443");
        assert_eq!(origin(&[("PUSHER_PORT", "8080")]), "http://127.0.0.1:8080");
    }

    #[test]
    fn a_cluster_without_a_host_is_pusher_itself() {
        let eu = ("PUSHER_APP_CLUSTER", "eu");
        assert_eq!(origin(&[eu]), "https://api-eu.pusher.com:443");
        assert_eq!(
            origin(&[eu, ("PUSHER_HOST", ""), ("PUSHER_SCHEME", "")]),
            "https://api-eu.pusher.com:443"
        );
        assert_eq!(
            origin(&[eu, ("PUSHER_SCHEME", "http")]),
            "http://api-eu.pusher.com:80"
        );
        assert_eq!(
            origin(&[eu, ("PUSHER_PORT", "8443")]),
            "https://api-eu.pusher.com:8443"
        );
        // A host wins, and then the cluster means nothing.
        let host = ("PUSHER_HOST", "relay");
        assert_eq!(origin(&[eu, host]), "http://relay:6001");
        assert_eq!(
            origin(&[("PUSHER_APP_CLUSTER", "a b"), host]),
            "http://relay:6001"
        );
    }

    #[test]
    fn a_url_names_app_and_server() {
        let url = ("PUSHER_URL", "http://url-key:url-secret@relay:6002/apps/7");
        let of =
            |more: &[(&str, &str)]| Config::from_env(&environment(&[&[url][..], more].concat()));
        let config = of(&[
            // The server is that of the URL, whatever else is set.
            ("PUSHER_HOST", "elsewhere"),
            ("PUSHER_PORT", "443"),
            ("PUSHER_SCHEME", "https"),
            ("PUSHER_APP_CLUSTER", "mt1"),
            ("PUSHER_APP_KEY", "url-key"),
        ])
        .unwrap();
        assert_eq!(config.origin(), "http://relay:6002");
        assert_eq!((&*config.app_id, config.pair.key()), ("7", "url-key"));
        for (variable, _) in APP {
            let error = of(&[(variable, "other")]).unwrap_err();
            assert_eq!(error.field, variable);
            assert!(!error.to_string().contains("secret:"), "{error}");
        }
        let connection = connection(&[("BROADCAST_CONNECTION", "pusher"), url]);
        assert!(matches!(connection, Ok(Connection::Pusher(_))));
    }

    #[test]
    fn faults_name_the_variable() {
        let of_pusher = |more: &[_]| pusher(more).unwrap_err().field;
        assert_eq!(of_pusher(&[("PUSHER_SCHEME", "ws")]), "PUSHER_SCHEME");
        assert_eq!(of_pusher(&[("PUSHER_PORT", "65536")]), "PUSHER_PORT");
        assert_eq!(of_pusher(&[(MASTER_KEY, "short")]), MASTER_KEY);
        for name in ["a b", "x@evil.example/", "mt1.example"] {
            let cluster = ("PUSHER_APP_CLUSTER", name);
            assert_eq!(of_pusher(&[cluster]), "PUSHER_APP_CLUSTER");
        }
        for (missing, _) in APP {
            let mut variables = vec![("BROADCAST_DRIVER", "pusher")];
            variables.extend(APP.iter().filter(|(name, _)| *name != missing));
            assert_eq!(fault(&variables), missing);
        }
    }

    #[test]
    fn an_encryption_key_is_taken() {
        let key = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
        let config = pusher(&[(MASTER_KEY, key)]);
        assert!(config.unwrap().master_key.is_some());
        assert!(pusher(&[]).unwrap().master_key.is_none());
    }
}
