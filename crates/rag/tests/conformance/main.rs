//! The laws of stores, on every store.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails so; not every set of features has any"
)]

use std::sync::Arc;

use async_trait::async_trait;
use pumasi_rag::conformance::{StoreHarness, space};
use pumasi_rag::{MemoryStore, Store, Tenant, store_laws};

type Reopened = Result<Arc<dyn Store>, Arc<dyn Store>>;

struct Memory;

#[async_trait]
impl StoreHarness for Memory {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(MemoryStore::new(space(), Tenant::single()))
    }

    async fn reopen(&self, store: Arc<dyn Store>) -> Reopened {
        Err(store)
    }
}

store_laws!(memory, Memory);

#[cfg(feature = "embedded")]
mod embedded {
    use pumasi_rag::SqliteStore;
    use pumasi_rag::store::SqliteOptions;

    use super::*;

    struct Embedded(tempfile::TempDir, SqliteOptions);

    impl Embedded {
        fn new(options: SqliteOptions) -> Self {
            Self(tempfile::tempdir().expect("a folder"), options)
        }

        async fn store(&self) -> Arc<dyn Store> {
            let path = self.0.path().join("knowledge.db");
            let store = SqliteStore::open_with(path, space(), Tenant::single(), self.1).await;
            Arc::new(store.expect("a store"))
        }
    }

    #[async_trait]
    impl StoreHarness for Embedded {
        async fn open(&self) -> Arc<dyn Store> {
            self.store().await
        }

        async fn reopen(&self, store: Arc<dyn Store>) -> Reopened {
            // the file is free when the last holder is gone
            drop(store);
            Ok(self.store().await)
        }
    }

    store_laws!(sqlite, Embedded::new(SqliteOptions::new()));
    // the laws have some hundred chunks, and compare with what looks at all of them
    store_laws!(sqlite_with_lists, Embedded::new(SqliteOptions::new().with_recall(0.999).with_lists_of(8)));
}

#[cfg(feature = "postgres")]
#[path = "../support/schema.rs"]
mod schema;

#[cfg(feature = "postgres")]
mod on_postgres {
    use pumasi_rag::PostgresStore;
    use pumasi_rag::conformance::Kept;
    use pumasi_rag::store::{PostgresOptions, VectorIndex};
    use sqlx::postgres::PgPoolOptions;

    use super::*;
    use crate::schema::Schema;

    struct Postgres(Schema, PostgresOptions);

    impl Postgres {
        async fn store(&self) -> Arc<dyn Store> {
            let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(self.0.options.clone());
            let store = PostgresStore::open_with(pool, space(), Tenant::single(), self.1).await;
            Arc::new(store.expect("a store"))
        }
    }

    #[async_trait]
    impl StoreHarness for Postgres {
        async fn open(&self) -> Arc<dyn Store> {
            self.store().await
        }

        async fn reopen(&self, store: Arc<dyn Store>) -> Reopened {
            drop(store);
            Ok(self.store().await)
        }
    }

    store_laws!(
        postgres,
        match Schema::new("knowledge in PostgreSQL").await {
            Some(schema) => Postgres(schema, PostgresOptions::new()),
            None => return Ok(Kept::Skipped("there is no server")),
        }
    );

    store_laws!(
        postgres_without_an_index,
        match Schema::new("knowledge in PostgreSQL").await {
            Some(schema) => Postgres(schema, PostgresOptions::new().with_index(VectorIndex::Exact)),
            None => return Ok(Kept::Skipped("there is no server")),
        }
    );
}

#[cfg(feature = "qdrant")]
#[path = "../support/collection.rs"]
mod collection;

#[cfg(feature = "qdrant")]
mod on_qdrant {
    use pumasi_rag::conformance::Kept;
    use pumasi_rag::store::{QdrantOptions, Quantization};

    use super::*;
    use crate::collection::Collection;

    struct Qdrant(Collection, QdrantOptions);

    impl Qdrant {
        async fn store(&self) -> Arc<dyn Store> {
            Arc::new(self.0.open(space(), self.1.clone()).await.expect("a store"))
        }
    }

    #[async_trait]
    impl StoreHarness for Qdrant {
        async fn open(&self) -> Arc<dyn Store> {
            self.store().await
        }

        async fn reopen(&self, store: Arc<dyn Store>) -> Reopened {
            drop(store);
            Ok(self.store().await)
        }
    }

    store_laws!(
        qdrant,
        match Collection::new("knowledge in Qdrant") {
            Some(collection) => Qdrant(collection, QdrantOptions::new()),
            None => return Ok(Kept::Skipped("there is no server")),
        }
    );

    // the laws have some hundred chunks: the graph is asked, and what is packed is scored by the whole vectors
    store_laws!(
        qdrant_packed,
        match Collection::new("packed knowledge in Qdrant") {
            Some(collection) => {
                let options = QdrantOptions::new().with_quantization(Quantization::Int8).with_exact_below(0);
                Qdrant(collection, options)
            }
            None => return Ok(Kept::Skipped("there is no server")),
        }
    );
}
