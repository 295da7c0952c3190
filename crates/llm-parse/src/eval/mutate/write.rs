//! JSON with damage in it.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Damage;

/// Writes a value as JSON and does the damage on the way; counts the places where it could be done.
pub(super) struct Writer {
    pub(super) out: String,
    damage: Damage,
    chosen: Option<usize>,
    pub(super) hit_all: bool,
    pub(super) sites: usize,
}

impl Writer {
    pub(super) fn new(damage: Damage, chosen: Option<usize>) -> Self {
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

    pub(super) fn value(&mut self, value: &Value, depth: usize) {
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
pub(super) fn bare(key: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_of_keys_are_swapped() {
        assert_eq!(other_case("due_date"), "dueDate");
        assert_eq!(other_case("dueDate"), "due_date");
        assert_eq!(other_case("title"), "Title");
    }
}
