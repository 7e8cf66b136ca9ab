//! Which route a request is for.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

use super::super::refusal::Refusal;
use super::route::{Method, Route};
use super::table::ROUTES;

/// A route that was found, and what stands in its path.
#[derive(Debug)]
pub(in crate::admin) struct Found<'p> {
    pub(in crate::admin) route: &'static Route,
    values: SmallVec<[(&'static str, Cow<'p, str>); 2]>,
}

impl Found<'_> {
    /// What stands in the path for a name of the route.
    pub(in crate::admin) fn value(&self, name: &str) -> &str {
        let mut values = self.values.iter();
        let value = values.find(|(known, _)| *known == name);
        value.map_or("", |(_, value)| value)
    }
}

/// Finds what a request is for.
pub(in crate::admin) fn find<'p>(method: &str, path: &'p str) -> Result<Found<'p>, Refusal> {
    let mut methods: Vec<&str> = Vec::new();
    for route in ROUTES {
        let Some(values) = matched(route.path, path) else {
            continue;
        };
        if Method::of(method) == Some(route.method) {
            let values = values.into_iter().map(|(name, raw)| {
                let decoded = percent_decode_str(raw).decode_utf8();
                let decoded = decoded
                    .map_err(|_| Refusal::Invalid(format!("{raw:?} in the path is no UTF-8")))?;
                Ok((name, decoded))
            });
            let values = values.collect::<Result<_, Refusal>>()?;
            return Ok(Found { route, values });
        }
        methods.push(route.method.name());
    }
    if methods.is_empty() {
        return Err(Refusal::NoSuchPath(path.to_owned()));
    }
    Err(Refusal::Method(methods.join(", ")))
}

/// What stands for the names of a pattern, if the path is one of its.
fn matched<'p>(
    pattern: &'static str,
    path: &'p str,
) -> Option<SmallVec<[(&'static str, &'p str); 2]>> {
    let mut values = SmallVec::new();
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(values),
            (Some(wanted), Some(given)) => match name_in(wanted) {
                Some(name) if !given.is_empty() => values.push((name, given)),
                None if wanted == given => {}
                _ => return None,
            },
            _ => return None,
        }
    }
}

/// The name in a segment that may be anything.
pub(in crate::admin) fn name_in(segment: &'static str) -> Option<&'static str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}
