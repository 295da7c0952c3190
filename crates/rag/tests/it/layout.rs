//! Files of earlier layouts.

use std::sync::Arc;

use pumasi_core::model::HashingEmbedder;
use pumasi_rag::{Ingest, Space, SqliteStore, Store, Tenant};
use sqlx::Connection as _;

use crate::knowledge::documents;

/// Back to how sections stood at first.
const BACK: &str = "ALTER TABLE pumasi_rag_section RENAME TO later;
    CREATE TABLE pumasi_rag_section (document INTEGER NOT NULL, section INTEGER NOT NULL, start INTEGER NOT NULL,
        headings TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (document, section)) WITHOUT ROWID;
    INSERT INTO pumasi_rag_section SELECT document, section, start, headings, text FROM later;
    DROP TABLE later;
    DELETE FROM pumasi_rag_schema WHERE version > 1";

#[tokio::test]
async fn a_file_of_the_first_layout_is_read_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("knowledge.db");
    let embedder = Arc::new(HashingEmbedder::new());
    let open = || SqliteStore::open(&path, Space::of(&embedder), Tenant::single());
    let store = open().await.unwrap();
    Ingest::new(Arc::new(store.clone()), embedder.clone()).run(documents()).await.unwrap();
    let documents = documents();
    let ids: Vec<&str> = documents.iter().map(|document| document.id.as_str()).collect();
    let entries = store.entries(&ids).await.unwrap();
    assert!(entries.iter().all(Option::is_some));
    drop(store);

    let url = format!("sqlite://{}", path.display());
    let mut file = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(BACK).execute(&mut file).await.unwrap();
    file.close().await.unwrap();

    let store = loop {
        // the lock goes with the last connection of the store before
        match open().await {
            Err(error) if error.kind() == pumasi_rag::ErrorKind::Unavailable => {
                tokio::task::yield_now().await;
            }
            opened => break opened.unwrap(),
        }
    };
    assert_eq!(store.entries(&ids).await.unwrap(), entries);
}
