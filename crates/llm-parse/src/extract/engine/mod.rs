//! One source (or one part of a long one): ask, read, check, ask again for what failed, settle.

mod again;
mod ask;
mod cached;
mod call;
mod check;
mod first;
mod settle;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use pumasi_core::model::{ChatModel, Price};
use pumasi_core::time::Clock;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::cache::AnswerCache;
use super::fence::Fence;
use super::form::Form;
use super::ledger::Ledger;
use super::marks::Marks;
use super::merge::Part;
use super::prompt::{Prompt, Shot};
use super::quotes::Judge;
use super::read::{Draft, Fault, Reader};
use super::sighting::Tell;
use super::validate::Validators;
use super::{
    AnswerLanguage, AskMode, AttemptOutcome, Budget, ExtractError, Failure, Grounding, Result, TokenMeter,
    Unresolved,
};

/// Everything that an extractor was built with.
pub(crate) struct Engine<T> {
    pub(crate) model: Arc<dyn ChatModel>,
    pub(crate) prompt: Prompt,
    pub(crate) form: Form,
    /// The form's schema as a prompt shows it.
    pub(crate) rendered: String,
    /// The schema of the value.
    pub(crate) schema: Value,
    pub(crate) marks: Marks,
    /// Reads answers in the form; and bare ones, which models give in spite of it.
    pub(crate) reader: Reader,
    pub(crate) bare: Option<Reader>,
    pub(crate) validators: Validators<T>,
    pub(crate) grounding: Grounding,
    pub(crate) judge: Option<Judge>,
    pub(crate) language: Option<AnswerLanguage>,
    pub(crate) unresolved: Unresolved,
    pub(crate) rounds: u32,
    pub(crate) budget: Budget,
    pub(crate) price: Option<Price>,
    pub(crate) meter: TokenMeter,
    pub(crate) max_answer: Option<u64>,
    pub(crate) temperature: Option<f32>,
    pub(crate) seed: Option<u64>,
    pub(crate) call_timeout: Option<Duration>,
    /// Whether answers are streamed, so that a loop can be cut short.
    pub(crate) watched: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Fn() -> u128 + Send + Sync>,
    pub(crate) modes: Vec<AskMode>,
    /// The place in `modes` of the first one that the server has not refused.
    pub(crate) first_mode: AtomicU8,
    pub(crate) cache: Option<AnswerCache>,
    pub(crate) version: String,
}

/// The extraction from one source, or from one part of it.
pub(crate) struct Job<'a, T> {
    pub(crate) engine: &'a Engine<T>,
    pub(crate) ledger: &'a Ledger,
    pub(crate) source: &'a str,
    /// Which part of how many, from 0.
    pub(crate) part: Option<(usize, usize)>,
    /// How many other parts have not begun yet, and have to come out of the same budget.
    pub(crate) waiting: u64,
    /// Whether an answer that was cut is better dealt with by asking about less.
    pub(crate) splittable: bool,
    /// Who watches the first answer arrive.
    pub(crate) observer: Option<&'a dyn Tell>,
}

impl<T: DeserializeOwned> Job<'_, T> {
    pub(crate) async fn run(&self) -> Result<Part<T>> {
        let engine = self.engine;
        if let Some(part) = self.cached().await {
            return Ok(part);
        }
        let fence = Fence::new(&*engine.random, &[self.source]);
        let mut rounds = engine.rounds;
        let mut draft = self.first_draft(&fence, &mut rounds).await?;
        let mut gave_up: Option<ExtractError> = None;
        let mut stuck = false;
        let mut earlier: HashSet<String> = HashSet::new();
        loop {
            draft.faults = self.check(&draft);
            self.amend(&draft.faults);
            if draft.faults.is_empty() || rounds == 0 || stuck {
                break;
            }
            rounds -= 1;
            match self.ask_again(&fence, &mut draft, &mut earlier).await {
                Ok(changed) => stuck = !changed,
                Err(error) if settle::would_meet_again(&error) => {
                    gave_up = Some(error);
                    break;
                }
                // what may go better in a moment must not cost the items for good
                Err(error) => return Err(error.with_failures(self.failures(draft.faults.iter()))),
            }
        }
        let clean = draft.faults.is_empty() && draft.dropped.is_empty();
        let part = self.settle(draft, stuck, gave_up)?;
        if clean {
            self.to_cache(&part).await;
        }
        Ok(part.0)
    }

    /// Writes down how the last attempt ended.
    fn amend(&self, faults: &[Fault]) {
        let failures = self.failures(faults.iter());
        let outcome =
            if failures.is_empty() { AttemptOutcome::Accepted } else { AttemptOutcome::Partial { failures } };
        self.ledger.amend(self.part_index(), outcome);
    }

    fn report(&self, draft: &mut Draft) {
        let mut report = std::mem::take(&mut draft.report);
        for repair in &mut report.repairs {
            repair.path = repair.path.take().map(|path| self.engine.marks.path_without_texts(&path));
        }
        self.ledger.attach(self.part_index(), report);
    }

    /// Turns faults into what may leave the extractor: places and expectations, no texts.
    fn failures<'f>(&self, faults: impl Iterator<Item = &'f Fault>) -> Vec<Failure> {
        faults
            .map(|fault| {
                Failure::new(self.engine.marks.without_texts(&fault.path), fault.kind, fault.expected.clone())
            })
            .collect()
    }
}

impl<T> Job<'_, T> {
    fn part_index(&self) -> Option<usize> {
        self.part.map(|(part, _)| part)
    }
}

/// An example whose value is in the form that answers are in.
pub(crate) fn shot(form: &Form, source: String, value: Value) -> Shot {
    Shot { source, answer: form.wrap_value(value) }
}
