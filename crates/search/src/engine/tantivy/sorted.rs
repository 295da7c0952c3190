//! Lists of a segment's documents in an order that is asked for again and again: the newest posts, page by page.
//!
//! Without one, a page of everything looks at every document's key; with it, at those of the page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED, Term};

use super::columns::{Columns, SegmentColumns};
use super::fields::LIVE;
use super::keys::{KeyColumn, Keys, OrderKey, Rank};

/// How often an order is asked for before a list is made of it, which takes as long as some twenty searches.
const ASKED: u32 = 16;

/// How many orders of a segment are kept, at 4 bytes a document.
const ORDERS: usize = 8;

/// What is known of an order.
enum Order {
    Asked(u32),
    Listed(Arc<[DocId]>),
}

/// The lists of a segment.
#[derive(Default)]
pub(super) struct Lists(Mutex<HashMap<Vec<(String, bool)>, Order>>);

impl Lists {
    /// Returns a list, or whether it is time to make it.
    fn ask(&self, name: &[(String, bool)]) -> Result<Arc<[DocId]>, bool> {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = orders.len() >= ORDERS;
        match orders.get_mut(name) {
            Some(Order::Listed(list)) => Ok(Arc::clone(list)),
            Some(Order::Asked(times)) => {
                *times = times.saturating_add(1);
                Err(*times == ASKED)
            }
            None => {
                if !full {
                    orders.insert(name.to_vec(), Order::Asked(1));
                }
                Err(false)
            }
        }
    }

    fn put(&self, name: Vec<(String, bool)>, list: Arc<[DocId]>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, Order::Listed(list));
    }
}

fn name(order: &OrderKey) -> Option<(String, bool)> {
    match &order.column {
        KeyColumn::Score => None,
        KeyColumn::Int(name) | KeyColumn::Float(name) | KeyColumn::Text(name) => {
            Some((name.clone(), order.descending))
        }
    }
}

impl<const N: usize> Keys<N> {
    /// Returns the documents of the segment that can be found in their order, if there is a list; when it is time it is made, for
    /// those who ask later, where nobody waits for it.
    pub(super) fn list(
        &self,
        all: &Columns,
        reader: &SegmentReader,
    ) -> tantivy::Result<Option<Arc<[DocId]>>> {
        let Some(name) = self.readers.iter().map(|(_, key)| name(key)).collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let due = match self.columns.lists.ask(&name) {
            Ok(list) => return Ok(Some(list)),
            Err(due) => due,
        };
        if due {
            let docs = live(all, reader)?;
            let keys = self.clone();
            let make = move || {
                let mut ranks: Vec<(Rank<N>, DocId)> =
                    docs.into_iter().map(|doc| (keys.rank(keys.first(doc, 0.0), doc, 0.0), doc)).collect();
                ranks.sort_unstable();
                keys.columns.lists.put(name, ranks.into_iter().map(|(_, doc)| doc).collect());
            };
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(make)),
                Err(_) => make(),
            }
        }
        Ok(None)
    }
}

/// Lists what can be found, whatever has been deleted since the segment was written.
fn live(columns: &Columns, reader: &SegmentReader) -> tantivy::Result<Vec<DocId>> {
    if !columns.gone {
        return Ok((0..reader.max_doc()).collect());
    }
    let term = Term::from_field_u64(columns.state, LIVE);
    let mut docs = Vec::new();
    if let Some(mut postings) =
        reader.inverted_index(columns.state)?.read_postings(&term, IndexRecordOption::Basic)?
    {
        let mut doc = postings.doc();
        while doc != TERMINATED {
            docs.push(doc);
            doc = postings.advance();
        }
    }
    Ok(docs)
}

impl SegmentColumns {
    /// Counts the orders that are listed.
    #[cfg(test)]
    pub(super) fn listed(&self) -> usize {
        let orders = self.lists.0.lock().unwrap_or_else(PoisonError::into_inner);
        orders.values().filter(|order| matches!(order, Order::Listed(_))).count()
    }
}
