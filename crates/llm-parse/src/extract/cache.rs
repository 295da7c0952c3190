//! Accepted answers, kept for equal questions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::cache::Cache;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Keeps values that were accepted as a whole; never a failure, and nothing that items were left out of.
///
/// An error of the cache costs a call, not the extraction; it is counted apart from misses
/// (`pumasi_extract_cache_total`, label `outcome`) and logged.
#[derive(Clone)]
pub(crate) struct AnswerCache {
    cache: Arc<dyn Cache>,
    ttl: Duration,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    value: Value,
    confidence: f32,
}

impl AnswerCache {
    pub(crate) fn new(cache: Arc<dyn Cache>, ttl: Duration) -> Self {
        Self { cache, ttl }
    }

    pub(crate) async fn get(&self, key: &str) -> Option<(Value, f32)> {
        let (outcome, entry) = match self.cache.get(key).await {
            Ok(None) => ("miss", None),
            Ok(Some(bytes)) => match serde_json::from_slice::<Entry>(&bytes) {
                Ok(entry) => ("hit", Some((entry.value, entry.confidence))),
                Err(_) => ("damaged", None),
            },
            Err(error) => {
                tracing::warn!(kind = %error.kind(), "the cache of answers could not be asked");
                ("error", None)
            }
        };
        metrics::counter!("pumasi_extract_cache_total", "outcome" => outcome).increment(1);
        entry
    }

    pub(crate) async fn set(&self, key: &str, value: &Value, confidence: f32) {
        let entry = Entry { value: value.clone(), confidence };
        let Ok(bytes) = serde_json::to_vec(&entry) else { return };
        if let Err(error) = self.cache.set(key, bytes.into(), self.ttl).await {
            tracing::warn!(kind = %error.kind(), "an answer could not be put into the cache");
            metrics::counter!("pumasi_extract_cache_total", "outcome" => "not_stored").increment(1);
        }
    }
}

impl fmt::Debug for AnswerCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerCache").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}
