//! The form of a schema that strict response formats of model servers demand.
//!
//! Source: the "Supported schemas" section of OpenAI's guide to structured outputs.

use serde_json::{Map, Value, json};

const KEPT: &[&str] = &[
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "prefixItems",
    "properties",
    "required",
    "title",
    "type",
];
const MAX_DEPTH: usize = 128;

pub(super) fn strict(schema: &Value) -> Value {
    walk(schema, 0)
}

fn walk(schema: &Value, depth: usize) -> Value {
    let Value::Object(map) = schema else { return schema.clone() };
    if depth > MAX_DEPTH {
        return json!({});
    }
    let mut out = Map::new();
    for (key, value) in map {
        match (key.as_str(), value) {
            // One of several is all that the formats know.
            ("oneOf", Value::Array(variants)) => {
                out.insert(
                    "anyOf".to_owned(),
                    variants.iter().map(|variant| walk(variant, depth + 1)).collect(),
                );
            }
            ("allOf", Value::Array(members)) if members.len() == 1 => {
                if let Some(Value::Object(only)) = members.first().map(|member| walk(member, depth + 1)) {
                    out.extend(only);
                }
            }
            ("allOf", _) => {
                out.insert(key.clone(), value.clone());
            }
            ("format", Value::String(format))
                if matches!(
                    format.as_str(),
                    "date-time"
                        | "time"
                        | "date"
                        | "duration"
                        | "email"
                        | "hostname"
                        | "ipv4"
                        | "ipv6"
                        | "uuid"
                ) =>
            {
                out.insert(key.clone(), value.clone());
            }
            ("properties", Value::Object(_)) => {}
            ("$defs" | "definitions", Value::Object(parts)) => {
                let parts = parts.iter().map(|(name, part)| (name.clone(), walk(part, depth + 1))).collect();
                out.insert(key.clone(), Value::Object(parts));
            }
            ("anyOf" | "prefixItems", Value::Array(parts)) => {
                out.insert(key.clone(), parts.iter().map(|part| walk(part, depth + 1)).collect());
            }
            ("items" | "additionalProperties", part) => {
                out.insert(key.clone(), walk(part, depth + 1));
            }
            (name, value) if KEPT.contains(&name) => {
                out.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    // Beside a reference nothing else may stand.
    if let Some(reference) = out.get("$ref").cloned() {
        return json!({ "$ref": reference });
    }
    if let Some(Value::Object(properties)) = map.get("properties") {
        close(map, properties, &mut out, depth);
    }
    Value::Object(out)
}

fn close(
    map: &Map<String, Value>,
    properties: &Map<String, Value>,
    out: &mut Map<String, Value>,
    depth: usize,
) {
    let required: Vec<&str> = match map.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let fields: Map<String, Value> = properties
        .iter()
        .map(|(name, schema)| {
            let inner = walk(schema, depth + 1);
            let inner = if required.contains(&name.as_str()) { inner } else { nullable(inner) };
            (name.clone(), inner)
        })
        .collect();
    out.insert("required".to_owned(), fields.keys().cloned().collect());
    out.insert("properties".to_owned(), Value::Object(fields));
    out.insert("additionalProperties".to_owned(), Value::Bool(false));
}

fn nullable(schema: Value) -> Value {
    let Value::Object(mut map) = schema else { return schema };
    if let Some(Value::Array(variants)) = map.get_mut("anyOf") {
        if !variants.iter().any(|variant| variant.get("type").and_then(Value::as_str) == Some("null")) {
            variants.push(json!({"type": "null"}));
        }
        return Value::Object(map);
    }
    match map.get_mut("type") {
        Some(Value::Array(types)) => {
            if !types.iter().any(|name| name == "null") {
                types.push(Value::from("null"));
            }
        }
        Some(Value::String(name)) if name != "null" => {
            let name = name.clone();
            map.insert("type".to_owned(), json!([name, "null"]));
        }
        Some(_) => return Value::Object(map),
        None => return json!({"anyOf": [Value::Object(map), {"type": "null"}]}),
    }
    if let Some(Value::Array(values)) = map.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    Value::Object(map)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::strict;

    #[test]
    fn closes_objects_and_requires_every_property() {
        let schema = json!({
            "type": "object",
            "properties": {"a": {"type": "integer", "format": "uint8"}, "b": {"type": "string"}, "c": {"$ref": "#/$defs/C"}},
            "required": ["a"],
            "$defs": {"C": {"type": "object", "properties": {"d": {"enum": ["x"], "type": "string"}}}}
        });
        let out = strict(&schema);
        assert_eq!(out["additionalProperties"], json!(false));
        assert_eq!(out["required"], json!(["a", "b", "c"]));
        assert_eq!(out["properties"]["a"], json!({"type": "integer"}));
        assert_eq!(out["properties"]["b"], json!({"type": ["string", "null"]}));
        assert_eq!(out["properties"]["c"], json!({"anyOf": [{"$ref": "#/$defs/C"}, {"type": "null"}]}));
        assert_eq!(
            out["$defs"]["C"]["properties"]["d"],
            json!({"enum": ["x", null], "type": ["string", "null"]})
        );
    }
}
