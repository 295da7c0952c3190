//! Which of two values the words between them speak of.
//!
//! Words on the line of the value before them, behind it, are said of that value, as are those whose subject it is (`is a draft
//! and`, `는 초안이고`, “that was wrong:”). The last line leads to the value behind it. Where words could be said of either,
//! layout decides: whether the other labels of the answer stand in front of their values or behind them.

use super::super::document::Cue;
use super::verdict::{Verdict, mark, verdict};
use super::{is_one_of, last_sentence, read, words};

/// Where the labels of an answer with several values stand.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(in super::super) enum Layout {
    #[default]
    Unknown,
    Front,
    Behind,
}

/// Bounds the text that is looked at on either side of the values, in bytes.
const REACH: usize = 160;

/// Reads from the text before the first value and the one after the last where labels stand.
pub(in super::super) fn layout(first: &str, last: &str) -> Layout {
    let first = last_sentence(super::tail(first));
    let front = !first.trim().is_empty()
        && (labels(first) || read(first) != Cue::None || mark(first, true) != Cue::None);
    let line = last.get(..last.floor_char_boundary(REACH)).unwrap_or("");
    let line = line.lines().map(unfenced).find(|line| !line.is_empty()).unwrap_or("");
    let behind = label_behind(line).is_some() || verdict(unmarked(line)).is_some();
    match (front, behind) {
        (true, false) => Layout::Front,
        (false, true) => Layout::Behind,
        _ => Layout::Unknown,
    }
}

fn labels(text: &str) -> bool {
    verdict(text).is_some() || super::label(text) != Cue::None
}

/// Is what the text between two values says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Between<'a> {
    /// What it says of the value before it.
    pub(super) back: Option<Cue>,
    /// What it says of the value behind it, before that value's own lead-in is read.
    pub(super) ahead: Option<Cue>,
    /// The words that lead to the value behind it.
    pub(super) lead: &'a str,
    /// It could be said of either.
    pub(super) unclear: bool,
}

/// Reads the text between two values.
pub(super) fn between(gap: &str, layout: Layout, key: impl Fn(&str) -> bool) -> Between<'_> {
    let plain = Between { lead: gap, ..Between::default() };
    let whole = gap;
    let gap = closed(gap);
    // Behind the frame of the value, or at that of the next one, nothing stands beside the value.
    let framed = gap.len() < whole.len() || opens_frame(gap);
    let plain = Between { lead: gap, ..plain };
    if gap.len() > 4 * REACH {
        return plain;
    }
    // “…done thinking.”
    if let Some(at) = gap.find("done thinking") {
        let rest = gap.get(at..).and_then(|rest| rest.split_once('\n')).map_or("", |(_, rest)| rest);
        return Between { back: Some(Cue::Rejected), lead: rest, ..plain };
    }
    let (line, below) = gap.split_once('\n').map_or((gap, None), |(line, below)| (line, Some(below)));
    let body = below.unwrap_or("");
    let line = unfenced(line);
    if !framed && let Some((back, lead)) = beside(line, below.is_some(), layout) {
        return match back {
            Some(back) => {
                let rest = if lead.is_empty() { body } else { gap_from(gap, lead) };
                Between { back: Some(back.cue), lead: rest, ..plain }
            }
            None => Between { unclear: true, lead: "", ..plain },
        };
    }
    if let Some(found) = swap(line, gap) {
        return found;
    }
    // A line of its own that points at what is above it, or does not tell where it points.
    if line.is_empty() {
        let mut at = gap.len() - body.len();
        for own in body.split_inclusive('\n') {
            at += own.len();
            let text = unfenced(own);
            if text.is_empty() {
                continue;
            }
            let rest = gap.get(at..).unwrap_or("");
            if let Some(pointed) = pointed_up(text) {
                return match verdict(pointed) {
                    Some(said) => Between { back: Some(said.cue), lead: rest, ..plain },
                    None => plain,
                };
            }
            let alone = own.ends_with('\n') && unfenced(rest).is_empty() && !text.ends_with([':', '：']);
            if alone
                && text.split_whitespace().count() < 4
                && !text.ends_with(['.', '!', '。'])
                && !has_verb(text)
                && let Some(said) = verdict(unmarked(text))
            {
                match layout {
                    Layout::Behind => return Between { back: Some(said.cue), lead: rest, ..plain },
                    Layout::Front => {}
                    // A heading stands above what it names.
                    Layout::Unknown
                        if matches!(said.cue, Cue::Final | Cue::Corrected)
                            || text.starts_with(['#', '/']) => {}
                    Layout::Unknown => return Between { unclear: true, lead: "", ..plain },
                }
            }
            break;
        }
    }
    let mut sentence = last_sentence(gap);
    for end in [" so", " therefore", " thus", " hence", " 따라서", " 그래서"] {
        sentence = sentence.strip_suffix(end).unwrap_or(sentence);
    }
    let said = match read(sentence) {
        Cue::None if verdict_within(sentence) => Cue::Rejected,
        said => said,
    };
    match points(sentence, key) {
        Points::Ordinal => Between { unclear: true, lead: "", ..plain },
        _ if !matches!(said, Cue::Rejected | Cue::Draft | Cue::Example) => plain,
        Points::Back => Between { back: Some(said), ahead: Some(Cue::Corrected), lead: "", ..plain },
        Points::Label if layout == Layout::Front => plain,
        Points::Label if layout == Layout::Behind => Between { back: Some(said), lead: "", ..plain },
        Points::Unclear | Points::Label => Between { unclear: true, lead: "", ..plain },
        Points::Ahead => plain,
    }
}

