//! The first answer: asking until something can be made of one, and what to do when nothing can.

use std::collections::HashSet;

use serde::de::DeserializeOwned;

use super::Job;
use super::ask::{Answer, Asked};
use crate::extract::fence::Fence;
use crate::extract::form::{Form, WRAPPER};
use crate::extract::read::{Draft, Fault, kind_of};
use crate::extract::refusal::{self, NotEmpty};
use crate::extract::{
    AttemptKind, AttemptOutcome, ExtractError, ExtractErrorKind, Failure, Result, Unresolved, pointer,
    repetition,
};
use crate::report::Rule;

/// An answer that nothing can be made of.
struct Hopeless {
    kind: ExtractErrorKind,
    expected: String,
    failures: Vec<Failure>,
    source: Option<crate::Error>,
    /// The items of a list that stand before the cut.
    kept: Option<Box<Draft>>,
}

impl<T: DeserializeOwned> Job<'_, T> {
    /// Asks until there is an answer that something can be made of.
    pub(super) async fn first_draft(&self, fence: &Fence, rounds: &mut u32) -> Result<Draft> {
        let engine = self.engine;
        let mut again = String::new();
        let mut earlier: HashSet<String> = HashSet::new();
        let mut kept: Option<Box<Draft>> = None;
        loop {
            let kind = if again.is_empty() { AttemptKind::Ask } else { AttemptKind::Reask };
            let asked = Asked { kind, again: &again, form: &engine.form, rendered: &engine.rendered };
            let answer = self.ask(fence, &asked).await?;
            let mut hopeless = match self.read(&answer) {
                Ok(mut draft) => {
                    self.report(&mut draft);
                    return Ok(draft);
                }
                Err(hopeless) => hopeless,
            };
            let failures = hopeless.failures.clone();
            self.ledger
                .amend(self.part_index(), AttemptOutcome::Rejected { reason: hopeless.kind, failures });
            let repeated = !earlier.insert(answer.text);
            let split = self.splittable && hopeless.kind == ExtractErrorKind::Truncated;
            let final_kind = matches!(hopeless.kind, ExtractErrorKind::Refused | ExtractErrorKind::Protocol);
            if engine.unresolved == Unresolved::DropItems
                && let Some(better) = hopeless.kept.take()
                && kept.as_ref().is_none_or(|kept| items_of(kept) < items_of(&better))
            {
                kept = Some(better);
            }
            if final_kind || repeated || split || *rounds == 0 {
                return match kept.filter(|_| hopeless.kind == ExtractErrorKind::Truncated && !split) {
                    Some(mut draft) => {
                        self.report(&mut draft);
                        Ok(*draft)
                    }
                    None => Err(hopeless.into_error(repeated)),
                };
            }
            *rounds -= 1;
            again = engine.prompt.again_whole(hopeless.kind, &hopeless.expected);
        }
    }

    /// Makes what can be made of an answer.
    fn read(&self, answer: &Answer) -> Result<Draft, Hopeless> {
        let engine = self.engine;
        let hopeless = |kind, expected: &str| Hopeless {
            kind,
            expected: expected.to_owned(),
            failures: Vec::new(),
            source: None,
            kept: None,
        };
        if repetition::loops(&answer.text) && answer.cut {
            return Err(hopeless(ExtractErrorKind::Looping, ""));
        }
        let read = engine.reader.read(&answer.text);
        let read = match read {
            Ok(draft) if engine.form.wrapped => {
                let draft = unwrapped(draft, &engine.form);
                // a model may leave the wrapper out, or name it otherwise
                match engine.bare.as_ref().filter(|_| draft.lacks_root()) {
                    Some(bare) => {
                        // `{}` may mean nothing found or nothing said: that is asked again
                        let sure = |bare: &Draft| !bare.lacks_root() && !bare.report.has(Rule::NullAsEmpty);
                        Ok(bare.read(&answer.text).ok().filter(sure).unwrap_or(draft))
                    }
                    None => Ok(draft),
                }
            }
            Ok(draft) => Ok(draft),
            Err(error) => match &engine.bare {
                Some(bare) => bare.read(&answer.text).map_err(|_| error),
                None => Err(error),
            },
        };
        // servers say `stop` of answers that break off, too
        let breaks_off =
            |draft: &Draft| draft.report.has(Rule::Truncated) || draft.report.has(Rule::IncompleteDropped);
        match read {
            // what was cut off is missing, however good the rest is; what came before is kept for the case that asking
            // again is no better
            Ok(draft) if answer.cut || breaks_off(&draft) => {
                let kept = before_the_cut(draft, &engine.form).map(Box::new);
                Err(Hopeless { kept, ..hopeless(ExtractErrorKind::Truncated, "") })
            }
            Ok(draft)
                if !draft.faults.is_empty()
                    && refusal::is_error_body(&answer.text, |name| engine.marks.names(name)) =>
            {
                Err(hopeless(ExtractErrorKind::Protocol, ""))
            }
            Ok(draft)
                if engine.form.wrapped
                    && draft.value.as_array().is_some_and(Vec::is_empty)
                    && let Some(why) =
                        refusal::not_empty(&answer.text, WRAPPER, |name| engine.marks.names(name)) =>
            {
                let kind = match why {
                    NotEmpty::Refused => ExtractErrorKind::Refused,
                    NotEmpty::Error => ExtractErrorKind::Protocol,
                    NotEmpty::NoValue => ExtractErrorKind::OffSchema,
                };
                Err(hopeless(kind, WRAPPER))
            }
            Ok(draft) => match draft.faults.iter().find(|fault| fault.path.is_empty()) {
                // nothing of the value is there
                Some(fault) => {
                    let declined = refusal::declines(&answer.text);
                    let kind = if declined { ExtractErrorKind::Refused } else { fault.kind };
                    Err(Hopeless {
                        kind,
                        expected: fault.expected.clone(),
                        failures: vec![Failure::new("", kind, fault.expected.clone())],
                        source: None,
                        kept: None,
                    })
                }
                None => Ok(draft),
            },
            Err(unreadable) => {
                let kind = if refusal::is_error_body(&answer.text, |name| engine.marks.names(name)) {
                    ExtractErrorKind::Protocol
                } else if refusal::declines(&answer.text) {
                    ExtractErrorKind::Refused
                } else if repetition::loops(&answer.text) {
                    ExtractErrorKind::Looping
                } else if answer.cut {
                    ExtractErrorKind::Truncated
                } else {
                    kind_of(unreadable.kind)
                };
                let failures = unreadable.error.failures().iter().map(|failure| {
                    let path = engine.marks.without_texts(&failure.path.to_pointer());
                    Failure::new(path, kind_of(failure.kind), failure.expected.clone())
                });
                Err(Hopeless {
                    kind,
                    expected: unreadable.error.expected().unwrap_or_default().to_owned(),
                    failures: failures.collect(),
                    source: Some(unreadable.error),
                    kept: None,
                })
            }
        }
    }
}

