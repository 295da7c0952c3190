//! What is looked for, in which order, and how much of it.

mod fingerprint;
mod parse;
mod plan;
mod rank;

use std::fmt;

use pumasi_core::filter::{Field, FieldPath, Filter};
use serde::{Deserialize, Serialize};

use crate::page::Cursor;
use crate::schema::{FacetType, Schema};
use crate::{Error, ErrorKind, Result};

pub(crate) use plan::{Leaf, Node, Plan};
pub use rank::{Boost, Decay, Fusion, Popularity, Rank, Sort};

/// The most hits that a page may have.
pub const MAX_LIMIT: usize = 10_000;

/// The longest text of a query, in bytes.
pub const MAX_TEXT_BYTES: usize = 16_384;

/// The most terms of a query's text that are looked up, each time that it is written counted; some eighty Korean words have as many.
///
/// Every engine looks up the first ones of a longer text, cuts a phrase there too, and says so by [`Gap::Terms`](crate::Gap::Terms).
pub const MAX_TERMS: usize = 256;

/// The most keys that documents may be sorted by, the id at the end not counted.
pub const MAX_SORTS: usize = 3;

/// Which documents the words of a query find; phrases, `+` and `-` hold in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Matching {
    /// Those that have one of the words, better those that have more: for questions and for recall.
    #[default]
    Any,
    /// Those that have every word, or one of each `OR`.
    All,
}

/// How exactly the documents that match are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Count {
    /// Not at all: the fastest.
    None,
    /// Exactly up to this number; beyond it, that there are more.
    UpTo(u64),
    /// Exactly.
    Exact,
}

impl Default for Count {
    /// Up to 1,000.
    fn default() -> Self {
        Self::UpTo(1_000)
    }
}

/// A field whose values are to be counted over all documents that match.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FacetRequest {
    /// Which field.
    pub field: String,
    /// How many values at most, up to [`MAX_LIMIT`]; the most frequent ones first, equal ones by their bytes.
    pub limit: usize,
}

