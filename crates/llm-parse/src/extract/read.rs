//! Reads an answer into a value and the places of it that failed, so that only those are asked for again.

use serde_json::{Map, Value};

use super::ExtractErrorKind;
use super::pointer;
use crate::{Error, ErrorKind, Parser, Policy, Repair, Report, Rule, Schema};

/// A place that was turned down, with the words that the model is told about it. Never leaves the extractor as it is.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    /// The place, in the numbering of the draft.
    pub(crate) path: String,
    pub(crate) kind: ExtractErrorKind,
    pub(crate) expected: String,
    /// What stood there, if the draft does not have it.
    pub(crate) got: Option<String>,
}

impl Fault {
    pub(crate) fn new(path: impl Into<String>, kind: ExtractErrorKind, expected: impl Into<String>) -> Self {
        Self { path: path.into(), kind, expected: expected.into(), got: None }
    }
}

/// A value that may have bad places.
///
/// Lists keep the numbering of the answer: an item that could not be read at all is null and has a fault.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) value: Value,
    pub(crate) faults: Vec<Fault>,
    /// Items that the model took back when it was asked again; each is null in the value.
    pub(crate) dropped: Vec<Fault>,
    pub(crate) report: Report,
    pub(crate) confidence: f32,
}

impl Draft {
    /// Makes a draft without faults.
    pub(crate) fn clean(value: Value, confidence: f32) -> Self {
        Self { value, faults: Vec::new(), dropped: Vec::new(), report: Report::default(), confidence }
    }

    /// Returns the places in which the answer broke off.
    pub(crate) fn cut_places(&self) -> impl Iterator<Item = String> {
        let cut = |repair: &&Repair| matches!(repair.rule, Rule::Truncated | Rule::IncompleteDropped);
        let place = |repair: &Repair| repair.path.as_ref().map(crate::Path::to_pointer).unwrap_or_default();
        self.report.repairs.iter().filter(cut).map(place)
    }

    /// Tells whether nothing of the value is there.
    pub(crate) fn lacks_root(&self) -> bool {
        self.faults.iter().any(|fault| fault.path.is_empty())
    }
}

/// An answer in which there is no value.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) kind: ErrorKind,
    pub(crate) error: Error,
}

/// Reads answers by one schema.
#[derive(Debug)]
pub(crate) struct Reader {
    json: Value,
    parser: Parser<Value>,
}

impl Reader {
    pub(crate) fn new(schema: &Value) -> Result<Self, Error> {
        let compiled = Schema::from_json(schema)?;
        Ok(Self { json: schema.clone(), parser: Parser::with_schema(compiled).with_policy(Policy::Salvage) })
    }

    /// Reads `raw`: local repair first; what does not fit the schema becomes a fault at its place.
    pub(crate) fn read(&self, raw: &str) -> Result<Draft, Unreadable> {
        read(&self.parser, &self.json, raw, 0)
    }
}

/// How deep bad items within bad items are looked into.
const MAX_DEPTH: usize = 4;
/// How many times places are taken out of the schema, each time all that failed.
const MAX_ROUNDS: usize = 4;

fn read(parser: &Parser<Value>, schema: &Value, raw: &str, depth: usize) -> Result<Draft, Unreadable> {
    let mut draft = match parser.parse(raw) {
        Ok(parsed) => draft_of(parsed, schema, raw, depth),
        Err(error) => relaxed(schema, raw, depth, error)?,
    };
    draft.faults.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(draft)
}

/// Reads with the failing places taken out of the schema, so that the good ones are kept.
fn relaxed(schema: &Value, raw: &str, depth: usize, error: Error) -> Result<Draft, Unreadable> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut loose = schema.clone();
    let mut error = error;
    for _ in 0..MAX_ROUNDS {
        let places: Vec<(String, Fault)> = error
            .failures()
            .iter()
            .map(|failure| (failure.path.to_pointer(), failure))
            .filter(|(path, _)| !path.is_empty())
            .map(|(path, failure)| {
                let fault = Fault::new(&path, kind_of(failure.kind), expectation(failure));
                (path, fault)
            })
            .filter(|(path, _)| !faults.iter().any(|fault| fault.path == *path))
            .collect();
        if places.is_empty() {
            break;
        }
        for (path, fault) in places {
            loosen(&mut loose, &path);
            faults.push(fault);
        }
        let Ok(compiled) = Schema::from_json(&loose) else { break };
        match Parser::with_schema(compiled).with_policy(Policy::Salvage).parse(raw) {
            Ok(parsed) => {
                let mut draft = draft_of(parsed, &loose, raw, depth);
                draft.faults.extend(faults);
                return Ok(draft);
            }
            Err(next) => error = next,
        }
    }
    Err(Unreadable { kind: error.kind(), error })
}

