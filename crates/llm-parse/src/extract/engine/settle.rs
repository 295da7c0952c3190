//! From the last draft to the value: what stays faulty is left out, or the extraction fails.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Job;
use crate::extract::merge::Part;
use crate::extract::read::{Draft, Fault};
use crate::extract::{ExtractError, ExtractErrorKind, Failure, Origins, Result, Unresolved, pointer};

impl<T: DeserializeOwned> Job<'_, T> {
    /// Turns the draft into a value: faulty items are left out, or the extraction fails.
    pub(super) fn settle(
        &self,
        mut draft: Draft,
        stuck: bool,
        gave_up: Option<ExtractError>,
    ) -> Result<(Part<T>, Value)> {
        let engine = self.engine;
        let mut items = Vec::new();
        let mut lasting: Vec<&Fault> = Vec::new();
        for fault in &draft.faults {
            match pointer::item_around(&draft.value, &fault.path) {
                Some(item) if engine.unresolved == Unresolved::DropItems => items.push(item),
                _ => lasting.push(fault),
            }
        }
        let failures = self.failures(draft.faults.iter().chain(&draft.dropped));
        let incomplete = gave_up.as_ref().map(ExtractError::kind);
        let refuse = |kind, failures: Vec<Failure>| match gave_up {
            Some(error) => error.with_failures(failures),
            None => Self::turned_down(kind, failures, stuck),
        };
        if let Some(first) = lasting.first() {
            return Err(refuse(first.kind, failures));
        }
        items.extend(draft.dropped.iter().map(|fault| fault.path.clone()));
        let before = count_items(&draft.value, &items);
        let moves = pointer::remove_items(&mut draft.value, &items);
        // An answer of which no item holds is no answer; an empty list would say that there is nothing to find. It is one
        // where the model has taken back all that was wrong.
        let insisted = draft.faults.first().map(|fault| fault.kind);
        let shapeless = draft.dropped.iter().all(|fault| fault.kind == ExtractErrorKind::OffSchema);
        if !items.is_empty()
            && draft.value.as_array().is_some_and(Vec::is_empty)
            && let Some(kind) = insisted.or(shapeless.then_some(ExtractErrorKind::OffSchema))
        {
            return Err(refuse(kind, failures));
        }
        let value: T = serde_json::from_value(draft.value.clone()).map_err(|error| {
            Self::turned_down(ExtractErrorKind::OffSchema, failures.clone(), stuck)
                .with_source(Opaque(error.classify()))
        })?;
        let violations = engine.validators.violations(&value);
        if let Some(first) = violations.first() {
            let place = engine.marks.without_texts(first.path());
            let failure = Failure::new(place, ExtractErrorKind::Invalid, first.expected());
            return Err(Self::turned_down(ExtractErrorKind::Invalid, vec![failure], stuck));
        }
        let grounding = self.ground(&draft.value);
        let share = grounding.share().map_or(1.0, |share| 0.5 + 0.5 * share);
        #[expect(clippy::cast_possible_truncation, reason = "a share from 0 to 1")]
        let confidence = draft.confidence * (before.share_kept() * share) as f32;
        let origins = Origins::of_answer(moves);
        Ok((Part { value, grounding, rejected: failures, incomplete, confidence, origins }, draft.value))
    }

    fn turned_down(kind: ExtractErrorKind, failures: Vec<Failure>, stuck: bool) -> ExtractError {
        let retry = if stuck { pumasi_core::Retry::Never } else { pumasi_core::Retry::Now };
        let why = if stuck { "; the model gave the same answer again" } else { "" };
        ExtractError::new(
            kind,
            format!("{} places of the answer stayed wrong ({kind}){why}", failures.len().max(1)),
        )
        .with_failures(failures)
        .with_retry(retry)
    }
}

/// Tells whether every further run would meet the same when it asks again: a limit, a refusal, a form that nobody takes.
pub(super) fn would_meet_again(error: &ExtractError) -> bool {
    use ExtractErrorKind as Kind;
    let lasting = matches!(
        error.kind(),
        Kind::BudgetExhausted
            | Kind::ContextTooLong
            | Kind::Refused
            | Kind::Unsupported
            | Kind::InvalidConfig
    );
    lasting && !error.retry().is_retryable()
}

/// How many items were kept and left out.
struct Kept {
    kept: usize,
    all: usize,
}

impl Kept {
    #[expect(clippy::cast_precision_loss, reason = "counts of items are small")]
    fn share_kept(&self) -> f64 {
        if self.all == 0 { 1.0 } else { self.kept as f64 / self.all as f64 }
    }
}

fn count_items(value: &Value, removed: &[String]) -> Kept {
    let lists: HashSet<&str> =
        removed.iter().filter_map(|path| pointer::parent(path)).map(|(list, _)| list).collect();
    let all =
        lists.iter().filter_map(|list| value.pointer(list)).filter_map(Value::as_array).map(Vec::len).sum();
    let gone: HashSet<&String> = removed.iter().collect();
    Kept { kept: usize::saturating_sub(all, gone.len()), all }
}

/// Stands for an error whose words may repeat a person's.
#[derive(Debug)]
struct Opaque(serde_json::error::Category);

impl std::fmt::Display for Opaque {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the type turned the value down ({:?})", self.0)
    }
}

impl std::error::Error for Opaque {}
