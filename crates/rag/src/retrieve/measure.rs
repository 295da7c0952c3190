//! What is counted of retrievals.

use std::time::Duration;

use super::{Note, Retrieved};
use crate::Result;

/// Shows the counters before anything is counted: one that appears as 1 has, to whoever asks how it grew, never been raised.
pub(super) fn show() {
    for outcome in ["relevant", "irrelevant", "nothing", "failed"] {
        metrics::counter!("pumasi_rag_retrievals_total", "outcome" => outcome).increment(0);
    }
    for note in ["cannot_read", "not_embedded", "not_reranked", "not_reworded"] {
        metrics::counter!("pumasi_rag_retrieval_notes_total", "note" => note).increment(0);
    }
}

pub(super) fn retrieval(found: &Result<Retrieved>, took: Duration) {
    let outcome = match found {
        Err(_) => "failed",
        Ok(found) if found.hits.is_empty() => "nothing",
        Ok(found) if found.relevant => "relevant",
        Ok(_) => "irrelevant",
    };
    metrics::counter!("pumasi_rag_retrievals_total", "outcome" => outcome).increment(1);
    metrics::histogram!("pumasi_rag_retrieval_seconds").record(took.as_secs_f64());
    let Ok(found) = found else { return };
    let passages = u64::try_from(found.hits.len()).unwrap_or(u64::MAX);
    metrics::counter!("pumasi_rag_retrieved_passages_total").increment(passages);
    for note in &found.notes {
        let note = match note {
            Note::CannotRead => "cannot_read",
            Note::NotEmbedded(_) => "not_embedded",
            Note::NotReranked(_) => "not_reranked",
            Note::NotReworded(_) => "not_reworded",
        };
        metrics::counter!("pumasi_rag_retrieval_notes_total", "note" => note).increment(1);
    }
}
