//! What is known: the committed documents, and the store they are in.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use pumasi_core::model::{Embedder, HashingEmbedder};
use pumasi_rag::{Document, Ingest, Retriever, Space, SqliteStore, Store, Tenant};
use serde::Deserialize;
use support::servers::{self, Pool};

/// The store of one club, and what embeds for it.
#[derive(Clone)]
pub(crate) struct Knowledge {
    pub(crate) store: Arc<dyn Store>,
    embedder: Arc<dyn Embedder>,
}

/// Opens the store in Qdrant, if the environment names one, or as [`open`].
pub(crate) async fn shared(file: &Path, database: Option<Pool>) -> pumasi_rag::Result<Knowledge> {
    let embedder = embedder()?;
    match servers::qdrant("running_coach", &Space::of(&*embedder), &Tenant::single()).await? {
        Some(store) => Ok(Knowledge { store, embedder }),
        None => open(file, database).await,
    }
}

/// Vectors are of the embedder that the environment names, or else of shared words.
fn embedder() -> pumasi_rag::Result<Arc<dyn Embedder>> {
    Ok(support::model::embedder()?.unwrap_or_else(|| Arc::new(HashingEmbedder::new())))
}

/// Opens the store in the database, or else in a file that needs nothing else.
pub(crate) async fn open(file: &Path, database: Option<Pool>) -> pumasi_rag::Result<Knowledge> {
    let embedder = embedder()?;
    let (space, tenant) = (Space::of(&*embedder), Tenant::single());
    let store: Arc<dyn Store> = match database {
        #[cfg(feature = "postgres")]
        Some(pool) => Arc::new(pumasi_rag::PostgresStore::open(pool, space, tenant).await?),
        _ => Arc::new(SqliteStore::open(file, space, tenant).await?),
    };
    Ok(Knowledge { store, embedder })
}

impl Knowledge {
    pub(crate) fn ingest(&self) -> Ingest {
        Ingest::new(self.store.clone(), self.embedder.clone())
    }

    pub(crate) fn retriever(&self) -> Retriever {
        Retriever::new(self.store.clone(), self.embedder.clone())
    }
}

#[derive(Deserialize)]
struct Line {
    id: String,
    title: String,
    topic: String,
    text: String,
}

/// Reads the committed documents: 28 in Korean, 24 in English.
pub(crate) fn committed() -> Result<Vec<Document>, Box<dyn Error>> {
    let files = [include_str!("knowledge/ko.jsonl"), include_str!("knowledge/en.jsonl")];
    let lines = files.into_iter().flat_map(str::lines);
    let document = |line: &str| {
        let line: Line = serde_json::from_str(line)?;
        Ok(Document::markdown(line.id, line.text).with_title(line.title).with_metadata("topic", line.topic))
    };
    lines.map(document).collect()
}
