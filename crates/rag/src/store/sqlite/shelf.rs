//! What one tenant knows, in memory, as far as it is searched by.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

use pumasi_core::filter::Filter;
use pumasi_core::model::Embedding;

use super::lists::{Centres, Lists};
use super::making::Coming;
use super::matches::Matches;
use super::near::Nearest;
use super::options::SqliteOptions;
use super::packed::unpack;
use super::segment::{MAX_CHUNKS, Segment, SegmentChunk, SegmentDocument};
use crate::chunk::ChunkId;
use crate::store::{Counts, Found, Scored, Statistics, StoreQuery};
use crate::{Error, ErrorKind, Result};

/// How many segments of about the same size are joined.
const FAN: usize = 8;

/// A segment, and which of its documents are still there.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) segment: Arc<Segment>,
    pub(super) alive: Vec<bool>,
    /// How many are not.
    gone: usize,
    /// Of the shelf's centres.
    pub(super) lists: Option<Lists>,
}

impl Held {
    pub(super) fn vector(&self, place: usize) -> Option<VectorAt> {
        let number = self.segment.chunks.get(place)?.number;
        Some(VectorAt { number, segment: Arc::clone(&self.segment), place })
    }

    /// Tells whether all of its documents are there.
    pub(super) fn whole(&self) -> bool {
        self.gone == 0
    }

    fn has(&self, document: u32) -> bool {
        self.alive.get(document as usize).copied().unwrap_or_default()
    }
}

/// Where something stands: its segment's number, and its place there.
type At = (i64, u32);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// The tenant's number in the file; 0 before anything was put.
    pub(super) tenant: i64,
    pub(super) version: u64,
    pub(super) statistics: Statistics,
    pub(super) options: SqliteOptions,
    /// Where the lists stand, if there are any, and which generation of centres these are.
    pub(super) centres: Option<(i64, Arc<Centres>)>,
    /// Lists that will take their place when all segments have them.
    pub(super) coming: Option<Coming>,
    pub(super) segments: BTreeMap<i64, Held>,
    matches: Matches,
    documents: BTreeMap<String, At>,
    chunks: HashMap<ChunkId, At>,
}

/// A chunk that codes say is near.
#[derive(Clone, Debug)]
pub(super) struct Near {
    pub(super) id: ChunkId,
    pub(super) vector: VectorAt,
}

/// Where a chunk's whole vector stands in the file, and where its codes do.
#[derive(Clone, Debug)]
pub(super) struct VectorAt {
    pub(super) number: i64,
    segment: Arc<Segment>,
    place: usize,
}

impl VectorAt {
    /// Reads the vector from what the file holds of it.
    pub(super) fn read(&self, bytes: &[u8]) -> Option<Embedding> {
        unpack(bytes, self.segment.coded(self.place)?)
    }
}

/// Segments that are to be joined, and what becomes of them.
#[derive(Debug)]
pub(super) struct Merge {
    pub(super) from: Vec<i64>,
    pub(super) into: Segment,
    /// The list of each of its chunks, where those of all that it was made of are known.
    pub(super) lists: Option<Vec<u16>>,
    /// Documents that no segment has any more.
    pub(super) forgotten: Vec<i64>,
}

