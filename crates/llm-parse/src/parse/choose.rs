//! Which of an answer's candidates is the answer.

use super::{Policy, empty, mapping};
use crate::align::collect;
use crate::align::{Aligner, Fit, Slot};
use crate::error::{Error, ErrorKind, Result};
use crate::report::{Repair, Rule, Severity};
use crate::schema::Schema;
use crate::schema::shape::{Kind as ShapeKind, ShapeId};
use crate::syntax::{Candidate, Cue, Document, Origin};
use crate::tree::{Kind, NodeId, Span};

#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) policy: Policy,
    pub(super) merge: bool,
}

pub(super) struct Chosen {
    pub(super) slot: Slot,
    pub(super) fit: Fit,
    pub(super) repairs: Vec<Repair>,
}

/// Fits whose cost differs by less compete as equals.
const MARGIN: u32 = 12;

/// What a root of the schema asks of running text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    /// Any text is a value.
    Text,
    /// A number, a truth value, a label: may be named in a sentence.
    Scalar,
    /// Lists and objects.
    Structure,
    Any,
}

fn wants(schema: &Schema) -> Wants {
    let shapes = schema.shapes();
    match &shapes.get(shapes.root).kind {
        ShapeKind::Text(_) => Wants::Text,
        ShapeKind::Any => Wants::Any,
        ShapeKind::Record(_) | ShapeKind::List(_) => Wants::Structure,
        ShapeKind::Union(union) => {
            let all = |test: fn(&ShapeKind) -> bool| {
                union.variants.iter().all(|id: &ShapeId| test(&shapes.get(*id).kind))
            };
            if all(|kind| matches!(kind, ShapeKind::Record(_) | ShapeKind::List(_))) {
                Wants::Structure
            } else if all(|kind| !matches!(kind, ShapeKind::Record(_) | ShapeKind::List(_))) {
                Wants::Scalar
            } else {
                Wants::Structure
            }
        }
        _ => Wants::Scalar,
    }
}

/// How much the words around a candidate speak for it.
pub(crate) fn rank(candidate: &Candidate) -> u8 {
    match candidate.cue() {
        Cue::Final | Cue::Corrected => 3,
        Cue::None => 2,
        Cue::Draft => 1,
        Cue::Example | Cue::Schema | Cue::Rejected => 0,
    }
}

/// Braces and brackets of its own, as opposed to readings of plain lines.
pub(crate) fn is_explicit(candidate: &Candidate) -> bool {
    matches!(candidate.origin(), Origin::Whole | Origin::Fence { .. } | Origin::Prose | Origin::Sequence)
}

struct Tried {
    at: usize,
    slot: Slot,
    fit: Fit,
}

