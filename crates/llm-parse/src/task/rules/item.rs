//! Lines: which are items of a list, which are prose.

use std::ops::Range;

/// What stands before an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// A bullet: the items are a set.
    Bullet,
    /// A number or an ordinal: the items are a sequence.
    Step,
}

/// A list item, or a run of prose lines.
pub(super) struct Block {
    pub(super) marker: Option<Marker>,
    /// What its box says of it, if it has one: `- [x]`, `☐`.
    pub(super) ticked: Option<bool>,
    pub(super) content: Range<usize>,
}

/// Cuts the text into list items and prose. The title (everything before `body_start`) is left out: it names the
/// whole, not a part.
pub(super) fn blocks(text: &str, body_start: usize) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut start = body_start;
    let mut prose_open = false;
    for line in text.get(body_start..).unwrap_or_default().split_inclusive('\n') {
        let end = start + line.len();
        let indent = line.len() - line.trim_start().len();
        let trimmed = line.trim();
        let at = start + indent;
        if trimmed.is_empty() {
            prose_open = false;
        } else if let Some((marker, skip)) = marker(trimmed) {
            let boxed = ticked(trimmed.get(..skip).unwrap_or_default());
            let (said, content) = said(text, at + skip..at + trimmed.len());
            blocks.push(Block { marker: Some(marker), ticked: boxed.or(said), content });
            prose_open = false;
        } else if let (true, Some(block)) = (prose_open, blocks.last_mut()) {
            block.content.end = at + trimmed.len();
        } else {
            blocks.push(Block { marker: None, ticked: None, content: at..at + trimmed.len() });
            prose_open = true;
        }
        start = end;
    }
    blocks
}

/// What the box among an item's marks says.
fn ticked(marks: &str) -> Option<bool> {
    if marks.contains("[ ]") || marks.contains('☐') {
        return Some(false);
    }
    (marks.contains("[x]") || marks.contains("[X]") || marks.contains('☑')).then_some(true)
}

/// What the words of an item say of it, and the item without them: `(done) Call mom`, `~~Clean room~~`, `운동하기 (완료)`.
fn said(text: &str, content: Range<usize>) -> (Option<bool>, Range<usize>) {
    const MARKS: [(&str, bool); 10] = [
        ("done", true),
        ("completed", true),
        ("finished", true),
        ("완료", true),
        ("끝", true),
        ("todo", false),
        ("to do", false),
        ("open", false),
        ("예정", false),
        ("미완료", false),
    ];
    let plain = (None, content.clone());
    let Some(item) = text.get(content.clone()) else { return plain };
    // `head` bytes of the item are left out before `inner`
    let within = |head: usize, inner: &str| {
        let start = content.start + head + (inner.len() - inner.trim_start().len());
        start..start + inner.trim().len()
    };
    let struck = item.strip_prefix("~~").and_then(|rest| rest.strip_suffix("~~"));
    if let Some(inner) = struck.filter(|inner| !inner.trim().is_empty() && !inner.contains("~~")) {
        return (Some(true), within(2, inner));
    }
    let mark = |words: &str| {
        let words = words.trim().to_lowercase();
        MARKS.iter().find(|(mark, _)| *mark == words).map(|(_, done)| *done)
    };
    for (open, close) in [('(', ')'), ('[', ']')] {
        if let Some((words, rest)) = item.strip_prefix(open).and_then(|rest| rest.split_once(close))
            && let Some(done) = mark(words)
            && !rest.trim().is_empty()
        {
            return (Some(done), within(item.len() - rest.len(), rest));
        }
        if let Some((rest, words)) = item.strip_suffix(close).and_then(|rest| rest.rsplit_once(open))
            && let Some(done) = mark(words)
            && !rest.trim().is_empty()
        {
            return (Some(done), within(0, rest));
        }
    }
    plain
}

const ORDINALS: [&str; 24] = [
    "첫째",
    "둘째",
    "셋째",
    "넷째",
    "다섯째",
    "여섯째",
    "일곱째",
    "여덟째",
    "아홉째",
    "열째",
    "첫 번째",
    "두 번째",
    "세 번째",
    "네 번째",
    "다섯 번째",
    "첫번째",
    "두번째",
    "세번째",
    "네번째",
    "firstly",
    "secondly",
    "thirdly",
    "fourthly",
    "lastly",
];

