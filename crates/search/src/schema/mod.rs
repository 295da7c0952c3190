//! Which fields documents have, and what may be asked of each.
//!
//! Fields that are searched are [`TextField`]s; fields that are filtered, sorted and counted by are the typed
//! [`Field`]s of core's filter. A text field has no comparisons, so a filter on it does not compile:
//!
//! ```compile_fail
//! use pumasi_search::TextField;
//! const TITLE: TextField = TextField::new("title");
//! let filter = TITLE.eq("러닝");
//! ```

mod check;
mod document;

use std::collections::BTreeMap;
use std::fmt;

use pumasi_core::filter::{Field, FieldPath, GeoPoint};
use pumasi_core::text::Analyzer;
use pumasi_core::time::Timestamp;
use serde::{Deserialize, Serialize};

#[cfg(feature = "postgres")]
pub(crate) use check::place;
pub(crate) use check::{check_id, is_keyword};
pub use document::Document;
pub(crate) use document::at as value_at;
pub(crate) use document::text as text_at;

/// The longest string that a keyword may hold, in bytes: what every engine can index whole.
pub const MAX_KEYWORD_BYTES: usize = 1_024;

/// The longest document id, in bytes.
pub const MAX_ID_BYTES: usize = 256;

/// What a field that is filtered, sorted or counted by holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FieldKind {
    /// A truth value.
    Bool,
    /// A whole number that fits into 64 bits.
    Int,
    /// A decimal number.
    Float,
    /// A string that is compared whole: a category, a language. At most [`MAX_KEYWORD_BYTES`].
    Keyword,
    /// An array of such strings: tags.
    Keywords,
    /// A moment, in RFC 3339.
    Time,
    /// A place, `{"lat": 37.5, "lon": 127.0}`.
    Place,
}

impl FieldKind {
    /// Names the kind in `snake_case`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Keyword => "keyword",
            Self::Keywords => "keywords",
            Self::Time => "time",
            Self::Place => "place",
        }
    }

    /// Tells whether documents can be sorted by the field.
    pub const fn is_sortable(self) -> bool {
        !matches!(self, Self::Keywords | Self::Place)
    }

    /// Tells whether the field's values can be counted as facets.
    pub const fn is_facet(self) -> bool {
        matches!(self, Self::Keyword | Self::Keywords)
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A type that a field of a schema can have.
pub trait FieldType: sealed::Sealed {
    /// What such a field holds.
    const KIND: FieldKind;
}

/// A type whose values can be counted as facets: a string or an array of strings.
pub trait FacetType: FieldType {}

macro_rules! field_types {
    ($($type:ty => $kind:ident),+ $(,)?) => {$(
        impl sealed::Sealed for $type {}
        impl FieldType for $type {
            const KIND: FieldKind = FieldKind::$kind;
        }
    )+};
}

field_types! {
    bool => Bool, i8 => Int, i16 => Int, i32 => Int, i64 => Int, u8 => Int, u16 => Int, u32 => Int, u64 => Int,
    f32 => Float, f64 => Float, String => Keyword, Vec<String> => Keywords, Timestamp => Time, GeoPoint => Place,
}

impl FacetType for String {}
impl FacetType for Vec<String> {}

/// A field whose text is searched.
///
/// ```
/// use pumasi_search::TextField;
///
/// const TITLE: TextField = TextField::new("title");
/// let schema = pumasi_search::Schema::new("posts").with_text(TITLE.boosted(2.0).with_prefixes());
/// assert_eq!(schema.texts().len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct TextField {
    path: FieldPath,
    boost: f32,
    prefixes: bool,
}

impl TextField {
    /// Names a field; `path` has its names joined by full stops.
    pub const fn new(path: &'static str) -> Self {
        Self { path: FieldPath::from_static(path), boost: 1.0, prefixes: false }
    }

    /// Names a field that is known at run time only.
    pub fn at(path: impl Into<FieldPath>) -> Self {
        Self { path: path.into(), boost: 1.0, prefixes: false }
    }

    /// Makes a match in this field count `boost` times as much as one elsewhere; from 1, the default, to 100.
    #[must_use]
    pub const fn boosted(mut self, boost: f32) -> Self {
        self.boost = boost;
        self
    }

    /// Lets words of this field be found by their beginnings, in letters (`mara*`), syllables (`러닝ㅋ`) or initial
    /// consonants (`ㄹㄴㅋㄹ`): for boxes that search while somebody types.
    #[must_use]
    pub const fn with_prefixes(mut self) -> Self {
        self.prefixes = true;
        self
    }

    /// Returns the path.
    pub const fn path(&self) -> &FieldPath {
        &self.path
    }

    /// Returns how much a match counts.
    pub const fn boost(&self) -> f32 {
        self.boost
    }

