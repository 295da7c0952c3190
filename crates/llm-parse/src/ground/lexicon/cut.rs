//! What a quote may lose where it begins or ends: the negation before or behind it, or what takes it back.

use super::korean::{ends_in_particle, is_particle, letters};
use super::prefix::{is_whole, loses_prefix};

/// Words that only strengthen the negation behind them.
const BETWEEN: &[&str] = &[
    "결국",
    "결코",
    "거의",
    "끝내",
    "다",
    "더",
    "더는",
    "더이상",
    "도저히",
    "별로",
    "아예",
    "아직",
    "아직도",
    "이상",
    "잘",
    "전혀",
    "절대",
    "절대로",
];

/// Tells whether the words before a quote negate its first word: `안 했다`, `not finish`.
pub(in crate::ground) fn negates_next(before: &[&str], first: &str) -> bool {
    match before {
        [.., "안" | "못"] => is_predicate(first),
        // "철수만 빼고 모두 합격했다", "거의 완주했다"
        [.., left] if LEFT_OUT_KO.iter().any(|start| left.starts_with(start)) => {
            WHOLES_KO.iter().any(|all| first.starts_with(all))
        }
        [.., "거의" | "하마터면"] => first == "다" || is_past(first),
        _ if leaves_out(before) || denies_clause(before) || keeps_from(before, first) => true,
        [.., "or" | "why" | "if" | "whether", "not"] => false,
        // "not really finished", "no longer smoke"
        [.., deny, "really" | "ever" | "even" | "actually" | "quite" | "fully" | "yet" | "properly"]
        | [.., deny @ "no", "longer"]
            if denies(deny) || *deny == "no" =>
        {
            !begins_noun(first)
        }
        [.., "or" | "and", "no"] => false,
        [
            ..,
            last @ ("no" | "without" | "neither" | "nor" | "hardly" | "rarely" | "barely" | "scarcely"
            | "seldom"),
        ] => {
            let idiom = *last == "no" && matches!(first, "matter" | "doubt" | "wonder" | "problem");
            !idiom && !begins_noun(first)
        }
        // "almost finished" is not finished, "almost every day" is most of them
        [.., "almost" | "nearly"] => {
            first.ends_with("ed") || matches!(first, "quit" | "won" | "lost" | "made" | "ran")
        }
        [.., last] if denies(last) => !begins_noun(first),
        _ => false,
    }
}

/// Korean words that leave out who or what stands before them, and those that name all the rest.
const LEFT_OUT_KO: &[&str] = &["빼고", "뺀", "제외하", "제외한", "제하고", "말고"];
const WHOLES_KO: &[&str] = &["모두", "다", "전부", "전원", "나머지", "모든", "누구나", "온"];

fn is_past(word: &str) -> bool {
    word.chars().any(|c| letters(c).is_some_and(|[_, _, last]| last == 20))
}

/// Tells whether what follows is left out of what is said: `Everyone except Tom may leave`, `instead of running 10 km`.
fn leaves_out(before: &[&str]) -> bool {
    matches!(
        before,
        [.., "except" | "excluding" | "excepting" | "barring"]
            | [.., "except", "for"]
            | [.., "other" | "rather", "than"]
            | [.., "apart" | "aside" | "excused", "from"]
            | [.., "instead", "of"]
            | [
                ..,
                "everyone"
                    | "everybody"
                    | "everything"
                    | "nobody"
                    | "nothing"
                    | "none"
                    | "all"
                    | "anyone"
                    | "anything"
                    | "no-one",
                "but"
            ]
    )
}