fn gap_from<'a>(gap: &'a str, lead: &str) -> &'a str {
    let at = lead.as_ptr().addr().saturating_sub(gap.as_ptr().addr());
    gap.get(at..).unwrap_or("")
}

/// Returns what a text right behind a value, on its line, says of it, and where the rest of the line begins; `None` inside where
/// it does not tell whether it speaks of that value.
///
/// `ended` tells that the line ends before another value.
fn beside(line: &str, ended: bool, layout: Layout) -> Option<(Option<Verdict>, &str)> {
    if line.is_empty() {
        return None;
    }
    // `(draft)`
    for (open, close) in [('(', ')'), ('[', ']')] {
        if let Some((inside, rest)) = line.strip_prefix(open).and_then(|rest| rest.split_once(close))
            && let Some(said) = verdict(inside).or_else(|| letter(inside))
        {
            return Some((Some(said), rest));
        }
    }
    if let Some((rest, said)) = postposition(line) {
        return Some((Some(said), rest));
    }
    let text = unmarked(line);
    let marked = text.len() < line.len();
    if ended
        && !line.ends_with([':', '：', ','])
        && let Some(said) = verdict(text)
    {
        return Some((Some(said), ""));
    }
    let (clause, rest, separator) = first_clause(text);
    let said = verdict(clause).filter(|said| said.predicate || !has_verb(clause))?;
    // `. Final: {…}`, `, draft: {…}`
    let apart = line.starts_with([',', '.', ';', '!', '?']);
    if apart {
        return None;
    }
    if said.predicate {
        return Some((Some(said), rest));
    }
    let all = rest.trim_matches(|c: char| !c.is_alphanumeric()).is_empty();
    match separator {
        Some(':' | '：') if matches!(said.cue, Cue::Final | Cue::Corrected) => None,
        Some(':' | '：') if all && !marked => Some((None, "")),
        Some(':' | '：') => None,
        Some(_) => Some((Some(said), rest)),
        None if marked && pointed_up(line).is_some() => Some((Some(said), rest)),
        None => match layout {
            Layout::Behind => Some((Some(said), rest)),
            Layout::Front => None,
            Layout::Unknown if matches!(said.cue, Cue::Final | Cue::Corrected) && !marked => None,
            Layout::Unknown => Some((None, "")),
        },
    }
}

/// `(X)`, `(O)`
fn letter(inside: &str) -> Option<Verdict> {
    let cue = match inside.trim() {
        "X" | "x" | "×" => Cue::Rejected,
        "O" | "o" | "○" => Cue::Final,
        _ => return None,
    };
    Some(Verdict { cue, predicate: false, unsure: false })
}

