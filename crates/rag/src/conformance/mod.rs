//! The laws of [`Store`], in the order of its numbered guarantees: what is measured is always [`MemoryStore`].
//!
//! Whoever writes a store runs them from their own crate, with the feature `conformance` among the dev-dependencies:
//! [`store_laws!`](crate::store_laws) makes one `#[test]` of each law on a harness.

mod laws;

use std::sync::Arc;

use async_trait::async_trait;

pub use laws::{
    law_01_a_document_is_replaced_whole, law_02_what_is_put_is_durable, law_03_tenants_are_apart,
    law_04_filters_come_first, law_05_the_same_ranking, law_06_one_snapshot, law_07_spaces_are_not_mixed,
    law_08_putting_the_same_changes_nothing, law_09_entries_come_back_as_they_were_put,
};
#[doc(hidden)]
pub use pumasi_core::conformance::each_law;
pub use pumasi_core::conformance::{Broken, Kept, Verdict};
use pumasi_core::model::HashingEmbedder;

#[expect(unused_imports, reason = "for the documentation")]
use crate::MemoryStore;
use crate::{Space, Store};

/// Returns the space of the laws' vectors.
pub fn space() -> Space {
    let dimensions = std::num::NonZeroUsize::new(32).unwrap_or(std::num::NonZeroUsize::MIN);
    Space::of(&HashingEmbedder::with_dimensions(dimensions))
}

/// A store under examination.
#[async_trait]
pub trait StoreHarness: Send + Sync {
    /// Opens the store, empty, for the [space](space()) of the laws.
    async fn open(&self) -> Arc<dyn Store>;

    /// Opens it again with what it holds, as after a restart of the process; gives it back where it would hold nothing then.
    ///
    /// # Errors
    ///
    /// The store itself, as it was.
    async fn reopen(&self, store: Arc<dyn Store>) -> Result<Arc<dyn Store>, Arc<dyn Store>>;
}

/// Makes one `#[test]` per law of [`Store`](crate::Store), in a module of the given name, each on a harness of its own made by the
/// expression.
///
/// ```
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use pumasi_rag::conformance::{StoreHarness, space};
/// use pumasi_rag::{MemoryStore, Store, Tenant};
///
/// struct Memory;
///
/// #[async_trait]
/// impl StoreHarness for Memory {
///     async fn open(&self) -> Arc<dyn Store> {
///         Arc::new(MemoryStore::new(space(), Tenant::single()))
///     }
///
///     async fn reopen(&self, store: Arc<dyn Store>) -> Result<Arc<dyn Store>, Arc<dyn Store>> {
///         Err(store)
///     }
/// }
///
/// pumasi_rag::store_laws!(memory, Memory);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! store_laws {
    ($backend:ident, $harness:expr) => {
        $crate::conformance::each_law!(
            $backend,
            $harness,
            [$crate::conformance],
            law_01_a_document_is_replaced_whole,
            law_02_what_is_put_is_durable,
            law_03_tenants_are_apart,
            law_04_filters_come_first,
            law_05_the_same_ranking,
            law_06_one_snapshot,
            law_07_spaces_are_not_mixed,
            law_08_putting_the_same_changes_nothing,
            law_09_entries_come_back_as_they_were_put,
        );
    };
}
