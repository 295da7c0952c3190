//! Moving knowledge from one store to another.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::{Store, everything};
use crate::document::DocumentRecord;
use crate::{Error, ErrorKind, Result, Retry};

/// How many records are read at once.
const PAGE: usize = 256;

/// What is told of a transfer while it goes on.
type Tell = Arc<dyn Fn(TransferProgress) + Send + Sync>;

/// Copies a tenant's documents from one store to another, and compares.
///
/// - **As they are.** Vectors, terms and sections are copied, and nothing is embedded anew; both stores are of one [`Space`](super::Space).
/// - **Resumable.** A document whose fingerprint the other store has is passed by, so that a run after one that was ended does what is
///   missing.
/// - **Verified.** Then both stores are read again: each document of the source has to be in the other with the same fingerprint and,
///   unless [told otherwise](Self::with_comparison), to be the same in every byte and number.
/// - **Nothing is removed.** What only the other store has stays, and is [counted](TransferReport::others).
///
/// Handles are of one tenant: move each one.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use pumasi_core::model::HashingEmbedder;
/// use pumasi_rag::store::Transfer;
/// use pumasi_rag::{Document, Ingest, MemoryStore, Space, Tenant};
/// use std::sync::Arc;
///
/// let embedder = Arc::new(HashingEmbedder::new());
/// let from = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
/// Ingest::new(from.clone(), embedder.clone()).run([Document::new("water", "물은 20분마다 마십니다.")]).await?;
///
/// let to = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
/// let transfer = Transfer::new(from, to).with_progress(|progress| println!("{progress}"));
/// let report = transfer.run().await?;
/// assert_eq!((report.copied, report.compared), (1, 1));
/// assert_eq!(transfer.run().await?.unchanged, 1);
/// # Ok::<(), pumasi_rag::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Transfer {
    from: Arc<dyn Store>,
    to: Arc<dyn Store>,
    documents_at_once: NonZeroUsize,
    one_in: Option<NonZeroUsize>,
    progress: Option<Tell>,
}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransferProgress {
    /// So many of the source's documents are in the other store.
    Copied {
        /// How many.
        documents: u64,
        /// Of how many.
        of: u64,
    },
    /// So many of the source's documents were looked for in the other store.
    Verified {
        /// How many.
        documents: u64,
        /// Of how many.
        of: u64,
    },
}

impl fmt::Display for TransferProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copied { documents, of } => write!(f, "copied {documents} of {of} documents"),
            Self::Verified { documents, of } => write!(f, "verified {documents} of {of} documents"),
        }
    }
}

/// What became of a transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransferReport {
    /// How many documents were copied.
    pub copied: u64,
    /// How many were there already.
    pub unchanged: u64,
    /// How many chunks the copied documents have.
    pub chunks: u64,
    /// How many documents were found again by their fingerprint.
    pub verified: u64,
    /// How many of these were compared whole.
    pub compared: u64,
    /// How many documents only the other store has.
    pub others: u64,
}

impl fmt::Debug for Transfer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transfer").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

impl Transfer {
    /// Makes a transfer, 64 documents at a time, that compares all of them.
    pub fn new(from: Arc<dyn Store>, to: Arc<dyn Store>) -> Self {
        let documents_at_once = NonZeroUsize::MIN.saturating_add(63);
        Self { from, to, documents_at_once, one_in: Some(NonZeroUsize::MIN), progress: None }
    }

    /// Sets how many documents are read and written at once; so many are in memory.
    #[must_use]
    pub fn with_documents_at_once(mut self, documents: NonZeroUsize) -> Self {
        self.documents_at_once = documents;
        self
    }

    /// Compares one document in so many whole, and of the others the fingerprints only.
    #[must_use]
    pub fn with_comparison(mut self, one_in: NonZeroUsize) -> Self {
        self.one_in = Some(one_in);
        self
    }

    /// Compares fingerprints only.
    #[must_use]
    pub fn without_comparison(mut self) -> Self {
        self.one_in = None;
        self
    }

