//! What stands in a point: the parts of a document, written and read.
//!
//! | `kind` | what it is | vectors |
//! |---|---|---|
//! | `document` | a document's record, and how many parts it has | – |
//! | `section` | a section with its text | – |
//! | `chunk` | a chunk: its place, its terms and how often it holds each, and the document's [fields](super::fields) | `embedding`, `words` |
//! | `tenant` | the [head](super::head) of a tenant | – |
//! | `store` | which vectors the collection holds | – |

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use pumasi_core::text::Span;
use qdrant_client::qdrant::vector_output::Vector as Read;
use qdrant_client::qdrant::vectors::VectorsOptions;
use qdrant_client::qdrant::{
    DenseVector, ListValue, NamedVectors, PointId, PointStruct, SparseVector, Value as Stored, Vector,
    Vectors, VectorsOutput, value::Kind, vector,
};
use serde::de::DeserializeOwned;

use super::fields;
use crate::chunk::ChunkId;
use crate::document::{DocumentRecord, Fingerprint, Tenant};
use crate::store::{ChunkEntry, Entry, SectionEntry, Statistics};
use crate::{Error, ErrorKind, Result};

/// The members of a payload.
pub(super) type Members = HashMap<String, Stored>;

/// The name of the dense vectors.
pub(super) const EMBEDDING: &str = "embedding";

/// The name of the sparse ones: the BM25 weights of a chunk's terms.
pub(super) const WORDS: &str = "words";

/// The kinds of points.
pub(super) mod kind {
    pub(crate) const DOCUMENT: &str = "document";
    pub(crate) const SECTION: &str = "section";
    pub(crate) const CHUNK: &str = "chunk";
    pub(crate) const TENANT: &str = "tenant";
    pub(crate) const STORE: &str = "store";
}

pub(super) fn text(said: impl Into<String>) -> Stored {
    Stored { kind: Some(Kind::StringValue(said.into())) }
}

pub(super) fn real(number: f64) -> Stored {
    Stored { kind: Some(Kind::DoubleValue(number)) }
}

pub(super) fn whole(number: impl TryInto<i64>) -> Stored {
    Stored { kind: Some(Kind::IntegerValue(number.try_into().unwrap_or(i64::MAX))) }
}

/// Identifies a point by what it is of.
pub(super) fn point_id(kind: &str, tenant: &str, document: &str, nth: usize, epoch: u64) -> PointId {
    let (nth, epoch) = ((nth as u64).to_le_bytes(), epoch.to_le_bytes());
    let name = [kind.as_bytes(), tenant.as_bytes(), document.as_bytes(), &nth, &epoch];
    let id = uuid::Builder::from_custom_bytes(*Fingerprint::of(name).as_bytes()).into_uuid();
    PointId::from(id.to_string())
}

/// Makes a point without vectors.
pub(super) fn point(id: PointId, payload: Members) -> PointStruct {
    with_vectors(id, payload, HashMap::new())
}

fn with_vectors(id: PointId, payload: Members, vectors: HashMap<String, Vector>) -> PointStruct {
    let vectors = Vectors { vectors_options: Some(VectorsOptions::Vectors(NamedVectors { vectors })) };
    PointStruct { id: Some(id), payload, vectors: Some(vectors) }
}

/// Whose point it is, and from which version on it is seen.
#[derive(Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) epoch: u64,
}

impl Owner<'_> {
    fn members(&self, kind: &str, document: &str) -> Members {
        Members::from([
            ("kind".to_owned(), text(kind)),
            ("tenant".to_owned(), text(self.tenant.as_str())),
            ("document".to_owned(), text(document)),
            ("from".to_owned(), whole(self.epoch)),
        ])
    }

    pub(super) fn id(&self, kind: &str, document: &str, nth: usize) -> PointId {
        point_id(kind, self.tenant.as_str(), document, nth, self.epoch)
    }
}

