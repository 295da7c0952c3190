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

    use super::*;

    struct Embedded(tempfile::TempDir);

    impl Embedded {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        async fn store(&self) -> Arc<dyn Store> {
            let path = self.0.path().join("knowledge.db");
            Arc::new(SqliteStore::open(path, space(), Tenant::single()).await.expect("a store"))
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

    store_laws!(sqlite, Embedded::new());
}
