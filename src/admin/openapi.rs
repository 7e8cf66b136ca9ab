//! The document of the API, in OpenAPI 3.1: made of the table that requests are answered by, and of schemas that are written down
//! beside it.

use serde_json::{Map, Value, json};

use super::gate::Needs;
use super::routes::{Kind, Parameter, ROUTES, Route, name_in};

/// Everything but the paths.
const REST: &str = include_str!("openapi.json");

/// The whole document.
pub(super) fn document() -> Value {
    let mut document: Value = serde_json::from_str(REST).expect("a test reads it");
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.name().to_lowercase()] = operation(route);
    }
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document["paths"] = paths.into();
    document
}

fn operation(route: &Route) -> Value {
    let in_path = route.path.split('/').filter_map(name_in);
    let in_path = in_path.map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
    });
    let parameters: Vec<Value> = in_path.chain(route.query.iter().map(parameter)).collect();
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses(route),
        // Where there are no tokens, none is to be shown.
        "security": match route.needs {
            Needs::Nothing => json!([]),
            Needs::Metrics | Needs::Read | Needs::Stream | Needs::Write => json!([{ "token": [] }, {}]),
        },
        "x-role": match route.needs {
            Needs::Nothing => Value::Null,
            Needs::Metrics | Needs::Read | Needs::Stream => "read".into(),
            Needs::Write => "write".into(),
        },
    });
    if let Some(schema) = route.body {
        operation["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": reference(schema) } },
        });
    }
    operation
}

fn operation_id(route: &Route) -> String {
    format!("{:?}", route.call)
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Needed => json!({ "type": "string", "minLength": 1 }),
        Kind::Consent => json!({ "type": "boolean", "const": true }),
        Kind::Switch => json!({ "type": "boolean", "default": false }),
        Kind::Number { default, most } => {
            let mut schema = json!({ "type": "integer", "minimum": 1, "maximum": most });
            if default > 0 {
                schema["default"] = default.into();
            }
            schema
        }
    };
    json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.kind.must_be_there(),
        "description": parameter.about,
        "schema": schema,
    })
}

fn responses(route: &Route) -> Value {
    let (status, schema) = route.answer;
    let mut well = json!({ "description": route.summary });
    if let Some(schema) = schema {
        let kinds: &[&str] = match schema {
            "Text" => &["text/plain"],
            "Page" => &["text/html"],
            "File" => &["text/css", "text/javascript"],
            _ => &["application/json"],
        };
        for kind in kinds {
            well["content"][*kind] = json!({ "schema": reference(schema) });
        }
    }
    let mut responses = Map::new();
    responses.insert(status.to_string(), well);
    // What may be wrong with who asks, and how.
    let mut refusals = vec![403, 421];
    match route.needs {
        // The query is not looked at.
        Needs::Nothing if !route.path.contains('{') => {}
        _ => refusals.push(400),
    }
    match route.needs {
        Needs::Nothing => {}
        Needs::Metrics | Needs::Read | Needs::Stream | Needs::Write => refusals.extend([401, 429]),
    }
    refusals.extend(route.refusals);
    for status in refusals {
        let refused = json!({ "$ref": "#/components/responses/Refused" });
        responses.insert(status.to_string(), refused);
    }
    responses.into()
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// All that is pointed to, anywhere in the document.
    fn references<'d>(value: &'d Value, found: &mut BTreeSet<&'d str>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    match value {
                        Value::String(target) if key == "$ref" => {
                            found.insert(target);
                        }
                        value => references(value, found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn all_that_is_pointed_to_is_there_and_nothing_else() {
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for target in &found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
        for kind in ["schemas", "responses"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                let target = format!("#/components/{kind}/{name}");
                assert!(found.contains(&*target), "{target} is not used");
            }
        }
    }

    #[test]
    fn every_route_is_described_once() {
        let document = document();
        let described: usize = document["paths"]
            .as_object()
            .unwrap()
            .values()
            .map(|path| path.as_object().unwrap().len())
            .sum();
        assert_eq!(described, ROUTES.len());
        let ids: BTreeSet<String> = ROUTES.iter().map(operation_id).collect();
        assert_eq!(ids.len(), ROUTES.len());
    }
}
