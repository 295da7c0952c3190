//! How a store comes to hold what the documents say now, and nothing is embedded twice.

mod embed;
mod report;

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use pumasi_core::model::{Embedder, Embedding};
use pumasi_core::text::{Analyzer, SparseVector};

pub(crate) use embed::checked;
pub use report::{IngestReport, Rejected};

use crate::chunk::{ChunkId, Chunker, StructureChunker, readable};
use crate::document::{Document, DocumentRecord, Fingerprint};
use crate::retrieve::Gate;
use crate::store::{ChunkEntry, Entry, SectionEntry, Space, Store};
use crate::{Error, ErrorKind, Result};

/// Changes whenever the same document would be kept in another way.
const VERSION: &str = "ingest-1";

/// Puts documents into a store: cuts them, embeds what is new in them, and replaces each as a whole.
///
/// - **Incremental.** A document that has not changed (nor its metadata, the chunker and the embedder) is not touched. Of one that
///   has, only the chunks that say something new are embedded; chunks that are gone are removed with the same write.
/// - **One bad document spoils nothing.** It is [rejected](IngestReport::rejected) with its reason, and the others go on.
/// - **Resumable.** Whatever ends a run, the next one with the same documents does what is missing.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// use pumasi_core::model::HashingEmbedder;
/// use pumasi_rag::{Document, Ingest, MemoryStore, Space, Tenant};
/// use std::sync::Arc;
///
/// let embedder = Arc::new(HashingEmbedder::new());
/// let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
/// let ingest = Ingest::new(store, embedder);
///
/// let plan = Document::markdown("plan", "## 1주\n\n매일 3km를 걷습니다.\n\n## 2주\n\n이틀에 한 번 5km를 뜁니다.");
/// assert_eq!(ingest.run([plan.clone()]).await?.chunks_embedded, 2);
/// assert_eq!(ingest.run([plan.clone()]).await?.unchanged, 1);
///
/// let changed = Document::markdown("plan", plan.text.replace("5km", "6km"));
/// let report = ingest.run([changed]).await?;
/// assert_eq!((report.replaced, report.chunks_embedded, report.chunks_reused), (1, 1, 1));
/// # Ok::<(), pumasi_rag::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Ingest {
    store: Arc<dyn Store>,
    embedder: Arc<dyn Embedder>,
    chunker: Arc<dyn Chunker>,
    analyzer: Analyzer,
    documents_at_once: NonZeroUsize,
    texts_at_once: NonZeroUsize,
    gate: Option<Gate>,
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest")
            .field("store", &self.store)
            .field("embedder", &self.embedder.name())
            .field("chunker", &self.chunker.name())
            .finish_non_exhaustive()
    }
}

const fn nonzero(number: usize) -> NonZeroUsize {
    match NonZeroUsize::new(number) {
        Some(number) => number,
        None => NonZeroUsize::MIN,
    }
}

impl Ingest {
    /// Makes a pipeline into `store` with the default [`StructureChunker`].
    pub fn new(store: Arc<dyn Store>, embedder: Arc<dyn Embedder>) -> Self {
        Self {
            store,
            embedder,
            chunker: Arc::new(StructureChunker::new()),
            analyzer: Analyzer::default(),
            documents_at_once: nonzero(64),
            texts_at_once: nonzero(64),
            gate: None,
        }
    }

    /// Keeps chunks that the embedder cannot read without a vector: they are found by words alone, and cost nothing.
    #[must_use]
    pub fn with_gate(mut self, gate: Gate) -> Self {
        self.gate = Some(gate);
        self
    }

    /// Sets what cuts the documents.
    #[must_use]
    pub fn with_chunker(mut self, chunker: impl Chunker + 'static) -> Self {
        self.chunker = Arc::new(chunker);
        self
    }

    /// Sets what takes texts apart into terms; the [`Retriever`](crate::Retriever) needs the same.
    #[must_use]
    pub fn with_analyzer(mut self, analyzer: Analyzer) -> Self {
        self.analyzer = analyzer;
        self
    }

    /// Sets how many documents are written at once; 64 unless set.
    #[must_use]
    pub fn with_documents_at_once(mut self, documents: NonZeroUsize) -> Self {
        self.documents_at_once = documents;
        self
    }

    /// Sets how many texts the embedder is given at once; 64 unless set.
    #[must_use]
    pub fn with_texts_at_once(mut self, texts: NonZeroUsize) -> Self {
        self.texts_at_once = texts;
        self
    }

    /// Puts documents, and tells what became of them.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the store is for another embedder; the store's and the embedder's errors where they would fail every
    /// document: nothing is half done, and the next run goes on from there.
    pub async fn run(&self, documents: impl IntoIterator<Item = Document>) -> Result<IngestReport> {
        self.run_stream(stream::iter(documents)).await
    }

