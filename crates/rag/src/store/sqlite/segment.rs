//! What a tenant is searched by: documents, codes of vectors and postings, written together and never changed.

use std::collections::BTreeMap;

use pumasi_core::text::Span;

use super::codes::{Codes, encode};
use crate::chunk::ChunkId;
use crate::document::{DocumentRecord, Fingerprint};
use crate::store::{ChunkEntry, Entry};
use crate::{Error, ErrorKind, Result};

/// The most chunks of a segment: postings name them by 16 bits.
pub(super) const MAX_CHUNKS: usize = 65_536;

/// A document of a segment.
#[derive(Clone, Debug)]
pub(super) struct SegmentDocument {
    /// Its number in the file: another after each replacement.
    pub(super) number: i64,
    pub(super) record: DocumentRecord,
}

/// A chunk of a segment, but for its codes.
#[derive(Clone, Copy, Debug)]
pub(super) struct SegmentChunk {
    pub(super) id: ChunkId,
    /// Its document, as a place in the segment.
    pub(super) document: u32,
    /// Its number in the file.
    pub(super) number: i64,
    pub(super) section: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    /// How many terms it has, repetitions counted.
    pub(super) length: u32,
}

impl SegmentChunk {
    /// Returns where it stands in its document.
    pub(super) fn span(&self) -> Span {
        Span::new(self.start as usize, self.end as usize)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) documents: Vec<SegmentDocument>,
    /// Those of a document stand together, in the order of the documents.
    pub(super) chunks: Vec<SegmentChunk>,
    /// Where the chunks of each document begin, and where the last one's end.
    firsts: Vec<u32>,
    /// The vectors of all chunks, one after the other, in 8 bits a number.
    codes: Vec<i8>,
    /// What the codes of each chunk are multiplied by: apart, so that a scan reads nothing else.
    scales: Vec<f32>,
    /// The ids of all terms, growing.
    terms: Vec<u32>,
    /// Where each term's postings begin, and where the last one's end.
    offsets: Vec<u32>,
    /// A chunk's place, and how often it holds the term, in 16 bits each; in order of places.
    postings: Vec<u32>,
}

fn narrow(number: usize) -> Result<u32> {
    u32::try_from(number)
        .map_err(|_| Error::new(ErrorKind::InvalidInput, "a document is too large for the store's numbers"))
}

impl Segment {
    /// Makes a segment of documents with their numbers; at most [`MAX_CHUNKS`] chunks.
    pub(super) fn of(entries: &[Entry], document: i64, chunk: i64) -> Result<Self> {
        let mut segment = Self::default();
        let mut postings: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut next = chunk;
        for (number, entry) in (document..).zip(entries) {
            let place = narrow(segment.documents.len())?;
            segment.documents.push(SegmentDocument { number, record: entry.record.clone() });
            for chunk in &entry.chunks {
                let at = narrow(segment.chunks.len())?;
                let scale = encode(&chunk.embedding, &mut segment.codes);
                for (term, count) in &chunk.terms {
                    postings.entry(*term).or_default().push(at << 16 | (*count).min(0xFFFF));
                }
                segment.scales.push(scale);
                segment.chunks.push(Self::chunk(chunk, place, next)?);
                next += 1;
            }
        }
        for (term, entries) in postings {
            segment.push_term(term, entries)?;
        }
        segment.offsets.push(narrow(segment.postings.len())?);
        segment.find_firsts()?;
        Ok(segment)
    }

    fn chunk(chunk: &ChunkEntry, document: u32, number: i64) -> Result<SegmentChunk> {
        Ok(SegmentChunk {
            id: chunk.id,
            document,
            number,
            section: narrow(chunk.section)?,
            start: narrow(chunk.span.start)?,
            end: narrow(chunk.span.end)?,
            length: chunk.length(),
        })
    }

    fn push_term(&mut self, term: u32, postings: impl IntoIterator<Item = u32>) -> Result<()> {
        self.terms.push(term);
        self.offsets.push(narrow(self.postings.len())?);
        self.postings.extend(postings);
        Ok(())
    }

