//! Which strings of a value its schema marks as quotes, and what the schema says at a place.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::form::WRAPPER;
use super::pointer;
use crate::{Path, Step};

/// The keyword that marks a quote in a schema.
pub(crate) const QUOTE: &str = "x-quote";

/// A string in a value, by what its schema says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf<'a> {
    /// Marked as a quote.
    Quote(&'a str),
    /// One of an enumeration, or in a fixed form such as a date.
    Bound(&'a str),
    /// Anything else.
    Free(&'a str),
}

/// A schema, read for what stands where.
#[derive(Clone, Debug)]
pub(crate) struct Marks {
    root: Value,
    /// The names of all properties, wherever they are.
    names: HashSet<String>,
}

impl Marks {
    pub(crate) fn new(schema: &Value) -> Self {
        let mut names = HashSet::new();
        let mut open = vec![schema];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(map) => {
                    if let Some(Value::Object(properties)) = map.get("properties") {
                        names.extend(properties.keys().cloned());
                    }
                    open.extend(map.values());
                }
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        Self { root: schema.clone(), names }
    }

    /// Tells whether some object of the schema has a property of this name.
    pub(crate) fn names(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Replaces keys that the schema does not name by `*`, as [`Self::without_texts`] does, in a report's path.
    pub(crate) fn path_without_texts(&self, path: &Path) -> Path {
        path.steps().iter().fold(Path::root(), |path, step| match step {
            Step::Index(index) => path.with_index(*index),
            // the extractor's own: the wrapper, and the numbered parts of a second question
            Step::Key(key) if self.names(key) || key == WRAPPER || key.parse::<u8>().is_ok() => {
                path.with_key(key)
            }
            Step::Key(_) => path.with_key("*"),
        })
    }

    /// Returns every string of `value` with its pointer, in the order of the value.
    pub(crate) fn strings<'a>(&self, value: &'a Value) -> Vec<(String, Leaf<'a>)> {
        let mut found = Vec::new();
        // children are pushed in reverse, so that they are popped in the order of the value
        let mut open = vec![(String::new(), value, vec![&self.root])];
        while let Some((path, value, schemas)) = open.pop() {
            let schemas = self.resolved(&schemas);
            match value {
                Value::String(text) => found.push((path, leaf(text, &schemas))),
                Value::Array(items) => {
                    for (index, item) in items.iter().enumerate().rev() {
                        let inner = schemas.iter().filter_map(|schema| item_schema(schema, index)).collect();
                        open.push((pointer::join(&path, &index.to_string()), item, inner));
                    }
                }
                Value::Object(map) => {
                    for (key, item) in map.iter().collect::<Vec<_>>().into_iter().rev() {
                        let inner = schemas.iter().filter_map(|schema| field_schema(schema, key)).collect();
                        open.push((pointer::join(&path, key), item, inner));
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// Returns the quotes of `value` with their pointers, in the order of the value.
    pub(crate) fn quotes<'a>(&self, value: &'a Value) -> Vec<(String, &'a str)> {
        let quote = |(path, leaf)| if let Leaf::Quote(text) = leaf { Some((path, text)) } else { None };
        self.strings(value).into_iter().filter_map(quote).collect()
    }

    /// Tells whether the schema marks any quote.
    pub(crate) fn has_quotes(&self) -> bool {
        let mut open = vec![&self.root];
        while let Some(value) = open.pop() {
            match value {
                Value::Object(map) if map.get(QUOTE) == Some(&Value::Bool(true)) => return true,
                Value::Object(map) => open.extend(map.values()),
                Value::Array(items) => open.extend(items),
                _ => {}
            }
        }
        false
    }

    /// Returns the schema of the place at `place`; the empty schema (anything) where the schema says nothing.
    pub(crate) fn at(&self, place: &str) -> Value {
        let mut schemas = vec![&self.root];
        for step in pointer::steps(place) {
            let here = self.resolved(&schemas);
            let index = step.parse::<usize>().ok();
            schemas = here
                .iter()
                .filter_map(|schema| {
                    field_schema(schema, &step).or_else(|| index.and_then(|index| item_schema(schema, index)))
                })
                .collect();
        }
        match schemas.as_slice() {
            [] => Value::Object(Map::new()),
            [one] => (*one).clone(),
            many => serde_json::json!({"anyOf": many}),
        }
    }

    /// Replaces keys of `place` that the schema does not name by `*`: they came from the model or the source.
    pub(crate) fn without_texts(&self, place: &str) -> String {
        let mut schemas = vec![&self.root];
        let mut out = String::new();
        for step in pointer::steps(place) {
            let here = self.resolved(&schemas);
            let named =
                here.iter().any(|schema| schema.get("properties").and_then(|all| all.get(&step)).is_some());
            let index = step.parse::<usize>().ok();
            out = pointer::join(&out, if named || index.is_some() { &step } else { "*" });
            schemas = here
                .iter()
                .filter_map(|schema| {
                    field_schema(schema, &step).or_else(|| index.and_then(|index| item_schema(schema, index)))
                })
                .collect();
        }
        out
    }

    /// Follows references and opens alternatives.
    fn resolved<'s>(&'s self, schemas: &[&'s Value]) -> Vec<&'s Value> {
        const LIMIT: usize = 256;
        let mut found: Vec<&'s Value> = Vec::new();
        let mut open: Vec<&'s Value> = schemas.to_vec();
        let mut visited = 0;
        while let Some(schema) = open.pop() {
            visited += 1;
            if visited > LIMIT {
                break;
            }
            if found.iter().any(|other| std::ptr::eq(*other, schema)) {
                continue;
            }
            found.push(schema);
            if let Some(target) = schema.get("$ref").and_then(Value::as_str)
                && let Some(place) = target.strip_prefix('#')
                && let Some(inner) = self.root.pointer(place)
            {
                open.push(inner);
            }
            for word in ["anyOf", "oneOf", "allOf"] {
                if let Some(Value::Array(all)) = schema.get(word) {
                    open.extend(all);
                }
            }
        }
        found
    }
}

fn leaf<'a>(text: &'a str, schemas: &[&Value]) -> Leaf<'a> {
    let has = |word: &str| schemas.iter().any(|schema| schema.get(word).is_some());
    if schemas.iter().any(|schema| schema.get(QUOTE) == Some(&Value::Bool(true))) {
        Leaf::Quote(text)
    } else if has("enum") || has("const") || has("format") || has("pattern") {
        Leaf::Bound(text)
    } else {
        Leaf::Free(text)
    }
}

fn field_schema<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    let named = schema.get("properties").and_then(|all| all.get(key));
    named.or_else(|| schema.get("additionalProperties").filter(|rest| rest.is_object()))
}

fn item_schema(schema: &Value, index: usize) -> Option<&Value> {
    let prefixed = schema.get("prefixItems").and_then(|all| all.get(index));
    prefixed.or_else(|| schema.get("items").filter(|items| items.is_object()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::JsonSchema;
    use serde_json::json;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only the schema is read")]
    struct Deed {
        title: String,
        #[schemars(extend("x-quote" = true))]
        quote: Option<String>,
        level: Level,
        inner: Vec<Deed>,
        notes: std::collections::BTreeMap<String, String>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only the schema is read")]
    enum Level {
        Easy,
        Hard,
    }

    fn marks() -> Marks {
        Marks::new(schemars::schema_for!(Vec<Deed>).as_value())
    }

    #[test]
    fn quotes_are_found_behind_references_options_and_lists() {
        let value = json!([{"title": "t", "quote": "q0", "level": "Easy", "inner": [{"title": "u", "quote": "q1"}], "notes": {"x": "n"}}]);
        let mut quotes = marks().quotes(&value);
        quotes.sort_unstable();
        assert_eq!(quotes, [("/0/inner/0/quote".to_owned(), "q1"), ("/0/quote".to_owned(), "q0")]);
        assert!(marks().has_quotes());
        let all = marks().strings(&value);
        assert!(all.contains(&("/0/level".to_owned(), Leaf::Bound("Easy"))));
        assert!(all.contains(&("/0/notes/x".to_owned(), Leaf::Free("n"))));
    }

    #[test]
    fn the_schema_at_a_place_is_found_and_unknown_places_allow_anything() {
        assert_eq!(marks().at("/3/title")["type"], "string");
        assert_eq!(marks().at("/3/nowhere"), json!({}));
        assert!(marks().at("/0/inner/7").get("$ref").is_some());
    }

    #[test]
    fn keys_that_the_schema_does_not_name_are_hidden() {
        assert_eq!(marks().without_texts("/0/notes/홍길동의 비밀"), "/0/notes/*");
        assert_eq!(marks().without_texts("/0/inner/2/quote"), "/0/inner/2/quote");
    }

    #[test]
    fn a_schema_that_refers_to_itself_ends() {
        let marks = Marks::new(&json!({"$ref": "#", "anyOf": [{"$ref": "#"}]}));
        assert_eq!(marks.strings(&json!({"a": ["b"]})).len(), 1);
    }
}