/// Finds the marker of a line and how many bytes it takes, the space after it included.
fn marker(line: &str) -> Option<(Marker, usize)> {
    let after = |skip: usize| {
        let rest = line.get(skip..)?;
        let spaces = rest.len() - rest.trim_start().len();
        (rest.len() > spaces).then_some(skip + spaces)
    };
    let first = line.chars().next()?;
    if matches!(
        first,
        '-' | '*'
            | '+'
            | '•'
            | '·'
            | '‣'
            | '◦'
            | '○'
            | '●'
            | '▪'
            | '■'
            | '□'
            | '✓'
            | '✔'
            | '–'
            | '—'
            | '☐'
            | '☑'
    ) {
        let skip = after(first.len_utf8())?;
        let spaced = line.get(first.len_utf8()..skip).is_some_and(|gap| !gap.is_empty());
        let symbol = !matches!(first, '-' | '*' | '+' | '·' | '–' | '—');
        let checkbox = ["[ ] ", "[x] ", "[X] "]
            .iter()
            .find(|box_| line.get(skip..).is_some_and(|rest| rest.starts_with(**box_)));
        return (spaced || symbol).then(|| (Marker::Bullet, skip + checkbox.map_or(0, |box_| box_.len())));
    }
    if matches!(first, '①'..='⑳') {
        return Some((Marker::Step, after(first.len_utf8())?));
    }
    let digits = line.chars().take_while(char::is_ascii_digit).count();
    if (1..=2).contains(&digits) {
        return numbered(line, digits).and_then(|skip| Some((Marker::Step, after(skip)?)));
    }
    let lower = line.to_lowercase();
    for word in ["step ", "스텝 ", "단계 "] {
        if let Some(rest) = lower.strip_prefix(word) {
            let digits = rest.chars().take_while(char::is_ascii_digit).count();
            let stop = rest.chars().nth(digits)?;
            if (1..=2).contains(&digits) && matches!(stop, ':' | '.' | ')' | '-') {
                return Some((Marker::Step, after(word.len() + digits + 1)?));
            }
        }
    }
    ORDINALS.iter().find_map(|ordinal| {
        let rest = lower.strip_prefix(ordinal)?;
        let skip =
            rest.strip_prefix(',').or_else(|| rest.strip_prefix(':')).or_else(|| rest.strip_prefix("로,"))?;
        Some((Marker::Step, after(lower.len() - skip.len())?))
    })
}

/// `1.` `1)` `1단계:` `(1)` — but not `1.5km` or `30분`.
fn numbered(line: &str, digits: usize) -> Option<usize> {
    let rest = line.get(digits..)?;
    if let Some(rest) = rest.strip_prefix(['.', ')']) {
        return rest.starts_with(char::is_whitespace).then_some(digits + 1);
    }
    let rest = rest.strip_prefix("단계")?;
    rest.starts_with([':', '.', ')']).then_some(digits + "단계".len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(text: &str) -> Vec<(Option<Marker>, &str)> {
        blocks(text, 0).into_iter().map(|block| (block.marker, &text[block.content])).collect()
    }

    #[test]
    fn markers_of_both_languages_are_seen() {
        assert_eq!(
            contents("들어가며\n1. 하나\n② 둘\n첫째, 셋\nStep 2: four\n- [x] five\n1단계: 여섯\n"),
            [
                (None, "들어가며"),
                (Some(Marker::Step), "하나"),
                (Some(Marker::Step), "둘"),
                (Some(Marker::Step), "셋"),
                (Some(Marker::Step), "four"),
                (Some(Marker::Bullet), "five"),
                (Some(Marker::Step), "여섯"),
            ]
        );
    }

    #[test]
    fn numbers_dashes_and_minus_signs_in_prose_are_no_markers() {
        assert_eq!(contents("1.5km를 뛰었다\n30분 걸었다\n-5도였다").len(), 1);
    }
}