/// Reads a label at the end of an answer or a line: `(incorrect)`, `: rejected`, `❌`.
pub(super) fn label_behind(after: &str) -> Option<Verdict> {
    let after = closed(after.get(..after.floor_char_boundary(REACH)).unwrap_or(""));
    let mut lines = after.lines();
    let line = unfenced(lines.next().unwrap_or(""));
    if line.is_empty() {
        let next = lines.map(unfenced).find(|line| !line.is_empty())?;
        return pointed_up(next).and_then(verdict);
    }
    let line = line.trim_end_matches(['.', '!', '。', ' ']);
    beside(line, true, Layout::Behind)
        .and_then(|(said, rest)| said.filter(|_| !rest.contains(char::is_alphanumeric)))
}

/// Cuts off what closes the value's own frame: `</draft>`, `[/THINK]`, quotes.
fn closed(gap: &str) -> &str {
    let mut rest = gap;
    loop {
        let text = rest.trim_start_matches([' ', '"', '”', '’']);
        let tag = |open: &str, close: char| {
            text.strip_prefix(open)
                .and_then(|inside| inside.split_once(close))
                .filter(|(name, _)| name.len() < 40 && !name.contains(['\n', ' ']))
                .map(|(_, rest)| rest)
        };
        let Some(next) = tag("</", '>').or_else(|| tag("[/", ']')).or_else(|| tag("◁/", '▷')) else {
            return rest;
        };
        // What stands behind the frame is no longer beside the value.
        let line = next.trim_start_matches(' ');
        rest = next;
        if !line.starts_with(['<', '[', '◁']) {
            return next;
        }
    }
}

/// Tells whether the text starts with a tag that opens.
fn opens_frame(text: &str) -> bool {
    let text = text.trim_start();
    text.strip_prefix('<').is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_alphabetic() || c == '|')
            && rest.get(..rest.floor_char_boundary(40)).is_some_and(|name| name.contains('>'))
    }) || text.starts_with('◁')
}

fn has_verb(text: &str) -> bool {
    words(text).any(|word| is_one_of(word, &["is", "was", "were", "that's", "it's"]))
}

/// Takes fences, emphasis and marks of lists off both ends of a line.
fn unfenced(line: &str) -> &str {
    let line = line.trim().trim_matches(|c: char| c.is_whitespace() || matches!(c, '`' | '~' | '*' | '_'));
    let language = line.len() < 8 && matches!(line, "json" | "JSON" | "yaml" | "xml" | "text");
    if language { "" } else { line }
}

/// Takes the mark off that ties a label to the value before it: `<-`, `#`, `//`, `—`, `:`.
fn unmarked(line: &str) -> &str {
    let text = line.trim_start_matches(|c: char| {
        matches!(
            c,
            '<' | '-'
                | '>'
                | '←'
                | '→'
                | '⬅'
                | '⇐'
                | '#'
                | '/'
                | '—'
                | '–'
                | ':'
                | '：'
                | '|'
                | '↑'
                | '⬆'
                | '^'
                | '▲'
        ) || c.is_whitespace()
            || c == '\u{FE0F}'
    });
    text.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '-' | '|'))
}

/// Returns the words behind an arrow that points at what stands before it.
fn pointed_up(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(['↑', '⬆', '▲', '^', '←', '⬅', '⇐', '☝', '👆']);
    rest.or_else(|| line.strip_prefix("<-")).map(unmarked)
}

