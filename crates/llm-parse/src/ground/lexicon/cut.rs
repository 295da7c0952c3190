//! What a quote may lose where it begins or ends: a prefix that negates, or the negation behind a predicate.

use super::korean::{ends_in_particle, is_particle, letters};

/// Syllables that turn a noun or a verb into its opposite.
const PREFIXES: [char; 7] = ['불', '비', '미', '무', '몰', '안', '못'];

/// Beginnings of words whose first syllable only looks like such a prefix.
const WHOLE: &[&str] = &[
    "불고기",
    "불곰",
    "불광",
    "불교",
    "불금",
    "불길",
    "불꽃",
    "불닭",
    "불량",
    "불러",
    "불렀",
    "불려",
    "불린",
    "불멍",
    "불빛",
    "불씨",
    "불어",
    "불었",
    "불타",
    "불판",
    "비가",
    "비건",
    "비교",
    "비누",
    "비는",
    "비늘",
    "비닐",
    "비도",
    "비둘기",
    "비디오",
    "비를",
    "비밀",
    "비바람",
    "비벼",
    "비볐",
    "비빌",
    "비빔",
    "비상",
    "비서",
    "비슷",
    "비싸",
    "비싼",
    "비에",
    "비올",
    "비옷",
    "비용",
    "비우",
    "비워",
    "비웠",
    "비율",
    "비자",
    "비전",
    "비즈",
    "비중",
    "비타민",
    "비트",
    "비판",
    "비평",
    "비행",
    "미각",
    "미국",
    "미군",
    "미끄",
    "미나리",
    "미남",
    "미녀",
    "미니",
    "미덕",
    "미디어",
    "미래",
    "미루",
    "미뤄",
    "미뤘",
    "미리",
    "미모",
    "미사",
    "미생물",
    "미세",
    "미션",
    "미소",
    "미술",
    "미스",
    "미식",
    "미싱",
    "미역",
    "미용",
    "미워",
    "미인",
    "미주",
    "미친",
    "미쳤",
    "미터",
    "미팅",
    "미풍",
    "무게",
    "무국",
    "무궁",
    "무기",
    "무김치",
    "무늬",
    "무당",
    "무대",
    "무더",
    "무덤",
    "무도",
    "무등",
    "무려",
    "무릎",
    "무리",
    "무말랭",
    "무사히",
    "무생채",
    "무서",
    "무섭",
    "무슨",
    "무술",
    "무언",
    "무엇",
    "무역",
    "무예",
    "무용",
    "무지개",
    "무척",
    "무청",
    "무쳐",
    "무침",
    "무한",
    "무협",
    "무화과",
    "몰고",
    "몰두",
    "몰디브",
    "몰라",
    "몰래",
    "몰랐",
    "몰려",
    "몰리",
    "몰아",
    "몰았",
    "몰입",
    "안개",
    "안건",
    "안경",
    "안고",
    "안과",
    "안구",
    "안긴",
    "안내",
    "안녕",
    "안동",
    "안드",
    "안락",
    "안마",
    "안면",
    "안목",
    "안무",
    "안방",
    "안배",
    "안부",
    "안산",
    "안색",
    "안성",
    "안식",
    "안심",
    "안아",
    "안았",
    "안양",
    "안약",
    "안에",
    "안으",
    "안은",
    "안을",
    "안이",
    "안장",
    "안전",
    "안정",
    "안주",
    "안쪽",
    "안착",
    "안치",
    "안타",
    "안테나",
    "안팎",
    "못과",
    "못난",
    "못도",
    "못된",
    "못생",
    "못에",
    "못은",
    "못을",
    "못이",
    "못자국",
    "못자리",
    "못질",
];

/// Nouns that end in such a syllable.
const NOUNS: &[&str] = &[
    "고무",
    "공무",
    "근무",
    "나무",
    "노무",
    "법무",
    "병무",
    "사무",
    "세무",
    "실무",
    "안무",
    "업무",
    "열무",
    "외무",
    "의무",
    "임무",
    "잔무",
    "재무",
    "전무",
    "직무",
    "총무",
    "경비",
    "겸비",
    "교통비",
    "구비",
    "낭비",
    "대비",
    "생활비",
    "설비",
    "소비",
    "수비",
    "식비",
    "여비",
    "장비",
    "정비",
    "준비",
    "차비",
    "학비",
    "회비",
    "개미",
    "거미",
    "매미",
    "별미",
    "의미",
    "이미",
    "장미",
    "재미",
    "취미",
    "흥미",
    "등불",
    "산불",
    "이불",
    "지불",
    "촛불",
    "환불",
    "답안",
    "대안",
    "도안",
    "동안",
    "방안",
    "법안",
    "보안",
    "불안",
    "미안",
    "시안",
    "제안",
    "집안",
    "초안",
    "치안",
    "편안",
    "평안",
    "해안",
    "현안",
    "대못",
    "쇠못",
    "연못",
    "잘못",
    "매몰",
    "쇼핑몰",
    "수몰",
    "출몰",
    "함몰",
];

