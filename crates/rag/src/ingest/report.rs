//! What became of the documents.

use crate::Error;

/// A document that could not be taken, and why.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rejected {
    /// The document's id.
    pub id: String,
    /// Why.
    pub error: Error,
}

/// What became of the documents of a run, so far.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct IngestReport {
    /// Documents that the store did not hold before.
    pub added: u64,
    /// Documents in place of older ones.
    pub replaced: u64,
    /// Documents that the store holds just so.
    pub unchanged: u64,
    /// Documents that were followed by another with the same id.
    pub superseded: u64,
    /// Documents that the source has no more ([`Ingest::sync`](super::Ingest::sync)).
    pub removed: u64,
    /// Chunks that were embedded.
    pub chunks_embedded: u64,
    /// Chunks of replaced documents that kept their vector.
    pub chunks_reused: u64,
    /// Chunks that the embedder [cannot read](crate::retrieve::Gate), and that have no vector.
    pub chunks_unreadable: u64,
    /// How many documents could not be taken; the store holds of them what it held before.
    pub rejected_count: u64,
    /// The first [`MAX_REJECTED`](Self::MAX_REJECTED) of them; a [callback](super::Ingest::with_progress) is told of all.
    pub rejected: Vec<Rejected>,
}

impl IngestReport {
    /// How many rejected documents a report names.
    pub const MAX_REJECTED: usize = 1_000;
}

/// What a run tells of while it goes on.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// A batch has been dealt with, and what was changed is durable.
    Batch(&'a IngestReport),
    /// A document could not be taken.
    Rejected(&'a Rejected),
}
