//! Damages good answers the way models do.
//!
//! A [`Mutator`] writes a correct JSON value as a model might have written it: in a fence, with prose around it, with Python
//! literals, cut off, and so on. Each kind of damage has a name, so that a recovery rate can be told per kind, and everything is
//! determined by the seed, so that a failure can be repeated.
//!
//! ```
//! use pumasi_llm_parse::eval::{Damage, Mutator};
//! use serde_json::json;
//!
//! # fn run() -> Option<()> {
//! let good = json!({"title": "Run 5 km", "days": 3});
//! let damaged = Mutator::new(7).damage(&good, Damage::TrailingCommas)?;
//! assert_eq!(damaged.text, r#"{"days": 3, "title": "Run 5 km",}"#);
//! # Some(())
//! # }
//! # assert!(run().is_some());
//! ```

mod write;
mod yaml;

use serde_json::Value;

use self::write::Writer;
use self::yaml::{yaml_able, yaml_object};

/// A way in which a model damages an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Damage {
    /// The answer stands in a Markdown fence.
    Fence,
    /// The fence is opened and never closed.
    OpenFence,
    /// Friendly words stand before and after the answer.
    Prose,
    /// Korean words stand before and after the answer.
    KoreanProse,
    /// A `<think>` block comes first.
    Think,
    /// Keys have no quotes.
    UnquotedKeys,
    /// Strings and keys are in single quotes.
    SingleQuotes,
    /// Strings and keys are in curly quotes.
    SmartQuotes,
    /// `true`, `false` and `null` are written `True`, `False` and `None`.
    PythonLiterals,
    /// Every object and array ends in a comma.
    TrailingCommas,
    /// One comma is left out.
    MissingComma,
    /// One colon is left out.
    MissingColon,
    /// Line comments stand behind members.
    LineComments,
    /// Block comments stand before values.
    BlockComments,
    /// A word inside a string is in quotes that are not escaped.
    InnerQuotes,
    /// A line break inside a string is not escaped.
    RawNewline,
    /// The closing quote of one string is left out.
    MissingQuote,
    /// All closing brackets at the end are left out.
    MissingClosers,
    /// One bracket too many at the end.
    ExtraCloser,
    /// The closing bracket of one inner array is left out.
    MissingInnerCloser,
    /// Keys are in another case (`dueDate` for `due_date`).
    KeyCase,
    /// Numbers and booleans are in quotes.
    QuotedScalars,
    /// An array of one item is given as the item.
    SingleForList,
    /// One scalar is given as an array of one.
    ListForSingle,
    /// The whole answer is escaped and in quotes.
    Stringified,
    /// The answer is YAML.
    Yaml,
    /// An ellipsis ends one array.
    Ellipsis,
    /// The answer is cut off at an arbitrary place: only a prefix of the value can come back.
    Truncated,
}

impl Damage {
    /// Lists every kind of damage, from harmless to heavy.
    pub const ALL: [Self; 28] = [
        Self::Fence,
        Self::OpenFence,
        Self::Prose,
        Self::KoreanProse,
        Self::Think,
        Self::UnquotedKeys,
        Self::SingleQuotes,
        Self::SmartQuotes,
        Self::PythonLiterals,
        Self::TrailingCommas,
        Self::MissingComma,
        Self::MissingColon,
        Self::LineComments,
        Self::BlockComments,
        Self::InnerQuotes,
        Self::RawNewline,
        Self::MissingQuote,
        Self::MissingClosers,
        Self::ExtraCloser,
        Self::MissingInnerCloser,
        Self::KeyCase,
        Self::QuotedScalars,
        Self::SingleForList,
        Self::ListForSingle,
        Self::Stringified,
        Self::Yaml,
        Self::Ellipsis,
        Self::Truncated,
    ];