/// Cuts off the first clause of a line.
fn first_clause(text: &str) -> (&str, &str, Option<char>) {
    let mut cut: Option<(usize, usize, Option<char>)> = text
        .char_indices()
        .find(|(_, c)| matches!(c, ',' | ';' | ':' | '：' | '.' | '!' | '|' | '—' | '–' | '/' | '\n'))
        .map(|(at, c)| (at, c.len_utf8(), Some(c)));
    for word in [" and ", " but ", " while ", " whereas ", " - ", " so "] {
        if let Some(at) = text.find(word)
            && cut.is_none_or(|(known, ..)| at < known)
        {
            cut = Some((at, word.len(), Some(',')));
        }
    }
    // `는 틀렸고 최종 답은`
    let mut at = 0;
    for word in text.split_inclusive(' ') {
        at += word.len();
        let stem = word.trim_end();
        let connects = ["고", "으며", "이며", "지만", "으니", "으나", "는데", "은데", "인데", "니까", "므로"]
            .iter()
            .any(|end| stem.ends_with(end) && stem.len() > end.len());
        if connects && cut.is_none_or(|(known, ..)| at < known) {
            cut = Some((at, 0, Some(',')));
            break;
        }
    }
    match cut {
        Some((at, len, separator)) => {
            (text.get(..at).unwrap_or(text), text.get(at + len..).unwrap_or(""), separator)
        }
        None => (text, "", None),
    }
}

/// `{…} 대신 {…}`, `{…}가 아니라 {…}`: the value before it gives way.
fn postposition(line: &str) -> Option<(&str, Verdict)> {
    let said = Verdict { cue: Cue::Rejected, predicate: true, unsure: false };
    let text = line.strip_prefix(['을', '를', '이', '가', '은', '는']).map_or(line, str::trim_start);
    ["대신에", "대신", "말고", "보다는", "보다", "아니라", "아닌", "아니고", "무시하고", "버리고"]
        .iter()
        .find_map(|word| text.strip_prefix(word))
        .filter(|rest| rest.is_empty() || rest.starts_with([' ', ',', '\n']))
        .map(|rest| (rest, said))
}

/// `{…}를 {…}로 수정했습니다`, “changed {…} to {…}”: told by the words around both; here only those between them are known.
fn swap<'a>(line: &str, gap: &'a str) -> Option<Between<'a>> {
    let ahead = |cue| Between { back: None, ahead: Some(cue), lead: gap, unclear: false };
    match line.trim().to_lowercase().trim_matches(['(', ',', ' ']) {
        "instead of" | "rather than" | "as opposed to" | "in place of" | "replaces" | "supersedes"
        | "overrides" => Some(ahead(Cue::Rejected)),
        _ => None,
    }
}

enum Points {
    Back,
    Ahead,
    Unclear,
    /// “예시입니다:”
    Label,
    /// “The first one is right.”
    Ordinal,
}

/// Tells whether a sentence without a full stop says that something went wrong, in words that [`read`] takes for nothing.
fn verdict_within(sentence: &str) -> bool {
    let lower = sentence.to_lowercase();
    words(&lower).any(|word| {
        matches!(
            word,
            "mistake" | "mistakes" | "error" | "misread" | "oops" | "invalid" | "misspoke" | "messed"
        ) || ["실수", "착각", "틀렸", "틀립", "오류"].iter().any(|stem| word.starts_with(stem))
    })
}

/// Tells whether a sentence tells values apart by their order: “The first one is wrong.”
pub(super) fn counts_off(sentence: &str) -> bool {
    matches!(points(sentence, |_| false), Points::Ordinal)
}

