//! What one version of a tenant's knowledge holds, read.

use std::collections::HashMap;
use std::sync::Arc;

use pumasi_core::filter::Filter;
use qdrant_client::qdrant::{self, Condition, PointId, RetrievedPoint};

use super::QdrantStore;
use super::condition::Of;
use super::head::Head;
use super::payload::{Owner, Point, embedding, kind};
use crate::chunk::ChunkId;
use crate::document::{DocumentRecord, Fingerprint, Tenant};
use crate::store::{ChunkEntry, Counts, Entry, Passage, SectionEntry};
use crate::{Error, ErrorKind, Result};

/// How many documents or chunks are named in a request.
const NAMED: usize = 512;

/// The ids of all documents, in the order of their bytes.
pub(super) struct Ids {
    tenant: Tenant,
    version: u64,
    ids: Vec<String>,
}

impl QdrantStore {
    /// The filter of the points of a kind that a version sees.
    fn seen(&self, head: &Head, kinds: &[&str]) -> qdrant::Filter {
        let mut seen = head.seen(&self.tenant);
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        seen.must.push(Condition::matches("kind", kinds));
        seen
    }

    /// Reads the points of a kind that have one of some values.
    async fn having(
        &self,
        head: &Head,
        kinds: &[&str],
        member: &str,
        values: Vec<String>,
        members: &[&str],
        with_embedding: bool,
    ) -> Result<Vec<RetrievedPoint>> {
        let mut all = Vec::new();
        for values in values.chunks(NAMED) {
            let mut seen = self.seen(head, kinds);
            seen.must.push(Condition::matches(member, values.to_vec()));
            let read =
                self.shared.wire.all(seen, members.to_vec(), with_embedding, "reading the knowledge").await?;
            all.extend(read);
        }
        Ok(all)
    }

    pub(super) async fn passages(&self, head: Head, ids: &[ChunkId]) -> Result<HashMap<ChunkId, Passage>> {
        let names = ids.iter().map(ToString::to_string).collect();
        let members = ["chunk", "document", "from", "section", "start", "end"];
        let chunks = self.having(&head, &[kind::CHUNK], "chunk", names, &members, true).await?;
        // their documents and sections, which are found by id
        let mut parents: HashMap<String, PointId> = HashMap::new();
        let mut placed = Vec::with_capacity(chunks.len());
        for chunk in &chunks {
            let point = Point(&chunk.payload);
            let (document, section) = (point.text("document")?, point.size("section")?);
            let of = Owner { tenant: &self.tenant, epoch: point.number("from")? };
            let ids = (of.id(kind::DOCUMENT, document, 0), of.id(kind::SECTION, document, section));
            let keys = (key(Some(&ids.0)), key(Some(&ids.1)));
            parents.insert(keys.0.clone(), ids.0);
            parents.insert(keys.1.clone(), ids.1);
            placed.push((chunk, keys));
        }
        let members = vec!["kind", "record", "start", "headings", "text"];
        let parents = parents.into_values().collect();
        let parents = self.shared.wire.get(parents, members, false, "reading passages").await?;
        let (mut records, mut sections) = (HashMap::new(), HashMap::new());
        for parent in &parents {
            let point = Point(&parent.payload);
            if point.text("kind")? == kind::DOCUMENT {
                records.insert(key(parent.id.as_ref()), Arc::new(point.record()?));
            } else {
                sections.insert(key(parent.id.as_ref()), point.section()?);
            }
        }
        let mut passages = HashMap::with_capacity(placed.len());
        for (chunk, (document, section)) in placed {
            let point = Point(&chunk.payload);
            let (Some(record), Some(section)) = (records.get(&document), sections.get(&section)) else {
                return Err(incomplete());
            };
            let (id, span) =
                (point.chunk_id()?, pumasi_core::text::Span::new(point.size("start")?, point.size("end")?));
            let passage = Passage::new(id, Arc::clone(record), section.clone(), span);
            passages.insert(id, passage.with_embedding(embedding(chunk.vectors.as_ref())?));
        }
        Ok(passages)
    }

