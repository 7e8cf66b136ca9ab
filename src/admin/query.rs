//! The query of a request: parameters that mean nothing are refused, and so are those given twice. What is open to everybody takes none,
//! and any.

use actix_web::web;

use super::gate::Needs;
use super::refusal::Refusal;
use super::routes::{Kind, Parameter, Route};

/// What was given of a route's parameters, all of it valid.
#[derive(Debug)]
pub(super) struct Query {
    parameters: &'static [Parameter],
    given: Vec<(String, String)>,
}

impl Query {
    pub(super) fn parse(route: &Route, text: &str) -> Result<Self, Refusal> {
        // Links get parameters that trackers add, and health checks such that keep caches away.
        let text = match route.needs {
            Needs::Nothing => "",
            _ => text,
        };
        let pairs = web::Query::<Vec<(String, String)>>::from_query(text)
            .map_err(|error| Refusal::BadQuery(error.to_string()))?;
        let given = pairs.into_inner();
        for (index, (name, value)) in given.iter().enumerate() {
            let mut known = route.query.iter();
            let Some(parameter) = known.find(|parameter| parameter.name == name) else {
                return Err(Refusal::Invalid(unknown(name, route.query)));
            };
            if given[..index].iter().any(|(other, _)| other == name) {
                return Err(Refusal::Invalid(format!(
                    "the parameter {name} is given twice"
                )));
            }
            check(parameter, value)?;
        }
        let needed = route.query.iter();
        for needed in needed.filter(|parameter| parameter.kind.must_be_there()) {
            if !given.iter().any(|(name, _)| name == needed.name) {
                return Err(Refusal::Invalid(missing(needed)));
            }
        }
        Ok(Self {
            parameters: route.query,
            given,
        })
    }

    /// What was given, if it was.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let mut given = self.given.iter();
        given
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether it is `true`.
    pub(super) fn switch(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// The number that was given, or that holds where none is.
    pub(super) fn number(&self, name: &str) -> usize {
        let given = self.text(name).and_then(|text| text.parse().ok());
        given.unwrap_or_else(|| {
            let mut known = self.parameters.iter();
            match known
                .find(|parameter| parameter.name == name)
                .map(|it| it.kind)
            {
                Some(Kind::Number { default, .. }) => default,
                _ => 0,
            }
        })
    }
}

fn check(parameter: &Parameter, value: &str) -> Result<(), Refusal> {
    let (fits, expected) = match parameter.kind {
        Kind::Text => (true, String::new()),
        Kind::Needed => (!value.is_empty(), "a text that is not empty".into()),
        Kind::Consent => (value == "true", "true".into()),
        Kind::Switch => (matches!(value, "true" | "false"), "true or false".into()),
        Kind::Number { most, .. } => {
            let number = value.parse::<usize>().ok();
            let fits = number.is_some_and(|number| (1..=most).contains(&number));
            (fits, format!("a whole number from 1 to {most}"))
        }
    };
    if fits {
        return Ok(());
    }
    let name = parameter.name;
    Err(Refusal::Invalid(format!(
        "the parameter {name} must be {expected}"
    )))
}

fn missing(parameter: &Parameter) -> String {
    let Parameter { name, about, .. } = parameter;
    format!("the parameter {name} is missing: {about}")
}

fn unknown(name: &str, known: &[Parameter]) -> String {
    let known: Vec<&str> = known.iter().map(|parameter| parameter.name).collect();
    let expected = match &known[..] {
        [] => "there are none here".to_owned(),
        known => format!("expected {}", known.join(", ")),
    };
    // A token there would be in logs and histories.
    let hint = match name {
        "token" | "access_token" | "api_key" => "; a token belongs into Authorization: Bearer",
        _ => "",
    };
    format!("unknown parameter {name:?}: {expected}{hint}")
}

#[cfg(test)]
mod tests {
    use super::super::routes;
    use super::*;

    fn parse(text: &str) -> Result<Query, String> {
        let found = routes::find("GET", "/api/apps/1/channels").unwrap();
        Query::parse(found.route, text).map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn parameters_are_read() {
        let query = parse("prefix=presence-%C3%BC&limit=7").unwrap();
        assert_eq!(query.text("prefix"), Some("presence-ü"));
        assert_eq!((query.number("limit"), query.text("after")), (7, None));
        assert_eq!(parse("").unwrap().number("limit"), 100);
    }

    #[test]
    fn what_asks_for_nothing_takes_any_query() {
        for path in ["/", "/health", "/console/main.mjs"] {
            let found = routes::find("GET", path).unwrap();
            for text in ["utm_source=mail", "x=1&x=2", "%ff"] {
                assert!(Query::parse(found.route, text).is_ok(), "{path}?{text}");
            }
        }
    }

    #[test]
    fn what_must_be_there_is_asked_for() {
        let found = routes::find("DELETE", "/api/apps/1/connections").unwrap();
        for (text, expected) in [
            (
                "reconnect=true",
                "the parameter all is missing: `true`, as all of the app's are meant.",
            ),
            ("all=false", "the parameter all must be true"),
        ] {
            let refusal = Query::parse(found.route, text).unwrap_err();
            assert_eq!(refusal.to_string(), expected, "{text}");
        }
        assert!(Query::parse(found.route, "all=true").is_ok());
        let found = routes::find("DELETE", "/api/apps/1/users/connections").unwrap();
        for text in ["", "user="] {
            assert!(Query::parse(found.route, text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_means_nothing_is_named() {
        for (text, expected) in [
            (
                "prefx=a",
                "unknown parameter \"prefx\": expected prefix, after, limit",
            ),
            ("prefix=a&prefix=b", "the parameter prefix is given twice"),
            (
                "limit=0",
                "the parameter limit must be a whole number from 1 to 1000",
            ),
            (
                "limit=x",
                "the parameter limit must be a whole number from 1 to 1000",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), expected, "{text}");
        }
        assert!(
            parse("token=secret")
                .unwrap_err()
                .contains("Authorization: Bearer")
        );
    }
}