    /// Names the damage in snake case, as reports print it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::OpenFence => "open_fence",
            Self::Prose => "prose",
            Self::KoreanProse => "korean_prose",
            Self::Think => "think",
            Self::UnquotedKeys => "unquoted_keys",
            Self::SingleQuotes => "single_quotes",
            Self::SmartQuotes => "smart_quotes",
            Self::PythonLiterals => "python_literals",
            Self::TrailingCommas => "trailing_commas",
            Self::MissingComma => "missing_comma",
            Self::MissingColon => "missing_colon",
            Self::LineComments => "line_comments",
            Self::BlockComments => "block_comments",
            Self::InnerQuotes => "inner_quotes",
            Self::RawNewline => "raw_newline",
            Self::MissingQuote => "missing_quote",
            Self::MissingClosers => "missing_closers",
            Self::ExtraCloser => "extra_closer",
            Self::MissingInnerCloser => "missing_inner_closer",
            Self::KeyCase => "key_case",
            Self::QuotedScalars => "quoted_scalars",
            Self::SingleForList => "single_for_list",
            Self::ListForSingle => "list_for_single",
            Self::Stringified => "stringified",
            Self::Yaml => "yaml",
            Self::Ellipsis => "ellipsis",
            Self::Truncated => "truncated",
        }
    }

    /// Tells whether the whole value can come back, and not only what stands before a cut.
    pub const fn keeps_everything(self) -> bool {
        !matches!(self, Self::Truncated)
    }

    /// Tells whether only a schema can undo the damage (key names, types, lists).
    pub const fn needs_schema(self) -> bool {
        matches!(
            self,
            Self::KeyCase
                | Self::QuotedScalars
                | Self::SingleForList
                | Self::ListForSingle
                | Self::Stringified
                | Self::Yaml
        )
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A damaged answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The text as a model might have written it.
    pub text: String,
    /// The damage that was done.
    pub damage: Damage,
    /// The number of places that were damaged.
    pub places: usize,
}

impl std::fmt::Debug for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Damaged")
            .field("bytes", &self.text.len())
            .field("damage", &self.damage)
            .field("places", &self.places)
            .finish()
    }
}

/// Damages answers, the same way for the same seed.
///
/// The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Mutator {
    state: u64,
}

impl Mutator {
    /// Starts from a seed.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Does one kind of damage to `answer`, or returns `None` if the answer offers no place for it (no array to leave open, no
    /// string to put quotes into, …).
    pub fn damage(&mut self, answer: &Value, damage: Damage) -> Option<Damaged> {
        let (text, places) = match damage {
            Damage::Fence => (format!("```json\n{}\n```", pretty(answer)), 1),
            Damage::OpenFence => (format!("```json\n{}", pretty(answer)), 1),
            Damage::Prose => {
                (format!("{}\n\n{}\n\n{}", self.pick(&BEFORE), plain(answer), self.pick(&AFTER)), 1)
            }
            Damage::KoreanProse => {
                (format!("{}\n{}\n{}", self.pick(&KO_BEFORE), plain(answer), self.pick(&KO_AFTER)), 1)
            }
            Damage::Think => (format!("<think>{}</think>\n{}", self.pick(&THOUGHTS), plain(answer)), 1),
            Damage::Stringified => {
                if !matches!(answer, Value::Object(_) | Value::Array(_)) {
                    return None;
                }
                (Value::String(plain(answer)).to_string(), 1)
            }
            Damage::Yaml => {
                let Value::Object(members) = answer else { return None };
                if members.is_empty() || !yaml_able(answer) {
                    return None;
                }
                let mut out = String::new();
                yaml_object(&mut out, members, 0);
                (out, 1)
            }
            Damage::Truncated => {
                let text = plain(answer);
                let inner = text.len().saturating_sub(1);
                if inner < 2 {
                    return None;
                }
                let mut at = 1 + self.below(inner - 1);
                while !text.is_char_boundary(at) {
                    at += 1;
                }
                (text.get(..at)?.to_owned(), 1)
            }
            Damage::MissingClosers => {
                let text = plain(answer);
                let kept = text.trim_end_matches(['}', ']']);
                // what ends in an empty container would change its meaning
                if kept.len() == text.len() || kept.ends_with(['{', '[']) {
                    return None;
                }
                (kept.to_owned(), text.len() - kept.len())
            }
            Damage::ExtraCloser => {
                let text = plain(answer);
                let last = text.chars().last().filter(|c| matches!(c, '}' | ']'))?;
                (format!("{text}{last}"), 1)
            }
            _ => {
                let mut counter = Writer::new(damage, None);
                counter.value(answer, 0);
                let sites = counter.sites;
                if sites == 0 {
                    return None;
                }
                let chosen = if everywhere(damage) { None } else { Some(self.below(sites)) };
                let mut writer = Writer::new(damage, chosen);
                writer.hit_all = chosen.is_none();
                writer.value(answer, 0);
                (writer.out, if chosen.is_some() { 1 } else { sites })
            }
        };
        Some(Damaged { text, damage, places })
    }