pub(super) fn choose(
    aligner: &mut Aligner<'_>,
    document: &Document,
    raw: &str,
    schema: &Schema,
    rules: Rules,
) -> Result<Chosen> {
    let candidates = document.candidates();
    let wants = wants(schema);
    let open: Vec<usize> = (0..candidates.len()).filter(|at| !thinking(candidates, *at)).collect();
    let outside: Vec<usize> = open.iter().copied().filter(|at| !is_text(candidates, *at)).collect();
    // The text of an answer that was taken back still holds that answer.
    let taken_back = wants != Wants::Text && holds_refused(candidates, &outside, wants);
    let text = open.iter().copied().find(|at| is_text(candidates, *at) && !taken_back);
    // A text is its own answer; only a JSON string that is the whole answer, or a fence around it, is unpacked.
    if wants == Wants::Text
        && let Some(chosen) = choose_text(aligner, document, &outside, text)
    {
        return Ok(chosen);
    }
    let (explicit, mut implied): (Vec<usize>, Vec<usize>) =
        outside.iter().copied().partition(|at| candidates.get(*at).is_some_and(is_explicit));
    let before = implied.len();
    let brackets =
        if implied.is_empty() { Vec::new() } else { mapping::in_order(document, explicit.clone()) };
    implied.retain(|at| !mapping::is_lead_in(document, raw, schema, &brackets, *at));
    // Nor is `Example: 5` read as a mapping a way around what its label says.
    if wants == Wants::Scalar
        && let Some(text) = text.and_then(|at| candidates.get(at))
        && rank(text) == 0
    {
        implied.retain(|at| candidates.get(*at).is_some_and(|other| !other.span().contains(text.span())));
    }
    let read = candidates.len() - (before - implied.len());
    let mapping::Outlines { around, held } =
        mapping::outlines(aligner, document, raw, schema, &implied, &brackets);
    let explicit: Vec<usize> = explicit.into_iter().filter(|at| held.binary_search(at).is_err()).collect();
    // The keys and values around a bracket come first where the bracket is one of the values, but for a value that is called
    // the final one.
    let last = |group: &[usize]| group.iter().any(|at| candidates.get(*at).is_some_and(|c| rank(c) == 3));
    let mut groups: Vec<&[usize]> = vec![&around, &explicit];
    if !around.is_empty() && last(&explicit) && !last(&around) {
        groups.swap(0, 1);
    }
    let text = text.map(|at| vec![at]).unwrap_or_default();
    if matches!(wants, Wants::Scalar) {
        groups.extend([text.as_slice(), implied.as_slice()]);
    } else {
        groups.extend([implied.as_slice(), text.as_slice()]);
    }
    let mut failed: Option<Tried> = None;
    for group in groups {
        // The text around a value in brackets that does not fit is no way around it.
        let unfit = |tried: &Tried| candidates.get(tried.at).is_some_and(is_explicit);
        if wants == Wants::Structure && group == text.as_slice() && failed.as_ref().is_some_and(unfit) {
            continue;
        }
        for tier in [3, 2, 1] {
            let tier: Vec<usize> = group
                .iter()
                .copied()
                .filter(|at| candidates.get(*at).is_some_and(|c| rank(c) == tier))
                .collect();
            if tier.is_empty() {
                continue;
            }
            if let Some(mut chosen) = choose_tier(aligner, document, raw, &tier, &mut failed, rules, schema)?
            {
                chosen.rivals |= passed_over(candidates, &outside, chosen.at);
                return Ok(with_cue(chosen, document, raw, read));
            }
        }
        // The text named a value only to deny it, or named two: what plain lines could be read as is no way around that.
        if wants == Wants::Scalar
            && let Some(tried) = &failed
        {
            let whole = candidates.get(tried.at).is_some_and(|c| c.origin() == Origin::Whole);
            let decided = collect(aligner, &tried.slot, schema).failures.iter().any(|failure| {
                failure.kind == ErrorKind::Negated || (!whole && failure.kind == ErrorKind::Ambiguous)
            });
            // Nor is the text a way around an object whose only key denies its value.
            if decided && (whole || (group == text.as_slice() && is_text(candidates, tried.at))) {
                break;
            }
        }
    }
    if let Some(chosen) = last_resort(aligner, document, rules, failed.is_some()) {
        return Ok(chosen);
    }
    match failed {
        Some(tried) if !is_text(candidates, tried.at) || wants == Wants::Scalar => {
            Ok(Chosen { slot: tried.slot, fit: tried.fit, repairs: Vec::new() })
        }
        _ => Err(nothing(document, raw)),
    }
}

/// Tells whether a value in brackets was called an example, a schema or wrong, so that the text is no way around that.
fn holds_refused(candidates: &[Candidate], outside: &[usize], wants: Wants) -> bool {
    let text = candidates.iter().find(|candidate| candidate.origin() == Origin::Text);
    outside.iter().filter_map(|at| candidates.get(*at)).any(|candidate| {
        let first = text.is_some_and(|text| text.span().start == candidate.span().start);
        is_explicit(candidate) && rank(candidate) == 0 && (wants != Wants::Scalar || first)
    })
}

/// Tells whether another value in brackets was left because of the words around it.
fn passed_over(candidates: &[Candidate], outside: &[usize], chosen: usize) -> bool {
    outside.iter().any(|at| {
        *at != chosen
            && candidates.get(*at).is_some_and(|other| is_explicit(other) && rank(other) == 0)
            && !inside(candidates, *at, chosen)
    })
}

fn thinking(candidates: &[Candidate], at: usize) -> bool {
    candidates.get(at).is_some_and(Candidate::is_thinking)
}

fn is_text(candidates: &[Candidate], at: usize) -> bool {
    candidates.get(at).is_some_and(|candidate| candidate.origin() == Origin::Text)
}

struct Picked {
    at: usize,
    slot: Slot,
    fit: Fit,
    repairs: Vec<Repair>,
    rivals: bool,
}

