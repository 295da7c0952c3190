//! What is known: the committed documents, and the store they are in.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use pumasi_core::model::HashingEmbedder;
use pumasi_rag::{Document, Ingest, Retriever, Space, SqliteStore, Store, Tenant};
use serde::Deserialize;

/// The store of one club, and what embeds for it.
#[derive(Clone)]
pub(crate) struct Knowledge {
    pub(crate) store: Arc<dyn Store>,
    embedder: Arc<HashingEmbedder>,
}

/// Opens the store that needs nothing: a file, and vectors of shared words.
pub(crate) async fn open(file: &Path) -> pumasi_rag::Result<Knowledge> {
    let embedder = Arc::new(HashingEmbedder::new());
    let store = SqliteStore::open(file, Space::of(&embedder), Tenant::single()).await?;
    Ok(Knowledge { store: Arc::new(store), embedder })
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
