//! What is counted of answers.

use std::time::Instant;

use pumasi_core::time::{Clock, SystemClock};

use super::event::{Outcome, Summary};

/// Shows the counters before anything is counted: one that appears as 1 has, to whoever asks how it grew, never been raised.
pub(super) fn show() {
    for outcome in ["answered", "extracted", "not_found", "cached", "failed", "cancelled"] {
        metrics::counter!("pumasi_rag_answers_total", "outcome" => outcome).increment(0);
    }
    for verdict in ["supported", "unsupported", "uncited"] {
        metrics::counter!("pumasi_rag_sentences_total", "verdict" => verdict).increment(0);
    }
}

/// Counts one answer when it is dropped: as it ended, or as given up by its reader.
pub(super) struct Measure {
    began: Instant,
    outcome: &'static str,
}

impl Measure {
    pub(super) fn begin() -> Self {
        Self { began: SystemClock.instant(), outcome: "cancelled" }
    }

    pub(super) fn done(&mut self, summary: &Summary) {
        self.outcome = match summary.outcome {
            _ if summary.is_cached => "cached",
            Outcome::Answered => "answered",
            Outcome::Extracted => "extracted",
            Outcome::NotFound => "not_found",
        };
        if summary.is_cached {
            return;
        }
        let sentences = [
            ("supported", summary.cited.saturating_sub(summary.unsupported)),
            ("unsupported", summary.unsupported),
            ("uncited", summary.sentences.saturating_sub(summary.cited)),
        ];
        for (verdict, count) in sentences {
            metrics::counter!("pumasi_rag_sentences_total", "verdict" => verdict).increment(count.into());
        }
    }

    pub(super) fn failed(&mut self) {
        self.outcome = "failed";
    }
}

impl Drop for Measure {
    fn drop(&mut self) {
        metrics::counter!("pumasi_rag_answers_total", "outcome" => self.outcome).increment(1);
        metrics::histogram!("pumasi_rag_answer_seconds")
            .record(SystemClock.instant().saturating_duration_since(self.began).as_secs_f64());
    }
}