/// Tells whether the clause before says that the one behind is not so: `It is false that`, `no evidence that`, `I doubt that`.
fn denies_clause(before: &[&str]) -> bool {
    const DENY: [&str; 21] = [
        "false",
        "untrue",
        "wrong",
        "incorrect",
        "unlikely",
        "impossible",
        "doubt",
        "doubts",
        "doubted",
        "doubtful",
        "deny",
        "denies",
        "denied",
        "disproved",
        "refuted",
        "pretend",
        "pretended",
        "pretends",
        "lie",
        "myth",
        "wish",
    ];
    const PROOF: [&str; 9] =
        ["evidence", "proof", "sign", "indication", "reason", "guarantee", "chance", "case", "true"];
    let Some((last, head)) = before.split_last() else { return false };
    if *last != "that" {
        return matches!(
            before,
            [.., "i" | "we" | "they" | "he" | "she", "wish"]
                | [.., "doubt" | "doubts" | "doubted", "if" | "whether"]
        );
    }
    let near = head.get(head.len().saturating_sub(4)..).unwrap_or_default();
    let no = near
        .iter()
        .any(|word| matches!(*word, "no" | "not" | "without" | "little" | "never") || word.ends_with("n't"));
    let doubt = near.last().is_some_and(|word| DENY.contains(word));
    let proof = near.last().is_some_and(|word| PROOF.contains(word) || *word == "mean" || *word == "imply");
    // "no doubt that", "not false that"
    doubt != (doubt && no) || (proof && no)
}

/// Tells whether what follows did not come about: `failed to finish`, `stop taking aspirin`, `prevented from going`,
/// `could have won`, `used to run`.
fn keeps_from(before: &[&str], first: &str) -> bool {
    match before {
        [
            ..,
            "fail" | "fails" | "failed" | "failing" | "refuse" | "refuses" | "refused" | "refusing"
            | "unable" | "unwilling" | "forgot" | "forget" | "forgets" | "forgotten" | "declined"
            | "declines" | "neglected" | "neglects" | "used" | "forbidden" | "reluctant" | "supposed"
            | "pretended" | "pretends" | "pretending",
            "to",
        ] => true,
        [.., "too", _, "to"] => true,
        [
            ..,
            "stop" | "stops" | "stopped" | "quit" | "quits" | "avoid" | "avoids" | "avoided" | "avoiding"
            | "cease" | "ceased" | "stopping" | "quitting" | "skip" | "skipped" | "denied" | "denies"
            | "discontinue" | "discontinued",
        ]
        | [.., "gave" | "give" | "given" | "giving", "up"] => first.ends_with("ing"),
        [
            ..,
            "prevented" | "kept" | "refrain" | "refrained" | "abstain" | "abstained" | "prohibited"
            | "banned" | "discouraged",
            "from",
        ]
        | [.., "prevented" | "kept" | "prevents" | "stopped", _, "from"] => first.ends_with("ing"),
        [.., "could" | "should" | "would" | "might", "have"] => !begins_noun(first),
        _ => false,
    }
}

fn denies(word: &str) -> bool {
    matches!(word, "not" | "never" | "cannot") || word.ends_with("n't")
}

/// Tells whether a clause or a noun of its own begins with an English word.
fn begins_noun(word: &str) -> bool {
    const NOUNS: [&str; 22] = [
        "a", "an", "he", "her", "his", "i", "it", "its", "my", "only", "our", "she", "that", "the", "their",
        "there", "these", "they", "this", "those", "we", "you",
    ];
    NOUNS.contains(&word) || word.starts_with("i'")
}

/// Tells whether the clause before a quote has a subject that denies its predicate: `Nobody passed`, `None of us finished`,
/// `No student in class passed`.
pub(in crate::ground) fn denies_subject(before: &[&str], first: &str) -> bool {
    const LINKS: [&str; 22] = [
        "after", "although", "and", "because", "before", "but", "if", "once", "or", "since", "so", "than",
        "that", "then", "though", "unless", "until", "when", "where", "which", "while", "who",
    ];
    const PLACES: [&str; 14] = [
        "about", "as", "at", "by", "during", "for", "from", "in", "into", "of", "on", "to", "with", "within",
    ];
    if begins_noun(first) || LINKS.contains(&first) || PLACES.contains(&first) {
        return false;
    }
    let clause = before.iter().rposition(|word| LINKS.contains(word)).map_or(0, |link| link + 1);
    match before.get(clause..).unwrap_or_default() {
        ["no", "matter" | "doubt" | "wonder" | "problem", ..] => false,
        ["nobody" | "none" | "neither" | "nothing" | "few" | "no", ..] => true,
        ["not", "all" | "every" | "everybody" | "everyone" | "many" | "one" | "a" | "much", ..] => true,
        [
            "almost" | "hardly" | "virtually" | "practically",
            "nobody" | "none" | "nothing" | "no" | "any" | "anybody" | "anyone",
            ..,
        ] => true,
        _ => false,
    }
}