/// Tells of which of two values a sentence between them speaks.
fn points(sentence: &str, key: impl Fn(&str) -> bool) -> Points {
    let lower = sentence.to_lowercase().replace('’', "'");
    let list: Vec<&str> = words(&lower).collect();
    let Some(first) = list.first().copied() else { return Points::Ahead };
    let korean = list.iter().any(|word| word.chars().any(super::remark::is_hangul));
    let interjected = is_one_of(
        first,
        &[
            "wait",
            "oops",
            "whoops",
            "sorry",
            "hmm",
            "no",
            "ah",
            "argh",
            "ugh",
            "apologies",
            "hold",
            "oh",
            "actually",
        ],
    ) || ["잠깐", "잠시", "아니", "아차", "앗", "죄송", "이런", "어", "음", "엇"]
        .iter()
        .any(|word| first == *word || (word.chars().count() > 1 && first.starts_with(word)));
    if korean {
        let last = list.last().copied().unwrap_or("");
        let ends = ["다", "요", "죠", "음", "임", "네", "고", "군", "듯"];
        let stems =
            ["틀", "잘못", "실수", "오류", "초안", "임시", "예시", "오답", "착각", "썼", "봤", "했", "맞"];
        let predicate = ends.iter().any(|end| last.ends_with(end))
            && list.iter().rev().take(2).any(|word| stems.iter().any(|stem| word.starts_with(stem)));
        if predicate
            && ["첫", "두", "첫번째", "두번째", "후자", "전자"].iter().any(|word| {
                first == *word
                    || first
                        .strip_prefix(word)
                        .is_some_and(|rest| matches!(rest, "는" | "가" | "은" | "이" | "째는" | "째가"))
            })
        {
            return Points::Ordinal;
        }
        if ["다음", "아래", "이하"].iter().any(|word| first.starts_with(word)) {
            return Points::Ahead;
        }
        if !predicate {
            return if interjected { Points::Back } else { Points::Ahead };
        }
        if list.len() == 1
            && !interjected
            && ["입니다", "이에요", "예요", "임"].iter().any(|end| last.ends_with(end))
        {
            return Points::Label;
        }
        if list.iter().any(|word| matches!(*word, "이것은" | "이건" | "이게" | "이것이" | "이는"))
            && !interjected
        {
            return Points::Unclear;
        }
        return Points::Back;
    }
    let verbs = [
        "is", "was", "were", "are", "isn't", "wasn't", "looks", "seems", "made", "had", "has", "contains",
        "misread", "messed", "got",
    ];
    let short =
        |word: &str| word.ends_with("'s") && is_one_of(word, &["that's", "it's", "this's", "there's"]);
    let Some(verb) = list.iter().position(|word| is_one_of(word, &verbs) || short(word)) else {
        return if interjected { Points::Back } else { Points::Ahead };
    };
    let subject = list.get(..=verb).unwrap_or(&[]);
    let subject = if list.get(verb).is_some_and(|word| short(word)) {
        subject
    } else {
        list.get(..verb).unwrap_or(&[])
    };
    let has =
        |names: &[&str]| subject.iter().any(|word| is_one_of(word.strip_suffix("'s").unwrap_or(word), names));
    if has(&["first", "second", "latter", "former", "one"])
        && has(&["first", "second", "latter", "former"])
        && verb + 1 < list.len()
    {
        return Points::Ordinal;
    }
    // “A wrong answer is {…}”
    if verb + 1 == list.len() || has(&["following", "below", "next", "here", "common"]) {
        return Points::Ahead;
    }
    if list.iter().skip(verb + 1).any(|word| is_one_of(word, &["answer", "corrected", "correct"]))
        && !list.iter().skip(verb).any(|word| is_one_of(word, &["wrong", "incorrect", "mistake", "invalid"]))
    {
        return Points::Ahead;
    }
    if has(&["that", "it", "above", "i", "we", "my", "previous", "earlier", "those", "last", "there"])
        || subject.iter().any(|word| key(word))
        || interjected
        || subject.is_empty()
    {
        return Points::Back;
    }
    if list.last().is_some_and(|word| is_one_of(word, &["is", "be"])) {
        Points::Ahead
    } else {
        Points::Unclear
    }
}

/// Tells whether a sentence says what an earlier answer got wrong: “the previous answer was wrong”, “앞서 잘못 답해서 죄송합니다”.
pub(super) fn speaks_of_earlier(sentence: &str) -> bool {
    let lower = sentence.to_lowercase().replace('’', "'");
    let list: Vec<&str> = words(&lower).collect();
    let earlier = list.iter().any(|word| {
        is_one_of(word, &["previous", "previously", "earlier", "last", "prior", "before"])
            || ["앞서", "이전", "지난", "아까", "방금", "직전"].iter().any(|stem| word.starts_with(stem))
    });
    let past = list
        .iter()
        .any(|word| is_one_of(word, &["was", "were", "had", "gave", "made", "apologize", "sorry"]))
        || list.last().is_some_and(|last| {
            ["죄송", "미안", "사과"].iter().any(|stem| last.starts_with(stem))
                || ["습니다", "었네요", "했네요", "었어요", "했어요"].iter().any(|end| last.ends_with(end))
        });
    earlier && past
}