/// What is looked for, in which order, and how much of it.
///
/// `Debug` shows the text's length, never what somebody typed.
///
/// # What people may type
///
/// | typed | finds |
/// |---|---|
/// | `한강 러닝` | one of the words ([`Matching::Any`]) or both ([`Matching::All`]) |
/// | `"첫 마라톤"` | the words next to each other |
/// | `+러닝` | only documents that have the word |
/// | `-광고`, `-"광고 문의"` | only documents that do not |
/// | `러닝 OR 달리기` | either, with [`Matching::All`] too |
/// | `mara*` | words that begin so, in fields [with prefixes](crate::TextField::with_prefixes) |
/// | `title:러닝` | in that field, if it is boosted or has prefixes |
///
/// Anything else is text: no query is refused for what people type, but for a length of more than [`MAX_TEXT_BYTES`]; of more than
/// [`MAX_TERMS`] terms the first are looked up.
///
/// ```
/// use pumasi_core::filter::Field;
/// use pumasi_search::{Query, Rank, Sort};
///
/// const CATEGORY: Field<String> = Field::new("category");
/// const LIKES: Field<i64> = Field::new("likes");
///
/// let query = Query::new("한강 러닝 -광고")
///     .with_filter(CATEGORY.is_in(["run", "race"]))
///     .with_facet(&CATEGORY, 10)
///     .with_rank(Rank::sorted([Sort::descending(&LIKES)]))
///     .with_limit(20);
/// assert!(!format!("{query:?}").contains("한강"));
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Query {
    /// What is looked for in the text; empty finds every document that the filter admits.
    pub text: String,
    /// Whether the text is words only: no phrase, sign or field is read out of it.
    pub verbatim: bool,
    /// Which documents the words find.
    pub matching: Matching,
    /// Whether the last word may be unfinished, as in a box that searches while somebody types.
    pub as_you_type: bool,
    /// Whether words with a typo are found: one letter wrong, missing or swapped from 4 letters on, two from 8.
    pub typos: bool,
    /// Which documents may be found.
    pub filter: Filter,
    /// In which order.
    pub rank: Rank,
    /// What counts more, without deciding what is found.
    pub boosts: Vec<Boost>,
    /// Which fields' values are counted.
    pub facets: Vec<FacetRequest>,
    /// How exactly what matches is counted.
    pub count: Count,
    /// How many hits, 10 by default, at most [`MAX_LIMIT`].
    pub limit: usize,
    /// Behind which hit to begin.
    pub after: Option<Cursor>,
    /// Whether hits carry the fragments that match.
    pub highlight: bool,
    /// Whether hits carry how their score came about.
    pub explain: bool,
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("text", &format_args!("{} bytes", self.text.len()))
            .field("matching", &self.matching)
            .field("filter", &self.filter)
            .field("rank", &self.rank)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Query {
    /// Makes a query for `text`, best matches first, 10 of them.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            verbatim: false,
            matching: Matching::default(),
            as_you_type: false,
            typos: false,
            filter: Filter::everything(),
            rank: Rank::default(),
            boosts: Vec::new(),
            facets: Vec::new(),
            count: Count::default(),
            limit: 10,
            after: None,
            highlight: false,
            explain: false,
        }
    }

    /// Makes a query for the words of a text that nobody typed as a query, a question or a document say: quotes and signs in it
    /// mean nothing.
    pub fn words(text: impl Into<String>) -> Self {
        Self { verbatim: true, ..Self::new(text) }
    }

    /// Makes a query for every document that the filter admits.
    pub fn everything() -> Self {
        Self::new("")
    }

    /// Says which documents the words find.
    #[must_use]
    pub const fn with_matching(mut self, matching: Matching) -> Self {
        self.matching = matching;
        self
    }

    /// Lets the last word be unfinished.
    #[must_use]
    pub const fn as_you_type(mut self) -> Self {
        self.as_you_type = true;
        self
    }

    /// Finds words with typos too. They count half.
    #[must_use]
    pub const fn with_typos(mut self) -> Self {
        self.typos = true;
        self
    }

    /// Requires a filter to hold, beside those set before.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = match self.filter {
            Filter::And(all) if all.is_empty() => filter,
            before => before.and(filter),
        };
        self
    }

    /// Sets the order.
    #[must_use]
    pub fn with_rank(mut self, rank: Rank) -> Self {
        self.rank = rank;
        self
    }

    /// Makes some documents count more.
    #[must_use]
    pub fn with_boost(mut self, boost: Boost) -> Self {
        self.boosts.push(boost);
        self
    }

    /// Counts the `limit` most frequent values of a field.
    #[must_use]
    pub fn with_facet<T: FacetType>(self, field: &Field<T>, limit: usize) -> Self {
        self.with_facet_at(field.path(), limit)
    }

    /// Counts the `limit` most frequent values of a field that is known at run time only.
    #[must_use]
    pub fn with_facet_at(mut self, field: &FieldPath, limit: usize) -> Self {
        self.facets.push(FacetRequest { field: field.as_str().to_owned(), limit });
        self
    }

    /// Says how exactly what matches is counted.
    #[must_use]
    pub const fn with_count(mut self, count: Count) -> Self {
        self.count = count;
        self
    }

    /// Sets how many hits a page has.
    #[must_use]
    pub const fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Begins behind the hit that a page ended with.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Makes hits carry the fragments that match.
    #[must_use]
    pub const fn with_highlight(mut self) -> Self {
        self.highlight = true;
        self
    }

    /// Makes hits carry how their score came about.
    #[must_use]
    pub const fn with_explain(mut self) -> Self {
        self.explain = true;
        self
    }

    /// Tells whether the last word may be unfinished: a space behind it ends it.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.as_you_type && !self.text.ends_with(char::is_whitespace)
    }

    /// Checks that the query asks only what can be asked of the schema's fields; engines do so first.
    ///
    /// # Errors
    ///
    /// `InvalidInput` with what is wrong.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        let invalid = |what: String| Err(Error::new(ErrorKind::InvalidInput, what));
        if self.text.len() > MAX_TEXT_BYTES {
            return invalid("the query's text is longer than 16,384 bytes".to_owned());
        }
        if self.limit > MAX_LIMIT {
            return invalid("the query asks for more than 10,000 hits".to_owned());
        }
        schema.check_filter(&self.filter)?;
        for facet in &self.facets {
            let path = FieldPath::new(facet.field.clone());
            if !schema.kind(&path).is_some_and(crate::FieldKind::is_facet) {
                return invalid(format!("{path} is not a field whose values can be counted"));
            }
            if facet.limit > MAX_LIMIT {
                return invalid(format!("more than 10,000 values of {path} are asked for"));
            }
        }
        for boost in &self.boosts {
            boost.check(schema)?;
        }
        self.rank.check(schema)?;
        match &self.after {
            Some(cursor) if !cursor.belongs_to(self, schema) => {
                invalid("the cursor belongs to another query".to_owned())
            }
            _ => Ok(()),
        }
    }
}
