//! `PUSHER_URL`, as Pusher's own libraries read it.
//!
//! Source: pusher-http-ruby, `Pusher::Client#url=`; pusher-http-node, `Pusher.forURL`.

use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::{Config, Invalid, Scheme};

const VARIABLE: &str = "PUSHER_URL";
const FORM: &str = "http(s)://KEY:SECRET@HOST[:PORT]/apps/ID";

/// An app and its server. The secret is in it: it has no `Debug`.
pub(super) struct PusherUrl {
    pub(super) app_id: String,
    pub(super) key: String,
    pub(super) secret: String,
    scheme: Scheme,
    host: String,
    port: Option<u16>,
}

impl PusherUrl {
    /// Reads a URL. The error names what is wrong with it, and shows nothing of it.
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let url = Url::parse(text).map_err(|error| {
            let hint = "special characters of a secret are percent-encoded";
            wrong(&format!("this is no URL ({error}; {hint})"))
        })?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(wrong("it begins with neither http:// nor https://")),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("nothing may follow the app's id"));
        }
        let app_id = url.path().strip_prefix("/apps/").unwrap_or_default();
        if app_id.contains('/') {
            return Err(wrong("nothing may follow the app's id"));
        }
        Ok(Self {
            app_id: decoded(app_id, "its path is not /apps/ID")?,
            key: decoded(url.username(), "it has no key")?,
            secret: decoded(url.password().unwrap_or_default(), "it has no secret")?,
            scheme,
            host: url.host_str().unwrap_or_default().to_owned(),
            port: url.port(),
        })
    }

    /// The app at its server.
    pub(super) fn config(self) -> Config {
        let config = Config::new(self.app_id, self.key, self.secret)
            .scheme(self.scheme)
            .host(self.host);
        match self.port {
            Some(port) => config.port(port),
            None => config,
        }
    }
}

/// A part in plain text; without one, `missing` is what is wrong.
fn decoded(part: &str, missing: &str) -> Result<String, Invalid> {
    let text = percent_decode_str(part).decode_utf8();
    let text = text.map_err(|_| wrong("what is percent-encoded in it is not UTF-8"))?;
    if text.is_empty() {
        return Err(wrong(missing));
    }
    Ok(text.into_owned())
}

fn wrong(what: &str) -> Invalid {
    Invalid::new(VARIABLE, format!("{what}; expected {FORM}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Origin, id, key and secret.
    fn parts(text: &str) -> (String, String, String, String) {
        let url = PusherUrl::parse(text).unwrap();
        let (id, key, secret) = (url.app_id.clone(), url.key.clone(), url.secret.clone());
        (url.config().origin(), id, key, secret)
    }

    #[test]
    fn a_url_is_an_app_at_its_server() {
        for (text, origin) in [
            (
                "https://k:s@api.pusherapp.com/apps/7",
                "https://api.pusherapp.com:443",
            ),
            (
                "http://k:s@api-eu.pusher.com/apps/7",
                "http://api-eu.pusher.com:80",
            ),
            ("http://k:s@127.0.0.1:6001/apps/7", "http://127.0.0.1:6001"),
            ("HTTP://k:s@[::1]:6001/apps/7", "http://[::1]:6001"),
        ] {
            let (found, id, key, secret) = parts(text);
            assert_eq!(found, origin);
            assert_eq!((&*id, &*key, &*secret), ("7", "k", "s"));
        }
        let (_, id, key, secret) = parts("http://a%40b:p%2Fw%3a%20%C3%A4@h/apps/my%20app");
        assert_eq!((&*id, &*key, &*secret), ("my app", "a@b", "p/w: ä"));
    }

    #[test]
    fn what_is_wrong_is_named_without_the_secret() {
        for (text, reason) in [
            ("key:s3cret@host/apps/7", "neither http:// nor https://"),
            (
                "ftp://key:s3cret@host/apps/7",
                "neither http:// nor https://",
            ),
            ("s3cret", "no URL (relative URL without a base"),
            (
                "http://key:s3cret/x@host/apps/7",
                "no URL (invalid port number",
            ),
            ("http://key:s3cret@/apps/7", "no URL (empty host"),
            ("http://host/apps/7", "no key"),
            ("http://:s3cret@host/apps/7", "no key"),
            ("http://key@host/apps/7", "no secret"),
            ("http://key:s3cret@host", "path is not /apps/ID"),
            ("http://key:s3cret@host/apps/", "path is not /apps/ID"),
            ("http://key:s3cret@host/7", "path is not /apps/ID"),
            ("http://key:s3cret@host/apps/7/events", "nothing may follow"),
            ("http://key:s3cret@host/apps/7?x", "nothing may follow"),
            ("http://key:s3cret%ff@host/apps/7", "not UTF-8"),
        ] {
            let Err(error) = PusherUrl::parse(text) else {
                panic!("{text} is taken");
            };
            let shown = error.to_string();
            assert!(shown.starts_with("PUSHER_URL: "), "{shown}");
            assert!(
                shown.contains(reason) && shown.ends_with(FORM),
                "{text}: {shown}"
            );
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}
