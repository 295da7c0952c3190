//! What a few words say of a value, where they say nothing else: a label such as `(draft)`, `# 오답`, `is the final answer`.

use super::super::document::Cue;
use super::is_one_of;

/// Words that stand in a label beside the one that tells, and change nothing.
const FILLERS: &[&str] = &[
    "a",
    "an",
    "the",
    "my",
    "our",
    "this",
    "that",
    "it",
    "just",
    "only",
    "merely",
    "simply",
    "clearly",
    "completely",
    "totally",
    "one",
    "version",
    "ver",
    "answer",
    "answers",
    "output",
    "json",
    "result",
    "value",
    "response",
    "object",
    "data",
    "candidate",
    "attempt",
    "try",
    "so",
    "was",
    "is",
    "really",
    "very",
    "and",
    "early",
    "rough",
    "quick",
    "poor",
    "mere",
    "simple",
    "first",
    "here",
    "now",
    "still",
    "also",
    "of",
];
const FILLERS_KO: &[&str] = &[
    "답",
    "값",
    "결과",
    "버전",
    "본",
    "응답",
    "출력",
    "것",
    "거",
    "데이터",
    "이것",
    "단지",
    "그냥",
    "뿐",
    "제",
    "의",
    "일",
    "완전히",
    "명백히",
    "이",
    "그",
    "내용",
];
const WRONG: &[&str] = &[
    "wrong",
    "incorrect",
    "invalid",
    "rejected",
    "bad",
    "false",
    "mistaken",
    "mistake",
    "discarded",
    "obsolete",
    "outdated",
    "deprecated",
    "superseded",
    "ignored",
    "cancelled",
    "canceled",
    "withdrawn",
    "retracted",
    "void",
    "error",
    "erroneous",
    "inaccurate",
    "broken",
    "buggy",
];
const DRAFT: &[&str] = &[
    "draft",
    "initial",
    "preliminary",
    "tentative",
    "old",
    "before",
    "original",
    "previous",
    "earlier",
    "provisional",
];
const EXAMPLE: &[&str] = &[
    "example",
    "sample",
    "placeholder",
    "mock",
    "dummy",
    "illustration",
    "illustrative",
    "hypothetical",
    "fictional",
    "fake",
    "demo",
];
const SCHEMA: &[&str] = &["schema", "template", "skeleton"];
const FINAL: &[&str] = &[
    "final",
    "right",
    "correct",
    "actual",
    "real",
    "accepted",
    "corrected",
    "fixed",
    "revised",
    "updated",
    "new",
    "after",
    "good",
    "valid",
    "answer",
    "definitive",
    "true",
    "improved",
    "ok",
    "approved",
];
const WRONG_KO: &[&str] = &[
    "오답",
    "틀림",
    "틀린",
    "틀렸",
    "틀립",
    "틀려",
    "잘못",
    "폐기",
    "취소",
    "탈락",
    "거절",
    "기각",
    "오류",
    "무효",
    "아님",
    "부정확",
];
const DRAFT_KO: &[&str] =
    &["초안", "임시", "가안", "시안", "이전", "기존", "구버전", "수정전", "변경전", "예전", "원본", "처음"];
const EXAMPLE_KO: &[&str] = &["예시", "예제", "샘플", "견본", "더미", "가상", "가짜", "보기"];
const SCHEMA_KO: &[&str] = &["스키마", "템플릿", "양식"];
const FINAL_KO: &[&str] = &[
    "최종",
    "정답",
    "맞음",
    "맞는",
    "맞습",
    "맞아",
    "맞다",
    "옳",
    "올바",
    "수정",
    "정정",
    "신버전",
    "확정",
    "채택",
    "새",
    "답입",
    "답이",
    "완성",
    "실제",
    "진짜",
];
/// Marks that stand for a word.
const NO: &[char] = &['❌', '✗', '✘', '✖', '🚫', '⛔', '👎', '❎'];
const YES: &[char] = &['✅', '✓', '✔', '⭕', '👍'];

/// Returns what the mark at the end or the start of a text says of the value beside it.
pub(super) fn mark(text: &str, ends: bool) -> Cue {
    let plain = |c: char| c.is_whitespace() || matches!(c, '*' | '`' | '\u{FE0F}' | ':' | '>');
    let text = text.trim_matches(plain);
    let Some(c) = (if ends { text.chars().next_back() } else { text.chars().next() }) else {
        return Cue::None;
    };
    match c {
        c if NO.contains(&c) => Cue::Rejected,
        c if YES.contains(&c) => Cue::Corrected,
        _ => Cue::None,
    }
}

