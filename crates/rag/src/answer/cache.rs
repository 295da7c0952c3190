//! Answers to questions that are asked again, for as long as the knowledge is the same.

use std::sync::Arc;
use std::time::Duration;

use pumasi_core::cache::Cache;
use pumasi_core::text::normalize;

use super::event::{AnswerEvent, Summary};
use crate::document::Fingerprint;

/// Where answers are kept, and for how long.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    pub(super) cache: Arc<dyn Cache>,
    pub(super) ttl: Duration,
}

impl Answers {
    /// Names the answer to a question. The version of the knowledge is a part of the name: when it grows, nothing finds what was
    /// answered before.
    pub(super) fn key(question: &str, parts: &[&str], version: u64) -> String {
        // case, width and white space do not make another question
        let question = normalize(question);
        let words: Vec<&str> = question.as_str().split_whitespace().collect();
        let question = words.join(" ");
        let version = version.to_le_bytes();
        let parts = parts.iter().map(|part| part.as_bytes());
        let all = [question.as_bytes(), version.as_slice()].into_iter().chain(parts);
        format!("rag:answer:2:{}", Fingerprint::of(all))
    }

    /// Returns the events of an answer; none if the cache fails, which is told in a log and costs a call of the model.
    pub(super) async fn get(&self, key: &str) -> Option<Vec<AnswerEvent>> {
        match self.cache.get(key).await {
            Ok(bytes) => {
                serde_json::from_slice::<Vec<AnswerEvent>>(&bytes?).ok().filter(|events| is_whole(events))
            }
            Err(error) => {
                tracing::warn!(%error, "the cache of answers cannot be read");
                None
            }
        }
    }

    pub(super) async fn put(&self, key: &str, events: &[AnswerEvent]) {
        let Ok(bytes) = serde_json::to_vec(events) else { return };
        if let Err(error) = self.cache.set(key, bytes.into(), self.ttl).await {
            tracing::warn!(%error, "the cache of answers cannot be written");
        }
    }
}

fn is_whole(events: &[AnswerEvent]) -> bool {
    matches!(events.last(), Some(AnswerEvent::Done(_)))
}

/// Tells whether an answer is good enough to be given again.
pub(super) fn is_worth_keeping(summary: &Summary) -> bool {
    summary.unsupported == 0 && !summary.is_cut_off && summary.unreachable.is_none()
}