/// What the prefixes turn into its opposite, also within a longer word: "최종불합격".
const OPPOSED: &[(char, &[&str])] = &[
    (
        '불',
        &[
            "가능", "공정", "규칙", "균형", "만족", "명확", "성실", "안정", "완전", "이행", "일치", "충분",
            "친절", "투명", "평등", "필요", "합격", "확실",
        ],
    ),
    (
        '비',
        &[
            "공개", "공식", "과세", "대면", "상식", "음주", "전문", "정규", "정상", "현실", "협조", "활성",
            "회원", "효율", "흡연",
        ],
    ),
    (
        '미',
        &[
            "가입", "결제", "등록", "성년", "수료", "완료", "완성", "응시", "이수", "이행", "입금", "접종",
            "제출", "졸업", "지급", "참석", "처리", "출석", "취업", "합격", "해결", "확인",
        ],
    ),
    (
        '무',
        &[
            "결석", "경험", "계획", "관심", "면허", "사고", "상관", "소속", "응답", "자격", "제한", "조건",
            "지각", "책임",
        ],
    ),
    ('몰', &["상식", "이해", "지각"]),
];

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

/// Tells whether a Korean word loses a negating prefix when `left_out` is cut off before `rest`: `불` of `불합격`, but not
/// `불` of `불고기` or `실무` of `실무경험`.
pub(in crate::ground) fn loses_prefix(left_out: &str, rest: &str) -> bool {
    let Some(prefix) = left_out.chars().next_back().filter(|last| PREFIXES.contains(last)) else {
        return false;
    };
    let alone = left_out.chars().nth(1).is_none();
    if alone {
        return !is_whole(left_out, rest);
    }
    if NOUNS.iter().any(|noun| left_out.ends_with(noun)) {
        return false;
    }
    match prefix {
        '안' | '못' => is_predicate(rest),
        _ => OPPOSED
            .iter()
            .any(|(known, nouns)| *known == prefix && nouns.iter().any(|noun| rest.starts_with(noun))),
    }
}

fn is_whole(prefix: &str, rest: &str) -> bool {
    WHOLE.iter().any(|word| {
        word.strip_prefix(prefix).is_some_and(|tail| rest.starts_with(tail) || tail.starts_with(rest))
    })
}

/// Tells whether the words before a quote negate its first word: `안 했다`, `not finish`.
pub(in crate::ground) fn negates_next(before: &[&str], first: &str) -> bool {
    const NOUNS_FOLLOW: [&str; 22] = [
        "a", "an", "he", "her", "his", "i", "it", "its", "my", "only", "our", "she", "that", "the", "their",
        "there", "these", "they", "this", "those", "we", "you",
    ];
    match before {
        [.., "안" | "못"] => is_predicate(first),
        [.., "or" | "why" | "if" | "whether", "not"] => false,
        [.., last] if matches!(*last, "not" | "never" | "cannot") || last.ends_with("n't") => {
            !NOUNS_FOLLOW.contains(&first) && !first.starts_with("i'")
        }
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
        return left_out.is_empty() && auxiliary && matches!(after, ["not" | "never", ..]);
    }
    // "합격" of "합격하지못했다"
    if let Some((_, tail)) = left_out.split_once('지')
        && tail.trim_start_matches(['는', '도', '를', '가']).starts_with(['않', '못', '말', '안'])
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
        _ => {}
    }
    if ends_clause(&whole) || !(left_out.is_empty() || is_particle(left_out)) {
        return false;
    }
    let strengths = after.iter().take(2).take_while(|word| BETWEEN.contains(*word)).count();
    match after.get(strengths..).unwrap_or_default() {
        [next, ..] if next.starts_with('없') => true,
        [next, ..] if ["아니", "아닌", "아닙", "아닐"].iter().any(|no| next.starts_with(no)) => {
            !["뿐", "뿐만", "뿐이", "뿐만이"].iter().any(|only| whole.ends_with(only))
        }
        ["안" | "못", verb, ..] => is_predicate(verb),
        [next, ..] => ["안", "못"]
            .iter()
            .any(|no| next.strip_prefix(no).is_some_and(|rest| !is_whole(no, rest) && is_predicate(rest))),
        [] => false,
    }
}

/// Tells whether a Korean word looks like a verb or an adjective in some form.
fn is_predicate(word: &str) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_negates_where_no_word_begins_or_ends_with_it() {
        for (left_out, rest) in [
            ("불", "합격했다"),
            ("비", "정상입니다"),
            ("미", "완료"),
            ("무", "경험자"),
            ("몰", "상식한"),
            ("안", "했다"),
            ("못", "갔어요"),
            ("최종불", "합격"),
            ("공부안", "했다"),
        ] {
            assert!(loses_prefix(left_out, rest), "{left_out} {rest}");
        }
        for (left_out, rest) in [
            ("비", "빔밥을"),
            ("미", "국에"),
            ("불", "고기"),
            ("무", "릎이"),
            ("안", "내를"),
            ("못", "질을"),
            ("실무", "경험"),
            ("업무", "처리"),
            ("식비", "정리"),
            ("취미", "생활"),
            ("동안", "했다"),
            ("길", "안내"),
            ("아침", "운동"),
        ] {
            assert!(!loses_prefix(left_out, rest), "{left_out} {rest}");
        }
    }
}