impl Shelf {
    pub(super) fn new(options: SqliteOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Adds a segment, but for the documents that are gone.
    pub(super) fn add(&mut self, number: i64, segment: Arc<Segment>, gone: &HashSet<i64>) {
        let alive: Vec<bool> =
            segment.documents.iter().map(|document| !gone.contains(&document.number)).collect();
        for (place, document) in (0..).zip(&segment.documents) {
            if alive.get(place as usize) == Some(&true) {
                self.documents.insert(document.record.id.clone(), (number, place));
            }
        }
        self.chunks.reserve(segment.chunks.len());
        for (place, chunk) in (0..).zip(&segment.chunks) {
            if alive.get(chunk.document as usize) == Some(&true) {
                self.chunks.insert(chunk.id, (number, place));
                self.statistics.add(chunk.length);
            }
        }
        let gone = alive.iter().filter(|alive| !**alive).count();
        self.segments.insert(number, Held { segment, alive, gone, lists: None });
    }

    /// Forgets a document.
    pub(super) fn remove(&mut self, id: &str) {
        let Some((number, place)) = self.documents.remove(id) else { return };
        let Some(held) = self.segments.get_mut(&number) else { return };
        if let Some(alive) = held.alive.get_mut(place as usize) {
            held.gone += usize::from(std::mem::take(alive));
        }
        for chunk in held.segment.chunks_of(place).1 {
            self.chunks.remove(&chunk.id);
            self.statistics.remove(chunk.length);
        }
    }

    /// Puts a joined segment in the place of those that it was made of.
    pub(super) fn replace(&mut self, merge: Merge, number: i64) -> Result<()> {
        for from in &merge.from {
            let Some(held) = self.segments.remove(from) else { continue };
            for chunk in held.segment.chunks.iter().filter(|chunk| held.has(chunk.document)) {
                self.statistics.remove(chunk.length);
            }
        }
        self.add(number, Arc::new(merge.into), &HashSet::new());
        merge.lists.map_or(Ok(()), |lists| self.list(number, lists))
    }

    /// Puts a segment's chunks into lists.
    pub(super) fn list(&mut self, number: i64, of: Vec<u16>) -> Result<()> {
        if let (Some((_, centres)), Some(held)) = (&self.centres, self.segments.get_mut(&number)) {
            held.lists = Some(lists(&held.segment, of, centres)?);
        }
        Ok(())
    }

    /// Finds segments that should be joined: `FAN` of about the same size, or one that is half empty.
    pub(super) fn mergeable(&self, dimensions: usize) -> Result<Option<Merge>> {
        let mut tiers: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
        for (number, held) in &self.segments {
            let size = held.segment.chunks.len();
            let there = held.segment.chunks.iter().filter(|chunk| held.has(chunk.document)).count();
            if size >= FAN && there * 2 < size {
                return self.merge(vec![*number], dimensions).map(Some);
            }
            tiers.entry(size.max(1).ilog2() / FAN.ilog2()).or_default().push(*number);
        }
        for mut numbers in tiers.into_values().filter(|numbers| numbers.len() >= FAN) {
            let mut chunks = 0;
            numbers.retain(|number| {
                chunks += self.segments.get(number).map_or(0, |held| held.segment.chunks.len());
                chunks <= MAX_CHUNKS
            });
            if numbers.len() > 1 {
                return self.merge(numbers, dimensions).map(Some);
            }
        }
        Ok(None)
    }

    fn merge(&self, from: Vec<i64>, dimensions: usize) -> Result<Merge> {
        let held: Vec<&Held> = from.iter().filter_map(|number| self.segments.get(number)).collect();
        let parts: Vec<(&Segment, &[bool])> =
            held.iter().map(|held| (&*held.segment, held.alive.as_slice())).collect();
        let into = Segment::merge(&parts, dimensions)?;
        let lists = held.iter().map(|held| {
            let lists = held.segment.chunks.iter().zip(&held.lists.as_ref()?.of);
            let there = lists.filter(|(chunk, _)| held.has(chunk.document));
            Some(there.map(|(_, list)| *list).collect::<Vec<_>>())
        });
        let lists = lists.collect::<Option<Vec<_>>>().map(|lists| lists.concat());
        let gone = held.iter().flat_map(|held| held.segment.documents.iter().zip(&held.alive));
        let forgotten = gone.filter(|(_, alive)| !**alive).map(|(document, _)| document.number).collect();
        Ok(Merge { from, into, lists, forgotten })
    }

    /// Returns a document that is there.
    pub(super) fn document(&self, id: &str) -> Option<&SegmentDocument> {
        let (number, place) = self.documents.get(id)?;
        self.segments.get(number)?.segment.documents.get(*place as usize)
    }

    /// Returns a chunk that is there, with its document.
    pub(super) fn chunk(&self, id: ChunkId) -> Option<(SegmentChunk, &SegmentDocument, VectorAt)> {
        let (number, place) = self.chunks.get(&id)?;
        let held = self.segments.get(number)?;
        let chunk = held.segment.chunks.get(*place as usize)?;
        let document = held.segment.documents.get(chunk.document as usize)?;
        Some((*chunk, document, held.vector(*place as usize)?))
    }

    /// Returns a document that is there, with its chunks.
    pub(super) fn with_chunks(&self, id: &str) -> Option<(&SegmentDocument, &[SegmentChunk])> {
        let (number, place) = self.documents.get(id)?;
        let segment = &self.segments.get(number)?.segment;
        Some((segment.documents.get(*place as usize)?, segment.chunks_of(*place).1))
    }

    /// Returns the documents that are there, with their chunks and those's terms.
    pub(super) fn with_terms(&self, ids: &[&str]) -> HashMap<String, WithTerms> {
        let mut wanted: HashMap<i64, Vec<u32>> = HashMap::new();
        for (number, place) in ids.iter().filter_map(|id| self.documents.get(*id)) {
            wanted.entry(*number).or_default().push(*place);
        }
        let mut all = HashMap::new();
        for (number, places) in wanted {
            let Some(held) = self.segments.get(&number) else { continue };
            let segment = &held.segment;
            // all postings are looked at once: there is no way from a chunk to its terms
            let mut terms: HashMap<usize, Vec<(u32, u32)>> = HashMap::new();
            for place in &places {
                let (first, chunks) = segment.chunks_of(*place);
                terms.extend((first..first + chunks.len()).map(|at| (at, Vec::new())));
            }
            for (term, postings) in segment.lists() {
                for posting in postings {
                    if let Some(terms) = terms.get_mut(&((posting >> 16) as usize)) {
                        terms.push((term, posting & 0xFFFF));
                    }
                }
            }
            for place in places {
                let Some(document) = segment.documents.get(place as usize) else { continue };
                let (first, chunks) = segment.chunks_of(place);
                let chunks = (first..).zip(chunks).filter_map(|(at, chunk)| {
                    Some((*chunk, terms.remove(&at).unwrap_or_default(), held.vector(at)?))
                });
                let with = WithTerms { document: document.clone(), chunks: chunks.collect() };
                all.insert(document.record.id.clone(), with);
            }
        }
        all
    }

    /// Returns the documents whose ids come after `after`, in order.
    pub(super) fn scan(&self, after: &str, limit: usize) -> Vec<&SegmentDocument> {
        let later = self.documents.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        later.take(limit).filter_map(|(id, _)| self.document(id)).collect()
    }

    /// Returns the ids of the documents that match.
    pub(super) fn matching(&self, filter: &Filter) -> Vec<String> {
        let ids = self.documents.keys();
        let matches = |id: &&String| self.document(id).is_some_and(|document| admits(filter, document));
        ids.filter(matches).cloned().collect()
    }

    pub(super) fn count(&self, filter: &Filter) -> Counts {
        let mut counts = Counts::default();
        for (held, admitted) in self.admitted(filter) {
            counts.documents += admitted.iter().filter(|admitted| **admitted).count() as u64;
            let of = |chunk: &&SegmentChunk| admitted.get(chunk.document as usize) == Some(&true);
            counts.chunks += held.segment.chunks.iter().filter(of).count() as u64;
        }
        counts
    }

    /// Finds the best chunks by terms, and `near` chunks by the codes of their vectors, which have to be looked at again.
    pub(super) fn find(&self, query: &StoreQuery, near: usize) -> (Found, Nearest) {
        let admitted = self.admitted(&query.filter);
        let mut found = Found { version: self.version, ..Found::default() };
        let near =
            if query.embedding.is_empty() { Nearest::default() } else { self.near(query, &admitted, near) };
        let containing = |term: u32| -> u64 {
            let count = |held: &Held| {
                if held.whole() {
                    return held.segment.postings(term).len() as u64;
                }
                let there = |posting: &&u32| {
                    let chunk = held.segment.chunks.get((**posting >> 16) as usize);
                    chunk.is_some_and(|chunk| held.has(chunk.document))
                };
                held.segment.postings(term).iter().filter(there).count() as u64
            };
            self.segments.values().map(count).sum()
        };
        let weight =
            |(term, frequency): &(u32, u32)| self.statistics.query_weight(*frequency, containing(*term));
        found.term_weights = query.terms.iter().map(weight).collect();
        let mut lexical = Vec::new();
        for (held, admitted) in admitted.iter().filter(|_| !query.terms.is_empty()) {
            let segment = &held.segment;
            let mut scores = vec![0.0_f32; segment.chunks.len()];
            for ((term, _), weight) in query.terms.iter().zip(&found.term_weights) {
                for posting in segment.postings(*term) {
                    let place = (posting >> 16) as usize;
                    if let (Some(score), Some(chunk)) = (scores.get_mut(place), segment.chunks.get(place)) {
                        *score += weight * self.statistics.document_weight(posting & 0xFFFF, chunk.length);
                    }
                }
            }
            let scored = segment.chunks.iter().zip(scores).filter(|(chunk, score)| {
                *score > 0.0 && admitted.get(chunk.document as usize) == Some(&true)
            });
            lexical.extend(scored.map(|(chunk, score)| Scored::new(chunk.id, score)));
        }
        found.lexical = Scored::best(lexical, query.depth);
        (found, near)
    }

    /// Tells of each segment which of its documents are there and match.
    pub(super) fn admitted(&self, filter: &Filter) -> Vec<(&Held, Vec<bool>)> {
        let segments = self.segments.values();
        if *filter == crate::store::everything() {
            return segments.map(|held| (held, held.alive.clone())).collect();
        }
        let both = |(held, matching): (_, Arc<Vec<bool>>)| {
            let held: &Held = held;
            let both = held.alive.iter().zip(&*matching).map(|(alive, matches)| *alive && *matches);
            (held, both.collect())
        };
        segments.zip(self.matches.of(filter, &self.segments)).map(both).collect()
    }

    /// Counts the chunks that are there.
    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }
}

/// The terms of a chunk, each with how often it stands there.
type TermCounts = Vec<(u32, u32)>;

/// A document and its chunks, each with its terms.
#[derive(Debug)]
pub(super) struct WithTerms {
    pub(super) document: SegmentDocument,
    pub(super) chunks: Vec<(SegmentChunk, TermCounts, VectorAt)>,
}

/// Makes lists of a segment's chunks.
pub(super) fn lists(segment: &Segment, of: Vec<u16>, centres: &Centres) -> Result<Lists> {
    let fits = of.len() == segment.chunks.len();
    let why = "the knowledge's lists do not fit its segments: the file is damaged";
    let lists = Lists::new(of, centres.len()).filter(|_| fits);
    lists.ok_or_else(|| Error::new(ErrorKind::Storage, why))
}

fn admits(filter: &Filter, document: &SegmentDocument) -> bool {
    filter.matches(&document.record.metadata)
}
