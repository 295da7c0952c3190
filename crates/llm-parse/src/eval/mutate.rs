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

use std::fmt::Write as _;

use serde_json::{Map, Value};

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

/// Writes a value as JSON and does the damage on the way; counts the places where it could be done.
struct Writer {
    out: String,
    damage: Damage,
    chosen: Option<usize>,
    hit_all: bool,
    sites: usize,
}

impl Writer {
    fn new(damage: Damage, chosen: Option<usize>) -> Self {
        Self { out: String::new(), damage, chosen, hit_all: false, sites: 0 }
    }

    /// Counts a place for `damage` and tells whether to hit it.
    fn hit(&mut self, damage: Damage) -> bool {
        if self.damage != damage {
            return false;
        }
        let here = self.sites;
        self.sites += 1;
        self.hit_all || self.chosen == Some(here)
    }

    fn value(&mut self, value: &Value, depth: usize) {
        if depth > 0 && self.hit(Damage::BlockComments) {
            self.out.push_str("/* from the post */ ");
        }
        match value {
            Value::Object(members) => self.object(members, depth),
            Value::Array(items) => self.array(items, depth),
            Value::String(text) => {
                if depth > 0 && self.hit(Damage::ListForSingle) {
                    self.out.push('[');
                    self.string(text);
                    self.out.push(']');
                } else {
                    self.string(text);
                }
            }
            Value::Number(number) => {
                if self.hit(Damage::QuotedScalars) {
                    let _ = write!(self.out, "\"{number}\"");
                } else if depth > 0 && self.hit(Damage::ListForSingle) {
                    let _ = write!(self.out, "[{number}]");
                } else {
                    let _ = write!(self.out, "{number}");
                }
            }
            Value::Bool(b) => {
                if self.hit(Damage::QuotedScalars) {
                    let _ = write!(self.out, "\"{b}\"");
                } else if self.hit(Damage::PythonLiterals) {
                    self.out.push_str(if *b { "True" } else { "False" });
                } else {
                    let _ = write!(self.out, "{b}");
                }
            }
            Value::Null => {
                let python = self.hit(Damage::PythonLiterals);
                self.out.push_str(if python { "None" } else { "null" });
            }
        }
    }

    fn object(&mut self, members: &Map<String, Value>, depth: usize) {
        self.out.push('{');
        let last = members.len().saturating_sub(1);
        for (i, (key, value)) in members.iter().enumerate() {
            self.key(key);
            if self.hit(Damage::MissingColon) {
                self.out.push(' ');
            } else {
                self.out.push_str(": ");
            }
            self.value(value, depth + 1);
            self.separator(i == last);
        }
        self.out.push('}');
    }

    fn array(&mut self, items: &[Value], depth: usize) {
        if let [only] = items
            && depth > 0
            && !only.is_array()
            && !only.is_null()
            && self.hit(Damage::SingleForList)
        {
            self.value(only, depth + 1);
            return;
        }
        self.out.push('[');
        let last = items.len().saturating_sub(1);
        for (i, value) in items.iter().enumerate() {
            self.value(value, depth + 1);
            self.separator(i == last);
        }
        if !items.is_empty() && self.hit(Damage::Ellipsis) {
            self.out.push_str(", ...");
        }
        if depth > 0 && !items.is_empty() && self.hit(Damage::MissingInnerCloser) {
            return;
        }
        self.out.push(']');
    }

    fn separator(&mut self, last: bool) {
        if last {
            if self.hit(Damage::TrailingCommas) {
                self.out.push(',');
            }
            return;
        }
        if self.hit(Damage::MissingComma) {
            self.out.push_str("\n  ");
        } else if self.hit(Damage::LineComments) {
            self.out.push_str(", // as the post says\n  ");
        } else {
            self.out.push_str(", ");
        }
    }

    fn key(&mut self, key: &str) {
        if bare(key) && self.hit(Damage::UnquotedKeys) {
            self.out.push_str(key);
            return;
        }
        let other = other_case(key);
        if other != key && self.hit(Damage::KeyCase) {
            self.string(&other);
            return;
        }
        if self.hit(Damage::SingleQuotes) {
            self.quoted(key, '\'', '\'');
        } else if self.hit(Damage::SmartQuotes) {
            self.quoted(key, '“', '”');
        } else {
            self.quoted(key, '"', '"');
        }
    }

