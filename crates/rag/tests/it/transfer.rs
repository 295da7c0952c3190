//! Knowledge moves from one store to another.

use std::num::NonZeroUsize;
use std::sync::Arc;

use pumasi_core::filter::Filter;
use pumasi_core::model::HashingEmbedder;
use pumasi_rag::store::{Transfer, TransferProgress};
use pumasi_rag::{ErrorKind, Ingest, MemoryStore, Space, Store, Tenant};

use crate::knowledge;

fn space() -> Space {
    Space::of(&HashingEmbedder::new())
}

/// The committed knowledge in memory.
async fn source() -> Arc<MemoryStore> {
    let store = Arc::new(MemoryStore::new(space(), Tenant::single()));
    let embedder = Arc::new(HashingEmbedder::new());
    Ingest::new(store.clone(), embedder).run(knowledge::documents()).await.unwrap();
    store
}

async fn documents(store: &dyn Store) -> u64 {
    store.count(&Filter::And(Vec::new())).await.unwrap().documents
}

/// Holds every document of two stores against each other.
async fn same(left: &dyn Store, right: &dyn Store) {
    let records = left.scan("", usize::MAX >> 1).await.unwrap();
    assert!(!records.is_empty());
    assert_eq!(records, right.scan("", usize::MAX >> 1).await.unwrap());
    let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(left.entries(&ids).await.unwrap(), right.entries(&ids).await.unwrap());
}

#[tokio::test]
async fn a_transfer_that_was_ended_goes_on_where_it_was() {
    let (from, to) = (source().await, Arc::new(MemoryStore::new(space(), Tenant::single())));
    let of = documents(&from).await;
    let (sender, mut half) = tokio::sync::mpsc::unbounded_channel();
    let five = NonZeroUsize::new(5).unwrap();
    let transfer = Transfer::new(from.clone(), to.clone()).with_documents_at_once(five);
    let told = transfer.clone().with_progress(move |progress| {
        if let TransferProgress::Copied { documents: 10, .. } = progress {
            let _ = sender.send(());
            std::panic::resume_unwind(Box::new("the transfer ends here"));
        }
    });
    assert!(tokio::spawn(async move { told.run().await }).await.is_err());
    half.recv().await.unwrap();
    assert_eq!(documents(&to).await, 10);

    let report = transfer.run().await.unwrap();
    assert_eq!((report.unchanged, report.copied), (10, of - 10));
    assert_eq!((report.verified, report.compared, report.others), (of, of, 0));
    same(&from, &to).await;
    let third = NonZeroUsize::new(3).unwrap();
    let report = transfer.with_comparison(third).run().await.unwrap();
    assert_eq!((report.unchanged, report.copied, report.compared), (of, 0, of.div_ceil(3)));
}

#[tokio::test]
async fn what_differs_is_an_error_and_what_is_only_there_is_counted() {
    let (from, to) = (source().await, Arc::new(MemoryStore::new(space(), Tenant::single())));
    let transfer = Transfer::new(from.clone(), to.clone());
    transfer.run().await.unwrap();
    let first = from.scan("", 1).await.unwrap().remove(0);
    let mut entry = to.entries(&[&first.id]).await.unwrap().remove(0).unwrap();
    let mut other = entry.clone();
    other.record.id = "another".to_owned();
    to.put(vec![other]).await.unwrap();
    assert_eq!(transfer.run().await.unwrap().others, 1);

    // the fingerprint is the same, a number of a vector is not
    entry.chunks[0].embedding[0] += 0.25;
    to.put(vec![entry]).await.unwrap();
    assert!(transfer.clone().without_comparison().run().await.is_ok());
    let error = transfer.run().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error.to_string().contains(&format!(
            "1 documents are not in the other store as they are in the source, {:?}",
            first.id
        )),
        "{error}"
    );

    let three = Space::of(&HashingEmbedder::with_dimensions(NonZeroUsize::new(3).unwrap()));
    let elsewhere = Arc::new(MemoryStore::new(three, Tenant::single()));
    assert_eq!(Transfer::new(from, elsewhere).run().await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[cfg(all(feature = "embedded", feature = "postgres"))]
#[tokio::test]
async fn knowledge_goes_from_sqlite_to_postgres_and_back_as_it_is() {
    use pumasi_rag::{PostgresStore, SqliteStore};

    let Some(schema) = crate::schema::Schema::new("moving knowledge").await else { return };
    let folder = tempfile::tempdir().unwrap();
    let club = || Tenant::new("달리기 모임").unwrap();
    let memory = source().await;
    let sqlite = Arc::new(SqliteStore::open(folder.path().join("one.db"), space(), club()).await.unwrap());
    let postgres = Arc::new(PostgresStore::open(schema.pool.clone(), space(), club()).await.unwrap());
    let back = Arc::new(SqliteStore::open(folder.path().join("two.db"), space(), club()).await.unwrap());
    let of = documents(&memory).await;
    for (from, to) in [
        (memory.clone() as Arc<dyn Store>, sqlite.clone() as Arc<dyn Store>),
        (sqlite.clone(), postgres.clone()),
        (postgres.clone(), back.clone()),
    ] {
        let report = Transfer::new(from, to).run().await.unwrap();
        assert_eq!((report.copied, report.compared, report.others), (of, of, 0));
    }
    same(&memory, &postgres).await;
    same(&memory, &back).await;
}

#[cfg(feature = "qdrant")]
#[tokio::test]
async fn knowledge_goes_to_qdrant_and_back_as_it_is() {
    let Some(collection) = crate::collection::Collection::new("moving knowledge to Qdrant") else { return };
    let memory = source().await;
    let qdrant = Arc::new(collection.open(space(), pumasi_rag::store::QdrantOptions::new()).await.unwrap());
    let back = Arc::new(MemoryStore::new(space(), Tenant::single()));
    let of = documents(&memory).await;
    for (from, to) in
        [(memory.clone() as Arc<dyn Store>, qdrant.clone() as Arc<dyn Store>), (qdrant.clone(), back.clone())]
    {
        let report = Transfer::new(from, to).run().await.unwrap();
        assert_eq!((report.copied, report.compared, report.others), (of, of, 0));
    }
    same(&memory, &qdrant).await;
    same(&memory, &back).await;
}
