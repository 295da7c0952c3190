//! Lists that plain text writes in a row: rows of cells under a header, and words between commas.

use super::list::Chain;
use super::plan::{Key, Value, index};
use super::{Aligner, Fit, Fitted};
use crate::report::{Rule, Severity};
use crate::schema::fold;
use crate::schema::shape::{Kind as ShapeKind, List, Record, ShapeId};
use crate::tree::NodeId;

impl<'a> Aligner<'a> {
    /// Reads CSV whose header names fields of the item; `None` if the text is none.
    pub(super) fn csv(&mut self, node: NodeId, id: ShapeId, list: &'a List, text: &str) -> Option<Fitted> {
        let shapes = self.shapes;
        let ShapeKind::Record(record) = &shapes.resolve(list.item?).1.kind else { return None };
        let rows = rows_as_json(text, record)?;
        self.work += text.len() as u64 / 16;
        let mut fitted = self.fit_nested(node, id, &rows)?;
        self.noted(&mut fitted, Rule::Csv, Severity::Repaired);
        Some(fitted)
    }

    /// Reads `apples, pears and plums` as three texts, and says that it could be one; `None` if the words are a sentence.
    pub(super) fn enumeration(&mut self, node: NodeId, list: &'a List, text: &str) -> Option<Fitted> {
        let ShapeKind::Text(rule) = &self.shapes.resolve(list.item?).1.kind else { return None };
        let parts = enumerated(text).filter(|_| rule.is_free() && list.prefix.is_empty())?;
        let len = parts.len() as u64;
        if len < list.min || list.max.is_some_and(|max| len > max) {
            return None;
        }
        let mut chain = Chain::default();
        for (number, part) in parts.into_iter().enumerate() {
            let mut slot = self.slot(node, Value::Null);
            slot.value = Value::Owned(self.plan.own(part));
            slot.key = Key::Index(index(number));
            chain.push(&mut self.plan, slot);
        }
        let mut fitted = (self.slot(node, chain.list()), Fit::default());
        self.noted(&mut fitted, Rule::Sequence, Severity::Ambiguous);
        Some(fitted)
    }
}

/// Writes rows under a header of known fields as a JSON list of objects. One line that ends with a colon may lead in.
fn rows_as_json(text: &str, record: &Record) -> Option<String> {
    let mut lines = text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty());
    let known = |cell: &str| {
        record.exact.contains_key(cell) || record.folded.get(&fold(cell)).copied().flatten().is_some()
    };
    let header_of = |line: &str| {
        [',', ';', '\t'].into_iter().find_map(|mark| {
            let cells = cells(line, mark)?;
            let mut seen: Vec<Box<str>> = Vec::new();
            let header = cells.len() > 1
                && cells.iter().all(|cell| {
                    let folded = fold(cell);
                    let new = !seen.contains(&folded);
                    seen.push(folded);
                    new && known(cell)
                });
            header.then_some((mark, cells))
        })
    };
    let first = lines.next()?;
    let (mark, names) = match header_of(first) {
        Some(header) => header,
        None if first.ends_with([':', '：']) => header_of(lines.next()?)?,
        None => return None,
    };
    let mut out = String::from("[");
    for line in lines {
        let cells = cells(line, mark).filter(|cells| cells.len() == names.len())?;
        out.push_str(if out.len() > 1 { ",{" } else { "{" });
        for (at, (name, cell)) in names.iter().zip(cells).enumerate() {
            out.push_str(if at > 0 { "," } else { "" });
            out.push_str(&serde_json::to_string(name).ok()?);
            out.push(':');
            let literal = super::leaf::is_json_number(&cell) || matches!(&*cell, "true" | "false");
            match &*cell {
                "" => out.push_str("null"),
                plain if literal => out.push_str(plain),
                text => out.push_str(&serde_json::to_string(text).ok()?),
            }
        }
        out.push('}');
    }
    out.push(']');
    (out.len() > 2).then_some(out)
}

/// Splits a row as RFC 4180 does; `None` if a quoted cell does not end.
fn cells(line: &str, mark: char) -> Option<Vec<String>> {
    let mut cells = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if_eq(&' ').is_some() {}
        let mut cell = String::new();
        if chars.next_if_eq(&'"').is_some() {
            loop {
                match chars.next()? {
                    '"' if chars.next_if_eq(&'"').is_some() => cell.push('"'),
                    '"' => break,
                    c => cell.push(c),
                }
            }
            while chars.next_if_eq(&' ').is_some() {}
        } else {
            while let Some(c) = chars.next_if(|c| *c != mark) {
                cell.push(c);
            }
            cell.truncate(cell.trim_end().len());
        }
        cells.push(cell);
        match chars.next() {
            Some(c) if c == mark => {}
            Some(_) => return None,
            None => return Some(cells),
        }
    }
}

