//! What the words around a candidate say about it, in Korean and English.

mod clause;
mod english;
mod followed;
mod gap;
mod korean;
mod lead;
mod outline;
mod remark;
mod verdict;

use super::document::Cue;
pub(super) use gap::{Layout, layout};
use lead::read;
pub(crate) use outline::denies;
pub(super) use outline::{ends_corrected, is_remark, outline};

/// Bounds the text that is looked at before a candidate, in bytes.
const BEFORE: usize = 240;
/// Bounds the text that is looked at after a candidate, in bytes.
const AFTER: usize = 160;

/// What stands on either side of a candidate.
#[derive(Clone, Copy, Default)]
pub(super) struct Neighbours<'a> {
    /// Another value stands before it.
    pub(super) before: bool,
    /// The text of that value.
    pub(super) previous: &'a str,
    /// Another value stands after it.
    pub(super) after: bool,
    pub(super) layout: Layout,
}

/// Reads the cue of a candidate, written as `value`, from the text since the value before it, if one stands before it, and
/// the text up to the next one.
pub(super) fn cue(before: &str, value: &str, after: &str, values: Neighbours<'_>) -> Cue {
    // A row of values has nothing to say between them.
    let silent = |text: &str| text.bytes().all(|byte| byte.is_ascii_whitespace() || byte == b',');
    if silent(before) && silent(after) {
        return Cue::None;
    }
    let lead = lead_in(before, values);
    if lead.1 {
        return Cue::Rejected;
    }
    let lead = lead.0;
    let said = said_behind(before, value, after, values);
    match (lead, said) {
        (lead, Cue::None) => lead,
        // A final answer stays one where drafts are spoken of after it.
        (lead, Cue::Draft) if !matches!(lead, Cue::None | Cue::Draft) => lead,
        (lead, Cue::Final | Cue::Corrected) if lead != Cue::None => lead,
        (_, said) => said,
    }
}

/// Reads what leads to a value, and whether it denies the value outright.
fn lead_in(before: &str, values: Neighbours<'_>) -> (Cue, bool) {
    let whole = before;
    let mut before = tail(before);
    let mut given = None;
    if values.before {
        let named = remark::Sentence::new("", values.previous);
        let between = gap::between(whole, values.layout, |word| named.is_key(word));
        if between.unclear {
            return (Cue::None, false);
        }
        given = between.ahead;
        before = tail(between.lead);
    }
    let sentence = last_sentence(before);
    let mut lead = match label(sentence) {
        Cue::None => read(sentence),
        label => label,
    };
    // `예: {…}` may say yes where nothing follows it.
    if lead == Cue::None && heads_example(before) {
        lead = if values.after || !last_line(before).contains("예") { Cue::Example } else { Cue::Draft };
    }
    if lead == Cue::None && frames_thought(before) {
        return (Cue::Rejected, false);
    }
    if lead == Cue::None
        && let Some(said) = verdict::verdict(sentence)
        && !matches!(said.cue, Cue::Final | Cue::Corrected)
        && !said.predicate
    {
        lead = said.cue;
    }
    // What a turn before this one got wrong is not what follows.
    if lead == Cue::Rejected && !values.before && gap::speaks_of_earlier(sentence) {
        lead = Cue::None;
    }
    if lead == Cue::None && values.after && is_given(sentence) {
        lead = Cue::Draft;
    }
    if lead == Cue::None {
        lead = verdict::mark(last_line(before), true);
        if lead == Cue::Corrected && !values.before && !values.after {
            lead = Cue::None;
        }
    }
    // “Wait, that is wrong. {…}” is said of the value before it.
    let told = before.trim_end().ends_with(['.', '!']);
    if values.before && (lead == Cue::None || (lead == Cue::Rejected && told)) && takes_back(before) {
        lead = Cue::Corrected;
    }
    if let Some(given) = given {
        return (given, false);
    }
    (lead, is_denial(sentence) || (!told && is_withheld(sentence)) || denies_by_mark(before))
}