/// Tells whether a quote that ends in `last`, or within it before `left_out`, leaves the negation behind it out: `합격하지`
/// of `합격하지 못했다`, `효과가` of `효과가 없었다`, `운동` of `운동을 안 했다`, `I could` of `I could not`.
pub(in crate::ground) fn loses_negation(last: &str, left_out: &str, after: &[&str]) -> bool {
    const AUXILIARIES: [&str; 22] = [
        "am", "are", "be", "been", "can", "could", "did", "do", "does", "had", "has", "have", "is", "may",
        "might", "must", "ought", "shall", "should", "was", "were", "will",
    ];
    if last.is_ascii() {
        let auxiliary = AUXILIARIES.contains(&last) || last == "would";
        let taken_back = |words: &[&str]| {
            let words = match words {
                ["was" | "were" | "is" | "are" | "got" | "has" | "have" | "had", "been", rest @ ..]
                | ["was" | "were" | "is" | "are" | "got", rest @ ..] => rest,
                rest => rest,
            };
            matches!(
                words,
                ["cancelled" | "canceled" | "revoked" | "rejected" | "denied" | "withdrawn" | "aborted", ..]
            )
        };
        return left_out.is_empty()
            && (auxiliary && matches!(after, ["not" | "never", ..]) || taken_back(after));
    }
    // "합격" of "합격하지못했다"
    if let Some((_, tail)) = left_out.split_once('지')
        && tail.trim_start_matches(['는', '도', '를', '가']).starts_with(['않', '못', '말', '안'])
    {
        return true;
    }
    // "합격취소되었다", "끊었다고 거짓말했다"
    if takes_back(left_out) {
        return true;
    }
    if (left_out.starts_with("고") || left_out.starts_with("는"))
        && after.iter().take(3).any(|word| word.starts_with("거짓"))
    {
        return true;
    }
    let within = left_out.starts_with(['않', '없', '못']) || left_out.starts_with("아니");
    if within && !last.ends_with('뿐') && !(left_out.starts_with('못') && last.ends_with(['연', '잘'])) {
        return true;
    }
    if left_out.starts_with('안')
        && loses_prefix("안", left_out.trim_start_matches('안'))
        && is_predicate(left_out)
    {
        return true;
    }
    let whole = [last, left_out].concat();
    match after {
        // "마시면 안 됩니다", "먹어서는 안 된다"
        ["안", may, ..] if may.starts_with(['되', '된', '됩', '됐', '돼', '될']) && is_condition(&whole) =>
        {
            return true;
        }
        [may, ..]
            if may.starts_with(['안', '못'])
                && may.contains(['되', '된', '됩', '됐', '돼', '될'])
                && is_condition(&whole) =>
        {
            return true;
        }
        ["곤란하" | "곤란합니다" | "큰일" | "큰일납니다", ..] if is_condition(&whole) => {
            return true;
        }
        // "합격했을 리가 없다", "완주하는 데 실패했다"
        [
            "리" | "리가" | "리는" | "필요" | "필요가" | "필요는" | "이유" | "이유가" | "생각" | "생각이"
            | "수가",
            no,
            ..,
        ] if no.starts_with('없') => return true,
        ["데" | "데에" | "것을" | "걸" | "것에" | "일을", fails, ..] if takes_back(fails) => {
            return true;
        }
        _ => {}
    }
    if left_out.starts_with("는커녕")
        || left_out.starts_with("커녕")
        || matches!(after, [never, ..] if never.starts_with("커녕"))
    {
        return true;
    }
    let linked =
        |word: &str| ["지", "지는", "지도", "지를", "진", "질"].iter().any(|end| word.ends_with(end));
    let negated = |word: &&str| word.starts_with(['않', '못', '말', '안', '마']);
    match after {
        [next, ..] if linked(&whole) && negated(next) => return true,
        // "외우려고 하지 않았다", "사고 싶지 않다"
        [link, next, ..]
            if linked(link)
                && link.starts_with(['하', '싶', '되'])
                && negated(next)
                && ["고", "려", "게", "도록", "야"].iter().any(|end| whole.ends_with(end)) =>
        {
            return true;
        }
        // "합격할 수 없었다"
        [can, next, ..] if matches!(*can, "수" | "수가" | "수는" | "수도") && next.starts_with('없') =>
        {
            return true;
        }
        // "합격할 뻔했다", "합격한 줄 알았다"
        [nearly, ..]
            if nearly.starts_with("뻔했") || nearly.starts_with("뻔한") || nearly.starts_with("뻔하") =>
        {
            return true;
        }
        ["줄", thought, ..] if thought.starts_with("알았") => return true,
        _ => {}
    }
    if ends_clause(&whole) || !(left_out.is_empty() || is_particle(left_out)) {
        return false;
    }
    let strengths = after.iter().take(2).take_while(|word| BETWEEN.contains(*word)).count();
    match after.get(strengths..).unwrap_or_default() {
        [next, ..] if next.starts_with('없') || takes_back(next) => true,
        [next, ..] if ["아니", "아닌", "아닙", "아닐", "아님"].iter().any(|no| next.starts_with(no)) => {
            !["뿐", "뿐만", "뿐이", "뿐만이"].iter().any(|only| whole.ends_with(only))
        }
        ["안" | "못", verb, ..] => is_predicate(verb),
        [next, ..] => ["안", "못"]
            .iter()
            .any(|no| next.strip_prefix(no).is_some_and(|rest| !is_whole(no, rest) && is_predicate(rest))),
        [] => false,
    }
}

