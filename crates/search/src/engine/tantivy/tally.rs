//! How many documents match, and how often each value of a field occurs among them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::StrColumn;
use tantivy::{DocId, Score, SegmentReader};

/// Counts documents and the values of columns.
pub(super) struct Tally {
    pub(super) columns: Vec<String>,
    pub(super) stop: Arc<AtomicBool>,
}

/// What was counted.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) documents: u64,
    /// For each column how often each value occurs.
    pub(super) values: Vec<HashMap<String, u64>>,
}

/// How often a value occurs, and the document behind the last one that has it: one may have a value twice.
type Met = (u64, DocId);

pub(super) struct Segment {
    documents: u64,
    columns: Vec<(Option<StrColumn>, Vec<Met>)>,
    stop: Arc<AtomicBool>,
}

impl SegmentCollector for Segment {
    type Fruit = tantivy::Result<Counted>;

    fn collect(&mut self, doc: DocId, _: Score) {
        self.documents += 1;
        for (column, counts) in &mut self.columns {
            let Some(column) = column else { continue };
            for ord in column.term_ords(doc) {
                if let Some((count, behind)) = usize::try_from(ord).ok().and_then(|ord| counts.get_mut(ord))
                    && *behind != doc + 1
                {
                    *count += 1;
                    *behind = doc + 1;
                }
            }
        }
    }

    fn collect_block(&mut self, docs: &[DocId]) {
        if self.stop.load(Ordering::Relaxed) {
            return;
        }
        for doc in docs {
            self.collect(*doc, 0.0);
        }
    }

    fn harvest(self) -> Self::Fruit {
        let mut counted = Counted { documents: self.documents, values: Vec::new() };
        for (column, counts) in self.columns {
            let mut values = HashMap::new();
            if let Some(column) = column {
                let met = (0_u64..).zip(counts).filter(|(_, (count, _))| *count > 0);
                let (ords, counts): (Vec<u64>, Vec<u64>) = met.map(|(ord, (count, _))| (ord, count)).unzip();
                let mut counts = counts.into_iter();
                // in their order, so that each block of the dictionary is read once
                column.dictionary().sorted_ords_to_term_cb(&ords, |value| {
                    let value = String::from_utf8_lossy(value).into_owned();
                    values.extend(counts.next().map(|count| (value, count)));
                })?;
            }
            counted.values.push(values);
        }
        Ok(counted)
    }
}

impl Collector for Tally {
    type Fruit = Counted;
    type Child = Segment;

    fn for_segment(&self, _: u32, reader: &SegmentReader) -> tantivy::Result<Segment> {
        let open = |name: &String| -> tantivy::Result<_> {
            let column = reader.fast_fields().str(name)?;
            let counts = vec![(0, 0); column.as_ref().map_or(0, |column| column.num_terms())];
            Ok((column, counts))
        };
        let columns = self.columns.iter().map(open).collect::<tantivy::Result<_>>()?;
        Ok(Segment { documents: 0, columns, stop: Arc::clone(&self.stop) })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<tantivy::Result<Counted>>) -> tantivy::Result<Counted> {
        let mut all = Counted { documents: 0, values: vec![HashMap::new(); self.columns.len()] };
        for segment in segments {
            let segment = segment?;
            all.documents = all.documents.saturating_add(segment.documents);
            for (values, more) in all.values.iter_mut().zip(segment.values) {
                for (value, count) in more {
                    *values.entry(value).or_default() += count;
                }
            }
        }
        Ok(all)
    }
}
