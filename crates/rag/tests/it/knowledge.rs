//! The committed running knowledge, in a store.

use std::path::Path;
use std::sync::Arc;

use pumasi_core::model::HashingEmbedder;
use pumasi_rag::{Document, Ingest, MemoryStore, Retriever, Space, Tenant};
use serde_json::Value;

/// Reads a file of JSON lines, named from this crate's folder.
pub(crate) fn lines(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// The documents of the running coach.
pub(crate) fn documents() -> Vec<Document> {
    let files = ["ko", "en"].map(|file| format!("../../examples/running_coach/knowledge/{file}.jsonl"));
    let all = files.iter().flat_map(|file| lines(file));
    all.map(|line| {
        Document::markdown(text(&line, "id"), text(&line, "text"))
            .with_title(text(&line, "title"))
            .with_metadata("topic", text(&line, "topic"))
    })
    .collect()
}

/// A retriever of some documents, on the store that needs nothing.
pub(crate) async fn retriever(documents: Vec<Document>) -> Retriever {
    let embedder = Arc::new(HashingEmbedder::new());
    let store = Arc::new(MemoryStore::new(Space::of(&embedder), Tenant::single()));
    Ingest::new(store.clone(), embedder.clone()).run(documents).await.unwrap();
    Retriever::new(store, embedder)
}
