//! What a lead-in speaks of without calling the value that: faults that were mended, forms that were followed.

use super::is_one_of;

/// Tells whether what is wrong is not there, or no more: “no mistake”, “I removed the wrong entries”, “틀린 값을 고쳤습니다”.
pub(super) fn is_cleared(words: &[&str], at: usize) -> bool {
    let word = words.get(at).copied().unwrap_or("");
    let (before, after) = (words.get(..at).unwrap_or(&[]), words.get(at + 1..).unwrap_or(&[]));
    if !word.is_ascii() {
        return ["잘못", "틀린", "틀렸", "오답", "오류", "실수"].iter().any(|stem| word.starts_with(stem))
            && (words.iter().any(|other| other.contains('없'))
                || after.iter().any(|other| {
                    [
                        "고치",
                        "고친",
                        "고쳐",
                        "고쳤",
                        "수정",
                        "제거",
                        "제외",
                        "바로잡",
                        "빼",
                        "뺀",
                        "삭제",
                        "교정",
                        "정정",
                        "걸러",
                    ]
                    .iter()
                    .any(|stem| other.starts_with(stem))
                }));
    }
    let fault = is_one_of(word, &["wrong", "incorrect", "invalid", "mistaken", "mistake", "obsolete"]);
    let previous = before.last().copied().unwrap_or("");
    if is_one_of(previous, &["no", "nothing", "without", "any"]) {
        return true;
    }
    if !fault {
        return false;
    }
    is_one_of(previous, &["not", "if"])
        || before.iter().any(|other| {
            is_one_of(
                other,
                &[
                    "nothing",
                    "removed",
                    "removing",
                    "fixed",
                    "fixing",
                    "corrected",
                    "correcting",
                    "dropped",
                    "dropping",
                    "excluded",
                    "excluding",
                    "filtered",
                    "skipped",
                    "skipping",
                    "ignored",
                    "ignoring",
                    "omitted",
                    "cleaned",
                    "replaced",
                    "repaired",
                    "without",
                ],
            )
        })
}

/// Tells whether the example or the schema is what the answer follows: “as in the example”, “matching your schema”,
/// “예시 형식을 따르면”, “스키마에 맞춘”.
pub(super) fn is_followed(words: &[&str], at: usize) -> bool {
    let word = words.get(at).copied().unwrap_or("");
    if !word.is_ascii() {
        return is_followed_in_korean(words, at);
    }
    let next = words.get(at + 1).copied().unwrap_or("");
    let form = |word: &str| is_one_of(word, &["format", "structure", "shape", "schema", "template"]);
    // “your”, “requested”: a form that was asked for, not one that is announced.
    let mut asked = is_one_of(next, &["you", "above"]) || form(next);
    let mut at = at;
    while let Some(before) = at.checked_sub(1) {
        at = before;
        let word = words.get(at).copied().unwrap_or("");
        let previous = at.checked_sub(1).and_then(|at| words.get(at)).copied().unwrap_or("");
        let determined = is_one_of(previous, &["the", "this", "that"]);
        match () {
            () if is_one_of(word, &["this", "these", "below"])
                || (is_one_of(word, &["following"]) && determined) =>
            {
                return false;
            }
            () if is_one_of(
                word,
                &[
                    "your",
                    "requested",
                    "given",
                    "provided",
                    "specified",
                    "required",
                    "expected",
                    "desired",
                    "agreed",
                    "same",
                    "example",
                    "sample",
                    "above",
                    "prescribed",
                ],
            ) =>
            {
                asked = true;
            }
            () if is_one_of(
                word,
                &["the", "an", "a", "json", "output", "exact", "my", "response", "answer", "yaml", "xml"],
            ) || form(word) => {}
            () if is_one_of(
                word,
                &[
                    "per",
                    "following",
                    "follow",
                    "follows",
                    "followed",
                    "matching",
                    "match",
                    "matches",
                    "matched",
                    "fits",
                    "fitting",
                    "satisfies",
                    "satisfying",
                    "against",
                    "respecting",
                ],
            ) =>
            {
                return true;
            }
            () if is_one_of(word, &["in"]) => {
                return is_one_of(previous, &["as", "like"]) || (asked && form_from(words, at, form));
            }
            () if is_one_of(word, &["using"])
                && is_one_of(words.get(at + 1).copied().unwrap_or(""), &["the", "this", "that"])
                && !is_one_of(
                    words.first().copied().unwrap_or(""),
                    &["answer", "respond", "reply", "return", "please", "write", "output", "give", "use"],
                ) =>
            {
                return true;
            }
            () if is_one_of(word, &["using", "under", "with", "for"]) => {
                return (asked && form_from(words, at, form))
                    || is_one_of(
                        previous,
                        &["consistent", "comply", "complies", "complying", "accordance", "line", "compliant"],
                    );
            }
            () if is_one_of(word, &["to"]) => {
                return is_one_of(
                    previous,
                    &[
                        "according",
                        "conforms",
                        "conforming",
                        "conform",
                        "adheres",
                        "adhering",
                        "mapped",
                        "converted",
                        "adapted",
                        "fitted",
                        "similar",
                        "identical",
                    ],
                );
            }
            () if is_one_of(word, &["on", "by"]) => {
                return is_one_of(
                    previous,
                    &[
                        "based",
                        "modeled",
                        "modelled",
                        "defined",
                        "required",
                        "requested",
                        "specified",
                        "given",
                    ],
                );
            }
            () => return false,
        }
    }
    false
}

