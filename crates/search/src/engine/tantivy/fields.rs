//! Our schema as tantivy's, and our documents as its.

use std::collections::BTreeMap;

use pumasi_core::filter::{FieldPath, GeoPoint};
use pumasi_core::time::Timestamp;
use serde_json::Value as Json;
use tantivy::schema::{
    FAST, Field, INDEXED, IndexRecordOption, NumericOptions, STORED, Schema as Layout, TextFieldIndexing,
    TextOptions,
};
use tantivy::{TantivyDocument, Term as IndexTerm};

use super::geo::cell;
use super::tokens::{TOKENS, written};
use crate::engine::{Change, ChangeKind};
use crate::schema::{FieldKind, Schema, value_at};
use crate::terms::terms;

/// A field that is filtered by, in the index.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) path: FieldPath,
    pub(super) kind: FieldKind,
    /// What its columns are called: this, and for a place this and `o` for the degrees east.
    pub(super) name: String,
    field: Field,
    /// Degrees east, and the cells of the grid, of a place.
    place: Option<(Field, Field)>,
}

impl Column {
    pub(super) const fn field(&self) -> Field {
        self.field
    }

    pub(super) const fn cells(&self) -> Option<Field> {
        match self.place {
            Some((_, cells)) => Some(cells),
            None => None,
        }
    }

    pub(super) fn east(&self) -> String {
        format!("{}o", self.name)
    }
}

/// Where everything stands in the index.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    pub(super) layout: Layout,
    pub(super) id: Field,
    pub(super) version: Field,
    pub(super) source: Field,
    /// One term that every document has which can be found; what was deleted has the other.
    pub(super) state: Field,
    /// The names of the fields that are there.
    pub(super) present: Field,
    /// The terms of the whole document.
    pub(super) all: Field,
    apart: BTreeMap<usize, Field>,
    prefixes: BTreeMap<usize, Field>,
    columns: BTreeMap<FieldPath, Column>,
}

/// Names of columns that the collector reads.
pub(super) const ID: &str = "_id";
pub(super) const VERSION: &str = "_v";

pub(super) const LIVE: u64 = 1;
pub(super) const GONE: u64 = 0;

impl Fields {
    pub(super) fn new(schema: &Schema) -> Self {
        let mut layout = Layout::builder();
        let whole = || {
            TextFieldIndexing::default()
                .set_tokenizer("raw")
                .set_fieldnorms(false)
                .set_index_option(IndexRecordOption::Basic)
        };
        let keyword = || TextOptions::default().set_indexing_options(whole());
        let text = || {
            let indexing = TextFieldIndexing::default()
                .set_tokenizer(TOKENS)
                .set_index_option(IndexRecordOption::WithFreqsAndPositions);
            TextOptions::default().set_indexing_options(indexing)
        };
        let id = layout.add_text_field(ID, keyword().set_fast("raw").set_stored());
        let version = layout.add_u64_field(VERSION, FAST);
        let source = layout.add_text_field("_source", STORED);
        let state = layout.add_u64_field("_state", INDEXED);
        let present = layout.add_text_field("_present", keyword());
        let all = layout.add_text_field("t", text());
        let apart = schema
            .apart()
            .map(|(index, _)| (index, layout.add_text_field(&format!("t{index}"), text())))
            .collect();
        let begun = schema.texts().iter().enumerate().filter(|(_, field)| field.has_prefixes());
        let prefixes =
            begun.map(|(index, _)| (index, layout.add_text_field(&format!("p{index}"), keyword()))).collect();
        let mut columns = BTreeMap::new();
        for (number, (path, kind)) in schema.fields().enumerate() {
            let name = format!("f{number}");
            let fast = || NumericOptions::default().set_fast();
            let mut place = None;
            let field = match kind {
                FieldKind::Keyword | FieldKind::Keywords => {
                    layout.add_text_field(&name, keyword().set_fast("raw"))
                }
                FieldKind::Float => layout.add_f64_field(&name, fast()),
                FieldKind::Place => {
                    let east = layout.add_f64_field(&format!("{name}o"), fast());
                    let cells = layout.add_u64_field(&format!("{name}c"), INDEXED);
                    place = Some((east, cells));
                    layout.add_f64_field(&name, fast())
                }
                FieldKind::Bool | FieldKind::Int | FieldKind::Time => layout.add_i64_field(&name, fast()),
            };
            columns.insert(path.clone(), Column { path: path.clone(), kind, name, field, place });
        }
        let layout = layout.build();
        Self { layout, id, version, source, state, present, all, apart, prefixes, columns }
    }

    /// Returns where the terms of a place are: of the whole document, or of a field that is kept apart.
    pub(super) fn terms(&self, place: Option<usize>) -> Field {
        place.and_then(|index| self.apart.get(&index).copied()).unwrap_or(self.all)
    }

    pub(super) fn prefixes(&self, index: Option<usize>) -> Option<Field> {
        self.prefixes.get(&index?).copied()
    }

    pub(super) fn column(&self, path: &FieldPath) -> Option<&Column> {
        self.columns.get(path)
    }

    pub(super) fn id_term(&self, id: &str) -> IndexTerm {
        IndexTerm::from_field_text(self.id, id)
    }

    /// Makes a change a document of the index; what is deleted leaves one that nothing finds.
    pub(super) fn document(&self, schema: &Schema, change: &Change) -> TantivyDocument {
        let mut out = TantivyDocument::default();
        out.add_text(self.id, change.id());
        out.add_u64(self.version, change.version());
        let ChangeKind::Upsert(document) = change.kind() else {
            out.add_u64(self.state, GONE);
            return out;
        };
        let source = document.source();
        out.add_u64(self.state, LIVE);
        out.add_text(self.source, serde_json::to_string(source).unwrap_or_default());
        let taken = terms(schema, source);
        out.add_text(self.all, written(&taken.all));
        for (index, terms) in taken.apart {
            if let Some(field) = self.apart.get(&index) {
                out.add_text(*field, written(&terms));
            }
        }
        for (index, begins) in taken.prefixes {
            let Some(field) = self.prefixes.get(&index) else { continue };
            for begin in begins {
                out.add_text(*field, begin);
            }
        }
        for column in self.columns.values() {
            if let Some(value) = value_at(source, &column.path) {
                out.add_text(self.present, column.path.as_str());
                column.add(&mut out, value);
            }
        }
        out
    }
}

impl Column {
    fn add(&self, out: &mut TantivyDocument, value: &Json) {
        match self.kind {
            FieldKind::Bool => out.add_i64(self.field, i64::from(value.as_bool().unwrap_or_default())),
            FieldKind::Int => out.add_i64(self.field, value.as_i64().unwrap_or_default()),
            FieldKind::Float => out.add_f64(self.field, value.as_f64().unwrap_or_default()),
            FieldKind::Keyword => out.add_text(self.field, value.as_str().unwrap_or_default()),
            FieldKind::Keywords => {
                let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
                items.iter().filter_map(Json::as_str).for_each(|item| out.add_text(self.field, item));
            }
            FieldKind::Time => {
                let time = value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
                out.add_i64(self.field, time.map_or(0, Timestamp::as_micros));
            }
            FieldKind::Place => {
                let degrees = |name| value.get(name).and_then(Json::as_f64).unwrap_or_default();
                let point = GeoPoint::new(degrees("lat"), degrees("lon"));
                out.add_f64(self.field, point.lat);
                if let Some((east, cells)) = self.place {
                    out.add_f64(east, point.lon);
                    out.add_u64(cells, cell(point));
                }
            }
        }
    }
}
