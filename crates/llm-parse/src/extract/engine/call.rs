//! A call under way: it gets into the books however it ends, and if it is dropped.

use std::time::Instant;

use pumasi_core::model::{ChatResponse, Usage};
use pumasi_core::time::Clock;
use pumasi_core::{Error, ErrorKind};

use crate::extract::ledger::Ledger;
use crate::extract::{Attempt, AttemptOutcome, ExtractErrorKind, TokenMeter};

/// One call of the model. It is written down when it is dropped: as it ended, or as given up.
pub(super) struct Call<'a> {
    ledger: &'a Ledger,
    clock: &'a dyn Clock,
    meter: &'a TokenMeter,
    /// The tokens of the prompt, by the meter.
    prompt: u64,
    started: Instant,
    attempt: Attempt,
    ended: bool,
    /// What a stream has brought so far; `None` before one was opened.
    pub(super) heard: Option<ChatResponse>,
}

impl<'a> Call<'a> {
    pub(super) fn begin(
        attempt: Attempt,
        prompt: u64,
        ledger: &'a Ledger,
        clock: &'a dyn Clock,
        meter: &'a TokenMeter,
    ) -> Self {
        Self { ledger, clock, meter, prompt, started: clock.instant(), attempt, ended: false, heard: None }
    }

    /// Notes that `text` was answered: the server's count, or an estimate.
    pub(super) fn answered(&mut self, model: String, counted: Option<Usage>, text: &str) {
        self.ended = true;
        self.charge(counted, text);
        if !model.is_empty() {
            self.attempt.model = model;
        }
    }

    /// Notes what a call that failed has used.
    ///
    /// After a timeout, and once a stream is open, the prompt was read and will be charged, with what came of the answer.
    pub(super) fn failed(&mut self, error: &Error) {
        self.ended = true;
        if let Some(usage) = error.usage() {
            self.attempt.usage = usage;
        } else if self.heard.is_some() || error.kind() == ErrorKind::Timeout {
            self.charge_heard();
        }
    }

    /// Notes why nothing is taken of the answer.
    pub(super) fn fails_as(&mut self, reason: ExtractErrorKind) {
        self.attempt.outcome = AttemptOutcome::Failed { reason };
    }

    fn charge_heard(&mut self) {
        let (counted, text) = match self.heard.take() {
            None => (None, String::new()),
            Some(heard) => {
                let mut text = heard.message.content;
                heard.message.tool_calls.iter().for_each(|call| text.push_str(&call.arguments));
                (heard.usage, text)
            }
        };
        self.charge(counted, &text);
    }

    fn charge(&mut self, counted: Option<Usage>, text: &str) {
        self.attempt.usage_estimated = counted.is_none();
        self.attempt.usage = counted.unwrap_or_else(|| Usage::new(self.prompt, self.meter.count(text)));
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.charge_heard();
            self.fails_as(ExtractErrorKind::Cancelled);
        }
        self.attempt.elapsed = self.clock.instant().saturating_duration_since(self.started);
        observe(&self.attempt);
        self.ledger.record(self.attempt.clone());
    }
}

fn observe(attempt: &Attempt) {
    let outcome = match &attempt.outcome {
        AttemptOutcome::Failed { reason } => reason.as_str(),
        _ => "answered",
    };
    let mode = attempt.mode.as_str();
    metrics::counter!("pumasi_extract_calls_total", "mode" => mode, "outcome" => outcome).increment(1);
    metrics::counter!("pumasi_extract_tokens_total", "direction" => "prompt")
        .increment(attempt.usage.prompt_tokens);
    metrics::counter!("pumasi_extract_tokens_total", "direction" => "answer")
        .increment(attempt.usage.completion_tokens);
    metrics::histogram!("pumasi_extract_call_seconds", "mode" => mode).record(attempt.elapsed.as_secs_f64());
    tracing::debug!(
        model = %attempt.model,
        mode,
        outcome,
        chunk = attempt.chunk,
        prompt_tokens = attempt.usage.prompt_tokens,
        answer_tokens = attempt.usage.completion_tokens,
        elapsed_ms = u64::try_from(attempt.elapsed.as_millis()).unwrap_or(u64::MAX),
        "asked the model"
    );
}
