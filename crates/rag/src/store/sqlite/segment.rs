//! What a tenant is searched by: documents, codes of vectors and postings, written together and never changed.

use std::collections::BTreeMap;

use pumasi_core::text::Span;

use super::codes::{Coded, Codes, encode};
use super::halves::{Halves, Stretch};
use super::varint;
use crate::chunk::ChunkId;
use crate::document::{DocumentRecord, Fingerprint};
use crate::store::{ChunkEntry, Entry};
use crate::{Error, ErrorKind, Result};

/// The most chunks of a segment: postings name them by 16 bits.
pub(super) const MAX_CHUNKS: usize = Entry::MAX_CHUNKS;

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
    /// Of the codes.
    halves: Halves,
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
        segment.index()?;
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
        merged.index()?;
        Ok(merged)
    }

    /// Finds where the chunks of each document begin, and takes the halves of their codes.
    fn index(&mut self) -> Result<()> {
        let mut at = 0;
        for document in 0..narrow(self.documents.len())? {
            self.firsts.push(narrow(at)?);
            let own = self.chunks.get(at..).unwrap_or_default();
            at += own.iter().take_while(|chunk| chunk.document == document).count();
        }
        self.firsts.push(narrow(at)?);
        let dimensions = self.codes.len().checked_div(self.chunks.len()).unwrap_or_default();
        self.halves = Halves::of(&self.codes, dimensions);
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

    /// Returns the codes of the chunk at a place.
    pub(super) fn coded(&self, at: usize) -> Option<Coded<'_>> {
        let dimensions = self.codes.len().checked_div(self.chunks.len())?;
        let codes = self.codes.get(at * dimensions..(at + 1) * dimensions)?;
        Some(Coded { codes, scale: *self.scales.get(at)? })
    }

    /// Returns the codes of all chunks' vectors, and what they are multiplied by.
    pub(super) fn vectors(&self) -> (&[i8], &[f32]) {
        (&self.codes, &self.scales)
    }

    /// Tells of each chunk whether its document is one of some.
    pub(super) fn of_documents(&self, documents: &[bool]) -> Vec<bool> {
        let mut chunks = vec![false; self.chunks.len()];
        let (mut document, mut first) = (0, 0);
        for run in documents.chunk_by(|one, next| one == next) {
            document += run.len();
            let past = self.first(document);
            if run.first() == Some(&true)
                && let Some(chunks) = chunks.get_mut(first..past)
            {
                chunks.fill(true);
            }
            first = past;
        }
        chunks
    }

    /// Estimates the products of a vector with those of the chunks of documents that are admitted, by their codes, and returns how many
    /// these are. Those that cannot reach the bar, which `found` returns and about `wanted` of them make, need not be handed on.
    pub(super) fn scan(
        &self,
        question: &Codes,
        admitted: &[bool],
        wanted: usize,
        mut bar: f32,
        mut found: impl FnMut(usize, f32) -> f32,
    ) -> usize {
        let (mut document, mut looked_at) = (0, 0);
        // one run of documents after the other: in memory they stand together
        for run in admitted.chunk_by(|one, next| one == next) {
            let (first, end) = (self.first(document), self.first(document + run.len()));
            document += run.len();
            if run.first() != Some(&true) {
                continue;
            }
            let dimensions = question.dimensions();
            let stretch = Stretch {
                first,
                codes: self.codes.get(first * dimensions..end * dimensions).unwrap_or_default(),
                scales: self.scales.get(first..end).unwrap_or_default(),
            };
            looked_at += stretch.scales.len();
            self.halves.products_above(question, &stretch, wanted, bar, |at, product| {
                bar = found(first + at, product);
                bar
            });
        }
        looked_at
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
        let mut before = Before::default();
        for (chunk, scale) in self.chunks.iter().zip(&self.scales) {
            out.extend_from_slice(chunk.id.0.as_bytes());
            out.extend_from_slice(&scale.to_le_bytes());
            for number in before.differences(chunk) {
                varint::put(&mut out, number);
            }
        }
        out.extend(self.codes.iter().map(|code| code.to_le_bytes()[0]));
        let mut last = 0;
        for (term, postings) in self.lists() {
            varint::put(&mut out, u64::from(term.wrapping_sub(last)));
            varint::put(&mut out, postings.len() as u64);
            last = term;
            let mut place = 0;
            for posting in postings {
                // how far it is from the one before, and whether the term stands there more than once
                let (apart, count) = ((posting >> 16).wrapping_sub(place), posting & 0xFFFF);
                varint::put(&mut out, u64::from(apart) << 1 | u64::from(count != 1));
                if count != 1 {
                    varint::put(&mut out, u64::from(count));
                }
                place = posting >> 16;
            }
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

/// How a segment begins, and how it did when all of its numbers had four bytes.
const MAGIC: &[u8; 4] = b"prs2";
const FIRST_MAGIC: &[u8; 4] = b"prs1";

/// The numbers of the chunk before, from which the next one's differ little.
#[derive(Default)]
struct Before {
    document: u32,
    number: i64,
    section: u32,
    start: u32,
}

impl Before {
    fn take(&mut self, chunk: &SegmentChunk) {
        if chunk.document != self.document {
            (self.section, self.start) = (0, 0);
        }
        (self.document, self.number) = (chunk.document, chunk.number);
        (self.section, self.start) = (chunk.section, chunk.start);
    }

    fn differences(&mut self, chunk: &SegmentChunk) -> [u64; 6] {
        let apart = |now: u32, then: u32| u64::from(now.wrapping_sub(then));
        let (section, start) =
            if chunk.document == self.document { (self.section, self.start) } else { (0, 0) };
        let differences = [
            apart(chunk.document, self.document),
            chunk.number.wrapping_sub(self.number).cast_unsigned(),
            apart(chunk.section, section),
            apart(chunk.start, start),
            apart(chunk.end, chunk.start),
            u64::from(chunk.length),
        ];
        self.take(chunk);
        differences
    }

    /// Reads what [`differences`](Self::differences) made, but for the id.
    fn chunk(&mut self, id: ChunkId, differences: [u64; 6]) -> Option<SegmentChunk> {
        let [document, number, section, start, end, length] = differences;
        let then = |apart: u64, then: u32| Some(then.wrapping_add(u32::try_from(apart).ok()?));
        let document = then(document, self.document)?;
        let (last_section, last_start) =
            if document == self.document { (self.section, self.start) } else { (0, 0) };
        let start = then(start, last_start)?;
        let chunk = SegmentChunk {
            id,
            document,
            number: self.number.wrapping_add(number.cast_signed()),
            section: then(section, last_section)?,
            start,
            end: then(end, start)?,
            length: u32::try_from(length).ok()?,
        };
        self.take(&chunk);
        Some(chunk)
    }
}

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

    fn varint(&mut self) -> Option<u64> {
        varint::take(&mut self.0)
    }

    fn codes(&mut self, count: usize) -> Option<Vec<i8>> {
        Some(self.take(count)?.iter().map(|code| i8::from_le_bytes([*code])).collect())
    }

    fn layout(&mut self, segment: &mut Segment, counts: [usize; 4]) -> Option<()> {
        let [chunks, codes, terms, postings] = counts;
        let mut before = Before::default();
        for _ in 0..chunks {
            let id = ChunkId(Fingerprint::from_bytes(self.array()?));
            segment.scales.push(f32::from_le_bytes(self.array()?));
            let mut differences = [0; 6];
            for difference in &mut differences {
                *difference = self.varint()?;
            }
            segment.chunks.push(before.chunk(id, differences)?);
        }
        segment.codes = self.codes(codes)?;
        // a posting has a byte at least
        segment.postings.reserve(postings.min(self.0.len()));
        let mut term = 0_u32;
        for _ in 0..terms {
            term = term.wrapping_add(u32::try_from(self.varint()?).ok()?);
            segment.terms.push(term);
            segment.offsets.push(narrow(segment.postings.len()).ok()?);
            let mut place = 0;
            for _ in 0..self.varint()? {
                let posting = self.varint()?;
                place += u32::try_from(posting >> 1).ok().filter(|apart| *apart < 1 << 16)?;
                let count = if posting & 1 == 0 { 1 } else { u32::try_from(self.varint()?).ok()? };
                if place >= 1 << 16 || count >= 1 << 16 {
                    return None;
                }
                segment.postings.push(place << 16 | count);
            }
        }
        segment.offsets.push(narrow(segment.postings.len()).ok()?);
        (segment.postings.len() == postings).then_some(())
    }

    fn first_layout(&mut self, segment: &mut Segment, counts: [usize; 4]) -> Option<()> {
        let [chunks, codes, terms, postings] = counts;
        for _ in 0..chunks {
            let id = ChunkId(Fingerprint::from_bytes(self.array()?));
            let number = self.i64()?;
            let [document, section, start, end, length] =
                [self.u32()?, self.u32()?, self.u32()?, self.u32()?, self.u32()?];
            segment.scales.push(f32::from_le_bytes(self.array()?));
            segment.chunks.push(SegmentChunk { id, document, number, section, start, end, length });
        }
        segment.codes = self.codes(codes)?;
        segment.terms = self.list(terms)?;
        segment.offsets = self.list(terms + 1)?;
        segment.postings = self.list(postings)?;
        Some(())
    }

    fn segment(mut self, dimensions: usize) -> Option<Segment> {
        let (content, checksum) = self.0.split_last_chunk::<4>()?;
        if crc32fast::hash(content) != u32::from_le_bytes(*checksum) {
            return None;
        }
        self.0 = content;
        let is_first = match self.take(4)? {
            magic if magic == MAGIC => false,
            magic if magic == FIRST_MAGIC => true,
            _ => return None,
        };
        let [documents, chunks, codes, terms, postings] =
            [self.u32()?, self.u32()?, self.u32()?, self.u32()?, self.u32()?].map(|count| count as usize);
        let mut segment = Segment::default();
        for _ in 0..documents {
            let (number, length) = (self.i64()?, self.u32()?);
            let record = DocumentRecord::read(self.take(length as usize)?).ok()?;
            segment.documents.push(SegmentDocument { number, record });
        }
        if is_first {
            self.first_layout(&mut segment, [chunks, codes, terms, postings])?;
        } else {
            self.layout(&mut segment, [chunks, codes, terms, postings])?;
        }
        let whole = codes == chunks.checked_mul(dimensions)? && self.0.is_empty();
        let places = segment.chunks.is_sorted_by_key(|chunk| chunk.document)
            && segment.chunks.last().is_none_or(|chunk| (chunk.document as usize) < documents);
        segment.index().ok()?;
        (whole && places).then_some(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As segments were written at first.
    fn first_bytes(segment: &Segment) -> Vec<u8> {
        let mut out = FIRST_MAGIC.to_vec();
        let counts =
            [segment.documents.len(), segment.chunks.len(), segment.codes.len(), segment.terms.len()];
        for count in counts.into_iter().chain([segment.postings.len()]) {
            out.extend_from_slice(&u32::try_from(count).unwrap().to_le_bytes());
        }
        for SegmentDocument { number, record } in &segment.documents {
            let record = serde_json::to_vec(record).unwrap();
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&u32::try_from(record.len()).unwrap().to_le_bytes());
            out.extend_from_slice(&record);
        }
        for (chunk, scale) in segment.chunks.iter().zip(&segment.scales) {
            out.extend_from_slice(chunk.id.0.as_bytes());
            out.extend_from_slice(&chunk.number.to_le_bytes());
            for number in [chunk.document, chunk.section, chunk.start, chunk.end, chunk.length] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            out.extend_from_slice(&scale.to_le_bytes());
        }
        out.extend(segment.codes.iter().map(|code| code.to_le_bytes()[0]));
        for list in [&segment.terms, &segment.offsets, &segment.postings] {
            out.extend(list.iter().flat_map(|number| number.to_le_bytes()));
        }
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    #[test]
    fn what_is_written_is_read_and_so_is_the_first_layout() {
        let texts = ["달리기를 합니다. 달리기는 즐겁습니다", "천천히 걷습니다", "run run run, and rest"];
        let entries: Vec<Entry> = (0..3)
            .flat_map(|nth| texts.map(|text| crate::store::sample::entry(&format!("{nth} {text}"), text, 8)))
            .collect();
        let segment = Segment::of(&entries, 7, 900).unwrap();
        let same = |read: &Segment| format!("{read:?}") == format!("{segment:?}");
        let bytes = segment.to_bytes().unwrap();
        assert!(same(&Segment::from_bytes(&bytes, 8).unwrap()));
        let first = first_bytes(&segment);
        assert!(same(&Segment::from_bytes(&first, 8).unwrap()));
        assert!(bytes.len() < first.len());
    }

    #[test]
    fn metadata_that_cannot_be_read_hides_no_document() {
        let mut entry = crate::store::sample::entry("가", "달리기를 합니다", 8);
        let deep = (0..200).fold(serde_json::json!(1), |within, _| serde_json::json!([within]));
        entry.record.metadata.insert("deep".to_owned(), deep);
        let bytes = Segment::of(&[entry.clone()], 1, 1).unwrap().to_bytes().unwrap();
        let mut segment = Segment::from_bytes(&bytes, 8).unwrap();
        entry.record.metadata.clear();
        assert_eq!(segment.documents.remove(0).record, entry.record);
    }

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
