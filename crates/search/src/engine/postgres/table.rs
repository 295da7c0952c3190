//! The table of an index: its columns, and documents as its rows.

use std::collections::BTreeMap;
use std::fmt::Write;

use pumasi_core::filter::{Column, Columns, Element, EpochUnit, FieldPath};
use pumasi_core::time::Timestamp;
use serde_json::Value as Json;
use sqlx::{Postgres, QueryBuilder};

use crate::engine::Change;
use crate::schema::{FieldKind, Schema, place, value_at};
use crate::terms::{Term, terms};
use crate::{Error, ErrorKind, Result};

/// The last position that a `tsvector` keeps, how many of one term, and how many bytes all of it may have (PostgreSQL, 12.11
/// "Limitations").
const LAST_POSITION: u32 = 16_383;
const MOST_POSITIONS: usize = 255;
const MOST_BYTES: usize = 1 << 20;

/// Stands among the terms of a document some positions of which are not kept. No text has such a term.
pub(super) const LOST: &str = "positions lost";

/// Where everything stands.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// The name up to the generation's number.
    stem: String,
    /// The columns that filters reach.
    pub(super) columns: Columns,
    kinds: Vec<(FieldPath, FieldKind)>,
    apart: Vec<usize>,
    prefixes: Vec<usize>,
}

/// The length of a row whose document is more than the index takes: its version is known, and it is not found.
const REFUSED: i32 = -1;

/// A document's row; one that was deleted or refused has its id, version and moment only.
pub(super) struct Row<'a> {
    pub(super) change: &'a Change,
    pub(super) content: Content,
}

/// What a row holds of its document.
pub(super) struct Content {
    source: Option<String>,
    length: i32,
    all: Option<String>,
    apart: Vec<Option<String>>,
    prefixes: Vec<Option<String>>,
}

impl Content {
    /// Whether the document is found.
    pub(super) const fn is_there(&self) -> bool {
        self.source.is_some()
    }

    pub(super) const fn is_refused(&self) -> bool {
        is_refused(self.is_there(), self.length)
    }

    /// How many terms it has.
    pub(super) fn terms(&self) -> i64 {
        self.length.max(0).into()
    }
}

/// Whether a row that is there or not, of such a length, is that of a refused document.
pub(super) const fn is_refused(is_there: bool, length: i32) -> bool {
    !is_there && length == REFUSED
}

impl Table {
    pub(super) fn new(schema: &Schema) -> Self {
        let kinds: Vec<(FieldPath, FieldKind)> =
            schema.fields().map(|(path, kind)| (path.clone(), kind)).collect();
        let mut columns = Columns::new();
        for (number, (path, kind)) in kinds.iter().enumerate() {
            let name = format!("f{number}");
            let column = match kind {
                FieldKind::Bool => Column::bool(name),
                FieldKind::Int => Column::int(name),
                FieldKind::Float => Column::float(name),
                FieldKind::Keyword => Column::text(name),
                FieldKind::Keywords => Column::array(name, Element::Text),
                FieldKind::Time => Column::epoch(name, EpochUnit::Microseconds),
                FieldKind::Place => Column::place(name.clone(), format!("{name}o")),
            };
            columns = columns.with(path.clone(), column);
        }
        let begun = schema.texts().iter().enumerate().filter(|(_, field)| field.has_prefixes());
        Self {
            stem: format!("pumasi_search_{}_", schema.name()),
            columns,
            kinds,
            apart: schema.apart().map(|(index, _)| index).collect(),
            prefixes: begun.map(|(index, _)| index).collect(),
        }
    }

    /// The table of a generation; of letters, digits and underscores, as the schema's name is.
    pub(super) fn name(&self, generation: i64) -> String {
        format!("{}{generation}", self.stem)
    }

    /// The column of a field, if it is one that is filtered by.
    pub(super) fn column(&self, path: &FieldPath) -> Option<(String, FieldKind)> {
        let number = self.kinds.iter().position(|(known, _)| known == path)?;
        self.kinds.get(number).map(|(_, kind)| (format!("f{number}"), *kind))
    }

    /// The column with the terms of a place.
    pub(super) fn terms(&self, place: Option<usize>) -> String {
        match place {
            Some(index) if self.apart.contains(&index) => format!("t{index}"),
            _ => "t".to_owned(),
        }
    }

