//! How a store comes to hold what the documents say now, and nothing is embedded twice.

mod embed;
mod report;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_core::Stream;
use futures_util::{StreamExt as _, stream};
use pumasi_core::model::{Embedder, Embedding};
use pumasi_core::resilience::{Pipeline, RateLimit};
use pumasi_core::text::{Analyzer, SparseVector};

pub(crate) use embed::checked;
pub use report::{IngestReport, Progress, Rejected};

use crate::chunk::{ChunkId, Chunker, StructureChunker, readable};
use crate::document::{Document, DocumentRecord, Fingerprint};
use crate::retrieve::Gate;
use crate::store::{ChunkEntry, Entry, SectionEntry, Space, Store};
use crate::{Error, ErrorKind, Result};

/// Changes whenever the same document would be kept in another way.
const VERSION: &str = "ingest-1";

/// How many documents are scanned at once.
const PAGE: usize = 1_000;

/// Puts documents into a store: cuts them, embeds what is new in them, and replaces each as a whole.
///
/// - **Incremental.** A document that has not changed (nor its metadata, the chunker and the embedder) is not touched. Of one that
///   has, only the chunks that say something new are embedded; chunks that are gone are removed with the same write.
/// - **One bad document spoils nothing.** It is [rejected](IngestReport::rejected) with its reason, and the others go on: an id that is
///   empty, too long or has a NUL in it, no text but white space, what is no text (more than one character in twenty is a control
///   character or the mark of a broken one), metadata that is [nested too deep](Document::MAX_METADATA_DEPTH), more than
///   [65,536 chunks](Entry::MAX_CHUNKS), and what the chunker or the embedder refuses.
/// - **Resumable.** Whatever ends a run (a crash, an error, its future dropped), the next one with the same documents does what is
///   missing. At most one batch of documents is embedded again.
/// - **Bounded.** One batch of documents is in memory, however many come.
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
    bytes_at_once: NonZeroUsize,
    texts_at_once: NonZeroUsize,
    tokens_at_once: NonZeroUsize,
    calls_at_once: NonZeroUsize,
    pipeline: Pipeline,
    rate: Option<RateLimit>,
    gate: Option<Gate>,
    progress: Option<Tell>,
}