    fn string(&mut self, text: &str) {
        if !text.contains('\'') && self.hit(Damage::SingleQuotes) {
            self.quoted(text, '\'', '\'');
        } else if !text.contains(['“', '”']) && self.hit(Damage::SmartQuotes) {
            self.quoted(text, '“', '”');
        } else if let Some((before, word, after)) = middle_word(text)
            && self.hit(Damage::InnerQuotes)
        {
            self.out.push('"');
            self.escaped(before, '"');
            let _ = write!(self.out, "\"{word}\"");
            self.escaped(after, '"');
            self.out.push('"');
        } else if text.contains('\n') && self.hit(Damage::RawNewline) {
            self.out.push('"');
            for (i, line) in text.split('\n').enumerate() {
                if i > 0 {
                    self.out.push('\n');
                }
                self.escaped(line, '"');
            }
            self.out.push('"');
        } else if plain_word(text) && self.hit(Damage::MissingQuote) {
            self.out.push('"');
            self.out.push_str(text);
        } else {
            self.quoted(text, '"', '"');
        }
    }

    fn quoted(&mut self, text: &str, open: char, close: char) {
        self.out.push(open);
        self.escaped(text, close);
        self.out.push(close);
    }

    fn escaped(&mut self, text: &str, close: char) {
        for c in text.chars() {
            match c {
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\\' => self.out.push_str("\\\\"),
                '"' => self.out.push_str("\\\""),
                c if c == close => {
                    self.out.push('\\');
                    self.out.push(c);
                }
                c if c.is_control() => {
                    let _ = write!(self.out, "\\u{:04x}", u32::from(c));
                }
                c => self.out.push(c),
            }
        }
    }
}

/// Tells whether a key can stand without quotes.
fn bare(key: &str) -> bool {
    !key.is_empty()
        && key.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !key.starts_with(|c: char| c.is_ascii_digit())
}

/// Tells whether the end of a string can be found without its closing quote.
fn plain_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Turns `due_date` into `dueDate` and `dueDate` into `due_date`; other keys get a capital.
fn other_case(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 4);
    if key.contains('_') {
        let mut up = false;
        for c in key.chars() {
            if c == '_' {
                up = !out.is_empty();
            } else if up {
                out.extend(c.to_uppercase());
                up = false;
            } else {
                out.push(c);
            }
        }
    } else if key.chars().skip(1).any(char::is_uppercase) {
        for c in key.chars() {
            if c.is_uppercase() {
                if !out.is_empty() {
                    out.push('_');
                }
                out.extend(c.to_lowercase());
            } else {
                out.push(c);
            }
        }
    } else {
        let mut chars = key.chars();
        if let Some(first) = chars.next() {
            out.extend(first.to_uppercase());
        }
        out.push_str(chars.as_str());
    }
    out
}

/// Splits a string of three words or more around one whose quotation marks a model would forget to escape. The marks are part of
/// the value then, so only a word that is already in quotes counts.
fn middle_word(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('"')?;
    let (word, after) = rest.split_once('"')?;
    let inside = !before.is_empty() && !after.is_empty() && plain_word(word);
    (inside && !after.contains('"')).then_some((before, word, after))
}

/// Tells whether plain YAML can carry the value without quotes going wrong: strings on one line, no nested arrays.
fn yaml_able(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().all(|(key, value)| bare(key) && yaml_able(value)),
        Value::Array(items) => items.iter().all(|v| !v.is_array() && !v.is_object() && yaml_able(v)),
        Value::String(text) => {
            !text.is_empty()
                && text.trim() == text
                && text.starts_with(char::is_alphabetic)
                && !["true", "false", "null", "none", "yes", "no", "on", "off", "nan", "inf"]
                    .contains(&text.to_lowercase().as_str())
                && !text.contains([':', '#', '\n', '"', '\'', '{', '[', '&', '*', '!', '|', '>'])
        }
        _ => true,
    }
}

fn yaml_object(out: &mut String, members: &Map<String, Value>, indent: usize) {
    for (key, value) in members {
        let _ = write!(out, "{:indent$}{key}:", "");
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                yaml_object(out, inner, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                for item in items {
                    let _ = write!(out, "{:indent$}  - ", "");
                    yaml_scalar(out, item);
                    out.push('\n');
                }
            }
            other => {
                out.push(' ');
                yaml_scalar(out, other);
                out.push('\n');
            }
        }
    }
}

fn yaml_scalar(out: &mut String, value: &Value) {
    if let Value::String(text) = value {
        out.push_str(text);
    } else {
        let _ = write!(out, "{value}");
    }
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

    #[test]
    fn cases_of_keys_are_swapped() {
        assert_eq!(other_case("due_date"), "dueDate");
        assert_eq!(other_case("dueDate"), "due_date");
        assert_eq!(other_case("title"), "Title");
    }
}