    /// Statements that make the table of a generation.
    pub(super) fn create(&self, generation: i64) -> String {
        let name = self.name(generation);
        let mut sql = format!(
            "CREATE TABLE IF NOT EXISTS {name} (id text COLLATE \"C\" PRIMARY KEY, version bigint NOT NULL, at bigint, \
             source text, length integer NOT NULL, t tsvector"
        );
        let mut indexes = format!("CREATE INDEX IF NOT EXISTS {name}_t ON {name} USING gin (t);");
        for index in &self.apart {
            let _ = write!(sql, ", t{index} tsvector");
            let _ =
                write!(indexes, "CREATE INDEX IF NOT EXISTS {name}_t{index} ON {name} USING gin (t{index});");
        }
        for index in &self.prefixes {
            let _ = write!(sql, ", p{index} tsvector");
            let _ =
                write!(indexes, "CREATE INDEX IF NOT EXISTS {name}_p{index} ON {name} USING gin (p{index});");
        }
        for (number, (_, kind)) in self.kinds.iter().enumerate() {
            let column = format!("f{number}");
            let _ = match kind {
                FieldKind::Place => {
                    write!(sql, ", {column} double precision, {column}o double precision")
                }
                kind => write!(sql, ", {column} {}", sql_type(*kind)),
            };
            let _ = match kind {
                FieldKind::Keywords => {
                    write!(
                        indexes,
                        "CREATE INDEX IF NOT EXISTS {name}_{column} ON {name} USING gin ({column});"
                    )
                }
                _ => write!(indexes, "CREATE INDEX IF NOT EXISTS {name}_{column} ON {name} ({column}, id);"),
            };
        }
        format!("{sql}); {indexes}")
    }

    /// Starts the statement that writes rows, up to their values.
    pub(super) fn insert(&self, generation: i64) -> String {
        format!("INSERT INTO {} ({}) ", self.name(generation), self.names().join(", "))
    }

    /// Ends it: newer versions replace older ones, and what is taken replaces what was refused.
    pub(super) fn replace(&self, generation: i64) -> String {
        let name = self.name(generation);
        let set: Vec<String> =
            self.names().iter().skip(1).map(|column| format!("{column} = excluded.{column}")).collect();
        let set = set.join(", ");
        format!(
            " ON CONFLICT (id) DO UPDATE SET {set} WHERE {name}.version < excluded.version \
             OR ({name}.version = excluded.version AND {name}.source IS NULL AND {name}.length = {REFUSED})"
        )
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            ["id", "version", "at", "source", "length", "t"].map(str::to_owned).to_vec();
        names.extend(self.apart.iter().map(|index| format!("t{index}")));
        names.extend(self.prefixes.iter().map(|index| format!("p{index}")));
        for (number, (_, kind)) in self.kinds.iter().enumerate() {
            names.push(format!("f{number}"));
            if *kind == FieldKind::Place {
                names.push(format!("f{number}o"));
            }
        }
        names
    }

    /// How many rows one statement may have: 65,535 parameters.
    pub(super) fn rows_at_once(&self) -> usize {
        60_000 / self.names().len().max(1)
    }

    /// What is kept of a deleted document, or of one that was refused.
    pub(super) fn nothing(&self, refused: bool) -> Content {
        let nothing = |places: &[usize]| places.iter().map(|_| None).collect();
        let (apart, prefixes) = (nothing(&self.apart), nothing(&self.prefixes));
        let length = if refused { REFUSED } else { 0 };
        Content { source: None, length, all: None, apart, prefixes }
    }

    /// # Errors
    ///
    /// `InvalidInput` for a document with more terms than a `tsvector` holds.
    pub(super) fn content(&self, schema: &Schema, change: &Change) -> Result<Content> {
        let Some(document) = change.document() else { return Ok(self.nothing(false)) };
        let taken = terms(schema, document.source());
        let apart = self.apart.iter().map(|index| {
            let own = taken.apart.iter().find(|(known, _)| known == index);
            own.map(|(_, terms)| tsvector(terms)).transpose()
        });
        let prefixes = self.prefixes.iter().map(|index| {
            let words = taken.prefixes.iter().find(|(known, _)| known == index).map(|(_, words)| words);
            words.map(|words| beginnings(words)).transpose()
        });
        Ok(Content {
            source: Some(document.source().to_string()),
            length: i32::try_from(taken.all.len()).unwrap_or(i32::MAX),
            all: Some(tsvector(&taken.all)?),
            apart: apart.collect::<Result<_>>()?,
            prefixes: prefixes.collect::<Result<_>>()?,
        })
    }

