//! What the words around a candidate say about it, in Korean and English.

use super::document::Cue;

/// Bounds the text that is looked at before a candidate, in bytes.
const BEFORE: usize = 240;
/// Bounds the text that is looked at after a candidate, in bytes.
const AFTER: usize = 160;

/// What stands on either side of a candidate.
#[derive(Clone, Copy, Default)]
pub(super) struct Neighbours {
    /// Another value stands before it.
    pub(super) before: bool,
    /// Another value stands after it.
    pub(super) after: bool,
}

/// Reads the cue of a candidate from the text since the value before it, if one stands before it, and the text up to the
/// next one.
pub(super) fn cue(before: &str, after: &str, values: Neighbours) -> Cue {
    let before = tail(before);
    let sentence = last_sentence(before);
    let mut lead = match label(sentence) {
        // `예: {…}` may say yes where nothing follows it.
        Cue::None if values.after && heads_example(before) => Cue::Example,
        Cue::None => read(sentence, false),
        label => label,
    };
    if lead == Cue::None && values.before && takes_back(before) {
        lead = Cue::Corrected;
    }
    if is_denial(sentence) {
        return Cue::Rejected;
    }
    if after_note(after).is_some_and(|note| is_correction(note) || disowns(note)) {
        return Cue::Rejected;
    }
    if values.after && heads_correction(after) {
        return Cue::Rejected;
    }
    let note = after_note(after).map_or(Cue::None, |note| read(note, true));
    // `… instead of {…}`, `an earlier draft said {…}`: said of the value that follows.
    let note = match values.after && leads_on(after) {
        true if note == Cue::Rejected && !starts_contrast(after) => note,
        true => Cue::None,
        false => note,
    };
    match (lead, note) {
        (lead, Cue::Rejected) if lead != Cue::Final => Cue::Rejected,
        (Cue::None, note) => note,
        (lead, _) => lead,
    }
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
    if denied && !before.is_empty() && !matches!(before, "if" | "why" | "or") {
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

/// Tells whether a remark turns the value before it down: “Ignore the above.”, “That's not right.”, “맞지 않습니다.”
fn disowns(note: &str) -> bool {
    let text = note.to_lowercase().replace('’', "'");
    let mut all = words(&text).peekable();
    let first = all.peek().copied().unwrap_or("");
    if matches!(first, "ignore" | "disregard" | "forget") {
        return words(&text).nth(1).is_some_and(|word| matches!(word, "this" | "that" | "it"))
            || words(&text).any(|word| word == "above");
    }
    let turned =
        words(&text).any(|word| word.starts_with("무시")) && matches!(first, "위" | "위의" | "이" | "앞의");
    let wrong = text.contains("틀렸") || (text.contains("틀림") && !text.contains("틀림없"));
    let forbidden =
        first.starts_with("라고") && ["안 됩", "안 돼", "안됩", "안돼"].iter().any(|no| text.contains(no));
    if turned || wrong || forbidden || text.contains("맞지 않") || text.contains("옳지 않") {
        return true;
    }
    if text.contains("scratch that") || text.contains("strike that") {
        return true;
    }
    let pointed =
        matches!(first, "this" | "that" | "it" | "the" | "is" | "that's" | "isn't" | "wait" | "no" | "hmm");
    let conditional = words(&text).any(|word| matches!(word, "if" | "whether"));
    let denied =
        ["not right", "not correct", "not the answer", "isn't right", "isn't correct", "isn't the answer"];
    pointed && !conditional && denied.iter().any(|words| text.contains(words))
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
            | "정정"
            | "수정"
            | "업데이트"
    )
}

/// Tells whether a remark changes the value before it: “Correction: age is 2.”, “정정: age는 2입니다.”
fn is_correction(note: &str) -> bool {
    let text = note.to_lowercase();
    let mut all = words(&text);
    let first = all.next().unwrap_or("");
    let headed = text.get(first.len()..).is_some_and(|rest| rest.trim_start().starts_with([':', '：', ',']));
    let nothing = words(&text).any(|word| matches!(word, "no" | "none" | "nothing" | "없음" | "없습니다"));
    if headed && is_correction_word(first) {
        return !nothing;
    }
    let changed = |word: &str| matches!(word, "should" | "must" | "meant") || word.ends_with("n't");
    let changed_ko = |word: &str| {
        ["아니라", "이어야", "여야", "입니다", "이에요", "예요"].iter().any(|end| word.ends_with(end))
    };
    // "Actually, n is 2", "Oops, it was 3"
    let list: Vec<&str> = words(&text).collect();
    let numbered = list.windows(2).any(|pair| {
        let [verb, value] = pair else { return false };
        matches!(*verb, "is" | "was" | "are" | "equals") && value.starts_with(|c: char| c.is_ascii_digit())
    });
    match first {
        "actually" | "oops" | "wait" | "sorry" => numbered || all.any(changed),
        "아" | "아차" | "사실" | "아니" | "잠깐" | "다시" => {
            text.chars().any(|c| c.is_ascii_digit()) && all.any(changed_ko)
        }
        _ => false,
    }
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
    if second.is_some() {
        return Cue::None;
    }
    match first {
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

/// Returns the remark that follows a value, unless it leads to the next one.
fn after_note(text: &str) -> Option<&str> {
    let mut to = text.len().min(AFTER);
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    let window = text.get(..to)?.trim_start_matches(['`', '~', ' ', '\t', '\r']);
    // A remark stands on the same line, or right below the value.
    let window = window.strip_prefix('\n').unwrap_or(window);
    let window = window.trim_start_matches([' ', '\t', '`', '~']);
    let window = window.strip_prefix('\n').unwrap_or(window);
    let line = window.lines().next()?.trim();
    let sentence = line.split_inclusive(['.', '!', '?']).next()?.trim();
    (!sentence.is_empty() && !line.ends_with(':')).then_some(sentence)
}

fn read(sentence: &str, after: bool) -> Cue {
    let mut found = Cue::None;
    let mut rank = 0;
    let mut previous = "";
    let mut before_that = "";
    let mut words =
        sentence.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|w| !w.is_empty()).peekable();
    while let Some(word) = words.next() {
        let next = words.peek().copied().unwrap_or("");
        let (cue, weight) = word_cue(word, previous, next, after);
        let negated = is_one_of(previous, &["not", "unlike", "ignore"])
            || (is_one_of(previous, &["the", "an", "a", "my"])
                && is_one_of(before_that, &["not", "unlike", "ignore"]));
        let negated = negated || next.starts_with("아닌") || next.starts_with("아니");
        // “no mistake”, “nothing wrong”, “틀린 곳이 없습니다”: found to be right.
        let cleared = cue == Cue::Rejected
            && (is_one_of(previous, &["no", "nothing", "without", "any"])
                || (previous.eq_ignore_ascii_case("not")
                    && is_one_of(word, &["wrong", "incorrect", "invalid", "mistaken", "obsolete"]))
                || (!word.is_ascii() && sentence.contains('없')));
        if cue != Cue::None && !cleared && !(negated && cue != Cue::Rejected) && weight >= rank {
            found = cue;
            rank = weight;
        }
        before_that = previous;
        previous = word;
    }
    found
}

fn is_one_of(word: &str, list: &[&str]) -> bool {
    list.iter().any(|other| word.eq_ignore_ascii_case(other))
}

/// Returns the cue of one word and its weight: of equal weights, the later word counts.
#[expect(clippy::too_many_lines, reason = "two word lists")]
fn word_cue(word: &str, previous: &str, next: &str, after: bool) -> (Cue, u8) {
    if word.is_ascii() {
        let strong = is_one_of(previous, &["an", "for", "as"]);
        return match () {
            () if is_one_of(
                word,
                &["example", "examples", "sample", "placeholder", "illustration", "hypothetical", "suppose"],
            ) =>
            {
                (Cue::Example, if strong { 4 } else { 1 })
            }
            () if is_one_of(word, &["eg", "e"]) && (next.eq_ignore_ascii_case("g") || word.len() == 2) => {
                (Cue::Example, 4)
            }
            () if is_one_of(word, &["schema", "template", "skeleton"]) => (Cue::Schema, 1),
            () if is_one_of(word, &["format", "structure", "shape"])
                && !is_one_of(next, &["you"])
                && !after =>
            {
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
                if after {
                    (Cue::None, 0)
                } else {
                    (Cue::Corrected, 3)
                }
            }
            // “the right answer”, “more precisely”, “after review”
            () if !after
                && ((is_one_of(word, &["right", "proper", "new"])
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
            () if is_one_of(word, &["final", "finally", "definitive"]) => {
                if after {
                    (Cue::None, 0)
                } else {
                    (Cue::Final, 2)
                }
            }
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
            () if word.eq_ignore_ascii_case("this") && previous.eq_ignore_ascii_case("not") => {
                (Cue::Rejected, 3)
            }
            () if is_one_of(word, &["use", "return", "output", "write", "answer"])
                && is_one_of(previous, &["don't", "not", "never", "dont"]) =>
            {
                (Cue::Rejected, 3)
            }
            () => (Cue::None, 0),
        };
    }
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
    if !after
        && (starts(&["맞는", "맞습니다", "옳은", "새로", "최신"]) || (word == "새" && starts_answer(next)))
    {
        return (Cue::Corrected, 3);
    }
    if starts(&["기존", "이전"]) && starts_answer(next) {
        return (Cue::Draft, 3);
    }
    if starts(&["잘못", "틀린", "틀렸", "오답", "오류", "대신"]) {
        return (Cue::Rejected, 3);
    }
    if starts(&["아니라", "아닙니다", "아니에요"]) && after {
        return (Cue::Rejected, 3);
    }
    if starts(&["수정", "정정", "고친", "고쳤", "바로잡", "교정", "올바른", "개선", "다시"])
    {
        return if after { (Cue::None, 0) } else { (Cue::Corrected, 3) };
    }
    if starts(&["최종", "마지막으로", "결론", "정답"]) {
        return if after { (Cue::None, 0) } else { (Cue::Final, 2) };
    }
    (Cue::None, 0)
}

fn starts_answer(word: &str) -> bool {
    ["답", "결과", "버전", "응답", "출력", "값"].iter().any(|stem| word.starts_with(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_before_and_after_tell_what_a_value_is() {
        for (before, after, expected) in [
            ("For example:", "", Cue::Example),
            ("예시:", "", Cue::Example),
            ("예를 들어 다음과 같습니다.", "", Cue::Example),
            ("Here is my first draft:\n", "", Cue::Draft),
            ("초안은 다음과 같습니다:\n", "", Cue::Draft),
            ("Wait, the corrected version:\n", "", Cue::Corrected),
            ("수정된 결과:", "", Cue::Corrected),
            ("Final answer:", "", Cue::Final),
            ("최종 답변입니다.\n", "", Cue::Final),
            ("The format is ", "", Cue::Schema),
            ("Instead of ", "", Cue::Rejected),
            ("Do not use ", "", Cue::Rejected),
            ("잘못된 답:", "", Cue::Rejected),
            ("수정 전:", "", Cue::Rejected),
            ("I tried this. Then I wrote the answer:", "", Cue::None),
            ("The final answer (not the example above):", "", Cue::Final),
            ("", " is wrong.", Cue::Rejected),
            ("", "\n위는 예시입니다.", Cue::Example),
            ("", "\nAnd the corrected version:", Cue::None),
            ("Here is the result:", "", Cue::None),
        ] {
            assert_eq!(
                cue(before, after, Neighbours { before: false, after: true }),
                expected,
                "{before:?} … {after:?}"
            );
        }
    }

    #[test]
    fn words_between_two_values_take_the_first_back() {
        for (between, expected) in [
            ("Scratch that. The answer is:", Cue::Corrected),
            ("No, wait.", Cue::Corrected),
            ("On second thought, the answer is:", Cue::Corrected),
            ("아니, 다음과 같습니다:", Cue::Corrected),
            ("v2:", Cue::Corrected),
            ("2차 답변:", Cue::Corrected),
            ("After:", Cue::Corrected),
            ("Attempt 1:", Cue::Draft),
            ("기존 답변:", Cue::Draft),
            ("Option 2:", Cue::None),
            ("And the second order:", Cue::None),
            ("다음 사람:", Cue::None),
        ] {
            assert_eq!(cue(between, "", Neighbours { before: true, after: false }), expected, "{between:?}");
        }
        assert_eq!(cue("Wait for it, here it comes:", "", Neighbours::default()), Cue::None);
    }

    #[test]
    fn a_remark_at_the_end_of_the_answer_needs_no_full_stop() {
        for after in [
            "\nCorrection: n should be 2",
            "\n정정: n은 2",
            "\nActually, n is 2",
            "\nActually, n is 2.\n",
            "\nThe above is incorrect\n",
            "\nThat is wrong ",
        ] {
            assert_eq!(cue("", after, Neighbours::default()), Cue::Rejected, "{after:?}");
        }
        assert_eq!(cue("", "\nThis is only an example\n", Neighbours::default()), Cue::Example);
        assert_eq!(cue("", "\nActually, this is the whole list.", Neighbours::default()), Cue::None);
    }
}
