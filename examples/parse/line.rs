//! One line of the input.

use std::borrow::Cow;

use pumasi_llm_parse::{Parser, Schema};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub(crate) struct Line<'a> {
    #[serde(default, borrow)]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(crate) input: Cow<'a, str>,
    #[serde(default, borrow)]
    pub(crate) schema: Option<&'a RawValue>,
}

/// Reads a line; `None` if it is no object of that form. (A list of the fields in their order would do for serde.)
pub(crate) fn read(text: &str) -> Option<Line<'_>> {
    if text.trim_start().starts_with('{') { serde_json::from_str(text).ok() } else { None }
}

/// The text of a line: without a byte order mark, and with U+FFFD for what is no UTF-8.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
}

/// Writes U+FFFD for halves of surrogate pairs, which JSON's grammar allows and no text can hold: `None` if there is none.
///
/// Writers that cut a text by UTF-16 units leave them, and other readers take them.
pub(crate) fn without_lone_surrogates(line: &str) -> Option<String> {
    const REPLACEMENT: &str = "\\ufffd";
    let code = |at: usize| {
        let digits = line.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let mut out = String::new();
    let (mut from, mut at) = (0, 0);
    while let Some(step) = line.get(at..).and_then(|rest| rest.find('\\')) {
        at += step;
        match code(at) {
            Some(0xD800..0xDC00) if code(at + 6).is_some_and(|low| (0xDC00..0xE000).contains(&low)) => {
                at += 12;
            }
            Some(0xD800..0xE000) => {
                out.push_str(line.get(from..at)?);
                out.push_str(REPLACEMENT);
                at += 6;
                from = at;
            }
            // an escape has two bytes at least; what follows a backslash may be a character of more
            _ => at += 1 + line.get(at + 1..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8),
        }
    }
    if from == 0 {
        return None;
    }
    out.push_str(line.get(from..)?);
    Some(out)
}

/// The id of a line that is broken elsewhere, as far as it can be told.
pub(crate) fn rescued_id(text: &str) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Id {
        id: Box<RawValue>,
    }
    // serde would take a list's first item for the id
    if text.trim_start().starts_with('{')
        && let Ok(Id { id }) = serde_json::from_str(text)
    {
        return Some(id);
    }
    let head: String = text.chars().take(1 << 16).collect();
    let parsed = Parser::<Value>::with_schema(Schema::any()).with_partial(true).parse(&head).ok()?;
    let id = parsed.value.get("id").filter(|id| id.is_string() || id.is_number())?;
    serde_json::value::to_raw_value(id).ok()
}

#[cfg(test)]
mod tests {
    use super::{read, rescued_id, without_lone_surrogates};

    #[test]
    fn a_list_is_no_line() {
        assert!(read(r#"[1, "{a: 1}"]"#).is_none());
        assert_eq!(
            read(r#" {"id": 1, "input": "{a: 1}"}"#).map(|line| line.input.into_owned()).as_deref(),
            Some("{a: 1}")
        );
    }

    #[test]
    fn the_id_of_a_broken_line_is_told_and_no_other_part_of_it() {
        let id = |line| rescued_id(line).map(|id| id.get().to_owned());
        assert_eq!(id(r#"{"id": "a", "inp"#).as_deref(), Some("\"a\""));
        assert_eq!(id(r#"{"id": 7}"#).as_deref(), Some("7"));
        for line in [r#"[{"id": 1, "input": "a text"}]"#, "7", r#"{"input": "x"}"#, ""] {
            assert_eq!(id(line), None, "{line}");
        }
    }

    #[test]
    fn only_halves_of_pairs_are_replaced() {
        let mended = |line| without_lone_surrogates(line);
        assert_eq!(mended(r#""\ud83d""#).as_deref(), Some(r#""\ufffd""#));
        assert_eq!(
            mended(r#""가\udc00나\ud83d\ude00\ud83d끝""#).as_deref(),
            Some(r#""가\ufffd나\ud83d\ude00\ufffd끝""#)
        );
        for whole in [r#""\ud83d\ude00""#, r#""\\ud83d""#, r#""\n\"가""#, "", "\\"] {
            assert_eq!(mended(whole), None, "{whole}");
        }
    }
}