/// A Korean verb in the form that 안 된다 forbids: 마시면, 먹어서는.
fn is_condition(word: &str) -> bool {
    ["면", "서는", "서", "선"].iter().any(|end| word.ends_with(end))
}

/// Tells whether a Korean word takes back what stands before it: `합격 취소`, `계약이 무산되었다`.
fn takes_back(word: &str) -> bool {
    const BACK: [&str; 23] = [
        "그만두",
        "그만뒀",
        "멈췄",
        "멈추",
        "중지",
        "삼가",
        "거부",
        "거절",
        "금지",
        "무산",
        "무효",
        "반려",
        "불가",
        "불발",
        "불허",
        "실패",
        "제외",
        "좌절",
        "중단",
        "철회",
        "취소",
        "탈락",
        "포기",
    ];
    // "실패 없이", "포기하지 않고": what is taken back there is not what stands before
    BACK.iter().any(|back| word.starts_with(back)) && !word.contains("하지") && !word.contains("없")
}

/// Tells whether a Korean word looks like a verb or an adjective in some form.
pub(super) fn is_predicate(word: &str) -> bool {
    const ENDS: [&str; 33] = [
        "다", "요", "까", "죠", "네", "고", "며", "서", "면", "지", "게", "니", "자", "던", "데", "지만",
        "도록", "려", "나", "음", "함", "됨", "기", "해", "할", "한", "된", "될", "돼", "간", "갈", "는",
        "야",
    ];
    let past = word.chars().any(|c| letters(c).is_some_and(|[_, _, last]| last == 20));
    past || (ENDS.iter().any(|end| word.ends_with(end)) && !ends_in_particle(word))
}

/// Tells whether a clause of its own ends with a Korean word, so that what follows says nothing of it.
fn ends_clause(word: &str) -> bool {
    const ENDS: [&str; 21] = [
        "다", "요", "까", "죠", "네", "고", "며", "서", "면", "지만", "는데", "니까", "거나", "려고", "도록",
        "게", "음", "함", "자", "던", "니",
    ];
    word.chars().nth(1).is_some() && ENDS.iter().any(|end| word.ends_with(end)) && !ends_in_particle(word)
}
