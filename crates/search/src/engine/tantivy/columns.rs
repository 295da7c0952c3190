//! The columns of a snapshot, held open: to open one takes as long as many a search.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tantivy::columnar::{Column as Values, Dictionary, StrColumn};
use tantivy::index::SegmentId;
use tantivy::schema::Field;
use tantivy::{DocAddress, DocId, Searcher, SegmentReader, TantivyError, Term};

use super::fields::{Fields, GONE, ID, VERSION};
use super::sorted::Lists;

/// The numbers of a field in a segment, in whose order they are kept; none where no document has any.
pub(super) type Numbers = Option<Values<u64>>;

/// The strings of a field in a segment.
pub(super) type Strings = (Arc<Dictionary>, Values<u64>);

/// What every search of a snapshot needs.
pub(super) struct Columns {
    segments: Vec<(SegmentId, Arc<SegmentColumns>)>,
    /// Whether the index remembers documents that were deleted.
    pub(super) gone: bool,
    /// The field that says which they are.
    pub(super) state: Field,
}

impl std::fmt::Debug for Columns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Columns").field("segments", &self.segments.len()).finish_non_exhaustive()
    }
}

pub(super) struct SegmentColumns {
    pub(super) ids: Option<Strings>,
    versions: Values<u64>,
    numbers: RwLock<HashMap<String, Numbers>>,
    strings: RwLock<HashMap<String, Option<Strings>>>,
    pub(super) lists: Lists,
}

impl Columns {
    /// Opens the columns of an index; those of segments that were there before are taken over.
    pub(super) fn open(searcher: &Searcher, fields: &Fields, before: Option<&Self>) -> tantivy::Result<Self> {
        let open = |reader: &SegmentReader| {
            let id = reader.segment_id();
            let known = before.and_then(|before| before.segments.iter().find(|(other, _)| *other == id));
            if let Some(known) = known {
                return Ok(known.clone());
            }
            let columns = reader.fast_fields();
            let ids = columns.str(ID)?.map(StrColumn::into_parts);
            let (numbers, strings) = (RwLock::default(), RwLock::default());
            let opened = SegmentColumns {
                ids,
                versions: columns.u64(VERSION)?,
                numbers,
                strings,
                lists: Lists::default(),
            };
            Ok((id, Arc::new(opened)))
        };
        let segments = searcher.segment_readers().iter().map(open).collect::<tantivy::Result<_>>()?;
        let gone = searcher.doc_freq(&Term::from_field_u64(fields.state, GONE))? > 0;
        Ok(Self { segments, gone, state: fields.state })
    }

    pub(super) fn of(&self, ord: u32) -> tantivy::Result<Arc<SegmentColumns>> {
        let kept = self.segments.get(ord as usize).map(|(_, kept)| Arc::clone(kept));
        kept.ok_or_else(|| TantivyError::InternalError("a segment without columns".to_owned()))
    }

    pub(super) fn segment(&self, reader: &SegmentReader) -> tantivy::Result<Arc<SegmentColumns>> {
        let id = reader.segment_id();
        let kept = self.segments.iter().find(|(other, _)| *other == id).map(|(_, kept)| Arc::clone(kept));
        kept.ok_or_else(|| TantivyError::InternalError("a segment without columns".to_owned()))
    }

    pub(super) fn version(&self, address: DocAddress) -> tantivy::Result<u64> {
        Ok(self.of(address.segment_ord)?.versions.first(address.doc_id).unwrap_or_default())
    }

    /// Reads a document's id out of its segment's dictionary, which takes longer than to read the document.
    pub(super) fn id(&self, address: DocAddress) -> tantivy::Result<String> {
        Ok(read(self.of(address.segment_ord)?.ids.as_ref(), address.doc_id)?.unwrap_or_default())
    }
}

impl SegmentColumns {
    /// Returns the numbers of a field, opened by the first search that needs them.
    pub(super) fn numbers(&self, reader: &SegmentReader, name: &str) -> tantivy::Result<Numbers> {
        let open = || Ok(reader.fast_fields().u64_lenient(name)?.map(|(values, _)| values));
        kept(&self.numbers, name, open)
    }

    /// Returns the strings of a field, opened by the first search that needs them.
    pub(super) fn strings(&self, reader: &SegmentReader, name: &str) -> tantivy::Result<Option<Strings>> {
        kept(&self.strings, name, || Ok(reader.fast_fields().str(name)?.map(StrColumn::into_parts)))
    }
}

fn kept<T: Clone>(
    all: &RwLock<HashMap<String, T>>,
    name: &str,
    open: impl FnOnce() -> tantivy::Result<T>,
) -> tantivy::Result<T> {
    if let Some(known) = all.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return Ok(known.clone());
    }
    let opened = open()?;
    all.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), opened.clone());
    Ok(opened)
}

/// Reads a document's string.
pub(super) fn read(strings: Option<&Strings>, doc: DocId) -> tantivy::Result<Option<String>> {
    let Some((dictionary, ords)) = strings else { return Ok(None) };
    let Some(ord) = ords.first(doc) else { return Ok(None) };
    let mut bytes = Vec::new();
    dictionary.ord_to_term(ord, &mut bytes)?;
    Ok(String::from_utf8(bytes).ok())
}
