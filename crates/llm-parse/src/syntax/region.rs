//! Which stretches of a text read as outlines.

use super::line::{Entry, Line, entry, is_blank, lines, unemphasised};
use super::machine::Machine;
use super::scan::Input;
use crate::tree::Span;

/// Is a stretch of lines that reads as one outline.
#[derive(Clone, Copy)]
pub(super) struct Region {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) entries: usize,
    pub(super) whole: bool,
    /// Where a line right below it ends that looks like one more item and is none: `-3` after `- 2`.
    pub(super) odd_item: Option<usize>,
    /// A line above it that leads in, and may be a key without its value: `name:` and a blank line.
    pub(super) lead: Option<Span>,
}

/// Words of a line that announces an answer.
const ANNOUNCES: &[&str] = &[
    "answer",
    "answers",
    "result",
    "results",
    "output",
    "response",
    "json",
    "yaml",
    "final",
    "here",
    "following",
    "below",
    "data",
    "summary",
    "list",
    "format",
    "example",
    "draft",
    "note",
    "답",
    "정답",
    "답변",
    "결과",
    "출력",
    "응답",
    "최종",
    "다음",
    "아래",
    "요약",
    "목록",
    "예시",
    "초안",
    "참고",
];

/// Tells whether a line such as `name:` may be a key that has no value, rather than words that lead in.
fn may_be_key(name: &str) -> bool {
    let announces = |word: &str| {
        let word = word.to_lowercase();
        ANNOUNCES.contains(&&*word)
            || (!word.is_ascii()
                && ANNOUNCES.iter().any(|known| !known.is_ascii() && word.starts_with(known)))
    };
    name.split_whitespace().count() < 3 && !name.split(|c: char| !c.is_alphanumeric()).any(announces)
}

impl Machine {
    pub(super) fn regions(&self, cx: Input<'_>, area: Span, only_whole: bool) -> Vec<Region> {
        let mut regions: Vec<Region> = Vec::new();
        let mut open: Option<Region> = None;
        let mut base = 0;
        let mut lead: Option<Line> = None;
        let mut set_aside: Option<Span> = None;
        let mut first = true;
        // There are lines that belong to no outline.
        let mut amid = false;
        let mut blank = false;
        let mut skip = 0;
        // A block does not look through what stands before it.
        let from = self.candidates.partition_point(|candidate| candidate.span.end <= area.start);
        let mut candidates = self.candidates.get(from..).unwrap_or(&[]).iter().peekable();
        for line in lines(cx, area.start, area.end) {
            if is_blank(line) {
                if let Some(key) = lead.take()
                    && open.is_some_and(|region| region.start == key.start)
                {
                    // `Here it is:` and a blank line: the lead-in, not a key.
                    open = None;
                    first = true;
                    set_aside = Some(Span::new(key.text, key.end));
                }
                blank = true;
                continue;
            }
            while candidates.next_if(|c| c.span().end <= line.start).is_some() {}
            if let Some(candidate) = candidates.peek()
                && candidate.span().start < line.start
            {
                skip = skip.max(candidate.span().end);
            }
            let indent = line.text - line.start;
            let text = cx.slice(line.text, line.end);
            let fence = text.starts_with("```") || text.starts_with("~~~");
            let kind = if fence { Entry::None } else { entry(cx, line.text, line.end) };
            let mark = text.starts_with('#') || text == "---" || text == "...";
            let row = text.starts_with('|');
            let goes_on = open.is_some() && (indent > base || mark || (line.start < skip));
            let is_entry = (kind != Entry::None || row) && line.start >= skip;
            if is_entry || goes_on {
                let count = usize::from(is_entry);
                match &mut open {
                    Some(region) if !(blank && indent < base) => {
                        region.end = line.end;
                        region.entries += count;
                    }
                    _ => {
                        regions.extend(open.take());
                        base = indent;
                        open = Some(Region {
                            start: line.start,
                            end: line.end,
                            entries: count,
                            whole: first,
                            odd_item: None,
                            lead: set_aside.take().filter(|lead| {
                                let name = lead.of(cx.text).trim_end_matches([':', '：']);
                                matches!(kind, Entry::Field { .. }) && may_be_key(unemphasised(name))
                            }),
                        });
                    }
                }
                set_aside = None;
                let bare_key = matches!(kind, Entry::Field { value, .. } if value >= line.end);
                lead = (bare_key && open.is_some_and(|region| region.start == line.start)).then_some(line);
            } else if !(mark && open.is_none()) {
                if let (Some(region), false, true) = (&mut open, blank, text.starts_with(['-', '*', '+'])) {
                    region.odd_item = (cx.at(region.start + base) == cx.at(line.text)).then_some(line.end);
                }
                regions.extend(open.take());
                if only_whole {
                    return Vec::new();
                }
                first = false;
                amid = true;
            }
            blank = false;
        }
        if let Some(key) = lead
            && open.is_some_and(|region| region.start == key.start && region.entries == 1)
        {
            open = None;
        }
        regions.extend(open);
        if regions.len() > 1 || amid {
            for region in &mut regions {
                region.whole = false;
            }
            if only_whole {
                return Vec::new();
            }
        }
        regions
    }
}