    /// Does every kind of damage once, leaving out those for which the answer offers no place.
    pub fn all(&mut self, answer: &Value) -> Vec<Damaged> {
        Damage::ALL.iter().filter_map(|&damage| self.damage(answer, damage)).collect()
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % n).unwrap_or(0)
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        let at = self.below(from.len());
        from.get(at).copied().unwrap_or_default()
    }
}

const BEFORE: [&str; 4] = [
    "Sure! Here is the JSON you asked for:",
    "Based on the text, I extracted the following:",
    "Here's the result.",
    "I read the post carefully. The answer is:",
];
const AFTER: [&str; 3] =
    ["Let me know if you need anything else!", "I hope this helps.", "Note that some fields were inferred."];
const KO_BEFORE: [&str; 3] =
    ["네, 요청하신 결과입니다:", "글을 읽고 다음과 같이 정리했습니다.", "결과는 아래와 같습니다:"];
const KO_AFTER: [&str; 2] = ["더 필요한 것이 있으면 말씀해 주세요!", "도움이 되었기를 바랍니다."];
const THOUGHTS: [&str; 3] = [
    "The user wants the fields. Let me look at the post first.",
    "Okay, so I need an object. The post mentions several things.",
    "먼저 글을 읽어 보자. 형식은 JSON이다.",
];

/// Damage that hits every place and not a single one.
const fn everywhere(damage: Damage) -> bool {
    matches!(
        damage,
        Damage::UnquotedKeys
            | Damage::SingleQuotes
            | Damage::SmartQuotes
            | Damage::PythonLiterals
            | Damage::TrailingCommas
            | Damage::LineComments
            | Damage::BlockComments
            | Damage::KeyCase
            | Damage::QuotedScalars
            | Damage::SingleForList
    )
}

fn plain(value: &Value) -> String {
    let mut writer = Writer::new(Damage::Fence, None);
    writer.value(value, 0);
    writer.out
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Value {
        json!({
            "title": "Run \"easy\" today",
            "due_date": "tomorrow",
            "steps": ["warm", "run"],
            "tags": ["러닝"],
            "minutes": 30,
            "done": false,
            "note": null,
            "text": "one\ntwo",
        })
    }

    #[test]
    fn the_same_seed_does_the_same_damage() {
        let (mut a, mut b) = (Mutator::new(5), Mutator::new(5));
        assert_eq!(a.all(&answer()), b.all(&answer()));
    }

    #[test]
    fn every_kind_of_damage_finds_a_place_and_changes_the_text() {
        let good = answer();
        let untouched = plain(&good);
        assert_eq!(serde_json::from_str::<Value>(&untouched).unwrap(), good);
        // YAML without quotes cannot carry this answer's quotes and line breaks
        let easy = json!({"title": "Run", "steps": ["a", "b"], "user": {"name": "Kim"}});
        for damage in Damage::ALL {
            let from = if damage == Damage::Yaml { &easy } else { &good };
            let damaged =
                Mutator::new(1).damage(from, damage).unwrap_or_else(|| panic!("no place for {damage}"));
            assert_ne!(damaged.text, untouched, "{damage}");
            assert!(damaged.places > 0, "{damage}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = Damage::ALL.iter().map(|d| d.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Damage::ALL.len());
    }

    #[test]
    fn damage_without_a_place_is_none() {
        let mut mutator = Mutator::new(0);
        assert!(mutator.damage(&json!(1), Damage::UnquotedKeys).is_none());
        assert!(mutator.damage(&json!({}), Damage::MissingClosers).is_none());
        assert!(mutator.damage(&json!(1), Damage::Truncated).is_none());
    }

    #[test]
    fn yaml_is_written_in_blocks() {
        let good = json!({"name": "Kim", "skills": ["rust", "go"], "home": {"city": "Seoul"}});
        let damaged = Mutator::new(0).damage(&good, Damage::Yaml).unwrap();
        assert_eq!(damaged.text, "home:\n  city: Seoul\nname: Kim\nskills:\n  - rust\n  - go\n");
    }
}
