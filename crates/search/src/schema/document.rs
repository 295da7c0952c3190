//! Documents: an id and what stands under it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use pumasi_core::filter::{Datum, FieldPath, Record};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// A document: its id and its fields, as a JSON object.
///
/// A clone shares the object. `Debug` shows the id, never what the document says.
///
/// ```
/// use pumasi_search::Document;
///
/// #[derive(serde::Serialize)]
/// struct Post { title: String, likes: u32 }
///
/// let document = Document::of("42", &Post { title: "첫 하프 마라톤".into(), likes: 3 })?;
/// assert_eq!(document.source()["likes"], 3);
/// # Ok::<(), pumasi_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    id: String,
    source: Arc<Json>,
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Document {
    /// Makes a document of a JSON object.
    pub fn new(id: impl Into<String>, source: Json) -> Self {
        Self { id: id.into(), source: Arc::new(source) }
    }

    /// Makes a document of a value of your own type.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a value that does not become JSON.
    pub fn of(id: impl Into<String>, value: &impl Serialize) -> crate::Result<Self> {
        let source = serde_json::to_value(value).map_err(|error| {
            crate::Error::new(crate::ErrorKind::InvalidInput, "a document could not be written as JSON")
                .with_source(error)
        })?;
        Ok(Self::new(id, source))
    }

    /// Returns the id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the fields.
    pub fn source(&self) -> &Json {
        &self.source
    }

    /// Returns the fields, shared.
    pub(crate) fn shared(&self) -> Arc<Json> {
        Arc::clone(&self.source)
    }

    /// Takes the fields out.
    pub fn into_source(self) -> Json {
        Arc::unwrap_or_clone(self.source)
    }
}

impl Record for Document {
    fn field(&self, path: &FieldPath) -> Datum<'_> {
        self.source.field(path)
    }
}

/// Returns what stands at a path of a JSON object.
pub(crate) fn at<'a>(source: &'a Json, path: &FieldPath) -> Option<&'a Json> {
    path.names().try_fold(source, |at, name| at.get(name)).filter(|found| !found.is_null())
}

/// Returns the text at a path: a string, or the strings of an array, one a line.
pub(crate) fn text<'a>(source: &'a Json, path: &FieldPath) -> Cow<'a, str> {
    match at(source, path) {
        Some(Json::String(text)) => Cow::Borrowed(text),
        Some(Json::Array(items)) => {
            Cow::Owned(items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join("\n"))
        }
        _ => Cow::Borrowed(""),
    }
}
