//! The schema as a model is shown it: an object at the root, and the strict form where it has one.

use serde_json::{Map, Value, json};

/// The property that a value stands in if its own schema is not an object's.
pub(crate) const WRAPPER: &str = "items";

/// A schema in the form that it is sent in.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    /// The schema of the value, wrapped if need be.
    pub(crate) schema: Value,
    /// The same, in the subset that servers enforce token by token, if it has such a form.
    pub(crate) strict: Option<Value>,
    /// Whether the value stands in [`WRAPPER`].
    pub(crate) wrapped: bool,
}

impl Form {
    /// Makes the form of `schema`.
    ///
    /// OpenAI's structured outputs, JSON mode and tool calls all ask for an object at the root; a list, a scalar or a
    /// union is therefore put into one.
    pub(crate) fn new(schema: &Value) -> Self {
        let wrapped = schema.get("type").and_then(Value::as_str) != Some("object");
        let schema = if wrapped { wrap(schema) } else { schema.clone() };
        let strict = strict(&schema);
        Self { schema, strict, wrapped }
    }

    /// Makes the form of an answer that has one property per schema, all of them required.
    pub(crate) fn of_parts(root: &Value, parts: &[(String, Value)]) -> Self {
        let properties: Map<String, Value> = parts.iter().cloned().collect();
        let required: Vec<&String> = parts.iter().map(|(name, _)| name).collect();
        let mut schema = json!({
            "type": "object", "properties": properties, "required": required, "additionalProperties": false
        });
        hoist(root, &mut schema);
        let strict = strict(&schema);
        Self { schema, strict, wrapped: false }
    }

    /// Puts a value into the form.
    pub(crate) fn wrap_value(&self, value: Value) -> Value {
        if self.wrapped { json!({ WRAPPER: value }) } else { value }
    }

    /// Takes a value out of the form; hands it back as it is if it is not in it.
    pub(crate) fn unwrap_value(&self, mut value: Value) -> Value {
        match (self.wrapped, value.get_mut(WRAPPER)) {
            (true, Some(inner)) => inner.take(),
            _ => value,
        }
    }
}

fn wrap(schema: &Value) -> Value {
    let mut inner = schema.clone();
    if let Value::Object(map) = &mut inner {
        for word in ["$schema", "$defs", "definitions"] {
            map.remove(word);
        }
    }
    let mut outer = json!({
        "type": "object", "properties": { WRAPPER: inner }, "required": [WRAPPER], "additionalProperties": false
    });
    hoist(schema, &mut outer);
    outer
}

/// Copies the definitions of `root`, so that references keep their targets.
fn hoist(root: &Value, schema: &mut Value) {
    for word in ["$defs", "definitions"] {
        if let (Some(definitions), Value::Object(map)) = (root.get(word), &mut *schema) {
            map.insert(word.to_owned(), definitions.clone());
        }
    }
}

/// Keywords that the strict form keeps (OpenAI, "Structured Outputs", supported schemas).
const KEPT: [&str; 10] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "const",
    "anyOf",
    "$ref",
    "$defs",
];

/// Keywords that constrain a value and are told to the model in words instead.
const TOLD: [&str; 11] = [
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
    "multipleOf",
];

/// Rewrites a schema into the strict subset: every property required, no others allowed, the rest in words.
///
/// Returns `None` for what the subset cannot say: maps, tuples, anything-at-all, and `allOf` of several parts.
fn strict(schema: &Value) -> Option<Value> {
    const MAX_DEPTH: usize = 64;
    strict_at(schema, MAX_DEPTH)
}

fn strict_at(schema: &Value, depth: usize) -> Option<Value> {
    let Value::Object(map) = schema else { return None };
    let depth = depth.checked_sub(1)?;
    if let Some(target) = map.get("$ref") {
        return Some(json!({ "$ref": target }));
    }
    if let Some(Value::Array(all)) = map.get("allOf") {
        let [one] = all.as_slice() else { return None };
        return strict_at(one, depth);
    }
    if ["prefixItems", "patternProperties", "not", "if", "dependentSchemas"]
        .iter()
        .any(|word| map.contains_key(*word))
    {
        return None;
    }
    let mut out = Map::new();
    for word in KEPT {
        if let Some(value) = map.get(word) {
            out.insert(word.to_owned(), value.clone());
        }
    }
    if let Some(Value::Array(options)) = map.get("anyOf").or_else(|| map.get("oneOf")) {
        let options: Option<Vec<Value>> = options.iter().map(|option| strict_at(option, depth)).collect();
        out.insert("anyOf".to_owned(), Value::Array(options?));
    }
    let is_object = says_type(map, "object");
    if is_object || map.contains_key("properties") {
        let Some(Value::Object(properties)) = map.get("properties") else { return None };
        if map.get("additionalProperties").is_some_and(|rest| !matches!(rest, Value::Bool(_))) {
            return None;
        }
        let required: Vec<Value> = properties.keys().cloned().map(Value::String).collect();
        let strict_properties: Option<Map<String, Value>> =
            properties.iter().map(|(name, inner)| Some((name.clone(), strict_at(inner, depth)?))).collect();
        out.insert("properties".to_owned(), Value::Object(strict_properties?));
        out.insert("required".to_owned(), Value::Array(required));
        out.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    if says_type(map, "array") {
        out.insert("items".to_owned(), strict_at(map.get("items")?, depth)?);
    }
    if let Some(Value::Object(definitions)) = map.get("$defs") {
        let definitions: Option<Map<String, Value>> =
            definitions.iter().map(|(name, inner)| Some((name.clone(), strict_at(inner, depth)?))).collect();
        out.insert("$defs".to_owned(), Value::Object(definitions?));
    }
    if !["type", "enum", "const", "anyOf"].iter().any(|word| out.contains_key(*word)) {
        return None;
    }
    if let Some(description) = described(map) {
        out.insert("description".to_owned(), Value::String(description));
    }
    Some(Value::Object(out))
}

fn says_type(map: &Map<String, Value>, name: &str) -> bool {
    match map.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(many)) => many.iter().any(|one| one == name),
        _ => false,
    }
}