/// Notes how a candidate came to be chosen among `read` of them.
fn with_cue(picked: Picked, document: &Document, raw: &str, read: usize) -> Chosen {
    let mut repairs = picked.repairs;
    if let Some(candidate) = document.candidates().get(picked.at) {
        let note = match rank(candidate) {
            1 => Some((Rule::CandidateGuessed, Severity::Ambiguous)),
            2 if empty::is_spoken_of(document, raw, candidate) => {
                Some((Rule::CandidateGuessed, Severity::Ambiguous))
            }
            3 if read > 2 || picked.rivals => Some((Rule::CandidateChosen, Severity::Repaired)),
            _ if picked.rivals => Some((Rule::CandidateChosen, Severity::Repaired)),
            _ => None,
        };
        if let Some((rule, severity)) = note {
            repairs.push(Repair::new(rule, severity, candidate.span()));
        }
    }
    Chosen { slot: picked.slot, fit: picked.fit, repairs }
}

fn choose_text(
    aligner: &mut Aligner<'_>,
    document: &Document,
    outside: &[usize],
    text: Option<usize>,
) -> Option<Chosen> {
    let candidates = document.candidates();
    let whole = outside.iter().copied().find(|at| {
        candidates.get(*at).is_some_and(|candidate| {
            let string = matches!(document.tree().node(candidate.root()).kind(), Kind::String(_));
            candidate.origin() == Origin::Whole && string
        })
    });
    let at = whole.or(text)?;
    let candidate = candidates.get(at)?;
    aligner.set_prose(whole.is_none());
    let (slot, fit) = aligner.root(candidate.root());
    let repairs = document.repairs(candidate).collect();
    Some(Chosen { slot, fit, repairs })
}

fn choose_tier(
    aligner: &mut Aligner<'_>,
    document: &Document,
    raw: &str,
    tier: &[usize],
    failed: &mut Option<Tried>,
    rules: Rules,
    schema: &Schema,
) -> Result<Option<Picked>> {
    let candidates = document.candidates();
    let mut fitting: Vec<Tried> = Vec::new();
    for at in tier {
        let Some(candidate) = candidates.get(*at) else { continue };
        // Talk is no JSON value: without a schema that asks for text, there is nothing in it.
        let talk = matches!(document.tree().node(candidate.root()).kind(), Kind::String(_) | Kind::Word);
        if talk && candidate.origin() == Origin::Text && takes_any(schema) {
            continue;
        }
        // A quote that was opened says nothing yet.
        if candidate.origin() == Origin::Text && is_quotes(candidate.span().of(raw)) {
            continue;
        }
        aligner.set_prose(candidate.origin() == Origin::Text);
        let (slot, fit) = aligner.root(candidate.root());
        let fit = Fit { cost: fit.cost + origin_cost(candidate), ..fit };
        if fit.errors == 0 {
            fitting.push(Tried { at: *at, slot, fit });
            continue;
        }
        // What is wrong with a value says more than that the talk around it is none.
        let talk = |at| is_text(candidates, at) && wants(schema) != Wants::Scalar;
        let better = |known: &Tried| {
            (talk(*at), fit.errors, fit.cost) < (talk(known.at), known.fit.errors, known.fit.cost)
        };
        if failed.as_ref().is_none_or(better) {
            *failed = Some(Tried { at: *at, slot, fit });
        }
    }
    // What a row of values holds does not compete with the row.
    let row =
        fitting.iter().filter_map(|tried| candidates.get(tried.at)).find(|c| c.origin() == Origin::Sequence);
    if let Some(row) = row.copied() {
        fitting.retain(|tried| {
            candidates
                .get(tried.at)
                .is_some_and(|c| c.origin() == Origin::Sequence || !row.span().contains(c.span()))
        });
    }
    let Some(best) = fitting.iter().map(|tried| tried.fit.cost).min() else { return Ok(None) };
    if fitting.iter().any(|tried| candidates.get(tried.at).is_some_and(|c| c.operand)) {
        let message =
            "the words after a value that fits lead to another one, and nothing says which is meant";
        return Err(Error::new(ErrorKind::Ambiguous, message));
    }
    let cue = tier.first().and_then(|at| candidates.get(*at)).map_or(0, rank) == 3;
    let near: Vec<&Tried> =
        fitting.iter().filter(|tried| cue || tried.fit.cost <= best.saturating_add(MARGIN)).collect();
    let rivals = fitting.len() > 1;
    let pick = |tried: &Tried| {
        let repairs = candidates.get(tried.at).map(|c| document.repairs(c).collect()).unwrap_or_default();
        Picked { at: tried.at, slot: tried.slot, fit: tried.fit, repairs, rivals: false }
    };
    // The last correction counts; of several values under one heading all do.
    if cue {
        let run = last_run(candidates, raw, &near);
        let differ = |tried: &&&Tried| {
            near.last().is_some_and(|last| !aligner.equal(&(tried.slot, tried.fit), &(last.slot, last.fit)))
        };
        if run.iter().any(|tried| differ(&tried)) {
            let roots: Vec<usize> = run.iter().map(|tried| tried.at).collect();
            return match merge(aligner, document, raw, &roots, rules, schema) {
                Some(merged) => Ok(Some(Picked { rivals, ..merged })),
                None => Err(several(run.len())),
            };
        }
        return Ok(near.last().map(|tried| Picked { rivals, ..pick(tried) }));
    }
    let first = near.iter().min_by_key(|tried| tried.fit.cost).copied();
    let Some(first) = first else { return Ok(None) };
    let different: Vec<&Tried> = near
        .iter()
        .copied()
        .filter(|tried| {
            tried.at != first.at && !aligner.equal(&(tried.slot, first.fit), &(first.slot, first.fit))
        })
        .filter(|tried| !inside(candidates, tried.at, first.at))
        .collect();
    if different.is_empty() {
        return Ok(Some(Picked { rivals: fitting.len() > near.len(), ..pick(first) }));
    }
    // A row of values that was read as one list is not read a second time, value by value.
    let covers = |row: &Candidate| {
        near.iter().all(|tried| candidates.get(tried.at).is_some_and(|c| row.span().contains(c.span())))
    };
    let row = near
        .iter()
        .find(|tried| candidates.get(tried.at).is_some_and(|c| c.origin() == Origin::Sequence && covers(c)));
    if let Some(row) = row {
        return Ok(Some(pick(row)));
    }
    // Several values where a list is wanted: together they are one.
    let roots: Vec<usize> = near.iter().map(|tried| tried.at).collect();
    if let Some(merged) = merge(aligner, document, raw, &roots, rules, schema) {
        return Ok(Some(merged));
    }
    Err(several(different.len() + 1))
}

