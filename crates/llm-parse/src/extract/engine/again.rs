//! Asking again, for the places that failed and nothing else.

use std::collections::HashSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Job;
use super::ask::Asked;
use crate::extract::fence::Fence;
use crate::extract::form::Form;
use crate::extract::prompt::Again;
use crate::extract::read::{Draft, Fault, Reader};
use crate::extract::{AttemptKind, ExtractError, ExtractErrorKind, Result, Unresolved, pointer};

/// The most places that are asked for in one question.
const MAX_PARTS: usize = 40;

/// What the model is told of a place.
struct Told {
    name: String,
    path: String,
    got: String,
    within: Option<String>,
    droppable: bool,
}

impl<T: DeserializeOwned> Job<'_, T> {
    /// Asks for the faulty places only, and puts the answers into the draft. `false` if nothing new came.
    pub(super) async fn ask_again(
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
                path: shortened(&fault.path, 240),
                got: shortened(got.as_deref().unwrap_or("null"), 240),
                within: within.map(|within| shortened(&within, 600)),
                droppable,
            });
        }
        let lines: Vec<Again<'_>> = places
            .iter()
            .zip(&told)
            .map(|(fault, told)| Again {
                name: &told.name,
                path: &told.path,
                expected: &fault.expected,
                got: &told.got,
                within: told.within.as_deref(),
                droppable: told.droppable,
            })
            .collect();
        let again = engine.prompt.again(fence, &lines);
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
        let cut: Vec<String> = reply.cut_places().collect();
        self.report(&mut reply);
        // and another try may be whole
        let mut changed = !cut.is_empty();
        let mut kept: Vec<Fault> = Vec::new();
        let places: Vec<Fault> = places.into_iter().cloned().collect();
        let asked: Vec<String> = places.iter().map(|fault| fault.path.clone()).collect();
        for (fault, told) in places.into_iter().zip(&told) {
            let here = format!("/{}", told.name);
            // what broke off is not what was asked for
            let bad = reply.faults.iter().any(|other| pointer::within(&other.path, &here))
                || cut.iter().any(|place| pointer::within(place, &here));
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
        let open = |fault: &&Fault| !asked.iter().any(|place| pointer::within(&fault.path, place));
        kept.extend(draft.faults.iter().filter(open).cloned());
        // and none is left in an item that the model took back
        kept.retain(|fault| !draft.dropped.iter().any(|gone| pointer::within(&fault.path, &gone.path)));
        draft.faults = kept;
        draft.confidence = draft.confidence.min(reply.confidence);
        Ok(earlier.insert(answer.text) && changed)
    }
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