/// What is told of a run while it goes on.
type Tell = Arc<dyn Fn(Progress<'_>) + Send + Sync>;

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
            bytes_at_once: nonzero(4 << 20),
            texts_at_once: nonzero(64),
            tokens_at_once: nonzero(16_384),
            calls_at_once: NonZeroUsize::MIN,
            pipeline: Pipeline::new("embedding"),
            rate: None,
            gate: None,
            progress: None,
        }
    }

    /// Sets about how many bytes of documents are in memory and written at once, at least one document; 4 MiB unless set.
    #[must_use]
    pub fn with_bytes_at_once(mut self, bytes: NonZeroUsize) -> Self {
        self.bytes_at_once = bytes;
        self
    }

    /// Sets about how many tokens the embedder is given at once, at least one text; 16,384 unless set.
    #[must_use]
    pub fn with_tokens_at_once(mut self, tokens: NonZeroUsize) -> Self {
        self.tokens_at_once = tokens;
        self
    }

    /// Sets how many calls of the embedder run at once; one unless set.
    #[must_use]
    pub fn with_calls_at_once(mut self, calls: NonZeroUsize) -> Self {
        self.calls_at_once = calls;
        self
    }

    /// Calls the embedder through `pipeline`: retries, limits of time, a breaker. By itself each call is made once, as
    /// `OpenAiEmbedder` retries by itself.
    #[must_use]
    pub fn with_pipeline(mut self, pipeline: Pipeline) -> Self {
        self.pipeline = pipeline;
        self
    }

    /// Keeps the calls and the [estimated](crate::chunk::EstimatedTokens) tokens of the embedder within a limit.
    #[must_use]
    pub fn with_rate(mut self, rate: RateLimit) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Tells `progress` of each batch and of each rejected document, as they come to be. It should return at once.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(Progress<'_>) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
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
    /// `InvalidInput` if the store is for another embedder; the store's errors, and the embedder's where they would fail every
    /// document: what may pass, `Unauthorized`, `NotFound`, `Unsupported`, `BudgetExhausted`, `Cancelled`, and `Protocol` where all
    /// vectors of an answer have another length than the embedder's. Nothing is half done, and the next run goes on from there.
    pub async fn run(&self, documents: impl IntoIterator<Item = Document>) -> Result<IngestReport> {
        self.run_stream(stream::iter(documents)).await
    }

    /// Puts documents as they come; otherwise as [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn run_stream(&self, documents: impl Stream<Item = Document>) -> Result<IngestReport> {
        self.take(documents, None).await
    }

    /// Puts documents, and removes all others of the tenant: the store then holds what the source does.
    ///
    /// Nothing is removed unless all documents came. What was rejected stays as it was.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn sync(&self, documents: impl IntoIterator<Item = Document>) -> Result<IngestReport> {
        self.sync_stream(stream::iter(documents)).await
    }

    /// Puts documents as they come, and removes all others; otherwise as [`sync`](Self::sync). Remembers 16 bytes of each.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub async fn sync_stream(&self, documents: impl Stream<Item = Document>) -> Result<IngestReport> {
        let mut seen = HashSet::new();
        let mut report = self.take(documents, Some(&mut seen)).await?;
        let mut after = String::new();
        loop {
            let page = self.store.scan(&after, PAGE).await?;
            let others = page.iter().map(|record| record.id.as_str());
            let others: Vec<&str> =
                others.filter(|id| !seen.contains(&Fingerprint::of([id.as_bytes()]))).collect();
            if !others.is_empty() {
                report.removed += self.store.remove(&others).await?;
            }
            match page.last() {
                Some(last) => after.clone_from(&last.id),
                None => return Ok(report),
            }
        }
    }

    async fn take(
        &self,
        documents: impl Stream<Item = Document>,
        mut seen: Option<&mut HashSet<Fingerprint>>,
    ) -> Result<IngestReport> {
        Space::of(&self.embedder).check_held(self.store.space())?;
        let mut report = IngestReport::default();
        let mut documents = std::pin::pin!(documents);
        let (mut batch, mut bytes) = (Vec::new(), 0_usize);
        while let Some(document) = documents.next().await {
            if let Some(seen) = &mut seen {
                seen.insert(Fingerprint::of([document.id.as_bytes()]));
            }
            bytes = bytes.saturating_add(document.text.len());
            batch.push(document);
            if batch.len() >= self.documents_at_once.get() || bytes >= self.bytes_at_once.get() {
                self.batch(std::mem::take(&mut batch), &mut report).await?;
                bytes = 0;
            }
        }
        if !batch.is_empty() {
            self.batch(batch, &mut report).await?;
        }
        Ok(report)
    }

    fn tell(&self, progress: Progress<'_>) {
        if let Some(tell) = &self.progress {
            tell(progress);
        }
    }

    fn reject(&self, report: &mut IngestReport, id: &str, error: Error) {
        tracing::warn!(document = id, kind = %error.kind(), "a document was rejected");
        let rejected = Rejected { id: id.to_owned(), error };
        self.tell(Progress::Rejected(&rejected));
        report.rejected_count += 1;
        if report.rejected.len() < IngestReport::MAX_REJECTED {
            report.rejected.push(rejected);
        }
    }

    /// Hashes all that decides how a document is kept.
    fn fingerprint(&self, document: &Document) -> Result<Fingerprint> {
        let whole = serde_json::to_vec(document).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "a document could not be written as JSON").with_source(error)
        })?;
        let (chunker, space) = (self.chunker.name(), self.store.space());
        let analyzer = format!("{:?}", self.analyzer);
        let gate = self.gate.as_ref().map(|gate| format!("gated by {}", gate.name())).unwrap_or_default();
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
        let (ingest, bytes) = (self.clone(), documents.iter().map(|document| document.text.len()).sum());
        let looked_at = compute(bytes, move || {
            let look = |document: Document| {
                let fingerprint = document.check().and_then(|()| ingest.fingerprint(&document));
                (document, fingerprint)
            };
            documents.into_iter().map(look).collect::<Vec<_>>()
        });
        let mut taken = Vec::new();
        for (at, (document, fingerprint)) in looked_at.await?.into_iter().enumerate() {
            if latest.get(&document.id) != Some(&at) {
                report.superseded += 1;
                continue;
            }
            match fingerprint {
                Ok(fingerprint) => taken.push((document, fingerprint)),
                Err(error) => self.reject(report, &document.id, error),
            }
        }
        let ids: Vec<&str> = taken.iter().map(|(document, _)| document.id.as_str()).collect();
        let known = if ids.is_empty() { Vec::new() } else { self.store.fingerprints(&ids).await? };
        let mut changed = Vec::new();
        for ((document, fingerprint), known) in taken.into_iter().zip(known) {
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
        let (ingest, bytes) = (self.clone(), changed.iter().map(|(document, ..)| document.text.len()).sum());
        let cut = compute(bytes, move || {
            let draft = |(document, fingerprint, known): (Document, _, _)| {
                let draft = ingest.draft(&document, fingerprint, known, &vectors);
                (document.id, draft)
            };
            changed.into_iter().map(draft).collect::<Vec<_>>()
        });
        let mut drafts = Vec::new();
        for (id, draft) in cut.await? {
            match draft {
                Ok(draft) => drafts.push(draft),
                Err(error) => self.reject(report, &id, error),
            }
        }
        self.embed(&mut drafts, report).await?;
        let (mut entries, mut chunks) = (Vec::with_capacity(drafts.len()), 0);
        for draft in drafts {
            if draft.known {
                report.replaced += 1;
            } else {
                report.added += 1;
            }
            // what is one document's limit is enough for several that are written as one
            chunks += draft.entry.chunks.len();
            if chunks > Entry::MAX_CHUNKS && !entries.is_empty() {
                self.store.put(std::mem::take(&mut entries)).await?;
                chunks = draft.entry.chunks.len();
            }
            entries.push(draft.entry);
        }
        if !entries.is_empty() {
            self.store.put(entries).await?;
        }
        self.tell(Progress::Batch(report));
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
        let cut = self.chunker.chunk(document)?;
        Entry::check_count(&document.id, cut.iter().map(|section| section.chunks.len()).sum())?;
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
        let entry = Entry::new(DocumentRecord::new(document, fingerprint), sections, chunks);
        entry.check_but_vectors()?;
        Ok(Draft { entry, missing, unreadable, known })
    }
}

/// From so many bytes of text on, cutting leaves the runtime's thread to others.
const LONG: usize = 64 << 10;

/// Computes what has to do with so many bytes of text.
async fn compute<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    if bytes < LONG || tokio::runtime::Handle::try_current().is_err() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::new(ErrorKind::Other, "cutting documents ended in a panic").with_source(error)
    })
}

/// A document that is cut, and the texts of its chunks that have no vector yet.
struct Draft {
    entry: Entry,
    missing: Vec<(usize, String)>,
    /// How many chunks the embedder cannot read.
    unreadable: u64,
    known: bool,
}