/// `!{…}`, `No: {…}`
fn denies_by_mark(before: &str) -> bool {
    let text = before.trim_end_matches(' ');
    let alone = before.trim().trim_matches('*');
    (text.ends_with('!') && text.trim_end_matches('!').chars().next_back().is_none_or(char::is_whitespace))
        || (alone.eq_ignore_ascii_case("no:") || alone == "아니요:")
}

/// `Input: {…}`: what was given, where what comes of it follows.
fn is_given(sentence: &str) -> bool {
    let mut words = words(sentence);
    let (first, more) = (words.next().unwrap_or(""), words.next().is_some());
    !more
        && (is_one_of(first, &["input", "question", "q", "user", "prompt"])
            || matches!(first, "입력" | "질문" | "사용자"))
}

/// Tells whether a tag right before a value opens a stretch of reasoning that is not written as `<think>` is.
fn frames_thought(before: &str) -> bool {
    let text = before.trim_end();
    let Some(close) = text.chars().next_back().filter(|c| matches!(c, '>' | ']' | '▷')) else {
        return false;
    };
    let open = match close {
        '>' => '<',
        ']' => '[',
        _ => '◁',
    };
    let Some(name) = text.rsplit(open).next().and_then(|name| name.strip_suffix(close)) else { return false };
    if name.starts_with('/') {
        return false;
    }
    let name = name.trim_matches('|').rsplit(':').next().unwrap_or("");
    !text.ends_with("/>")
        && is_one_of(
            name,
            &[
                "think",
                "thinking",
                "thought",
                "thoughts",
                "reason",
                "reasoning",
                "scratchpad",
                "analysis",
                "reflection",
                "plan",
                "critique",
                "inner_monologue",
                "monologue",
                "cot",
                "생각",
                "추론",
            ],
        )
}

/// Reads what the words behind a value say of it.
fn said_behind(before: &str, value: &str, after: &str, values: Neighbours<'_>) -> Cue {
    if values.after {
        let named = remark::Sentence::new("", value);
        let between = gap::between(after, values.layout, |word| named.is_key(word));
        if between.unclear {
            return Cue::None;
        }
        if let Some(back) = between.back {
            return back;
        }
        if changes(last_sentence(tail(before)), after) {
            return Cue::Rejected;
        }
        if heads_correction(after) {
            return Cue::Rejected;
        }
    } else if let Some(said) = gap::label_behind(after) {
        let positive = matches!(said.cue, Cue::Final | Cue::Corrected);
        if !said.unsure && (!positive || values.before) {
            return said.cue;
        }
    }
    match clause::around(last_sentence(tail(before)), after) {
        Cue::None => {}
        said => return said,
    }
    if values.before && takes_over(before, after) {
        return Cue::Corrected;
    }
    let note = remark::remark(after, value, values.after, values.before || values.after);
    // `… instead of {…}`, `an earlier draft said {…}`: said of the value that follows.
    match values.after && leads_on(after) {
        true if note == Cue::Rejected && !starts_contrast(after) => note,
        true => Cue::None,
        false => note,
    }
}

/// Tells whether a value is changed into the next one: “Changed {…} to {…}”.
fn changes(lead: &str, after: &str) -> bool {
    let last = words(lead).next_back().unwrap_or("");
    is_one_of(
        last,
        &[
            "changed",
            "change",
            "changing",
            "replace",
            "replaced",
            "replacing",
            "correct",
            "corrected",
            "updated",
            "update",
            "fixed",
            "revised",
            "edited",
            "from",
            "turned",
            "amended",
        ],
    ) && is_one_of(after.trim(), &["to", "with", "by", "into"])
}