/// Words of a sentence: with one of them, commas do not stand between things.
const TALK: &[&str] = &[
    "i",
    "i'm",
    "we",
    "you",
    "he",
    "she",
    "it",
    "they",
    "is",
    "are",
    "was",
    "were",
    "be",
    "am",
    "can",
    "could",
    "cannot",
    "will",
    "would",
    "should",
    "do",
    "does",
    "did",
    "have",
    "has",
    "had",
    "not",
    "no",
    "none",
    "never",
    "nothing",
    "but",
    "or",
    "either",
    "neither",
    "nor",
    "if",
    "so",
    "because",
    "here",
    "there",
    "this",
    "that",
    "these",
    "those",
    "please",
    "sorry",
    "sure",
    "yes",
    "yeah",
    "ok",
    "okay",
    "well",
    "thanks",
    "hello",
    "hi",
    "maybe",
    "perhaps",
    "wait",
    "actually",
    "etc",
    "more",
    "others",
    "except",
    "without",
    "example",
    "let",
    "instead",
    "then",
    "my",
    "your",
    "first",
    "unknown",
    "null",
    "네",
    "예",
    "아니요",
    "아니오",
    "아뇨",
    "또는",
    "혹은",
    "아니면",
    "그러나",
    "하지만",
    "물론",
    "등",
    "기타",
    "등등",
    "없음",
    "제외",
    "아마",
    "그래서",
    "먼저",
];

/// Endings of Korean sentences.
const TALK_KO: &[&str] = &[
    "니다", "세요", "어요", "아요", "에요", "예요", "네요", "까요", "지요", "이죠", "해요", "했다", "한다",
    "않고", "아님",
];

/// Splits three things or more that stand between commas, the last two perhaps joined by "and".
fn enumerated(text: &str) -> Option<Vec<&str>> {
    let text = text.trim();
    if text.chars().count() > 200 || text.contains('\n') {
        return None;
    }
    let mark = text.chars().find(|c| matches!(c, ',' | '、' | ';'))?;
    let mut parts: Vec<&str> = text.split(mark).collect();
    // `1,234, 5,678`: commas of two kinds
    let spaced = parts.iter().skip(1).filter(|part| part.starts_with(' ')).count();
    if spaced != 0 && spaced != parts.len() - 1 {
        return None;
    }
    let last = parts.pop()?.trim();
    let joined = ["and ", "& ", "및 ", "그리고 "].iter().find_map(|word| last.strip_prefix(word));
    let pair = [" and ", " & ", " 및 ", " 그리고 "].iter().find_map(|word| last.split_once(word));
    match (joined, pair) {
        (Some(last), _) => parts.push(last),
        (None, Some((one, other))) => parts.extend([one, other]),
        (None, None) => parts.push(last),
    }
    let parts: Vec<&str> = parts.into_iter().map(str::trim).collect();
    (parts.len() > 2 && parts.iter().all(|part| is_thing(part))).then_some(parts)
}

fn is_thing(part: &str) -> bool {
    let lower = part.to_lowercase().replace('’', "'");
    let mut words = lower.split_whitespace();
    part.starts_with(char::is_alphanumeric)
        && part.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '\'' | '’' | '+' | '#' | '&'))
        && lower.split_whitespace().count() <= 3
        && words.all(|word| {
            let talk =
                TALK.contains(&word) || word.ends_with("n't") || matches!(word, "and" | "및" | "그리고");
            let ends = word.chars().count() > 2 && TALK_KO.iter().any(|end| word.ends_with(end));
            !talk && !ends
        })
}

#[cfg(test)]
mod tests {
    use super::{cells, enumerated};

    #[test]
    fn things_between_commas_are_told_from_talk() {
        for (text, parts) in [
            ("apples, pears and plums", vec!["apples", "pears", "plums"]),
            ("apples, pears, and plums", vec!["apples", "pears", "plums"]),
            ("가, 나, 다", vec!["가", "나", "다"]),
            ("사과、배、감", vec!["사과", "배", "감"]),
            ("Kim, Park & Lee", vec!["Kim", "Park", "Lee"]),
            ("서울,부산,바다", vec!["서울", "부산", "바다"]),
        ] {
            assert_eq!(enumerated(text), Some(parts), "{text}");
        }
        for text in [
            "Seoul, Korea",
            "Sure, here you go",
            "no, I cannot do that",
            "I like apples, pears and plums",
            "apples, pears or plums",
            "apples, no pears, plums",
            "apples, pears, etc",
            "네, 사과, 배",
            "사과, 배, 또는 감",
            "사과, 배, 감입니다",
            "1,234, 5,678",
            "apples, pears, ",
            "a: 1, b: 2, c: 3",
        ] {
            assert_eq!(enumerated(text), None, "{text}");
        }
    }

    #[test]
    fn quoted_cells_keep_their_commas() {
        assert_eq!(
            cells("Ann, \"a, \"\"b\"\"\",4", ','),
            Some(vec!["Ann".into(), "a, \"b\"".into(), "4".into()])
        );
        assert_eq!(cells("a;;", ';'), Some(vec!["a".into(), String::new(), String::new()]));
        assert_eq!(cells("\"open, 4", ','), None);
    }
}
