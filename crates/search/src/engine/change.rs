//! Changes of documents.

use std::time::Duration;

use pumasi_core::time::{Clock, SystemClock, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::schema::{Document, Schema, check_id};

/// How far in the future a change may say that it was made: the clock there may be a little ahead. One that is further says nothing of
/// who lags: that clock is wrong.
pub(crate) const AHEAD: Duration = Duration::from_mins(1);

/// What happens to a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ChangeKind {
    /// It is added, or replaces the one with the same id.
    Upsert(Document),
    /// It is removed. Engines remember the version, so that an older upsert which comes later does not bring it back.
    Delete(String),
}

/// A change of a document, with a version that decides between changes of the same document.
///
/// ```
/// use pumasi_search::{Change, Document};
/// use serde_json::json;
///
/// let change = Change::upsert(Document::new("42", json!({"title": "첫 하프 마라톤"})), 7);
/// assert_eq!((change.id(), change.version()), ("42", 7));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    kind: ChangeKind,
    version: u64,
    at: Option<Timestamp>,
}

impl Change {
    /// Adds or replaces a document. `version` grows with each change of it: a row's version, an event's sequence, or
    /// microseconds since 1970; at most 2^63 - 1.
    pub const fn upsert(document: Document, version: u64) -> Self {
        Self { kind: ChangeKind::Upsert(document), version, at: None }
    }

    /// Removes a document.
    pub fn delete(id: impl Into<String>, version: u64) -> Self {
        Self { kind: ChangeKind::Delete(id.into()), version, at: None }
    }

    /// Says when the change was made at its source, so that an engine can tell how far behind it is. A moment that is more than a
    /// minute in the future tells nothing: a clock is wrong.
    #[must_use]
    pub const fn with_at(mut self, at: Timestamp) -> Self {
        self.at = Some(at);
        self
    }

    /// Returns the document's id.
    pub fn id(&self) -> &str {
        match &self.kind {
            ChangeKind::Upsert(document) => document.id(),
            ChangeKind::Delete(id) => id,
        }
    }

    /// Returns what happens.
    pub const fn kind(&self) -> &ChangeKind {
        &self.kind
    }

    /// Returns the document that is added, if one is.
    pub const fn document(&self) -> Option<&Document> {
        match &self.kind {
            ChangeKind::Upsert(document) => Some(document),
            ChangeKind::Delete(_) => None,
        }
    }

    /// Returns the version.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Returns when the change was made at its source.
    pub const fn at(&self) -> Option<Timestamp> {
        self.at
    }

    /// Up to which moment an engine has come that applies the change. One that is still to come would hide every lag until then.
    pub(crate) fn reached(&self) -> Option<Timestamp> {
        self.at.filter(|at| *at <= SystemClock.now().saturating_add(AHEAD))
    }

    /// Checks that a schema allows the change.
    ///
    /// # Errors
    ///
    /// `InvalidInput` with what is wrong.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        if i64::try_from(self.version).is_err() {
            return Err(crate::Error::new(crate::ErrorKind::InvalidInput, "a version is above 2^63 - 1"));
        }
        match &self.kind {
            ChangeKind::Upsert(document) => schema.check_document(document),
            ChangeKind::Delete(id) => check_id(id),
        }
    }
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Applied {
    /// It is durable.
    Done,
    /// It was not needed: a version as new or newer is known.
    Stale,
}