impl Hopeless {
    fn into_error(self, repeated: bool) -> ExtractError {
        let tried = match self.kind {
            ExtractErrorKind::Refused => "the model declined to answer",
            ExtractErrorKind::Protocol => "the model's answer is the report of an error",
            ExtractErrorKind::Looping => "the answer repeats itself without end",
            ExtractErrorKind::Truncated => "the answer was cut off",
            _ => "nothing in the answer fits the schema",
        };
        let mut error = if repeated {
            ExtractError::new(self.kind, format!("{tried}, and the same answer came again"))
                .with_retry(pumasi_core::Retry::Never)
        } else {
            ExtractError::new(self.kind, tried)
        };
        error = error.with_failures(self.failures);
        match self.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

/// Keeps the items of a list that stand whole before the cut; `None` if there is none, or the value is no list.
fn before_the_cut(mut draft: Draft, form: &Form) -> Option<Draft> {
    const REST: &str = "the rest of the answer, which was cut off";
    let items = draft.value.as_array()?;
    let (last, length) = (format!("/{}", items.len().checked_sub(1)?), items.len());
    let prefix = if form.wrapped { format!("/{WRAPPER}") } else { String::new() };
    let cut_inside = draft.cut_places().any(|place| {
        let place = place.strip_prefix(&prefix).unwrap_or(&place);
        pointer::within(place, &last)
    });
    let faulty = draft.faults.iter().any(|fault| pointer::within(&fault.path, &last));
    let place = if cut_inside || faulty {
        draft.faults.retain(|fault| !pointer::within(&fault.path, &last));
        pointer::set(&mut draft.value, &last, serde_json::Value::Null);
        last
    } else {
        format!("/{length}")
    };
    draft.dropped.push(Fault::new(place, ExtractErrorKind::Truncated, REST));
    (items_of(&draft) > 0).then_some(draft)
}

/// Counts the items of a list that have no fault.
fn items_of(draft: &Draft) -> usize {
    let items = draft.value.as_array().map_or(&[][..], Vec::as_slice);
    let good = |(index, item): &(usize, &serde_json::Value)| {
        let place = format!("/{index}");
        !item.is_null() && !draft.faults.iter().any(|fault| pointer::within(&fault.path, &place))
    };
    items.iter().enumerate().filter(good).count()
}

/// Takes the value, and the places of the faults, out of the wrapper.
fn unwrapped(mut draft: Draft, form: &Form) -> Draft {
    let prefix = format!("/{WRAPPER}");
    draft.value = form.unwrap_value(draft.value);
    for fault in &mut draft.faults {
        if let Some(inner) = fault.path.strip_prefix(&prefix) {
            fault.path = inner.to_owned();
        }
    }
    draft
}