    /// Tells `progress` of each batch. It should return at once.
    #[must_use]
    pub fn with_progress(mut self, progress: impl Fn(TransferProgress) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(progress));
        self
    }

    fn tell(&self, progress: TransferProgress) {
        if let Some(tell) = &self.progress {
            tell(progress);
        }
    }

    /// Copies what the other store does not have, and compares the two.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for stores of two spaces; `Conflict` where a document of the source is not in the other store as it is in the
    /// source, which a change in between makes of it: run it again; and the stores' errors, after which a run goes on.
    pub async fn run(&self) -> Result<TransferReport> {
        self.from.space().check_held(self.to.space())?;
        let mut report = TransferReport::default();
        let of = self.from.count(&everything()).await?.documents;
        let mut documents = 0;
        let mut pages = Pages::of(&*self.from);
        while let Some(page) = pages.next().await? {
            for records in page.chunks(self.documents_at_once.get()) {
                self.copy(records, &mut report).await?;
                documents += records.len() as u64;
                self.tell(TransferProgress::Copied { documents, of });
            }
        }
        self.verify(of, &mut report).await?;
        Ok(report)
    }

    async fn copy(&self, records: &[DocumentRecord], report: &mut TransferReport) -> Result<()> {
        let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
        let known = self.to.fingerprints(&ids).await?;
        let missing = records.iter().zip(known).filter(|(record, known)| *known != Some(record.fingerprint));
        let missing: Vec<&str> = missing.map(|(record, _)| record.id.as_str()).collect();
        report.unchanged += (records.len() - missing.len()) as u64;
        if missing.is_empty() {
            return Ok(());
        }
        // what was removed in between is not there any more
        let entries: Vec<_> = self.from.entries(&missing).await?.into_iter().flatten().collect();
        report.copied += entries.len() as u64;
        report.chunks += entries.iter().map(|entry| entry.chunks.len() as u64).sum::<u64>();
        self.to.put(entries).await
    }

    async fn verify(&self, of: u64, report: &mut TransferReport) -> Result<()> {
        let mut differs: Vec<String> = Vec::new();
        let mut documents = 0_u64;
        let mut pages = Pages::of(&*self.from);
        while let Some(page) = pages.next().await? {
            for records in page.chunks(self.documents_at_once.get()) {
                let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
                let mut whole = Vec::new();
                for (record, known) in records.iter().zip(self.to.fingerprints(&ids).await?) {
                    if known != Some(record.fingerprint) {
                        differs.push(record.id.clone());
                        continue;
                    }
                    if self.one_in.is_some_and(|one_in| report.verified.is_multiple_of(one_in.get() as u64)) {
                        whole.push(record.id.as_str());
                    }
                    report.verified += 1;
                }
                if !whole.is_empty() {
                    let (from, to) = (self.from.entries(&whole).await?, self.to.entries(&whole).await?);
                    let both = whole.iter().zip(from.iter().zip(&to));
                    differs.extend(both.filter(|(_, (from, to))| from != to).map(|(id, _)| (*id).to_owned()));
                    report.compared += whole.len() as u64;
                }
                documents += records.len() as u64;
                self.tell(TransferProgress::Verified { documents, of });
            }
        }
        if let Some(first) = differs.first() {
            let many = differs.len();
            let message = format!(
                "{many} documents are not in the other store as they are in the source, {first:?} first: were they changed \
                 meanwhile?"
            );
            return Err(Error::new(ErrorKind::Conflict, message).with_retry(Retry::Now));
        }
        let there = self.to.count(&everything()).await?.documents;
        report.others = there.saturating_sub(report.verified);
        Ok(())
    }
}

/// A store's records, a page at a time.
struct Pages<'a> {
    store: &'a dyn Store,
    after: String,
}

impl<'a> Pages<'a> {
    const fn of(store: &'a dyn Store) -> Self {
        Self { store, after: String::new() }
    }

    async fn next(&mut self) -> Result<Option<Vec<DocumentRecord>>> {
        let page = self.store.scan(&self.after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.after.clone_from(&last.id);
        Ok(Some(page))
    }
}