    /// Joins segments, leaving out the documents that are gone.
    pub(super) fn merge(parts: &[(&Self, &[bool])], dimensions: usize) -> Result<Self> {
        let mut merged = Self::default();
        let mut moved: Vec<Vec<Option<u32>>> = Vec::with_capacity(parts.len());
        for (part, alive) in parts {
            let mut documents = Vec::with_capacity(part.documents.len());
            for (document, alive) in part.documents.iter().zip(*alive) {
                documents.push(alive.then(|| narrow(merged.documents.len())).transpose()?);
                if *alive {
                    merged.documents.push(document.clone());
                }
            }
            let mut places = Vec::with_capacity(part.chunks.len());
            let codes = part.codes.chunks_exact(dimensions.max(1)).zip(&part.scales);
            for (chunk, (codes, scale)) in part.chunks.iter().zip(codes) {
                let document = documents.get(chunk.document as usize).copied().flatten();
                places.push(document.map(|_| narrow(merged.chunks.len())).transpose()?);
                if let Some(document) = document {
                    merged.chunks.push(SegmentChunk { document, ..*chunk });
                    merged.codes.extend_from_slice(codes);
                    merged.scales.push(*scale);
                }
            }
            moved.push(places);
        }
        let mut lists: Vec<(u32, usize, &[u32])> = parts
            .iter()
            .enumerate()
            .flat_map(|(at, (part, _))| part.lists().map(move |(term, postings)| (term, at, postings)))
            .collect();
        lists.sort_unstable_by_key(|(term, at, _)| (*term, *at));
        for lists in lists.chunk_by(|(a, ..), (b, ..)| a == b) {
            let Some((term, ..)) = lists.first() else { continue };
            let entries: Vec<u32> = lists
                .iter()
                .flat_map(|(_, at, postings)| {
                    let places = moved.get(*at);
                    postings.iter().filter_map(move |posting| {
                        let place = places?.get((posting >> 16) as usize).copied().flatten()?;
                        Some(place << 16 | (posting & 0xFFFF))
                    })
                })
                .collect();
            if !entries.is_empty() {
                merged.push_term(*term, entries)?;
            }
        }
        merged.offsets.push(narrow(merged.postings.len())?);
        merged.find_firsts()?;
        Ok(merged)
    }

    /// Finds where the chunks of each document begin.
    fn find_firsts(&mut self) -> Result<()> {
        let mut at = 0;
        for document in 0..narrow(self.documents.len())? {
            self.firsts.push(narrow(at)?);
            let own = self.chunks.get(at..).unwrap_or_default();
            at += own.iter().take_while(|chunk| chunk.document == document).count();
        }
        self.firsts.push(narrow(at)?);
        Ok(())
    }

    fn first(&self, document: usize) -> usize {
        self.firsts.get(document).or(self.firsts.last()).map_or(0, |first| *first as usize)
    }

    /// Returns the chunks of the document at `place`, and the place of the first.
    pub(super) fn chunks_of(&self, place: u32) -> (usize, &[SegmentChunk]) {
        let (first, end) = (self.first(place as usize), self.first(place as usize + 1));
        (first, self.chunks.get(first..end).unwrap_or_default())
    }

    /// Estimates the products of a vector with those of the chunks of documents that are admitted, by their codes.
    pub(super) fn scan(&self, question: &Codes, admitted: &[bool], mut found: impl FnMut(usize, f32)) {
        let mut document = 0;
        // one run of documents after the other: in memory they stand together
        for run in admitted.chunk_by(|one, next| one == next) {
            let (first, end) = (self.first(document), self.first(document + run.len()));
            document += run.len();
            if run.first() != Some(&true) {
                continue;
            }
            let dimensions = question.dimensions();
            let codes = self.codes.get(first * dimensions..end * dimensions).unwrap_or_default();
            let scales = self.scales.get(first..end).unwrap_or_default();
            question.products(codes, scales, |at, product| found(first + at, product));
        }
    }

    /// Returns all terms with their postings.
    pub(super) fn lists(&self) -> impl Iterator<Item = (u32, &[u32])> {
        let list = |(at, term): (usize, &u32)| (*term, self.list(at));
        self.terms.iter().enumerate().map(list)
    }

    /// Returns the postings of a term.
    pub(super) fn postings(&self, term: u32) -> &[u32] {
        self.terms.binary_search(&term).map_or(&[], |at| self.list(at))
    }

    fn list(&self, at: usize) -> &[u32] {
        let end = |at: usize| self.offsets.get(at).map_or(0, |offset| *offset as usize);
        self.postings.get(end(at)..end(at + 1)).unwrap_or_default()
    }

