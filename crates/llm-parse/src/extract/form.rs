//! The schema as a model is shown it: an object at the root, and the strict form where it has one.

use serde_json::{Map, Value, json};

use crate::Schema;

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
        let mut schema = if wrapped { wrap(schema) } else { schema.clone() };
        described(&mut schema);
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
        described(&mut schema);
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

/// Returns the strict form, if it really is one: every object closed, and a type everywhere.
///
/// Maps, and places where anything may stand, have none: servers refuse them, or make something else of them.
fn strict(schema: &Value) -> Option<Value> {
    let strict = Schema::from_json(schema).ok()?.to_strict_json();
    let mut open = vec![&strict];
    while let Some(schema) = open.pop() {
        let Value::Object(map) = schema else { return None };
        if !["type", "enum", "const", "anyOf", "$ref"].iter().any(|word| map.contains_key(*word)) {
            return None;
        }
        if ["allOf", "prefixItems"].iter().any(|word| map.contains_key(*word)) {
            return None;
        }
        if says_type(map, "object")
            && (!map.contains_key("properties")
                || map.get("additionalProperties") != Some(&Value::Bool(false)))
        {
            return None;
        }
        if says_type(map, "array") {
            open.push(map.get("items")?);
        }
        for word in ["properties", "$defs", "definitions"] {
            open.extend(map.get(word).and_then(Value::as_object).into_iter().flat_map(Map::values));
        }
        open.extend(map.get("anyOf").and_then(Value::as_array).into_iter().flatten());
    }
    Some(strict)
}

fn says_type(map: &Map<String, Value>, name: &str) -> bool {
    match map.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(many)) => many.iter().any(|one| one == name),
        _ => false,
    }
}

/// Says in the descriptions of quotes that they are copied, since the mark itself means nothing to a model.
fn described(schema: &mut Value) {
    const NOTE: &str = "A quote: copied from the text word for word.";
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(map) => {
                if map.get(super::marks::QUOTE) == Some(&Value::Bool(true)) {
                    let own = map.get("description").and_then(Value::as_str).unwrap_or_default();
                    let text = if own.is_empty() { NOTE.to_owned() } else { format!("{own} {NOTE}") };
                    map.insert("description".to_owned(), Value::String(text));
                }
                open.extend(map.values_mut());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
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
        for gone in ["x-quote", "$schema", "uint8", "oneOf"] {
            assert!(!text.contains(gone), "{gone} in {text}");
        }
        assert!(text.contains("As written. A quote: copied"), "{text}");
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