fn several(number: usize) -> Error {
    let message = format!("{number} different answers fit, and nothing says which one is meant");
    Error::new(ErrorKind::Ambiguous, message)
}

/// The values, the last of them among it, that follow one another directly.
fn last_run<'t>(candidates: &[Candidate], raw: &str, tried: &[&'t Tried]) -> Vec<&'t Tried> {
    let mut run: Vec<&Tried> = Vec::new();
    for tried in tried.iter().rev() {
        let Some(candidate) = candidates.get(tried.at) else { break };
        let next = run.last().and_then(|next| candidates.get(next.at));
        let follows = |next: &Candidate| {
            is_explicit(next) && raw.get(candidate.span().end..next.span().start).is_some_and(is_separator)
        };
        if !is_explicit(candidate) || next.is_some_and(|next| !follows(next)) {
            break;
        }
        run.push(tried);
    }
    run.reverse();
    run
}

fn is_quotes(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '"' | '\'' | '`' | '“' | '”' | '‘' | '’'))
}

fn inside(candidates: &[Candidate], one: usize, other: usize) -> bool {
    match (candidates.get(one), candidates.get(other)) {
        (Some(a), Some(b)) => b.span().contains(a.span()) || a.span().contains(b.span()),
        _ => false,
    }
}

/// Readings of plain lines are less sure than braces.
fn origin_cost(candidate: &Candidate) -> u32 {
    match candidate.origin() {
        Origin::Whole | Origin::Fence { .. } | Origin::Prose => 0,
        _ => 4,
    }
}

pub(super) fn takes_any(schema: &Schema) -> bool {
    matches!(schema.shapes().get(schema.shapes().root).kind, ShapeKind::Any)
}