    /// Appends a row's values.
    pub(super) fn push(&self, builder: &mut QueryBuilder<Postgres>, row: &Row<'_>) {
        let Row { change, content } = row;
        builder.push("(").push_bind(change.id().to_owned());
        builder.push(", ").push_bind(i64::try_from(change.version()).unwrap_or(i64::MAX));
        builder.push(", ").push_bind(change.at().map(Timestamp::as_micros));
        builder.push(", ").push_bind(content.source.clone());
        builder.push(", ").push_bind(content.length);
        for vector in std::iter::once(&content.all).chain(&content.apart).chain(&content.prefixes) {
            builder.push(", ").push_bind(vector.clone()).push("::tsvector");
        }
        for (path, kind) in &self.kinds {
            let document = change.document().filter(|_| content.is_there());
            let value = document.and_then(|document| value_at(document.source(), path));
            builder.push(", ");
            push_value(builder, *kind, value);
        }
        builder.push(")");
    }
}

const fn sql_type(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Bool => "boolean",
        FieldKind::Int | FieldKind::Time => "bigint",
        FieldKind::Keyword => "text COLLATE \"C\"",
        FieldKind::Keywords => "text[] COLLATE \"C\"",
        FieldKind::Float | FieldKind::Place => "double precision",
    }
}

fn push_value(builder: &mut QueryBuilder<Postgres>, kind: FieldKind, value: Option<&Json>) {
    match kind {
        FieldKind::Bool => builder.push_bind(value.and_then(Json::as_bool)),
        FieldKind::Int => builder.push_bind(value.and_then(Json::as_i64)),
        FieldKind::Float => builder.push_bind(value.and_then(Json::as_f64)),
        FieldKind::Keyword => builder.push_bind(value.and_then(Json::as_str).map(str::to_owned)),
        FieldKind::Keywords => {
            let items = value.and_then(Json::as_array);
            builder.push_bind(items.map(|items| {
                items.iter().filter_map(Json::as_str).map(str::to_owned).collect::<Vec<String>>()
            }))
        }
        FieldKind::Time => {
            let time = value.and_then(Json::as_str).and_then(|text| text.parse::<Timestamp>().ok());
            builder.push_bind(time.map(Timestamp::as_micros))
        }
        FieldKind::Place => {
            let point = value.and_then(place);
            builder.push_bind(point.map(|point| point.lat)).push(", ").push_bind(point.map(|point| point.lon))
        }
    };
}

/// Writes a term as `tsvector` and `tsquery` read it.
pub(super) fn quoted(term: &str) -> String {
    format!("'{}'", term.replace('\\', "\\\\").replace('\'', "''"))
}

fn within(bytes: usize) -> Result<()> {
    if bytes < MOST_BYTES {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidInput,
        "the document has more terms than PostgreSQL's index takes of one",
    ))
}

/// Writes terms with their positions, which count from 1; those behind the last one that is kept stand there together.
fn tsvector(terms: &[Term]) -> Result<String> {
    let mut positions: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for term in terms {
        positions.entry(&term.text).or_default().push(term.position.saturating_add(1));
    }
    let mut out = String::with_capacity(terms.len() * 8);
    let (mut bytes, mut lost) = (0_usize, false);
    for (text, mut at) in positions {
        at.dedup();
        lost |= at.len() > MOST_POSITIONS || at.last() > Some(&LAST_POSITION);
        at.truncate(MOST_POSITIONS);
        // each term, how many positions, and those, of two bytes each
        bytes = bytes.saturating_add(text.len() + 3 + 2 * at.len());
        let _ = write!(out, "{}", quoted(text));
        for (place, position) in at.into_iter().enumerate() {
            let _ = write!(out, "{}{}", if place > 0 { ',' } else { ':' }, position.min(LAST_POSITION));
        }
        out.push(' ');
    }
    within(bytes)?;
    if lost {
        out.push_str(&quoted(LOST));
    }
    Ok(out)
}

fn beginnings(words: &[String]) -> Result<String> {
    within(words.iter().map(|word| word.len() + 1).sum())?;
    Ok(words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "))
}
