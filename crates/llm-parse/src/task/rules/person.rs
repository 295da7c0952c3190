//! Whose deed or wish a Korean clause tells: the writer leaves the subject out, others are named.

use super::verb::{final_consonant, split_last};

/// People whom a writer tells of.
const OTHERS: [&str; 44] = [
    "가족",
    "감독님",
    "과장님",
    "교수님",
    "그",
    "그녀",
    "남동생",
    "남자친구",
    "남친",
    "남편",
    "누나",
    "동기",
    "동료",
    "동생",
    "딸",
    "박사님",
    "부모님",
    "사람",
    "사람들",
    "상사",
    "선배",
    "선생님",
    "아내",
    "아들",
    "아버지",
    "아빠",
    "아이",
    "아이들",
    "어머니",
    "언니",
    "엄마",
    "여동생",
    "여자친구",
    "여친",
    "오빠",
    "와이프",
    "의사",
    "지인",
    "직원",
    "친구",
    "친구들",
    "코치님",
    "형",
    "후배",
];

/// Who speaks.
const SELF: [&str; 8] = ["내가", "나는", "난", "우리는", "저는", "저희는", "전", "제가"];

/// Particles of a subject.
const SUBJECT: [&str; 6] = ["께서는", "께서", "은", "는", "이", "가"];

/// Tells whether the words before a predicate name somebody else as its subject: `친구가 10kg을` before 뺐어요. Between the two
/// stands no other verb, whose subject it might be: `친구가 추천한 책을`.
pub(super) fn is_another(before: &str) -> bool {
    let mut rest = before;
    // what is further away than this is hardly the subject
    for _ in 0..8 {
        let (head, word) = split_last(rest);
        if word.is_empty() || SELF.contains(&word) || is_verb(word) {
            return false;
        }
        if let Some(person) = subject(word) {
            return OTHERS.contains(&person) || person == "씨" || person.ends_with('씨') || person == "님";
        }
        rest = head;
    }
    false
}

/// Tells whether a wish (`before` 고 싶, and the `rest`) is somebody else's: `배우고 싶어 해요`, `빼고 싶다는 친구가`.
pub(super) fn wishes(before: &str, rest: &str) -> bool {
    let shown = rest.strip_prefix('어').map(str::trim_start);
    if shown.is_some_and(|does| does.starts_with(['하', '해', '합', '했', '한'])) {
        return true;
    }
    let told = rest.strip_prefix("다는").map(|told| told.split_whitespace().next().unwrap_or_default());
    told.and_then(subject).is_some_and(|person| OTHERS.contains(&person)) || is_another(before)
}

/// Returns the noun that a word is the subject with.
fn subject(word: &str) -> Option<&str> {
    SUBJECT.iter().find_map(|particle| word.strip_suffix(particle)).filter(|noun| !noun.is_empty())
}

/// Tells whether a word is a verb that says something of its own, before a noun or another verb.
fn is_verb(word: &str) -> bool {
    const LINKS: [&str; 14] =
        ["서", "고", "며", "면", "지만", "는데", "니까", "자", "도록", "려고", "던", "어도", "아도", "줘"];
    const NOUNS: [&str; 30] = [
        "매일",
        "오늘",
        "내일",
        "주말",
        "평일",
        "지난달",
        "이번달",
        "지난",
        "올",
        "한",
        "두",
        "세",
        "네",
        "열",
        "몇",
        "동안",
        "하루만",
        "원",
        "오랜",
        "어느",
        "권",
        "번",
        "분",
        "달",
        "잔",
        "편",
        "판",
        "반",
        "천",
        "만",
    ];
    if NOUNS.contains(&word) || word.chars().any(|c| c.is_ascii_digit()) {
        return false;
    }
    let last = word.chars().last().map_or(0, final_consonant);
    let adnominal = matches!(last, 4 | 8) && !word.ends_with(['은', '을', '를']) && !ends_in_subject(word);
    adnominal
        || (word.chars().nth(1).is_some()
            && LINKS.iter().any(|link| word.ends_with(link))
            && !word.ends_with("에서")
            && !word.ends_with("께서"))
}

fn ends_in_subject(word: &str) -> bool {
    subject(word).is_some_and(|noun| OTHERS.contains(&noun))
}