fn merge(
    aligner: &mut Aligner<'_>,
    document: &Document,
    raw: &str,
    at: &[usize],
    rules: Rules,
    schema: &Schema,
) -> Option<Picked> {
    let candidates = document.candidates();
    let parts: Vec<&Candidate> = at.iter().filter_map(|at| candidates.get(*at)).collect();
    let any = takes_any(schema);
    if parts.iter().any(|part| document.tree().node(part.root()).kind() == Kind::Array) && !any {
        return None;
    }
    let adjacent = parts.windows(2).all(|pair| match pair {
        [one, two] => raw.get(one.span().end..two.span().start).is_some_and(is_separator),
        _ => true,
    });
    if !adjacent && !rules.merge && !any {
        return None;
    }
    let roots: Vec<NodeId> = parts.iter().map(|part| part.root()).collect();
    aligner.set_prose(false);
    let (slot, fit) = aligner.root_list(&roots)?;
    if fit.errors > 0 {
        return None;
    }
    let mut repairs: Vec<Repair> =
        parts.iter().flat_map(|part| document.repairs(part).collect::<Vec<_>>()).collect();
    repairs.sort_by_key(|repair| repair.span.start);
    repairs.dedup();
    let start = parts.iter().map(|part| part.span().start).min()?;
    let end = parts.iter().map(|part| part.span().end).max()?;
    let severity = if adjacent || rules.merge { Severity::Repaired } else { Severity::Ambiguous };
    repairs.push(Repair::new(Rule::CandidatesMerged, severity, Span::new(start, end)));
    Some(Picked { at: *at.first()?, slot, fit, repairs, rivals: false })
}

/// Nothing but white space, commas, fences and the marks of list items.
fn is_separator(between: &str) -> bool {
    between.lines().map(str::trim).all(|line| {
        let mark = line.trim_end_matches(['.', ')']);
        line.chars().all(|c| matches!(c, ',' | ';' | '-' | '*' | '•'))
            || line.strip_prefix("```").is_some_and(|language| language.chars().all(char::is_alphanumeric))
            || (mark.len() < line.len() && mark.chars().all(|c| c.is_ascii_digit()))
    })
}

/// In salvage an example or a value in the reasoning is better than nothing, and says so.
fn last_resort(aligner: &mut Aligner<'_>, document: &Document, rules: Rules, failed: bool) -> Option<Chosen> {
    if rules.policy != Policy::Salvage || failed {
        return None;
    }
    let mut best: Option<Chosen> = None;
    for candidate in document.candidates() {
        if candidate.origin() == Origin::Text || (rank(candidate) > 0 && !candidate.is_thinking()) {
            continue;
        }
        aligner.set_prose(false);
        let (slot, fit) = aligner.root(candidate.root());
        if fit.errors == 0 {
            let mut repairs: Vec<Repair> = document.repairs(candidate).collect();
            repairs.push(Repair::new(Rule::CandidateGuessed, Severity::Ambiguous, candidate.span()));
            best = Some(Chosen { slot, fit, repairs });
        }
    }
    best
}

fn nothing(document: &Document, raw: &str) -> Error {
    let candidates = document.candidates();
    if refuses(raw) {
        return Error::new(ErrorKind::Refused, "the model declined to answer");
    }
    let structured: Vec<&Candidate> = candidates.iter().filter(|c| c.origin() != Origin::Text).collect();
    if structured.iter().any(|candidate| !candidate.is_thinking()) {
        return Error::new(
            ErrorKind::NoCandidate,
            "the answer holds only an example, a schema or a rejected version",
        );
    }
    if !structured.is_empty() {
        return Error::new(ErrorKind::NoCandidate, "the answer holds a value only inside its reasoning");
    }
    Error::new(ErrorKind::NoCandidate, "the answer holds nothing that could be the value")
}

/// Says in so many words that it will not answer.
fn refuses(raw: &str) -> bool {
    let head: String = raw.chars().take(400).collect::<String>().to_lowercase().replace('’', "'");
    [
        "i can't help",
        "i cannot help",
        "i can't assist",
        "i cannot assist",
        "i'm unable to",
        "i am unable to",
        "i'm not able to",
        "i am not able to",
        "i can't provide",
        "i cannot provide",
        "i won't",
        "i must decline",
        "i cannot comply",
        "i can't comply",
        "i can't do that",
        "as an ai",
        "i cannot extract",
        "i cannot fulfill",
        "도와드릴 수 없",
        "도와 드릴 수 없",
        "답변할 수 없",
        "답변드릴 수 없",
        "제공할 수 없",
        "응할 수 없",
        "처리할 수 없",
        "할 수 없습니다",
        "해드릴 수 없",
    ]
    .iter()
    .any(|phrase| head.contains(phrase))
}