    /// Puts documents as they come; otherwise as [`run`](Self::run). Holds no more than one batch of them.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn run_stream(&self, documents: impl Stream<Item = Document>) -> Result<IngestReport> {
        Space::of(&self.embedder).check_held(self.store.space())?;
        let mut report = IngestReport::default();
        let mut batches = std::pin::pin!(documents.chunks(self.documents_at_once.get()));
        while let Some(batch) = batches.next().await {
            self.batch(batch, &mut report).await?;
        }
        Ok(report)
    }

    /// Hashes all that decides how a document is kept.
    fn fingerprint(&self, document: &Document) -> Result<Fingerprint> {
        let whole = serde_json::to_vec(document).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "a document could not be written as JSON").with_source(error)
        })?;
        let (chunker, space) = (self.chunker.name(), self.store.space());
        let analyzer = format!("{:?}", self.analyzer);
        let gate = if self.gate.is_some() { "gated" } else { "" };
        Ok(Fingerprint::of([
            VERSION.as_bytes(),
            chunker.as_bytes(),
            space.embedder.as_bytes(),
            analyzer.as_bytes(),
            gate.as_bytes(),
            whole.as_slice(),
        ]))
    }

    async fn batch(&self, documents: Vec<Document>, report: &mut IngestReport) -> Result<()> {
        // the last of a batch's documents with the same id is what counts
        let mut latest: HashMap<String, usize> = HashMap::new();
        for (at, document) in documents.iter().enumerate() {
            latest.insert(document.id.clone(), at);
        }
        let ids: Vec<&str> = documents.iter().map(|document| document.id.as_str()).collect();
        let known = self.store.fingerprints(&ids).await?;
        let mut changed = Vec::new();
        for (at, (document, known)) in documents.iter().zip(known).enumerate() {
            if latest.get(&document.id) != Some(&at) {
                report.superseded += 1;
                continue;
            }
            let fingerprint = self.fingerprint(document)?;
            if known == Some(fingerprint) {
                report.unchanged += 1;
            } else {
                changed.push((document, fingerprint, known.is_some()));
            }
        }
        let old: Vec<&str> = changed
            .iter()
            .filter(|(_, _, known)| *known)
            .map(|(document, ..)| document.id.as_str())
            .collect();
        let mut vectors: HashMap<ChunkId, Embedding> = HashMap::new();
        if !old.is_empty() {
            let entries = self.store.entries(&old).await?;
            let chunks = entries.into_iter().flatten().flat_map(|entry| entry.chunks);
            vectors.extend(chunks.map(|chunk| (chunk.id, chunk.embedding)));
        }
        let mut drafts = Vec::with_capacity(changed.len());
        for (document, fingerprint, known) in changed {
            match self.draft(document, fingerprint, known, &vectors) {
                Ok(draft) => drafts.push(draft),
                Err(error) => report.reject(&document.id, error),
            }
        }
        self.embed(&mut drafts, report).await?;
        let mut entries = Vec::with_capacity(drafts.len());
        for draft in drafts {
            if draft.known {
                report.replaced += 1;
            } else {
                report.added += 1;
            }
            entries.push(draft.entry);
        }
        if !entries.is_empty() {
            self.store.put(entries).await?;
        }
        Ok(())
    }

    /// Cuts a document, and takes the vectors of chunks that it had before.
    fn draft(
        &self,
        document: &Document,
        fingerprint: Fingerprint,
        known: bool,
        vectors: &HashMap<ChunkId, Embedding>,
    ) -> Result<Draft> {
        Document::check_id(&document.id)?;
        let cut = self.chunker.chunk(document)?;
        let mut sections = Vec::with_capacity(cut.len());
        let mut chunks = Vec::new();
        let (mut missing, mut unreadable) = (Vec::new(), 0);
        let mut seen: HashMap<ChunkId, u32> = HashMap::new();
        for section in cut {
            for span in section.chunks {
                let text = span.of(&document.text);
                let first = ChunkId::new(&document.id, &section.context, text, 0);
                let nth = seen.entry(first).or_default();
                let id = ChunkId::new(&document.id, &section.context, text, *nth);
                *nth += 1;
                let read = readable(&section.context, text);
                let terms = SparseVector::counts(&read, &self.analyzer);
                let mut embedding = vectors.get(&id).cloned().unwrap_or_default();
                if self.gate.as_ref().is_some_and(|gate| !gate.can_read(&read)) {
                    embedding = vec![0.0; self.store.space().dimensions];
                    unreadable += 1;
                } else if embedding.iter().all(|number| *number == 0.0) {
                    missing.push((chunks.len(), read));
                }
                chunks.push(ChunkEntry::new(id, sections.len(), span, embedding, terms));
            }
            let text = section.span.of(&document.text);
            sections.push(SectionEntry::new(section.headings, section.span, text));
        }
        let record = DocumentRecord::new(document, fingerprint);
        Ok(Draft { entry: Entry::new(record, sections, chunks), missing, unreadable, known })
    }
}

/// A document that is cut, and the texts of its chunks that have no vector yet.
struct Draft {
    entry: Entry,
    missing: Vec<(usize, String)>,
    /// How many chunks the embedder cannot read.
    unreadable: u64,
    known: bool,
}
