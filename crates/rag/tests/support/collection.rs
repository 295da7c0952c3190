//! A collection of a test's own on the Qdrant server.

use pumasi_core::conformance::Server;
use pumasi_rag::store::QdrantOptions;
use pumasi_rag::{QdrantStore, Space, Tenant};
use qdrant_client::Qdrant;

/// The name of a collection; it goes with this value.
pub(crate) struct Collection {
    pub(crate) url: String,
    pub(crate) name: String,
}

impl Collection {
    /// Names a collection for `test`; `None`, after saying so, where there is no server.
    pub(crate) fn new(test: &str) -> Option<Self> {
        let url = Server::Qdrant.url(test)?;
        let name = format!("pumasi_test_{}_{:08x}", std::process::id(), fastrand::u32(..));
        Some(Self { url, name })
    }

    /// Opens a store in it.
    pub(crate) async fn open(&self, space: Space, options: QdrantOptions) -> pumasi_rag::Result<QdrantStore> {
        let options = options.with_collection(&self.name);
        QdrantStore::open_with(&self.url, space, Tenant::single(), options).await
    }
}

impl Drop for Collection {
    fn drop(&mut self) {
        let (url, name) = (self.url.clone(), self.name.clone());
        // The test's own runtime may be ending.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let client = Qdrant::from_url(&url).skip_compatibility_check().build().unwrap();
                let _ = client.delete_collection(name).await;
            });
        });
        let _ = dropped.join();
    }
}
