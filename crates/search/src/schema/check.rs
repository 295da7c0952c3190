//! Whether schemas, documents and filters fit together: refused here, before any engine sees them, and so alike on all.

use std::collections::HashSet;

use pumasi_core::filter::{Filter, GeoPoint, Operator, Value};
use pumasi_core::time::Timestamp;
use serde_json::Value as Json;

use super::document::at;
use super::{Document, FieldKind, MAX_ID_BYTES, MAX_KEYWORD_BYTES, Schema};
use crate::{Error, ErrorKind, Result};

fn invalid(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, what.into())
}

impl Schema {
    /// Checks names, paths and boosts; engines do so when they are made.
    ///
    /// # Errors
    ///
    /// `InvalidInput` with what is wrong.
    pub fn validate(&self) -> Result<()> {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !(self.name.starts_with(|c: char| c.is_ascii_lowercase())
            && self.name.len() <= 40
            && self.name.chars().all(word))
        {
            return Err(invalid(
                "a schema's name is not of at most 40 lower-case letters, digits and underscores",
            ));
        }
        let mut seen = HashSet::new();
        for field in &self.texts {
            if !(1.0..=100.0).contains(&field.boost) {
                return Err(invalid(format!("the boost of {} is not from 1 to 100", field.path)));
            }
            if !field.path.is_valid() || !seen.insert(&field.path) {
                return Err(invalid(format!("{} is no path, or is named twice", field.path)));
            }
        }
        match self.fields.keys().find(|path| !path.is_valid()) {
            Some(path) => Err(invalid(format!("{path} is no path"))),
            None => Ok(()),
        }
    }

    /// Checks that a document has an id and that its fields hold what the schema says; missing ones may be missing.
    ///
    /// # Errors
    ///
    /// `InvalidInput` with the field, never with what stands in it.
    pub fn check_document(&self, document: &Document) -> Result<()> {
        check_id(document.id())?;
        let source = document.source();
        if !source.is_object() {
            return Err(invalid("a document is not a JSON object"));
        }
        for field in &self.texts {
            let fits = match at(source, &field.path) {
                None | Some(Json::String(_)) => true,
                Some(Json::Array(items)) => items.iter().all(Json::is_string),
                Some(_) => false,
            };
            if !fits {
                return Err(invalid(format!("the document's {} is no text", field.path)));
            }
        }
        for (path, kind) in &self.fields {
            if at(source, path).is_some_and(|value| !kind.holds(value)) {
                return Err(invalid(format!("the document's {path} is not of the kind {}", kind.as_str())));
            }
        }
        Ok(())
    }

    /// Checks that a filter asks only what can be asked of the schema's fields.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a field that is not there, an operator that the field does not take, and a value of another type.
    pub fn check_filter(&self, filter: &Filter) -> Result<()> {
        filter.validate()?;
        let mut open = vec![filter];
        while let Some(node) = open.pop() {
            open.extend(node.children());
            let Some(path) = node.field() else { continue };
            let Some(kind) = self.kind(path) else {
                return Err(invalid(format!("{path} is not a field that can be filtered by")));
            };
            let takes = match node {
                Filter::Eq { value, .. } => kind.compares(value),
                Filter::In { values, .. } => {
                    !matches!(kind, FieldKind::Keywords | FieldKind::Place)
                        && values.iter().all(|value| kind.compares(value))
                }
                Filter::Range { bounds, .. } => {
                    kind != FieldKind::Bool
                        && [bounds.low(), bounds.high()]
                            .into_iter()
                            .flatten()
                            .all(|(value, _)| kind.compares(value))
                }
                Filter::Contains { value, .. } => kind.is_facet() && matches!(value, Value::Text(_)),
                Filter::Near { .. } => kind == FieldKind::Place,
                _ => node.operator() == Operator::Exists,
            };
            if !takes {
                return Err(invalid(format!(
                    "{path} is of the kind {}, which does not take this `{}`",
                    kind.as_str(),
                    node.operator()
                )));
            }
        }
        Ok(())
    }
}

/// Checks an id: not empty, at most [`MAX_ID_BYTES`], no control characters.
pub(crate) fn check_id(id: &str) -> Result<()> {
    if id.is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
        return Err(invalid("a document's id is empty, longer than 256 bytes, or has control characters"));
    }
    Ok(())
}