/// Tells whether a value takes the place of the one before it: `{…}를 {…}로 수정했습니다`.
fn takes_over(before: &str, after: &str) -> bool {
    let turned =
        after.strip_prefix("으로").or_else(|| after.strip_prefix("로")).or_else(|| after.strip_prefix(" 로"));
    matches!(before.trim(), "를" | "을" | "에서" | "→" | "->")
        && turned.is_some_and(|rest| {
            let rest = rest.trim_start();
            [
                "수정",
                "교체",
                "변경",
                "바꾸",
                "바꿨",
                "바꿔",
                "바꿉",
                "바뀌",
                "고쳤",
                "고쳐",
                "고칩",
                "정정",
                "대체",
                "갱신",
                "업데이트",
            ]
            .iter()
            .any(|verb| rest.starts_with(verb))
        })
}

fn last_line(text: &str) -> &str {
    let text = text.trim_end();
    text.rsplit('\n').next().unwrap_or(text)
}

/// Reads what a plain answer says of itself: by its label, as in `Example: 5` and `오답: 긍정`, or below its first line.
pub(super) fn headed(text: &str) -> Cue {
    const NAME: usize = 48;
    let text = text.trim();
    let line = text.split('\n').next().unwrap_or("").trim_end();
    let below = text.get(line.len()..).unwrap_or("");
    // An answer in a fence or in brackets is looked at by itself.
    let enclosed = line.starts_with(['{', '[']) || line.starts_with("```") || line.starts_with("~~~");
    if !below.trim_start().is_empty() {
        let short = !enclosed
            && line.len() < NAME
            && !line.contains([':', '：'])
            && line.split_whitespace().count() < 4;
        return if short { remark::remark(below, line, false, false) } else { Cue::None };
    }
    let Some((head, value)) = line.split_once([':', '：']) else { return Cue::None };
    let head = head.trim_matches(|c: char| !c.is_alphanumeric());
    let words = value.split_whitespace().count();
    if head.len() > NAME || head.split_whitespace().count() > 3 || !(1..5).contains(&words) {
        return Cue::None;
    }
    let cue = match label(head) {
        Cue::None if matches!(head, "예" | "ex" | "Ex" | "EX") => Cue::Example,
        Cue::None => read(head),
        label => label,
    };
    // `Format: JSON` names what is asked for.
    if matches!(cue, Cue::Example | Cue::Draft | Cue::Rejected) { cue } else { Cue::None }
}

fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’')).filter(|word| !word.is_empty())
}

/// Tells whether a lead-in denies the value that follows: “The answer is NOT”, “Ignore this”, “답은 이것이 아닙니다”.
fn is_denial(lead: &str) -> bool {
    let text = lead.to_lowercase().replace('’', "'");
    let mut back = words(&text).rev();
    let (last, before) = (back.next().unwrap_or(""), back.next().unwrap_or(""));
    let denied = matches!(last, "not" | "never") || last.ends_with("n't");
    if denied && !matches!(before, "if" | "why" | "or") {
        return true;
    }

    // “This is not it”
    if matches!(last, "it" | "this" | "that") && (before == "not" || before.ends_with("n't")) {
        return true;
    }
    let pointed = |word: &str| {
        ["답", "정답", "결과", "이것", "이건", "이게", "이 값", "다음", "아래"]
            .iter()
            .any(|stem| word.starts_with(stem))
    };
    let end = if matches!(last, "것" | "값") { before } else { last };
    if matches!(end, "아닌" | "아님" | "아닙니다" | "아니다" | "아니에요" | "아녜요") {
        let named = if end == before { back.next().unwrap_or("") } else { before };
        return pointed(named);
    }
    let count = words(&text).count();
    let first = words(&text).next().unwrap_or("");
    let turned = matches!(first, "ignore" | "disregard" | "forget" | "skip" | "discard")
        && words(&text).any(|word| matches!(word, "this" | "following" | "below" | "it"));
    let turned_ko = words(&text).any(|word| word.starts_with("무시")) && pointed(first);
    count <= 4 && (turned || turned_ko)
}

