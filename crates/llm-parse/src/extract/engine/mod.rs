//! One source (or one part of a long one): ask, read, check, ask again for what failed, settle.

mod ask;
mod check;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::time::Duration;

use pumasi_core::model::{ChatModel, Price};
use pumasi_core::time::Clock;
use serde::de::DeserializeOwned;
use serde_json::Value;

use self::ask::{Answer, Asked};
use super::cache::AnswerCache;
use super::form::Form;
use super::ledger::Ledger;
use super::marks::Marks;
use super::merge::Part;
use super::prompt::{Again, Fence, Prompt, Shot};
use super::quotes::Judge;
use super::read::{Draft, Fault, Reader};
use super::sighting::Tell;
use super::validate::Validators;
use super::{
    AnswerLanguage, AskMode, Attempt, AttemptKind, AttemptOutcome, Budget, ExtractError, ExtractErrorKind,
    Failure, Grounding, Result, TokenMeter, Unresolved, pointer, refusal, repetition,
};
use crate::report::Rule;

/// The most places that are asked for in one question.
const MAX_PARTS: usize = 40;

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

/// An answer that nothing can be made of.
struct Hopeless {
    kind: ExtractErrorKind,
    expected: String,
    failures: Vec<Failure>,
    source: Option<crate::Error>,
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
            let faults = self.check(&draft);
            self.amend(&faults);
            if faults.is_empty() {
                break;
            }
            draft.faults = faults;
            if rounds == 0 || stuck || gave_up.is_some() {
                break;
            }
            rounds -= 1;
            match self.ask_again(&fence, &mut draft, &mut earlier).await {
                Ok(changed) => stuck = !changed,
                Err(error) => gave_up = Some(error),
            }
        }
        let clean = draft.faults.is_empty() && draft.dropped.is_empty();
        let part = self.settle(draft, stuck, gave_up)?;
        if clean {
            self.to_cache(&part).await;
        }
        Ok(part.0)
    }

    /// Asks until there is an answer that something can be made of.
    async fn first_draft(&self, fence: &Fence, rounds: &mut u32) -> Result<Draft> {
        let engine = self.engine;
        let mut again = String::new();
        let mut earlier: HashSet<String> = HashSet::new();
        loop {
            let kind = if again.is_empty() { AttemptKind::Ask } else { AttemptKind::Reask };
            let asked = Asked { kind, again: &again, form: &engine.form, rendered: &engine.rendered };
            let answer = self.ask(fence, &asked).await?;
            let hopeless = match self.read(&answer) {
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
            if final_kind || repeated || split || *rounds == 0 {
                return Err(hopeless.into_error(repeated));
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
        match read {
            // what was cut off is missing, however good the rest is
            Ok(_) if answer.cut => Err(hopeless(ExtractErrorKind::Truncated, "")),
            Ok(draft)
                if !draft.faults.is_empty()
                    && !engine.marks.names("error")
                    && refusal::is_error_body(&answer.text) =>
            {
                Err(hopeless(ExtractErrorKind::Protocol, ""))
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
                    })
                }
                None => Ok(draft),
            },
            Err(unreadable) => {
                let kind = if refusal::is_error_body(&answer.text) {
                    ExtractErrorKind::Protocol
                } else if refusal::declines(&answer.text) {
                    ExtractErrorKind::Refused
                } else if repetition::loops(&answer.text) {
                    ExtractErrorKind::Looping
                } else if answer.cut {
                    ExtractErrorKind::Truncated
                } else {
                    super::read::kind_of(unreadable.kind)
                };
                let failures = unreadable.error.failures().iter().map(|failure| {
                    let path = engine.marks.without_texts(&failure.path.to_pointer());
                    Failure::new(path, super::read::kind_of(failure.kind), failure.expected.clone())
                });
                Err(Hopeless {
                    kind,
                    expected: unreadable.error.expected().unwrap_or_default().to_owned(),
                    failures: failures.collect(),
                    source: Some(unreadable.error),
                })
            }
        }
    }

    /// Asks for the faulty places only, and puts the answers into the draft. `false` if nothing new came.
    async fn ask_again(
        &self,
        fence: &Fence,
        draft: &mut Draft,
        earlier: &mut HashSet<String>,
    ) -> Result<bool> {
        let engine = self.engine;
        let places = asked_places(&draft.faults);
        let mut parts: Vec<(String, Value)> = Vec::new();
        let mut told: Vec<Told> = Vec::new();
        for (number, fault) in places.iter().enumerate() {
            let name = (number + 1).to_string();
            let schema = engine.marks.at(&fault.path);
            let item = pointer::item_around(&draft.value, &fault.path);
            let nullable = accepts_null(&schema);
            let droppable = item.is_some() && !nullable && engine.unresolved == Unresolved::DropItems;
            let schema = if droppable { or_null(&schema) } else { schema };
            let got = fault.got.clone().or_else(|| draft.value.pointer(&fault.path).map(Value::to_string));
            let within = item
                .as_deref()
                .filter(|item| *item != fault.path)
                .and_then(|item| draft.value.pointer(item))
                .map(Value::to_string);
            parts.push((name.clone(), schema));
            told.push(Told {
                name,
                got: fence.harmless(&shortened(got.as_deref().unwrap_or("null"), 240)).into_owned(),
                within: within.map(|within| fence.harmless(&shortened(&within, 600)).into_owned()),
                droppable,
            });
        }
        let lines: Vec<Again<'_>> = places
            .iter()
            .zip(&told)
            .map(|(fault, told)| Again {
                name: &told.name,
                path: &fault.path,
                expected: &fault.expected,
                got: &told.got,
                within: told.within.as_deref(),
                droppable: told.droppable,
            })
            .collect();
        let again = engine.prompt.again(&lines);
        let form = Form::of_parts(&engine.schema, &parts);
        let unreadable = |error: crate::Error| {
            ExtractError::new(ExtractErrorKind::InvalidConfig, "the schema of a part cannot be read")
                .with_source(error)
        };
        let reader = Reader::new(&form.schema).map_err(unreadable)?;
        let rendered = crate::Schema::from_json(&form.schema).map_err(unreadable)?.render_prompt();
        let asked = Asked { kind: AttemptKind::Reask, again: &again, form: &form, rendered: &rendered };
        let answer = self.ask(fence, &asked).await?;
        let Ok(mut reply) = reader.read(&answer.text) else {
            // the faults stay; the same answer again ends the asking
            return Ok(earlier.insert(answer.text));
        };
        // a part that was left out is not a null that was given
        let left_out: HashSet<String> = reply
            .report
            .repairs
            .iter()
            .filter(|repair| repair.rule == crate::Rule::DefaultFilled)
            .filter_map(|repair| repair.path.as_ref().map(crate::Path::to_pointer))
            .collect();
        self.report(&mut reply);
        let mut changed = false;
        let mut kept: Vec<Fault> = Vec::new();
        let places: Vec<Fault> = places.into_iter().cloned().collect();
        for (fault, told) in places.into_iter().zip(&told) {
            let here = format!("/{}", told.name);
            let bad = reply.faults.iter().any(|other| pointer::within(&other.path, &here));
            if left_out.contains(&here) {
                kept.push(fault);
                continue;
            }
            match reply.value.pointer_mut(&here).map(Value::take) {
                Some(Value::Null) if told.droppable => {
                    // taken out when the draft is settled, with the reason it was asked for
                    let item = pointer::item_around(&draft.value, &fault.path).unwrap_or_default();
                    changed = true;
                    pointer::set(&mut draft.value, &item, Value::Null);
                    draft.dropped.push(Fault { path: item, ..fault });
                }
                Some(new) if !bad => {
                    changed |= draft.value.pointer(&fault.path) != Some(&new);
                    if !pointer::set(&mut draft.value, &fault.path, new) {
                        kept.push(fault);
                    }
                }
                _ => kept.push(fault),
            }
        }
        // faults that were not asked for this time are still there
        kept.extend(draft.faults.iter().filter(|fault| !asked_about(fault, &lines)).cloned());
        draft.faults = kept;
        draft.confidence = draft.confidence.min(reply.confidence);
        Ok(earlier.insert(answer.text) && changed)
    }

    /// Turns the draft into a value: faulty items are left out, or the extraction fails.
    fn settle(
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
        if let Some(first) = lasting.first() {
            return Err(gave_up.unwrap_or_else(|| Self::turned_down(first.kind, failures, stuck)));
        }
        items.extend(draft.dropped.iter().map(|fault| fault.path.clone()));
        let before = count_items(&draft.value, &items);
        let moves = pointer::remove_items(&mut draft.value, &items);
        drop(moves);
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
        Ok((Part { value, grounding, rejected: failures, confidence }, draft.value))
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

    async fn cached(&self) -> Option<Part<T>> {
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

    async fn to_cache(&self, (part, value): &(Part<T>, Value)) {
        if let Some(cache) = &self.engine.cache {
            cache.set(&self.cache_key(), value, part.confidence).await;
        }
    }

    /// The key of what is asked first: equal for equal questions, whatever their fence.
    fn cache_key(&self) -> String {
        let engine = self.engine;
        let asked =
            Asked { kind: AttemptKind::Ask, again: "", form: &engine.form, rendered: &engine.rendered };
        let mode = engine.modes.first().copied().unwrap_or(AskMode::Text);
        let request = self.request(&Fence::fixed(), &asked, mode);
        format!("extract:{}:{}", engine.version, request.key(engine.model.name()))
    }
}

impl<T> Job<'_, T> {
    fn part_index(&self) -> Option<usize> {
        self.part.map(|(part, _)| part)
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

/// What the model is told of a place.
struct Told {
    name: String,
    got: String,
    within: Option<String>,
    droppable: bool,
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

/// The faults that are asked about: none within another, and not too many at once.
fn asked_places(faults: &[Fault]) -> Vec<&Fault> {
    let mut places: Vec<&Fault> = Vec::new();
    for fault in faults {
        let covered =
            faults.iter().any(|other| other.path != fault.path && pointer::within(&fault.path, &other.path));
        if !covered && places.len() < MAX_PARTS && !places.iter().any(|other| other.path == fault.path) {
            places.push(fault);
        }
    }
    places
}

fn asked_about(fault: &Fault, lines: &[Again<'_>]) -> bool {
    lines.iter().any(|line| pointer::within(&fault.path, line.path))
}

/// Takes the value, and the places of the faults, out of the wrapper.
fn unwrapped(mut draft: Draft, form: &Form) -> Draft {
    let prefix = format!("/{}", super::form::WRAPPER);
    draft.value = form.unwrap_value(draft.value);
    for fault in &mut draft.faults {
        if let Some(inner) = fault.path.strip_prefix(&prefix) {
            fault.path = inner.to_owned();
        }
    }
    draft
}

fn accepts_null(schema: &Value) -> bool {
    let is_null = |name: &Value| name == "null";
    match schema.get("type") {
        Some(Value::Array(types)) => types.iter().any(is_null),
        Some(one) => is_null(one),
        None => schema.get("anyOf").and_then(Value::as_array).is_some_and(|all| all.iter().any(accepts_null)),
    }
}

fn or_null(schema: &Value) -> Value {
    serde_json::json!({"anyOf": [schema, {"type": "null"}]})
}

fn shortened(text: &str, characters: usize) -> String {
    let mut out: String = text.chars().take(characters).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
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

/// An example whose value is in the form that answers are in.
pub(crate) fn shot(form: &Form, source: String, value: Value) -> Shot {
    Shot { source, answer: form.wrap_value(value) }
}
