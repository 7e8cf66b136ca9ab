//! Whether a value is what a schema of the API's document says: as much of JSON Schema as that uses.

use serde_json::Value;

/// Holds a value to a schema; the error says where it is something else.
pub(crate) fn check(document: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(target) = schema["$ref"].as_str() {
        let pointer = target.trim_start_matches('#');
        let target = document.pointer(pointer).ok_or(format!("no {target}"))?;
        return check(document, target, value);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        check(document, part, value)?;
    }
    if let Some(others) = schema["anyOf"].as_array() {
        let fits = |other: &Value| {
            let is_shape = other.get("$ref").is_some() || other.get("type").is_some();
            !is_shape || check(document, other, value).is_ok()
        };
        if !others.iter().any(fits) {
            return Err(format!("{value} is none of {schema}"));
        }
    }
    let wrong = |what: &str| Err(format!("{value} is not {what} of {schema}"));
    if let Some(fixed) = schema.get("const")
        && fixed != value
    {
        return wrong("the constant");
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return wrong("one");
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind, value)) {
        return wrong("the type");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap_or_default()).is_none() {
            return Err(format!("{value} has no {name}"));
        }
    }
    for (name, inner) in value.as_object().into_iter().flatten() {
        match (
            schema["properties"].get(name),
            schema.get("additionalProperties"),
        ) {
            (Some(property), _) => check(document, property, inner)?,
            (None, Some(Value::Bool(false))) => return Err(format!("{name} is not in {schema}")),
            (None, Some(others @ Value::Object(_))) => check(document, others, inner)?,
            (None, _) => {}
        }
    }
    if let Some(items) = schema.get("items") {
        for item in value.as_array().into_iter().flatten() {
            check(document, items, item)?;
        }
    }
    Ok(())
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}