    pub(super) async fn whole(&self, head: Head, ids: &[&str]) -> Result<HashMap<String, Entry>> {
        struct Parts {
            record: DocumentRecord,
            count: (usize, usize),
            sections: Vec<(u64, SectionEntry)>,
            chunks: Vec<(u64, ChunkEntry)>,
        }
        let names: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let members = ["document", "record", "sections", "chunks"];
        let mut read: HashMap<String, Parts> = HashMap::new();
        for point in self.having(&head, &[kind::DOCUMENT], "document", names, &members, false).await? {
            let point = Point(&point.payload);
            let count = (point.size("sections")?, point.size("chunks")?);
            let parts = Parts { record: point.record()?, count, sections: Vec::new(), chunks: Vec::new() };
            read.insert(point.text("document")?.to_owned(), parts);
        }
        let names: Vec<String> = read.keys().cloned().collect();
        let members = ["document", "nth", "start", "headings", "text"];
        for section in
            self.having(&head, &[kind::SECTION], "document", names.clone(), &members, false).await?
        {
            let point = Point(&section.payload);
            let parts = read.get_mut(point.text("document")?).ok_or_else(incomplete)?;
            parts.sections.push((point.number("nth")?, point.section()?));
        }
        let members = ["document", "nth", "chunk", "section", "start", "end", "counts"];
        for chunk in self.having(&head, &[kind::CHUNK], "document", names, &members, true).await? {
            let point = Point(&chunk.payload);
            let parts = read.get_mut(point.text("document")?).ok_or_else(incomplete)?;
            parts.chunks.push((point.number("nth")?, point.chunk(embedding(chunk.vectors.as_ref())?)?));
        }
        let whole = read.into_iter().map(|(id, mut parts)| {
            if (parts.sections.len(), parts.chunks.len()) != parts.count {
                return Err(incomplete());
            }
            parts.sections.sort_unstable_by_key(|(nth, _)| *nth);
            parts.chunks.sort_unstable_by_key(|(nth, _)| *nth);
            let sections = parts.sections.into_iter().map(|(_, section)| section).collect();
            let chunks = parts.chunks.into_iter().map(|(_, chunk)| chunk).collect();
            Ok((id, Entry::new(parts.record, sections, chunks)))
        });
        whole.collect()
    }

    pub(super) async fn prints(&self, head: Head, ids: &[&str]) -> Result<HashMap<String, Fingerprint>> {
        let names = ids.iter().map(|id| (*id).to_owned()).collect();
        let read =
            self.having(&head, &[kind::DOCUMENT], "document", names, &["document", "print"], false).await?;
        let prints = read.iter().map(|point| {
            let point = Point(&point.payload);
            Ok((point.text("document")?.to_owned(), point.fingerprint("print")?))
        });
        prints.collect()
    }

    pub(super) async fn counted(&self, head: Head, filter: &Filter) -> Result<Counts> {
        let admitted = self.admitted(&head, filter).await?;
        let condition = match admitted {
            Of::None => return Ok(Counts::default()),
            Of::All => None,
            Of::Those(condition) => Some(condition),
        };
        let of = |kind| {
            let mut seen = self.seen(&head, &[kind]);
            seen.must.extend(condition.clone());
            self.shared.wire.count(seen, "counting documents")
        };
        let (documents, chunks) = tokio::try_join!(of(kind::DOCUMENT), of(kind::CHUNK))?;
        Ok(Counts::new(documents, chunks))
    }

    pub(super) async fn page(&self, head: Head, after: &str, limit: usize) -> Result<Vec<DocumentRecord>> {
        let all = self.ids(&head).await?;
        let from = all.ids.partition_point(|id| id.as_bytes() <= after.as_bytes());
        let page: Vec<String> = all.ids.iter().skip(from).take(limit).cloned().collect();
        let read = self
            .having(&head, &[kind::DOCUMENT], "document", page.clone(), &["document", "record"], false)
            .await?;
        let mut records = HashMap::with_capacity(read.len());
        for point in &read {
            let point = Point(&point.payload);
            records.insert(point.text("document")?.to_owned(), point.record()?);
        }
        page.iter().map(|id| records.remove(id).ok_or_else(incomplete)).collect()
    }

    /// Returns the ids of all documents, which Qdrant cannot sort.
    async fn ids(&self, head: &Head) -> Result<Arc<Ids>> {
        let kept = self.shared.ids.lock().map_err(|_| super::broken())?.clone();
        if let Some(kept) = kept
            && kept.tenant == self.tenant
            && kept.version == head.version
        {
            return Ok(kept);
        }
        let seen = self.seen(head, &[kind::DOCUMENT]);
        let read = self.shared.wire.all(seen, vec!["document"], false, "scanning documents").await?;
        let ids = read.iter().map(|point| Point(&point.payload).text("document").map(str::to_owned));
        let mut ids: Vec<String> = ids.collect::<Result<_>>()?;
        ids.sort_unstable();
        let ids = Arc::new(Ids { tenant: self.tenant.clone(), version: head.version, ids });
        *self.shared.ids.lock().map_err(|_| super::broken())? = Some(Arc::clone(&ids));
        Ok(ids)
    }
}

fn key(id: Option<&PointId>) -> String {
    use qdrant_client::qdrant::point_id::PointIdOptions;
    match id.and_then(|id| id.point_id_options.as_ref()) {
        Some(PointIdOptions::Uuid(uuid)) => uuid.clone(),
        Some(PointIdOptions::Num(number)) => number.to_string(),
        None => String::new(),
    }
}

/// The error of a document that is not whole: a change has overtaken this, which is seen by the head, or somebody else has written.
fn incomplete() -> Error {
    Error::new(ErrorKind::Storage, "a document in the collection is not whole")
}