/// Tells whether the value that follows is what the writer does not give: “I refuse to answer”, “there is no evidence for”.
fn is_withheld(text: &str) -> bool {
    const GIVES: &[&str] = &[
        "give", "output", "return", "answer", "provide", "produce", "write", "say", "confirm", "submit",
        "accept", "generate", "emit", "repeat", "support", "claim",
    ];
    let text = text.to_lowercase().replace('’', "'");
    let clause =
        text.rsplit([',', ';', ':']).find(|part| part.contains(char::is_alphanumeric)).unwrap_or(&text);
    let list: Vec<&str> = words(clause).collect();
    let last = list.last().copied().unwrap_or("");
    let at = match last {
        "with" | "as" | "that" => list.len().saturating_sub(2),
        _ => list.len().saturating_sub(1),
    };
    let verb = list.get(at).copied().unwrap_or("");
    let near = list.get(at.saturating_sub(4)..at).unwrap_or(&[]);
    let denied = near.iter().any(|word| {
        word.ends_with("n't")
            || is_one_of(
                word,
                &[
                    "refuse", "refuses", "cannot", "unable", "nobody", "never", "not", "decline", "dont",
                    "cant", "wont",
                ],
            )
    });
    if is_one_of(verb, GIVES) && denied && !near.contains(&"only") {
        return true;
    }
    if is_one_of(last, &["contradicts", "contradict", "disproves", "refutes", "denies", "excludes"]) {
        return true;
    }
    matches!(last, "for" | "that")
        && list.iter().any(|word| is_one_of(word, &["no", "not", "without"]))
        && is_one_of(
            list.len().checked_sub(2).and_then(|at| list.get(at)).unwrap_or(&""),
            &["evidence", "basis", "support", "proof", "reason"],
        )
}

/// Tells whether the value that follows is announced as a correction: `Correction:`, `수정:`.
fn heads_correction(between: &str) -> bool {
    let line = between.trim_matches(|c: char| c.is_whitespace() || matches!(c, '`' | '~' | '*'));
    let line = line.lines().next_back().unwrap_or("").to_lowercase();
    line.ends_with([':', '：']) && words(&line).count() == 1 && words(&line).any(is_correction_word)
}

fn is_correction_word(word: &str) -> bool {
    matches!(
        word,
        "correction"
            | "corrections"
            | "erratum"
            | "update"
            | "edit"
            | "amendment"
            | "fix"
            | "errata"
            | "corrigendum"
            | "typo"
            | "오타"
            | "정정"
            | "수정"
            | "업데이트"
    )
}

/// Tells whether a text of one line runs on into the next value.
fn leads_on(after: &str) -> bool {
    if after.len() > AFTER {
        return false;
    }
    let line = after.trim_matches(|c: char| c.is_whitespace() || matches!(c, '`' | '~'));
    after.ends_with([' ', '`', '\n', ':'])
        && !line.contains('\n')
        && !line.ends_with(['.', '!', '?', ')', ']'])
}

fn starts_contrast(after: &str) -> bool {
    let text = after.trim_start_matches(|c: char| !c.is_alphanumeric());
    ["instead of", "rather than", "not ", "and not ", "unlike "]
        .iter()
        .any(|words| text.get(..words.len()).is_some_and(|start| start.eq_ignore_ascii_case(words)))
}

/// Tells whether the value that follows is headed `예:` or `ex:`.
fn heads_example(before: &str) -> bool {
    let Some(head) = before.trim_end().strip_suffix([':', '：']) else { return false };
    let word = head.rsplit(char::is_whitespace).next().unwrap_or("").trim_matches(['*', '-', '[', ']', '<']);
    matches!(word, "예" | "ex" | "Ex" | "EX" | "(예" | "(예)")
}