    /// Tells whether words are found by their beginnings.
    pub const fn has_prefixes(&self) -> bool {
        self.prefixes
    }

    /// Tells whether engines keep this field's terms apart, beside those of the whole document.
    fn is_apart(&self) -> bool {
        self.boost > 1.0 || self.prefixes
    }
}

/// What the documents of an index hold. Engines are made of it, and refuse documents and queries that do not fit.
///
/// ```
/// use pumasi_core::filter::{Field, GeoPoint};
/// use pumasi_search::{Schema, TextField};
///
/// const TITLE: TextField = TextField::new("title");
/// const BODY: TextField = TextField::new("body");
/// const CATEGORY: Field<String> = Field::new("category");
/// const PLACE: Field<GeoPoint> = Field::new("place");
///
/// let schema = Schema::new("posts")
///     .with_text(TITLE.boosted(2.0))
///     .with_text(BODY)
///     .with_field(&CATEGORY)
///     .with_field(&PLACE);
/// schema.validate()?;
/// # Ok::<(), pumasi_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Schema {
    name: String,
    texts: Vec<TextField>,
    fields: BTreeMap<FieldPath, FieldKind>,
    analyzer: Analyzer,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("name", &self.name)
            .field("texts", &self.texts)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

impl Schema {
    /// Makes a schema without fields. The name becomes part of what engines call their indexes and tables: lower-case
    /// letters, digits and underscores, a letter first, at most 40.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), texts: Vec::new(), fields: BTreeMap::new(), analyzer: Analyzer::default() }
    }

    /// Adds a field whose text is searched.
    #[must_use]
    pub fn with_text(mut self, field: TextField) -> Self {
        self.texts.push(field);
        self
    }

    /// Adds a field that is filtered, sorted and counted by.
    #[must_use]
    pub fn with_field<T: FieldType>(self, field: &Field<T>) -> Self {
        self.with_kind(field.path().clone(), T::KIND)
    }

    /// Adds a field whose path and kind are known at run time only.
    #[must_use]
    pub fn with_kind(mut self, path: impl Into<FieldPath>, kind: FieldKind) -> Self {
        self.fields.insert(path.into(), kind);
        self
    }

    /// Sets the analyzer, one with a dictionary say. Every engine of a service must have the same.
    #[must_use]
    pub fn with_analyzer(mut self, analyzer: Analyzer) -> Self {
        self.analyzer = analyzer;
        self
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the fields that are searched, in the order in which they were added.
    pub fn texts(&self) -> &[TextField] {
        &self.texts
    }

    /// Returns the fields that are filtered, sorted and counted by, in the order of their paths.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&FieldPath, FieldKind)> {
        self.fields.iter().map(|(path, kind)| (path, *kind))
    }

    /// Returns what a field holds, if it is one that is filtered by.
    pub fn kind(&self, path: &FieldPath) -> Option<FieldKind> {
        self.fields.get(path).copied()
    }

    /// Returns the fields whose terms are kept apart, beside those of the whole document: none where there is one field only.
    pub(crate) fn apart(&self) -> impl Iterator<Item = (usize, &TextField)> {
        let several = self.texts.len() > 1;
        self.texts.iter().enumerate().filter(move |(_, field)| several && field.is_apart())
    }

    /// Returns the field that people may name, `title:러닝`, and where its terms are: `None` are those of the whole document.
    pub(crate) fn named(&self, name: &str) -> Option<Option<usize>> {
        let index = self.texts.iter().position(|field| field.path.as_str() == name)?;
        if self.texts.len() == 1 {
            return Some(None);
        }
        self.apart().any(|(apart, _)| apart == index).then_some(Some(index))
    }

    /// Returns the analyzer.
    pub const fn analyzer(&self) -> &Analyzer {
        &self.analyzer
    }

    /// Returns what must stay the same for an index to be opened again: the fields, and what the analyzer makes of a sample.
    pub(crate) fn fingerprint(&self) -> String {
        use serde_json::{Value as Json, json};
        let texts: Vec<Json> = self
            .texts
            .iter()
            .map(|field| json!([field.path.as_str(), field.boost > 1.0, field.prefixes]))
            .collect();
        let fields: Vec<Json> =
            self.fields.iter().map(|(path, kind)| json!([path.as_str(), kind.as_str()])).collect();
        let sample = "러닝크루에서 10km를 달렸습니다. LG전자의 iPhone15, running shoes 學校, 책을 IT 종로3가";
        let terms: Vec<String> = self.analyzer.tokens(sample).into_iter().map(|token| token.text).collect();
        json!({"format": 1, "texts": texts, "fields": fields, "analyzer": terms}).to_string()
    }
}
