//! Documents whose place is in a circle.

use std::sync::Arc;

use pumasi_core::filter::{Circle, GeoPoint};
use tantivy::query::{
    BitSetDocSet, ConstScorer, EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{BitSet, DocSet, Score, SegmentReader, TERMINATED, TantivyError, Term};

use super::columns::Columns;
use super::fields::Column;
use super::geo::{Cell, Near};

/// Takes the documents of cells that are in the circle, and looks at the places of those that are in it in part.
#[derive(Clone, Debug)]
pub(super) struct Within {
    near: Near,
    cells: Vec<Cell>,
    field: Field,
    north: String,
    east: String,
    columns: Arc<Columns>,
}

impl Within {
    /// The places of a column; `field` has its cells.
    pub(super) fn new(
        circle: Circle,
        cells: Vec<Cell>,
        field: Field,
        column: &Column,
        columns: Arc<Columns>,
    ) -> Self {
        let (north, east) = (column.name.clone(), column.east());
        Self { near: Near::new(circle), cells, field, north, east, columns }
    }
}

impl Query for Within {
    fn weight(&self, _: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for Within {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let index = reader.inverted_index(self.field)?;
        let columns = self.columns.segment(reader)?;
        let (north, east) = (columns.numbers(reader, &self.north)?, columns.numbers(reader, &self.east)?);
        let (Some(north), Some(east)) = (north, east) else { return Ok(Box::new(EmptyScorer)) };
        let mut found = BitSet::with_max_value(reader.max_doc());
        for cell in &self.cells {
            let term = Term::from_field_u64(self.field, cell.number);
            let Some(mut docs) = index.read_postings(&term, IndexRecordOption::Basic)? else { continue };
            let mut doc = docs.doc();
            while doc != TERMINATED {
                let holds = || match (north.first(doc), east.first(doc)) {
                    (Some(lat), Some(lon)) => {
                        self.near.holds(GeoPoint::new(tantivy::u64_to_f64(lat), tantivy::u64_to_f64(lon)))
                    }
                    _ => false,
                };
                if cell.whole || holds() {
                    found.insert(doc);
                }
                doc = docs.advance();
            }
        }
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from(found), boost)))
    }

    fn explain(&self, reader: &SegmentReader, doc: u32) -> tantivy::Result<Explanation> {
        let mut scorer = self.scorer(reader, 1.0)?;
        if scorer.doc() <= doc && scorer.seek(doc) == doc {
            return Ok(Explanation::new("in the circle", 1.0));
        }
        Err(TantivyError::InvalidArgument("the document is not in the circle".to_owned()))
    }
}