impl FieldKind {
    /// Tells whether a value that is there is of this kind.
    fn holds(self, value: &Json) -> bool {
        let keyword = |value: &Json| value.as_str().is_some_and(is_keyword);
        match self {
            Self::Bool => value.is_boolean(),
            Self::Int => value.as_i64().is_some(),
            // whole numbers beyond 2^53 would not be the same as a float
            Self::Float => match value.as_i64() {
                Some(whole) => whole.unsigned_abs() <= 1 << 53,
                None => value.is_f64(),
            },
            Self::Keyword => keyword(value),
            Self::Keywords => value.as_array().is_some_and(|items| items.iter().all(keyword)),
            Self::Time => value.as_str().is_some_and(|text| text.parse::<Timestamp>().is_ok()),
            Self::Place => place(value).is_some_and(GeoPoint::is_valid),
        }
    }

    /// Tells whether a single value of this kind can be compared with `value`.
    const fn compares(self, value: &Value) -> bool {
        matches!(
            (self, value),
            (Self::Bool, Value::Bool(_))
                | (Self::Int | Self::Float, Value::Int(_) | Value::Float(_))
                | (Self::Keyword, Value::Text(_))
                | (Self::Time, Value::Time(_))
        )
    }
}

/// Tells whether every engine can hold `text` as a keyword: PostgreSQL takes no NUL.
pub(crate) fn is_keyword(text: &str) -> bool {
    text.len() <= MAX_KEYWORD_BYTES && !text.contains('\0')
}

/// Reads a place.
pub(crate) fn place(value: &Json) -> Option<GeoPoint> {
    Some(GeoPoint::new(value.get("lat")?.as_f64()?, value.get("lon")?.as_f64()?))
}

#[cfg(test)]
mod tests {
    use pumasi_core::filter::{Field, FieldPath};
    use serde_json::json;

    use super::*;
    use crate::TextField;

    const LIKES: Field<i64> = Field::new("likes");
    const TAGS: Field<Vec<String>> = Field::new("tags");

    fn schema() -> Schema {
        Schema::new("posts").with_text(TextField::new("title")).with_field(&LIKES).with_field(&TAGS)
    }

    #[test]
    fn refuses_documents_that_do_not_fit_and_names_the_field() {
        let refused =
            |source| schema().check_document(&Document::new("1", source)).err().map(|e| e.to_string());
        assert_eq!(refused(json!({"title": "러닝", "likes": 3, "tags": ["a"], "more": {}})), None);
        assert_eq!(refused(json!({"title": null})), None);
        assert!(
            refused(json!({"likes": "많이"})).is_some_and(|e| e.contains("likes") && !e.contains("많이"))
        );
        assert!(refused(json!({"likes": 1.5})).is_some());
        assert!(refused(json!({"tags": "a"})).is_some());
        assert!(refused(json!({"title": 5})).is_some());
        assert!(refused(json!([])).is_some());
        assert!(schema().check_document(&Document::new("", json!({}))).is_err());
    }

    #[test]
    fn refuses_filters_that_cannot_be_asked() {
        let check = |filter: &Filter| schema().check_filter(filter);
        assert!(check(&LIKES.at_least(3).and(!TAGS.contains("a"))).is_ok());
        assert!(check(&Field::<i64>::new("title").eq(1)).is_err());
        assert!(check(&FieldPath::new("likes").eq("셋")).is_err());
        assert!(check(&FieldPath::new("tags").eq("a")).is_err());
        assert!(check(&FieldPath::new("likes").contains("a")).is_err());
    }

    #[test]
    fn refuses_schemas_that_no_engine_can_hold() {
        assert!(schema().validate().is_ok());
        for broken in [
            Schema::new("Posts"),
            Schema::new(""),
            Schema::new("p".repeat(41)),
            schema().with_text(TextField::new("title")),
            Schema::new("p").with_text(TextField::new("a").boosted(f32::NAN)),
            Schema::new("p").with_kind("a..b", FieldKind::Int),
        ] {
            assert!(broken.validate().is_err());
        }
    }
}