/// Tells whether one of the words from `at` on names a form.
fn form_from(words: &[&str], at: usize, form: impl Fn(&str) -> bool) -> bool {
    words.get(at..).unwrap_or(&[]).iter().take(7).any(|word| form(word))
}

fn is_followed_in_korean(words: &[&str], at: usize) -> bool {
    const NAMES: &[&str] = &[
        "예시",
        "예제",
        "샘플",
        "견본",
        "스키마",
        "형식",
        "양식",
        "포맷",
        "구조",
        "템플릿",
        "문장",
        "텍스트",
        "입력",
    ];
    let request = words.last().is_some_and(|last| {
        ["주세요", "하세요", "십시오", "하시오", "해라", "하라", "해줘", "바랍니다"]
            .iter()
            .any(|end| last.ends_with(end))
    });
    // “요청하신 형식의 결과”
    let asked = words.get(..at).unwrap_or(&[]).iter().any(|word| {
        ["요청", "지정", "주신", "제시", "동일", "같은", "유사", "원하", "말씀"]
            .iter()
            .any(|stem| word.starts_with(stem))
    });
    let mut at = at;
    loop {
        let word = words.get(at).copied().unwrap_or("");
        let Some(particle) = NAMES.iter().find_map(|name| word.strip_prefix(name)) else { return false };
        let example = ["예시", "예제", "샘플", "견본"].iter().any(|name| word.starts_with(name));
        let next = words.get(at + 1).copied().unwrap_or("");
        let after = words.get(at + 2).copied().unwrap_or("");
        let follows = |word: &str| {
            [
                "따르", "따라", "따른", "따랐", "맞", "준수", "참고", "참조", "바탕", "기반", "토대", "기준",
                "지킨", "지켜", "적용", "근거",
            ]
            .iter()
            .any(|stem| word.starts_with(stem))
        };
        return match particle {
            // One name before another: “예시 형식”.
            "" if NAMES.iter().any(|name| next.starts_with(name)) => {
                at += 1;
                continue;
            }
            "" => false,
            "대로" | "처럼" | "에서" | "대로의" => true,
            "와" | "과" => ["같", "동일", "유사", "비슷", "똑같"].iter().any(|stem| next.starts_with(stem)),
            "은" | "는" => asked && !example,
            "에" | "을" | "를" | "의" | "에도" => {
                follows(next)
                    || (asked && !example)
                    || (particle == "에" && after.starts_with("맞") && next.len() < 10)
            }
            "로" | "으로" => {
                !example
                    && !request
                    && !matches!(next, "" | "는")
                    && !next.starts_with("답하")
                    && !next.starts_with("응답하")
            }
            _ => false,
        };
    }
}
