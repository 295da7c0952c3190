//! The laws of [`SearchEngine`], in the order of its numbered guarantees: what is measured is always [`MemoryEngine`].
//!
//! Whoever writes an engine runs them from their own crate, with the feature `conformance` among the dev-dependencies:
//! [`engine_laws!`](crate::engine_laws) makes one `#[test]` of each law on a harness.

mod laws;
mod moving;
mod odd;
mod people;
mod sample;

use std::sync::Arc;

use async_trait::async_trait;

pub use laws::{
    law_01_the_same_documents, law_02_nothing_left_out_silently, law_03_one_snapshot,
    law_04_applied_is_durable, law_05_versions_decide, law_06_one_bad_change_spoils_nothing,
    law_07_walks_miss_and_repeat_nothing, law_08_time_is_kept, law_09_scores_are_explained,
};
pub use moving::law_13_one_snapshot_while_writes_go_on;
pub use people::{law_10_whatever_people_ask, law_11_whatever_people_write, law_12_many_values};
#[doc(hidden)]
pub use pumasi_core::conformance::each_law;
pub use pumasi_core::conformance::{Broken, Kept, Verdict};
use pumasi_core::conformance::{holds, same};
pub use sample::{document, filter, schema};

#[expect(unused_imports, reason = "for the documentation")]
use super::MemoryEngine;
use super::SearchEngine;

/// An engine under examination.
#[async_trait]
pub trait EngineHarness: Send + Sync {
    /// Opens the engine, on an empty index for the [schema](schema()) of the laws.
    async fn open(&self) -> Arc<dyn SearchEngine>;

    /// Opens it again with what it holds, as after a restart of the process; gives it back where it would hold nothing then.
    ///
    /// # Errors
    ///
    /// The engine itself, as it was.
    async fn reopen(
        &self,
        engine: Arc<dyn SearchEngine>,
    ) -> Result<Arc<dyn SearchEngine>, Arc<dyn SearchEngine>>;
}

/// Makes one `#[test]` per law of [`SearchEngine`](crate::SearchEngine), in a module of the given name, each on a harness of its
/// own made by the expression.
///
/// ```
/// use std::sync::Arc;
/// use async_trait::async_trait;
/// use pumasi_search::engine::conformance::{EngineHarness, schema};
/// use pumasi_search::{MemoryEngine, SearchEngine};
///
/// struct Memory;
///
/// #[async_trait]
/// impl EngineHarness for Memory {
///     async fn open(&self) -> Arc<dyn SearchEngine> {
///         Arc::new(MemoryEngine::new(schema()))
///     }
///
///     async fn reopen(&self, engine: Arc<dyn SearchEngine>) -> Result<Arc<dyn SearchEngine>, Arc<dyn SearchEngine>> {
///         Err(engine)
///     }
/// }
///
/// pumasi_search::engine_laws!(memory, Memory);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! engine_laws {
    ($backend:ident, $harness:expr) => {
        $crate::engine::conformance::each_law!(
            $backend,
            $harness,
            [$crate::engine::conformance],
            law_01_the_same_documents,
            law_02_nothing_left_out_silently,
            law_03_one_snapshot,
            law_04_applied_is_durable,
            law_05_versions_decide,
            law_06_one_bad_change_spoils_nothing,
            law_07_walks_miss_and_repeat_nothing,
            law_08_time_is_kept,
            law_09_scores_are_explained,
            law_10_whatever_people_ask,
            law_11_whatever_people_write,
            law_12_many_values,
            law_13_one_snapshot_while_writes_go_on,
        );
    };
}