/// Is what a few words say, and how they say it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Verdict {
    pub(super) cue: Cue,
    /// The value is the subject of the words: `is a draft`, `는 초안이고`.
    pub(super) predicate: bool,
    /// “may be wrong”
    pub(super) unsure: bool,
}

/// Reads words that say what a value is and nothing else.
pub(super) fn verdict(text: &str) -> Option<Verdict> {
    if text.len() > 96 {
        return None;
    }
    let trimmed = text.trim_start();
    let particle = trimmed
        .split(|c: char| !c.is_alphanumeric())
        .next()
        .is_some_and(|first| matches!(first, "는" | "은" | "이" | "가" | "도" | "란" | "라는"));
    let lower = trimmed.to_lowercase().replace('’', "'");
    let mut found = Cue::None;
    let mut weight = 0;
    let mut denied = false;
    let mut predicate = particle || trimmed.starts_with('=');
    let mut unsure = false;
    let mut count = 0;
    for (at, word) in
        lower.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|w| !w.is_empty()).enumerate()
    {
        count += 1;
        if count > 7 {
            return None;
        }
        if word.is_ascii() {
            let (stem, not) = word.strip_suffix("n't").map_or((word, false), |stem| (stem, true));
            denied |= not || matches!(stem, "not" | "never" | "cannot");
            let modal = is_one_of(stem, &["would", "may", "might", "could", "should", "can", "must"]);
            let verb =
                modal || is_one_of(stem, &["is", "was", "were", "are", "isn", "looks", "seems", "appears"]);
            unsure |= is_one_of(stem, &["may", "might", "could"]);
            predicate |= verb && at == 0;
            let (cue, rank) = english(stem);
            if cue != Cue::None {
                if rank > weight {
                    (found, weight) = (cue, rank);
                }
            } else if !(verb
                || not
                || is_one_of(stem, FILLERS)
                || is_one_of(stem, &["not", "never", "be", "been"]))
            {
                return None;
            }
            continue;
        }
        if at == 0 && particle && matches!(word, "는" | "은" | "이" | "가" | "도" | "란" | "라는") {
            continue;
        }
        if word.starts_with("아니")
            || word.starts_with("아닌")
            || word.starts_with("아닙")
            || word.starts_with("않")
        {
            denied = true;
            continue;
        }
        let (cue, rank) = korean(word);
        if cue != Cue::None {
            if rank > weight {
                (found, weight) = (cue, rank);
            }
        } else if !is_filler(word, count > 1) {
            return None;
        }
    }
    if found == Cue::None {
        let mark = if count == 0 { mark(text, true) } else { Cue::None };
        return (mark != Cue::None).then_some(Verdict { cue: mark, predicate: false, unsure: false });
    }
    let cue = match (found, denied) {
        // “first answer” tells no more than the order.
        (Cue::Final, _) if lower.contains("first") => return None,
        (cue, false) => cue,
        (Cue::Final, true) => Cue::Rejected,
        (_, true) => return None,
    };
    Some(Verdict { cue, predicate, unsure })
}

/// Tells whether a Korean word changes nothing about a label; `later` tells that it is not the first one.
fn is_filler(word: &str, later: bool) -> bool {
    let short = |filler: &str| word.strip_prefix(filler).is_some_and(|rest| rest.chars().count() < 4);
    FILLERS_KO.iter().any(|filler| short(filler))
        || (later
            && ["입니다", "이고", "이며", "썼", "됐", "되었", "한"].iter().any(|stem| word.starts_with(stem)))
}

fn english(word: &str) -> (Cue, u8) {
    match () {
        () if is_one_of(word, WRONG) => (Cue::Rejected, 5),
        () if is_one_of(word, EXAMPLE) => (Cue::Example, 4),
        () if is_one_of(word, DRAFT) => (Cue::Draft, 3),
        () if is_one_of(word, SCHEMA) => (Cue::Schema, 2),
        () if is_one_of(word, FINAL) => (Cue::Final, 1),
        () => (Cue::None, 0),
    }
}

fn korean(word: &str) -> (Cue, u8) {
    let starts = |list: &[&str]| list.iter().any(|stem| word.starts_with(stem));
    match () {
        () if starts(WRONG_KO) => (Cue::Rejected, 5),
        () if starts(EXAMPLE_KO) => (Cue::Example, 4),
        () if starts(DRAFT_KO) => (Cue::Draft, 3),
        () if starts(SCHEMA_KO) => (Cue::Schema, 2),
        // `답` alone is the answer; `답을` is not.
        () if starts(FINAL_KO) || matches!(word, "답" | "답이다" | "답임") => (Cue::Final, 1),
        () => (Cue::None, 0),
    }
}
