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

/// What became of the documents of a run.
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
    /// Chunks that were embedded.
    pub chunks_embedded: u64,
    /// Chunks of replaced documents that kept their vector.
    pub chunks_reused: u64,
    /// Chunks that the embedder [cannot read](crate::retrieve::Gate), and that have no vector.
    pub chunks_unreadable: u64,
    /// Documents that could not be taken; the store holds of them what it held before.
    pub rejected: Vec<Rejected>,
}

impl IngestReport {
    pub(super) fn reject(&mut self, id: &str, error: Error) {
        tracing::warn!(document = id, kind = %error.kind(), "a document was rejected");
        self.rejected.push(Rejected { id: id.to_owned(), error });
    }
}
