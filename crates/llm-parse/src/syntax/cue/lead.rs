//! What the last words before a value say about it.

use super::super::document::Cue;
use super::followed::{is_cleared, is_followed};
use super::is_one_of;

/// Reads the sentence that leads to a value.
pub(super) fn read(sentence: &str) -> Cue {
    let mut found = Cue::None;
    let mut rank = 0;
    let words: Vec<&str> =
        sentence.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|w| !w.is_empty()).collect();
    if let Some(supposed) = supposes(&words) {
        return supposed;
    }
    let word_at = |at: Option<usize>| at.and_then(|at| words.get(at)).copied().unwrap_or("");
    for (at, word) in words.iter().copied().enumerate() {
        // “that was wrong, so the answer is {…}”: what was wrong stands before it
        if found == Cue::Rejected
            && is_one_of(word, &["so", "therefore", "thus", "hence", "그래서", "따라서", "그러므로"])
        {
            (found, rank) = (Cue::None, 0);
        }
        let next = word_at(Some(at + 1));
        let previous = word_at(at.checked_sub(1));
        let before_that = word_at(at.checked_sub(2));
        let (cue, weight) = if word.is_ascii() { english(word, previous, next) } else { korean(word, next) };
        if cue == Cue::None || weight < rank {
            continue;
        }
        let negated = is_one_of(previous, &["not", "unlike", "ignore"])
            || (is_one_of(previous, &["the", "an", "a", "my"])
                && is_one_of(before_that, &["not", "unlike", "ignore"]));
        let negated = negated || next.starts_with("아닌") || next.starts_with("아니");
        let cleared = match cue {
            // “틀렸으니 답은 {…}”: what was wrong stands before it
            // “Instead of prose, here is JSON: {…}”
            Cue::Rejected if is_one_of(word, &["instead", "than"]) => sentence
                .rfind(word)
                .and_then(|from| sentence.get(from..))
                .is_some_and(|rest| rest.contains([',', ':'])),
            Cue::Rejected => is_cleared(&words, at) || word.ends_with(['니', '서']) || word.ends_with("므로"),
            Cue::Example | Cue::Schema => is_followed(&words, at),
            _ => false,
        };
        if !cleared && (!negated || cue == Cue::Rejected) {
            found = cue;
            rank = weight;
        }
    }
    found
}

/// Reads a sentence that only supposes: “Imagine”, “had the text said so”, “a valid answer would look like”, “…했다면”.
fn supposes(words: &[&str]) -> Option<Cue> {
    let first = words.first().copied().unwrap_or("");
    let has = |list: &[&str]| words.iter().any(|word| is_one_of(word, list));
    let would = has(&["would", "were"]);
    if is_one_of(first, &["imagine", "pretend", "todo"])
        || (is_one_of(first, &["if", "had", "were"]) && (would || first.eq_ignore_ascii_case("had")))
        || (first.eq_ignore_ascii_case("say") && has(&["were"]))
        || (first.eq_ignore_ascii_case("what")
            && words.get(1).is_some_and(|next| next.eq_ignore_ascii_case("if")))
        || words.iter().any(|word| {
            ["었다면", "았다면", "였다면", "했다면", "셨다면", "더라면"].iter().any(|end| word.ends_with(end))
        })
    {
        return Some(Cue::Example);
    }
    let like = words.windows(2).position(
        |pair| matches!(pair, [look, like] if is_one_of(look, &["look"]) && is_one_of(like, &["like"])),
    )?;
    let modal = words
        .get(..like)?
        .iter()
        .any(|word| is_one_of(word, &["should", "would", "could", "must", "might", "may"]));
    (modal && words.len() <= like + 4).then_some(Cue::Schema)
}

