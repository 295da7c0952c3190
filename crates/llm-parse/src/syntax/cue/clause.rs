//! The sentence a value stands in, when it runs on behind the value: a question, a denial, a request for a form.

use super::super::document::Cue;
use super::remark::is_hangul;
use super::{is_one_of, words};

/// Bounds the text that is looked at behind the value, in bytes.
const REACH: usize = 200;
/// Particles with which a Korean sentence goes on behind a value that is no predicate.
const PARTICLES: &[&str] = &[
    "라고",
    "라는",
    "이라고",
    "이라는",
    "를",
    "을",
    "은",
    "는",
    "으로",
    "로",
    "처럼",
    "같은",
    "가",
    "이",
    "에",
    "의",
    "인",
];

/// Reads what the sentence around a value, `lead` in front of it and `after` behind, says of it.
pub(super) fn around(lead: &str, after: &str) -> Cue {
    let after = after.get(..after.floor_char_boundary(REACH)).unwrap_or("");
    let text = after.trim_start_matches(['`', '"', '\'', '”', '’', ')', '*', ' ']);
    if text.starts_with('?') {
        return Cue::Rejected;
    }
    let glued = !after.starts_with([' ', '`', '*', '"', '\'', ')', '\n']);
    let line = text.lines().next().unwrap_or("");
    if line.is_empty() || after.trim_start_matches(['`', '"', '*', ' ']).starts_with('\n') {
        return Cue::None;
    }
    let end = line.char_indices().find(|(at, c)| {
        matches!(c, '!' | '?' | '。')
            || (*c == '.'
                && line
                    .get(at + 1..)
                    .is_none_or(|rest| rest.is_empty() || rest.starts_with([' ', '*', '"', ')'])))
    });
    let (sentence, stop) = match end {
        Some((at, c)) => (line.get(..at).unwrap_or(line), c),
        None => (line, '\n'),
    };
    let lead = lead.to_lowercase().replace('’', "'");
    let sentence = sentence.to_lowercase().replace('’', "'");
    if sentence.chars().any(is_hangul) {
        return korean(&lead, &sentence, stop, glued);
    }
    english(&lead, &sentence, stop)
}

fn english(lead: &str, sentence: &str, stop: char) -> Cue {
    let before: Vec<&str> = words(lead).collect();
    let behind: Vec<&str> = words(sentence).collect();
    let first = before.first().copied().unwrap_or("");
    let asks = is_one_of(
        first,
        &[
            "is", "are", "was", "do", "does", "did", "should", "shall", "could", "would", "can", "what",
            "which", "why", "how", "maybe", "perhaps", "will", "may", "or",
        ],
    );
    if stop == '?' && asks {
        return Cue::Rejected;
    }
    let modal = before.iter().any(|word| is_one_of(word, &["could", "would", "might"]));
    if modal && is_one_of(behind.first().unwrap_or(&""), &["if", "unless", "had", "were"]) {
        return Cue::Example;
    }
    let ordered = before.iter().any(|word| {
        is_one_of(
            word,
            &[
                "asked",
                "ask",
                "asks",
                "told",
                "tells",
                "tell",
                "instruct",
                "instructed",
                "instructs",
                "want",
                "wants",
                "wanted",
                "says",
                "said",
                "prompt",
                "request",
                "requested",
                "ordered",
                "injected",
            ],
        )
    });
    let refuses = behind.windows(2).any(|pair| {
        matches!(
            pair,
            [
                "i",
                "cannot"
                    | "can't"
                    | "won't"
                    | "refuse"
                    | "ignore"
                    | "decline"
                    | "ignored"
                    | "didn't"
                    | "don't"
            ] | ["not", "comply" | "follow" | "do"]
                | ["is", "injection"]
        )
    }) || behind.windows(3).any(|three| matches!(three, ["i", "will" | "can" | "do", "not"]));
    if ordered && refuses {
        return Cue::Rejected;
    }
    Cue::None
}

fn korean(lead: &str, sentence: &str, stop: char, glued: bool) -> Cue {
    let particle = PARTICLES.iter().any(|particle| {
        sentence
            .strip_prefix(particle)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ',']) || glued)
    });
    let asks = ["까", "까요", "나요", "니까", "가요", "을래요", "ㄹ래요", "죠", "나", "ㄴ가"]
        .iter()
        .any(|end| sentence.trim_end().ends_with(end));
    let copula =
        ["인가", "일까", "입니까", "이냐", "맞나", "맞습니까", "이 맞", "가 맞", "일지", "말씀이", "맞는"];
    if (stop == '?' || asks) && (particle || copula.iter().any(|start| sentence.starts_with(start))) {
        return Cue::Rejected;
    }
    let form = ["형식", "형태", "양식", "포맷", "꼴"].iter().find_map(|word| {
        sentence
            .strip_prefix(word)
            .or_else(|| sentence.strip_prefix("와 같은 ").and_then(|rest| rest.strip_prefix(word)))
    });
    if let Some(rest) = form
        && [
            "주시",
            "주세",
            "하세",
            "바랍",
            "십시오",
            "여야",
            "어야",
            "해야",
            "하면 됩",
            "답하",
            "부탁",
            "해 줘",
        ]
        .iter()
        .any(|end| rest.contains(end))
    {
        return Cue::Schema;
    }
    if !particle {
        return Cue::None;
    }
    // What the first clause says, or what the writer will not do.
    let mut clause = sentence;
    for cut in [",", "으며 ", "하며 ", "했고 ", "였고 ", "하고 ", "되고 "] {
        if let Some(at) = clause.find(cut) {
            clause = clause.get(..at).unwrap_or(clause);
        }
    }
    let ordered = ["지시", "요청", "명령", "프롬프트", "하라고", "하라는", "시켰", "시키"];
    let ordered = ordered.iter().any(|word| lead.contains(word) || sentence.contains(word));
    let refuses = ["않겠", "않습니다", "수 없", "거부", "거절", "무시"];
    if ordered && refuses.iter().any(|word| sentence.contains(word)) {
        return Cue::Rejected;
    }
    let denied = [
        "수 없습",
        "수 없다",
        "수 없어",
        "수는 없",
        "수가 없",
        "않겠",
        "지 않습니다",
        "지 않는다",
        "지 않도록",
        "지 않아요",
        "근거가 없",
        "근거는 없",
        "언급이 없",
        "내용이 없",
        "안 됩",
        "안 돼",
        "안됩",
        "안돼",
        "틀립니다",
        "틀려요",
        "틀린 ",
        "마세요",
        "마십시오",
        "말아",
        "말 것",
        "지 말",
        "잘못입",
        "잘못된 ",
        "오답",
        "거짓",
        "사실이 아",
        "정답이 아",
        "답이 아",
        "거부",
        "거절",
        "곤란",
        "무리",
    ];
    if denied.iter().any(|word| clause.contains(word)) {
        return Cue::Rejected;
    }
    Cue::None
}
