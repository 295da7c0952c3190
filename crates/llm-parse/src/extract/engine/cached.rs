//! Answers that were had before.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Job;
use super::ask::Asked;
use crate::extract::fence::Fence;
use crate::extract::merge::Part;
use crate::extract::read::Draft;
use crate::extract::{AskMode, Attempt, AttemptKind};

impl<T: DeserializeOwned> Job<'_, T> {
    pub(super) async fn cached(&self) -> Option<Part<T>> {
        let engine = self.engine;
        let cache = engine.cache.as_ref()?;
        let started = engine.clock.instant();
        let (value, confidence) = cache.get(&self.cache_key()).await?;
        let draft = Draft::clean(value, confidence);
        // validators and sources of quotes may have changed since: what no longer holds is asked for anew
        if !self.check(&draft).is_empty() {
            return None;
        }
        let (part, _) = self.settle(draft, false, None).ok()?;
        let mode = engine.modes.first().copied().unwrap_or(AskMode::Text);
        let elapsed = engine.clock.instant().saturating_duration_since(started);
        let mut attempt = Attempt::new(AttemptKind::Cached, mode, engine.model.name()).with_elapsed(elapsed);
        attempt.chunk = self.part_index();
        self.ledger.record(attempt);
        Some(part)
    }

    pub(super) async fn to_cache(&self, (part, value): &(Part<T>, Value)) {
        if let Some(cache) = &self.engine.cache {
            cache.set(&self.cache_key(), value, part.confidence).await;
        }
    }

    /// The key of what is asked first: equal for equal questions, whatever their fence.
    pub(super) fn cache_key(&self) -> String {
        let engine = self.engine;
        let asked =
            Asked { kind: AttemptKind::Ask, again: "", form: &engine.form, rendered: &engine.rendered };
        let mode = engine.modes.first().copied().unwrap_or(AskMode::Text);
        let request = self.request(&Fence::fixed(), &asked, mode);
        format!("extract:{}:{}", engine.version, request.key(engine.model.name()))
    }
}