/// Joins the description and what the strict form cannot say otherwise.
fn described(map: &Map<String, Value>) -> Option<String> {
    let mut told: Vec<String> = TOLD
        .iter()
        .filter_map(|word| map.get(*word).map(|value| (word, value)))
        // integer widths mean nothing to a model
        .filter(|(word, value)| **word != "format" || !value.as_str().is_some_and(is_width))
        .map(|(word, value)| {
            format!("{word} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect();
    if map.get(super::marks::QUOTE) == Some(&Value::Bool(true)) {
        told.push("a quote, copied from the text word for word".to_owned());
    }
    let description = map.get("description").and_then(Value::as_str).unwrap_or_default();
    match (description.is_empty(), told.is_empty()) {
        (true, true) => None,
        (false, true) => Some(description.to_owned()),
        (true, false) => Some(told.join(", ")),
        (false, false) => Some(format!("{description} ({})", told.join(", "))),
    }
}

fn is_width(format: &str) -> bool {
    format.starts_with("int") || format.starts_with("uint") || matches!(format, "double" | "float")
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::JsonSchema;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only the schema is read")]
    struct Job {
        /// As written.
        #[schemars(extend("x-quote" = true))]
        title: String,
        #[schemars(range(min = 0, max = 9))]
        grade: Option<u8>,
        kind: Kind,
        tags: Vec<String>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only the schema is read")]
    enum Kind {
        /// Full time.
        Full,
        Part,
    }

    fn every_object(schema: &Value, check: &mut impl FnMut(&Map<String, Value>)) {
        match schema {
            Value::Object(map) => {
                if map.contains_key("properties") && says_type(map, "object") {
                    check(map);
                }
                map.values().for_each(|inner| every_object(inner, check));
            }
            Value::Array(items) => items.iter().for_each(|inner| every_object(inner, check)),
            _ => {}
        }
    }

    #[test]
    fn the_strict_form_requires_everything_and_allows_nothing_else() {
        let form = Form::new(schemars::schema_for!(Vec<Job>).as_value());
        assert!(form.wrapped);
        let strict = form.strict.unwrap();
        let mut objects = 0;
        every_object(&strict, &mut |map| {
            objects += 1;
            assert_eq!(map["additionalProperties"], false);
            let properties: Vec<&String> = map["properties"].as_object().unwrap().keys().collect();
            let required: Vec<&str> =
                map["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert_eq!(properties, required);
        });
        assert_eq!(objects, 2);
        let text = strict.to_string();
        for gone in ["x-quote", "$schema", "\"title\":\"", "uint8", "oneOf", "\"minimum\""] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
        assert!(text.contains("minimum 0") && text.contains("As written. (a quote"), "{text}");
    }

    #[test]
    fn what_the_strict_form_cannot_say_is_sent_as_it_is() {
        let map = schemars::schema_for!(std::collections::BTreeMap<String, u32>);
        let form = Form::new(map.as_value());
        assert!(form.strict.is_none() && !form.wrapped);
        assert!(Form::new(&json!({"type": "array", "items": {}})).strict.is_none());
    }

    #[test]
    fn a_value_goes_into_its_form_and_out_again() {
        let form = Form::new(&json!({"type": "array", "items": {"type": "string"}}));
        let inside = form.wrap_value(json!(["a"]));
        assert_eq!(inside, json!({"items": ["a"]}));
        assert_eq!(form.unwrap_value(inside), json!(["a"]));
        assert_eq!(form.unwrap_value(json!(["bare"])), json!(["bare"]));
    }

    #[test]
    fn the_form_of_parts_keeps_the_definitions_that_its_references_need() {
        let root = schemars::schema_for!(Vec<Job>).to_value();
        let parts = vec![("1".to_owned(), json!({"$ref": "#/$defs/Job"}))];
        let form = Form::of_parts(&root, &parts);
        assert!(form.schema.pointer("/$defs/Job").is_some());
        assert!(form.strict.unwrap().pointer("/$defs/Kind").is_some());
    }
}