/// Returns the cue of one word and its weight: of equal weights, the later word counts.
fn english(word: &str, previous: &str, next: &str) -> (Cue, u8) {
    let strong = is_one_of(previous, &["an", "for", "as"]);
    match () {
        () if is_one_of(
            word,
            &["example", "examples", "sample", "placeholder", "illustration", "hypothetical", "suppose"],
        ) =>
        {
            (Cue::Example, if strong { 4 } else { 1 })
        }
        () if (word.eq_ignore_ascii_case("instance") && previous.eq_ignore_ascii_case("for"))
            || (is_one_of(
                word,
                &["mock", "dummy", "illustrative", "fictional", "imaginary", "fake", "fabricated"],
            ) && (next.is_empty()
                || is_one_of(
                    next,
                    &[
                        "output", "response", "answer", "json", "data", "result", "values", "value", "reply",
                        "object", "record", "version",
                    ],
                ))) =>
        {
            (Cue::Example, 4)
        }
        () if word.eq_ignore_ascii_case("form")
            && previous.eq_ignore_ascii_case("the")
            && next.is_empty() =>
        {
            (Cue::Schema, 1)
        }
        () if is_one_of(word, &["eg", "e"]) && (next.eq_ignore_ascii_case("g") || word.len() == 2) => {
            (Cue::Example, 4)
        }
        () if is_one_of(word, &["schema", "template", "skeleton"]) => (Cue::Schema, 1),
        () if is_one_of(word, &["format", "structure", "shape"]) && !is_one_of(next, &["you"]) => {
            (Cue::Schema, 1)
        }
        () if is_one_of(
            word,
            &["draft", "first", "initial", "initially", "preliminary", "tentative", "attempt"],
        ) && (!is_one_of(word, &["first", "initial"])
            || is_one_of(
                next,
                &["draft", "attempt", "try", "version", "guess", "pass", "answer", "thought"],
            )) =>
        {
            (Cue::Draft, 3)
        }
        () if is_one_of(
            word,
            &[
                "corrected",
                "correction",
                "fixed",
                "revised",
                "updated",
                "improved",
                "amended",
                "correcting",
                "fixing",
                "fix",
                "redo",
                "redone",
                "revision",
                "rewritten",
                "polished",
                "actually",
                "correct",
                "instead",
            ],
        ) && !(next.eq_ignore_ascii_case("of") && word.eq_ignore_ascii_case("instead")) =>
        {
            (Cue::Corrected, 3)
        }
        // “the right answer”, “more precisely”, “after review”
        () if ((is_one_of(word, &["right", "proper", "new"])
            && is_one_of(
                next,
                &["one", "answer", "version", "output", "json", "result", "value", "response"],
            ))
            || (is_one_of(word, &["precise", "precisely", "accurate", "accurately"])
                && previous.eq_ignore_ascii_case("more"))
            || (is_one_of(word, &["review", "checking", "reflection", "reconsidering"])
                && is_one_of(previous, &["after", "on", "upon"]))) =>
        {
            (Cue::Corrected, 3)
        }
        () if is_one_of(word, &["final", "finally", "definitive"]) => (Cue::Final, 2),
        () if is_one_of(
            word,
            &["wrong", "incorrect", "invalid", "mistaken", "mistake", "discard", "obsolete", "avoid"],
        ) =>
        {
            (Cue::Rejected, 3)
        }
        () if word.eq_ignore_ascii_case("instead")
            || (word.eq_ignore_ascii_case("than") && previous.eq_ignore_ascii_case("rather")) =>
        {
            (Cue::Rejected, 3)
        }
        () if word.eq_ignore_ascii_case("this") && previous.eq_ignore_ascii_case("not") => (Cue::Rejected, 3),
        () if is_one_of(word, &["use", "return", "output", "write", "answer"])
            && is_one_of(previous, &["don't", "not", "never", "dont"]) =>
        {
            (Cue::Rejected, 3)
        }
        () => (Cue::None, 0),
    }
}

fn korean(word: &str, next: &str) -> (Cue, u8) {
    let starts = |list: &[&str]| list.iter().any(|stem| word.starts_with(stem));
    if starts(&["예시", "예제", "샘플", "견본"]) {
        return (Cue::Example, 4);
    }
    if (word == "예를" && (next.starts_with("들") || next.is_empty())) || word == "예컨대" {
        return (Cue::Example, 4);
    }
    if starts(&["스키마", "형식", "양식", "포맷", "틀은"]) {
        return (Cue::Schema, 1);
    }
    if starts(&["초안", "임시", "가안", "시안"]) || (starts(&["처음", "첫"]) && next.starts_with("시도"))
    {
        return (Cue::Draft, 3);
    }
    if (starts(&["수정", "고치", "정정", "교정"])) && next.starts_with('전') {
        return (Cue::Rejected, 4);
    }
    if starts(&["맞는", "맞습니다", "옳은", "새로", "최신"]) || (word == "새" && starts_answer(next))
    {
        return (Cue::Corrected, 3);
    }
    if starts(&["기존", "이전"]) && starts_answer(next) {
        return (Cue::Draft, 3);
    }
    if matches!(word, "가령" | "이를테면" | "예컨데") {
        return (Cue::Example, 4);
    }
    if starts(&["잘못", "틀린", "틀렸", "오답", "오류"]) || matches!(word, "실수" | "실수는" | "실수의")
    {
        return (Cue::Rejected, 3);
    }
    if starts(&["수정", "정정", "고친", "고쳤", "바로잡", "교정", "올바른", "개선", "다시"])
    {
        return (Cue::Corrected, 3);
    }
    if starts(&["최종", "마지막으로", "결론", "정답"]) {
        return (Cue::Final, 2);
    }
    (Cue::None, 0)
}

fn starts_answer(word: &str) -> bool {
    ["답", "결과", "버전", "응답", "출력", "값"].iter().any(|stem| word.starts_with(stem))
}