/// Makes the points of a document.
pub(super) fn points(entry: &Entry, of: Owner<'_>, statistics: &Statistics) -> Result<Vec<PointStruct>> {
    let document = entry.record.id.as_str();
    let record = json(&entry.record)?;
    let mut asked = Members::new();
    fields::write(&entry.record.metadata, &mut asked);
    let mut points = Vec::with_capacity(1 + entry.sections.len() + entry.chunks.len());

    let length: u64 = entry.chunks.iter().map(|chunk| u64::from(chunk.length())).sum();
    let mut members = of.members(kind::DOCUMENT, document);
    members.extend(asked.clone());
    members.insert("record".to_owned(), text(record));
    members.insert("print".to_owned(), text(entry.record.fingerprint.to_string()));
    members.insert("chunks".to_owned(), whole(entry.chunks.len()));
    members.insert("sections".to_owned(), whole(entry.sections.len()));
    members.insert("length".to_owned(), whole(length));
    points.push(point(of.id(kind::DOCUMENT, document, 0), members));

    for (nth, section) in entry.sections.iter().enumerate() {
        let mut members = of.members(kind::SECTION, document);
        members.insert("nth".to_owned(), whole(nth));
        members.insert("start".to_owned(), whole(section.span.start));
        members.insert("headings".to_owned(), text(json(&section.headings)?));
        members.insert("text".to_owned(), text(section.text.as_str()));
        points.push(point(of.id(kind::SECTION, document, nth), members));
    }
    for (nth, chunk) in entry.chunks.iter().enumerate() {
        let mut members = of.members(kind::CHUNK, document);
        members.extend(asked.clone());
        members.insert("nth".to_owned(), whole(nth));
        members.insert("chunk".to_owned(), text(chunk.id.to_string()));
        members.insert("section".to_owned(), whole(chunk.section));
        members.insert("start".to_owned(), whole(chunk.span.start));
        members.insert("end".to_owned(), whole(chunk.span.end));
        members.insert("counts".to_owned(), text(pack(&chunk.terms)));
        let terms = chunk.terms.iter().map(|(term, _)| whole(*term)).collect();
        members
            .insert("terms".to_owned(), Stored { kind: Some(Kind::ListValue(ListValue { values: terms })) });
        let mut vectors = HashMap::from([(EMBEDDING.to_owned(), dense(chunk.embedding.clone()))]);
        if !chunk.terms.is_empty() {
            vectors.insert(WORDS.to_owned(), words(&chunk.terms, statistics));
        }
        points.push(with_vectors(of.id(kind::CHUNK, document, nth), members, vectors));
    }
    Ok(points)
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| {
        Error::new(ErrorKind::InvalidInput, "a part of a document could not be written").with_source(error)
    })
}

pub(super) fn dense(data: Vec<f32>) -> Vector {
    Vector { vector: Some(vector::Vector::Dense(DenseVector { data })), ..Vector::default() }
}

/// Weighs a chunk's terms.
pub(super) fn words(terms: &[(u32, u32)], statistics: &Statistics) -> Vector {
    let length = terms.iter().fold(0, |sum: u32, (_, count)| sum.saturating_add(*count));
    let (indices, values) =
        terms.iter().map(|(term, count)| (*term, statistics.document_weight(*count, length))).unzip();
    Vector { vector: Some(vector::Vector::Sparse(SparseVector { values, indices })), ..Vector::default() }
}

/// Packs how often a chunk holds each of its terms.
fn pack(terms: &[(u32, u32)]) -> String {
    let mut packed = Vec::with_capacity(terms.len() * 6);
    for (term, count) in terms {
        packed.extend_from_slice(&term.to_le_bytes());
        packed.extend_from_slice(&u16::try_from(*count).unwrap_or(u16::MAX).to_le_bytes());
    }
    BASE64.encode(packed)
}

/// A point that was read.
pub(super) struct Point<'a>(pub(super) &'a Members);