/// Reads a heading of one or two words: `Before:`, `v2:`, `시도 1`.
fn label(sentence: &str) -> Cue {
    let mut words = sentence.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let (Some(first), second) = (words.next(), words.next()) else { return Cue::None };
    let last = words.next().is_none();
    let number = |word: &str| word.parse::<u32>().ok();
    let count = match second {
        // `v2`, `2차 답변`
        None if first.starts_with(['v', 'V']) => first.get(1..).and_then(number),
        _ if first.ends_with('차') => first.strip_suffix('차').and_then(number),
        Some(second)
            if last
                && is_one_of(first, &["version", "attempt", "try", "revision", "draft", "버전", "시도"]) =>
        {
            number(second)
        }
        _ => None,
    };
    match count {
        Some(0 | 1) => return Cue::Draft,
        Some(_) => return Cue::Corrected,
        None => {}
    }
    if let Some(second) = second {
        let changed = is_one_of(first, &["변경", "수정", "교체", "적용", "편집", "개선", "교정"]);
        return match second {
            // What `수정 전` heads is to be replaced.
            "전" if changed && last => Cue::Rejected,
            "후" if changed && last => Cue::Corrected,
            _ if first.eq_ignore_ascii_case("as") && second.eq_ignore_ascii_case("is") && last => Cue::Draft,
            _ if first.eq_ignore_ascii_case("to") && second.eq_ignore_ascii_case("be") && last => {
                Cue::Corrected
            }
            _ => Cue::None,
        };
    }
    match first {
        "전" => Cue::Draft,
        "후" => Cue::Corrected,
        _ if is_one_of(
            first,
            &["old", "before", "original", "initial", "previous", "previously", "earlier"],
        ) =>
        {
            Cue::Draft
        }
        _ if is_one_of(first, &["new", "after", "better", "edit", "edited", "good", "right"]) => {
            Cue::Corrected
        }
        _ if is_one_of(first, &["bad"]) => Cue::Rejected,
        "이전" | "기존" | "원본" | "처음" => Cue::Draft,
        "이후" | "변경" | "새로" => Cue::Corrected,
        _ => Cue::None,
    }
}

/// Tells whether the words between two values take the first one back: “Scratch that.”, “아니, 잘못 썼네요.”
fn takes_back(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut words =
        text.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’').filter(|w| !w.is_empty());
    let mut previous = "";
    words.any(|word| {
        let pair = match word {
            "wait" | "oops" | "whoops" | "잠깐" | "잠깐만" | "잠깐만요" | "아니" | "아니요" | "아차" => {
                true
            }
            "that" => matches!(
                previous,
                "scratch" | "strike" | "ignore" | "disregard" | "forget" | "fix" | "correct"
            ),
            "above" => matches!(previous, "ignore" | "disregard"),
            "it" | "this" => matches!(previous, "fix" | "redo" | "correct" | "revise"),
            "mistake" | "error" => matches!(previous, "a" | "an" | "the" | "my"),
            "thought" | "thoughts" => previous == "second",
            "again" | "over" => matches!(previous, "try" | "start" | "do"),
            "wrong" | "incorrect" => matches!(previous, "was" | "is" | "that's" | "that’s" | "were"),
            _ => ["잘못", "틀렸", "틀린", "실수", "정정", "바로잡"].iter().any(|stem| word.starts_with(stem)),
        };
        previous = word;
        pair
    })
}

fn tail(text: &str) -> &str {
    let mut from = text.len().saturating_sub(BEFORE);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text.get(from..).unwrap_or("")
}

/// Returns the last sentence or line that holds any word.
fn last_sentence(text: &str) -> &str {
    let text = text.trim_end_matches(|c: char| !c.is_alphanumeric());
    let cut = text
        .char_indices()
        .rev()
        .find(|(at, c)| {
            matches!(c, '\n' | '!' | '?' | '。')
                || (*c == '.' && text.get(at + 1..).is_some_and(|rest| rest.starts_with(char::is_whitespace)))
        })
        .map_or(0, |(at, c)| at + c.len_utf8());
    text.get(cut..).unwrap_or(text)
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|other| word.eq_ignore_ascii_case(other))
}

#[cfg(test)]
mod tests;
