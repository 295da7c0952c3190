//! Looks quotes up in the source, and notices what was copied from an example.

use std::sync::Arc;

use serde_json::Value;

use super::fence::JOINER;
use super::marks::{Leaf, Marks};
use super::prompt::Shot;
use super::{Missing, MissingQuote, Quote, QuoteFit, SourceSpan, Support, pointer};
use crate::ground::{self, Aligner, Doubt, Fit, Miss, Origin};

/// Tells whether the words of the source support the item that quotes them.
pub(crate) type Judge = Arc<dyn Fn(&Value, &str) -> Support + Send + Sync>;

/// The examples of a prompt.
pub(crate) struct Examples<'a>(pub(crate) &'a [Shot]);

impl Examples<'_> {
    /// Tells whether an example's answer has exactly this text.
    fn answer(&self, text: &str) -> bool {
        let text = folded(text);
        self.0.iter().any(|shot| strings(&shot.answer).any(|one| folded(one) == text))
    }
}

/// A quote that has no place in the source, and why.
pub(crate) struct Missed {
    pub(crate) quote: MissingQuote,
    pub(crate) miss: Miss,
}

/// What was found of the quotes, and why the others were not.
#[derive(Default)]
pub(crate) struct Lookup {
    pub(crate) quotes: Vec<Quote>,
    pub(crate) missed: Vec<Missed>,
}

/// Looks every quote of `value` up in `source`.
pub(crate) fn look_up(
    marks: &Marks,
    value: &Value,
    source: &str,
    examples: &Examples<'_>,
    judge: Option<&Judge>,
) -> Lookup {
    let quotes = marks.quotes(value);
    if quotes.is_empty() {
        return Lookup::default();
    }
    let aligner = Aligner::new(source);
    let others: Vec<Aligner<'_>> = examples.0.iter().map(|shot| Aligner::new(&shot.source)).collect();
    let mut found = Lookup::default();
    for (path, text) in quotes {
        // the prompt may have put joiners into the source's words; they came back with the quote
        let plain = if source.contains(JOINER) { text.to_owned() } else { text.replace(JOINER, "") };
        let (reason, miss) = match aligner.origin(&plain, &others) {
            Origin::Source(place) => {
                let Some(span) = SourceSpan::of(source, place.span.start..place.span.end) else { continue };
                let support = span
                    .text(source)
                    .map_or(Support::Unchecked, |words| supported(marks, value, &path, words, judge));
                found
                    .quotes
                    .push(Quote::new(path, span, place.fit.into(), place.score).with_support(support));
                continue;
            }
            Origin::Example(_) => (Missing::CopiedFromExample, Miss::NotFound),
            Origin::Nowhere(miss) if examples.answer(&plain) => (Missing::CopiedFromExample, miss),
            Origin::Nowhere(miss) => (Missing::NotInSource, miss),
        };
        found.missed.push(Missed { quote: MissingQuote::new(path, reason), miss });
    }
    found
}

/// Tells whether the words of the source support what they are quoted for: the free texts and the
/// days beside the quote.
fn supported(marks: &Marks, value: &Value, path: &str, words: &str, judge: Option<&Judge>) -> Support {
    let item = pointer::parent(path).and_then(|(parent, _)| value.pointer(parent)).unwrap_or(value);
    if let Some(judge) = judge {
        return judge(item, words);
    }
    let Some((parent, _)) = pointer::parent(path) else { return Support::Unchecked };
    let mut verdict = Support::Unchecked;
    for (place, leaf) in marks.strings(value) {
        let beside = pointer::parent(&place).is_some_and(|(other, _)| other == parent);
        let text = match leaf {
            Leaf::Free(text) => text,
            Leaf::Bound(text) if ground::time::iso_day(text).is_some() => text,
            _ => continue,
        };
        if !beside {
            continue;
        }
        match ground::support(words, text) {
            // a paraphrase shares no word with its quote either: that alone is no doubt
            ground::Support::Unsupported(Doubt::Number | Doubt::Date | Doubt::Name) => {
                return Support::Unsupported;
            }
            ground::Support::Supported => verdict = Support::Supported,
            _ => {}
        }
    }
    verdict
}

impl From<Fit> for QuoteFit {
    fn from(fit: Fit) -> Self {
        match fit {
            Fit::Exact => Self::Exact,
            Fit::Normalized => Self::Normalized,
            Fit::Fuzzy { edits } => Self::Fuzzy { edits },
        }
    }
}

/// Says to the model what is wrong with a quote.
pub(crate) const fn advice(miss: Miss) -> &'static str {
    match miss {
        Miss::Number => "words copied from the text exactly; a number or its unit differs from the text",
        Miss::Name => "words copied from the text exactly; a name differs from the text",
        Miss::Negation => "words copied from the text exactly; the text negates it, or the quote does",
        Miss::Wording => "words copied from the text exactly, none added, left out or replaced",
        _ => "words copied from the text exactly",
    }
}

/// Returns the free texts that stand word for word in an example's answer, though nothing in this source bears them out.
///
/// A text that the source has as well, or half of whose terms stand in the quote of its own item, is a coincidence. So are
/// short texts: there are not many ways to say "run".
pub(crate) fn leaks(
    marks: &Marks,
    value: &Value,
    source: &str,
    examples: &Examples<'_>,
    found: &Lookup,
) -> Vec<String> {
    let suspects = marks.strings(value).into_iter().filter_map(|(path, leaf)| match leaf {
        Leaf::Free(text) if is_telling(text) && examples.answer(text) => Some((path, text)),
        _ => None,
    });
    let borne_out = |path: &str, text: &str| {
        let item = pointer::item_around(value, path);
        let mut own = found
            .quotes
            .iter()
            .filter(|quote| item.is_some() && pointer::item_around(value, &quote.path) == item)
            .filter_map(|quote| quote.span.text(source));
        // a source that says what the example's says may be given the same answer
        own.any(|words| ground::bears_out(words, text) || examples.answer(words))
    };
    let suspects: Vec<(String, &str)> = suspects.filter(|(path, text)| !borne_out(path, text)).collect();
    if suspects.is_empty() {
        return Vec::new();
    }
    let aligner = Aligner::new(source);
    suspects.into_iter().filter(|(_, text)| aligner.locate(text).is_none()).map(|(path, _)| path).collect()
}

/// Tells whether a text is long enough that two people would not write it alike by chance. A syllable of Korean says about
/// as much as two letters.
fn is_telling(text: &str) -> bool {
    let weight = |c: char| if matches!(c, '가'..='힣') { 2 } else { usize::from(c.is_alphanumeric()) };
    text.chars().map(weight).sum::<usize>() >= 10
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    let mut found = Vec::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => found.push(text.as_str()),
            Value::Array(items) => open.extend(items),
            Value::Object(map) => open.extend(map.values()),
            _ => {}
        }
    }
    found.into_iter()
}