fn draft_of(parsed: crate::Parsed<Value>, schema: &Value, raw: &str, depth: usize) -> Draft {
    let mut draft = Draft::clean(parsed.value, parsed.confidence);
    draft.report = parsed.report;
    // items come in the order of the answer, and every index counts the bad ones before it as well
    for rejected in parsed.rejected {
        let path = rejected.path.to_pointer();
        let item_schema = super::marks::Marks::new(schema).at(&path);
        let text = rejected.span.of(raw);
        let inner = if depth < MAX_DEPTH && !text.trim().is_empty() {
            let rooted = rooted(schema, &item_schema);
            Schema::from_json(&rooted).ok().and_then(|compiled| {
                let parser = Parser::with_schema(compiled).with_policy(Policy::Salvage);
                read(&parser, &rooted, text, depth + 1).ok()
            })
        } else {
            None
        };
        match inner {
            Some(inner) if !inner.faults.is_empty() && !inner.value.is_null() => {
                insert(&mut draft.value, &path, inner.value);
                draft.faults.extend(
                    inner
                        .faults
                        .into_iter()
                        .map(|fault| Fault { path: format!("{path}{}", fault.path), ..fault }),
                );
            }
            _ => {
                insert(&mut draft.value, &path, Value::Null);
                let mut fault =
                    Fault::new(&path, ExtractErrorKind::OffSchema, rejected_expectation(&rejected));
                fault.got = Some(text.to_owned());
                draft.faults.push(fault);
            }
        }
    }
    draft
}

/// Puts an item back at its place in the list.
fn insert(root: &mut Value, path: &str, item: Value) {
    let Some((list, index)) = pointer::parent(path) else { return };
    if let (Some(Value::Array(items)), Ok(index)) = (root.pointer_mut(list), index.parse::<usize>()) {
        let index = index.min(items.len());
        items.insert(index, item);
    }
}

/// Makes the schema of a part stand alone.
fn rooted(root: &Value, part: &Value) -> Value {
    let mut part = part.clone();
    if let Value::Object(map) = &mut part {
        for word in ["$defs", "definitions"] {
            if let Some(definitions) = root.get(word) {
                map.insert(word.to_owned(), definitions.clone());
            }
        }
    }
    part
}

/// Takes the place out of the schema: anything may stand there, or nothing.
fn loosen(schema: &mut Value, path: &str) {
    let steps: Vec<String> = pointer::steps(path).collect();
    let root = schema.clone();
    let mut here = schema;
    for (at, step) in steps.iter().enumerate() {
        inline(&root, here);
        if let Some(Value::Array(required)) = here.get_mut("required")
            && at + 1 == steps.len()
        {
            required.retain(|name| name.as_str() != Some(step));
        }
        let is_field = here.get("properties").and_then(|all| all.get(step)).is_some();
        let next = if is_field {
            here.get_mut("properties").and_then(|all| all.get_mut(step))
        } else if step.parse::<usize>().is_ok() {
            here.get_mut("items")
        } else {
            here.get_mut("additionalProperties").filter(|rest| rest.is_object())
        };
        match next {
            Some(next) => here = next,
            None => return,
        }
    }
    *here = Value::Object(Map::new());
}

/// Replaces a reference by what it refers to, and an optional object by the object, so that a place in it can be changed.
fn inline(root: &Value, here: &mut Value) {
    for _ in 0..16 {
        if let Some(target) =
            here.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'))
            && let Some(inner) = root.pointer(target)
        {
            *here = inner.clone();
            continue;
        }
        let null = |option: &Value| option.get("type").and_then(Value::as_str) == Some("null");
        if let Some(Value::Array(options)) = here.get("anyOf")
            && let [one] = options.iter().filter(|option| !null(option)).collect::<Vec<_>>().as_slice()
        {
            *here = (*one).clone();
            continue;
        }
        break;
    }
}

fn expectation(failure: &crate::Failure) -> String {
    match failure.detail {
        Some(detail) => format!("{} ({detail})", failure.expected),
        None => failure.expected.clone(),
    }
}

fn rejected_expectation(rejected: &crate::Rejected) -> String {
    rejected.failures.first().map_or_else(String::new, expectation)
}

pub(crate) fn kind_of(kind: ErrorKind) -> ExtractErrorKind {
    match kind {
        ErrorKind::Truncated => ExtractErrorKind::Truncated,
        ErrorKind::Refused => ExtractErrorKind::Refused,
        ErrorKind::Schema => ExtractErrorKind::InvalidConfig,
        _ => ExtractErrorKind::OffSchema,
    }
}
