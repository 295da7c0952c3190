//! What can be found: posts, parties that look for members, tutors' projects and lectures.

use pumasi_core::event::{Envelope, State};
use pumasi_core::filter::Field;
use pumasi_core::time::Timestamp;
use pumasi_core::{Error, ErrorKind, Result};
use pumasi_search::{Change, Document, Schema, TextField};
use serde::{Deserialize, Serialize};
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

pub(crate) const TITLE: TextField = TextField::new("title");
const BODY: TextField = TextField::new("body");
pub(crate) const KIND: Field<String> = Field::new("kind");
pub(crate) const CATEGORY: Field<String> = Field::new("category");
pub(crate) const LANG: Field<String> = Field::new("lang");
pub(crate) const LIKES: Field<i64> = Field::new("likes");

/// What changes of entries are announced as.
pub(crate) const TOPIC: &str = "entries";

/// Which of two changes of an entry is the newer one: entries are written and taken out, and the moment tells.
pub(crate) fn version(at: i64) -> u64 {
    u64::try_from(at).unwrap_or(0)
}

/// What every engine knows of an entry.
pub(crate) fn schema() -> Schema {
    Schema::new("posts")
        .with_text(TITLE.boosted(2.0).with_prefixes())
        .with_text(BODY)
        .with_field(&KIND)
        .with_field(&CATEGORY)
        .with_field(&LANG)
        .with_field(&LIKES)
}

/// An entry, as it is stored and as engines hold it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) id: String,
    #[serde(default = "post")]
    pub(crate) kind: String,
    pub(crate) category: String,
    pub(crate) lang: String,
    pub(crate) title: String,
    pub(crate) body: String,
    #[serde(default)]
    pub(crate) author: String,
    #[serde(default)]
    pub(crate) likes: i64,
    /// What a place costs.
    #[serde(default)]
    pub(crate) price_krw: i64,
    /// How many places there are; none, where there is nothing to order.
    #[serde(default)]
    pub(crate) places: i64,
    /// When it was written, in microseconds since 1970.
    #[serde(default)]
    pub(crate) at: i64,
}

fn post() -> String {
    "post".to_owned()
}

impl Entry {
    /// The entry as a change for engines.
    pub(crate) fn change(&self) -> Result<Change> {
        let change = Change::upsert(Document::of(&self.id, self)?, version(self.at));
        Ok(change.with_at(Timestamp::from_micros(self.at)))
    }

    /// The same as an event.
    pub(crate) fn event(&self) -> Result<Envelope> {
        let event = Envelope::new(TOPIC, &*self.id, State::Created, version(self.at)).with_payload(self)?;
        Ok(event.with_occurred_at(Timestamp::from_micros(self.at)))
    }
}

impl<'r, R: Row> FromRow<'r, R> for Entry
where
    &'static str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> sqlx::Result<Self> {
        Ok(Self {
            id: row.try_get("id")?,
            kind: row.try_get("kind")?,
            category: row.try_get("category")?,
            lang: row.try_get("lang")?,
            title: row.try_get("title")?,
            body: row.try_get("body")?,
            author: row.try_get("author")?,
            likes: row.try_get("likes")?,
            price_krw: row.try_get("price_krw")?,
            places: row.try_get("places")?,
            at: row.try_get("at")?,
        })
    }
}

/// The committed entries: thirty posts, five parties, four projects and six lectures.
pub(crate) fn sample(now: Timestamp) -> Result<Vec<Entry>> {
    let lines = include_str!("posts.jsonl").lines().chain(include_str!("offers.jsonl").lines());
    let entry = |line| {
        let entry: Entry = serde_json::from_str(line).map_err(|error| {
            Error::new(ErrorKind::Other, "a committed entry cannot be read").with_source(error)
        })?;
        Ok(Entry { at: now.as_micros(), ..entry })
    };
    lines.map(entry).collect()
}