    /// Writes the segment, with a checksum at the end.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(self.codes.len() + self.postings.len() * 6 + 64);
        let counts = [
            self.documents.len(),
            self.chunks.len(),
            self.codes.len(),
            self.terms.len(),
            self.postings.len(),
        ];
        out.extend_from_slice(MAGIC);
        for count in counts {
            out.extend_from_slice(&narrow(count)?.to_le_bytes());
        }
        for SegmentDocument { number, record } in &self.documents {
            out.extend_from_slice(&number.to_le_bytes());
            let record = serde_json::to_vec(record).map_err(|error| {
                Error::new(ErrorKind::InvalidInput, "a document's record could not be written")
                    .with_source(error)
            })?;
            out.extend_from_slice(&narrow(record.len())?.to_le_bytes());
            out.extend_from_slice(&record);
        }
        for (chunk, scale) in self.chunks.iter().zip(&self.scales) {
            out.extend_from_slice(chunk.id.0.as_bytes());
            out.extend_from_slice(&chunk.number.to_le_bytes());
            for number in [chunk.document, chunk.section, chunk.start, chunk.end, chunk.length] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            out.extend_from_slice(&scale.to_le_bytes());
        }
        out.extend(self.codes.iter().map(|code| code.to_le_bytes()[0]));
        for list in [&self.terms, &self.offsets, &self.postings] {
            out.extend(list.iter().flat_map(|number| number.to_le_bytes()));
        }
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        Ok(out)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    pub(super) fn from_bytes(bytes: &[u8], dimensions: usize) -> Result<Self> {
        Reader(bytes).segment(dimensions).ok_or_else(|| {
            Error::new(ErrorKind::Storage, "a segment of the knowledge is damaged, or another program's")
        })
    }
}

const MAGIC: &[u8; 4] = b"prs1";

/// What of a segment has not been read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.array()?))
    }

    fn i64(&mut self) -> Option<i64> {
        Some(i64::from_le_bytes(self.array()?))
    }

    fn list(&mut self, count: usize) -> Option<Vec<u32>> {
        let bytes = self.take(count.checked_mul(4)?)?;
        Some(bytes.as_chunks::<4>().0.iter().map(|number| u32::from_le_bytes(*number)).collect())
    }

    fn segment(mut self, dimensions: usize) -> Option<Segment> {
        let (content, checksum) = self.0.split_last_chunk::<4>()?;
        if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
            return None;
        }
        self.0 = content;
        if self.take(4)? != MAGIC {
            return None;
        }
        let [documents, chunks, codes, terms, postings] =
            [self.u32()?, self.u32()?, self.u32()?, self.u32()?, self.u32()?].map(|count| count as usize);
        let mut segment = Segment::default();
        for _ in 0..documents {
            let (number, length) = (self.i64()?, self.u32()?);
            let record = serde_json::from_slice(self.take(length as usize)?).ok()?;
            segment.documents.push(SegmentDocument { number, record });
        }
        for _ in 0..chunks {
            let id = ChunkId(Fingerprint::from_bytes(self.array()?));
            let number = self.i64()?;
            let [document, section, start, end, length] =
                [self.u32()?, self.u32()?, self.u32()?, self.u32()?, self.u32()?];
            segment.scales.push(f32::from_le_bytes(self.array()?));
            segment.chunks.push(SegmentChunk { id, document, number, section, start, end, length });
        }
        segment.codes = self.take(codes)?.iter().map(|code| i8::from_le_bytes([*code])).collect();
        segment.terms = self.list(terms)?;
        segment.offsets = self.list(terms + 1)?;
        segment.postings = self.list(postings)?;
        let whole = codes == chunks.checked_mul(dimensions)? && self.0.is_empty();
        let places = segment.chunks.is_sorted_by_key(|chunk| chunk.document)
            && segment.chunks.last().is_none_or(|chunk| (chunk.document as usize) < documents);
        segment.find_firsts().ok()?;
        (whole && places).then_some(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_noticed_wherever_it_is() {
        let entry = crate::store::sample::entry("가", "달리기를 합니다", 8);
        let bytes = Segment::of(&[entry], 1, 1).unwrap().to_bytes().unwrap();
        assert!(Segment::from_bytes(&bytes, 8).is_ok());
        assert!(Segment::from_bytes(&bytes, 9).is_err());
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x10;
            assert!(Segment::from_bytes(&broken, 8).is_err(), "{at}");
            assert!(Segment::from_bytes(bytes.get(..at).unwrap(), 8).is_err(), "{at}");
        }
    }
}