impl Point<'_> {
    pub(super) fn text(&self, name: &str) -> Result<&str> {
        match self.0.get(name).and_then(|value| value.kind.as_ref()) {
            Some(Kind::StringValue(text)) => Ok(text),
            _ => Err(unreadable(name)),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<u64> {
        match self.0.get(name).and_then(|value| value.kind.as_ref()) {
            Some(Kind::IntegerValue(number)) => u64::try_from(*number).map_err(|_| unreadable(name)),
            _ => Err(unreadable(name)),
        }
    }

    pub(super) fn size(&self, name: &str) -> Result<usize> {
        usize::try_from(self.number(name)?).map_err(|_| unreadable(name))
    }

    pub(super) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        serde_json::from_str(self.text(name)?).map_err(|error| unreadable(name).with_source(error))
    }

    pub(super) fn record(&self) -> Result<DocumentRecord> {
        self.json("record")
    }

    pub(super) fn fingerprint(&self, name: &str) -> Result<Fingerprint> {
        self.text(name)?.parse().map_err(|_| unreadable(name))
    }

    pub(super) fn chunk_id(&self) -> Result<ChunkId> {
        self.fingerprint("chunk").map(ChunkId)
    }

    pub(super) fn section(&self) -> Result<SectionEntry> {
        let (start, text) = (self.size("start")?, self.text("text")?);
        Ok(SectionEntry::new(
            self.json("headings")?,
            Span::new(start, start.saturating_add(text.len())),
            text,
        ))
    }

    pub(super) fn terms(&self) -> Result<Vec<(u32, u32)>> {
        let packed = BASE64.decode(self.text("counts")?).map_err(|_| unreadable("counts"))?;
        let terms = packed.as_chunks::<6>().0.iter();
        let read = |[a, b, c, d, low, high]: &[u8; 6]| {
            (u32::from_le_bytes([*a, *b, *c, *d]), u32::from(u16::from_le_bytes([*low, *high])))
        };
        Ok(terms.map(read).collect())
    }

    pub(super) fn chunk(&self, embedding: Vec<f32>) -> Result<ChunkEntry> {
        let span = Span::new(self.size("start")?, self.size("end")?);
        Ok(ChunkEntry::new(self.chunk_id()?, self.size("section")?, span, embedding, self.terms()?))
    }
}

/// Returns the dense vector of a point that was read with it.
pub(super) fn embedding(vectors: Option<&VectorsOutput>) -> Result<Vec<f32>> {
    match vectors.and_then(|vectors| vectors.get_vector_by_name(EMBEDDING)) {
        Some(Read::Dense(dense)) => Ok(dense.data),
        _ => Err(unreadable(EMBEDDING)),
    }
}

fn unreadable(what: &str) -> Error {
    Error::new(ErrorKind::Storage, format!("a point in the collection has no `{what}` that can be read"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sample::entry;

    #[test]
    fn what_was_written_is_read() {
        let entry = entry("계획", "달리기를 달리기를 한다\n무릎이 아프면 쉰다", 8);
        let tenant = Tenant::single();
        let mut statistics = Statistics::default();
        statistics.add(3);
        statistics.settle();
        let points = points(&entry, Owner { tenant: &tenant, epoch: 7 }, &statistics).unwrap();
        let of = |kind: &'static str| {
            points.iter().filter(move |point| Point(&point.payload).text("kind").unwrap() == kind)
        };
        assert_eq!(of(kind::DOCUMENT).count(), 1);
        for point in of(kind::DOCUMENT) {
            assert_eq!(Point(&point.payload).record().unwrap(), entry.record);
        }
        for (point, section) in of(kind::SECTION).zip(&entry.sections) {
            assert_eq!(&Point(&point.payload).section().unwrap(), section);
        }
        for (point, chunk) in of(kind::CHUNK).zip(&entry.chunks) {
            assert_eq!(&Point(&point.payload).chunk(chunk.embedding.clone()).unwrap(), chunk);
        }
        let ids: std::collections::HashSet<_> =
            points.iter().map(|point| format!("{:?}", point.id)).collect();
        assert_eq!(ids.len(), 1 + entry.sections.len() + entry.chunks.len());
        let other = points.first().map(|point| format!("{:?}", point.id)).unwrap();
        let again = point_id(kind::DOCUMENT, "single", "계획", 0, 8);
        assert_ne!(other, format!("{:?}", Some(again)));
    }

    #[test]
    fn what_is_not_there_is_an_error_without_a_word_of_it() {
        let members = Members::from([("record".to_owned(), text("{무릎"))]);
        let error = Point(&members).record().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Storage);
        assert!(!format!("{error:?}").contains("무릎"));
        assert!(Point(&members).number("record").is_err() && embedding(None).is_err());
    }
}
