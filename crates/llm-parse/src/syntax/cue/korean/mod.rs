//! What a Korean sentence after a value says of it.

mod replaced;

use super::super::document::Cue;
use super::remark::Sentence;

/// What the writer calls the value; a subject begins with one of them.
const ANSWERS: &[&str] = &[
    "위",
    "이",
    "이것",
    "이건",
    "이게",
    "그건",
    "그것",
    "앞",
    "답",
    "답변",
    "정답",
    "결과",
    "값",
    "내용",
    "출력",
    "응답",
    "데이터",
    "해당",
    "제가",
    "제",
    "방금",
    "json",
    "객체",
    "배열",
    "목록",
    "모두",
    "전부",
    "이전",
];
/// What the writer read.
const SOURCES: &[&str] = &[
    "원문",
    "본문",
    "입력",
    "질문",
    "문서",
    "원본",
    "리뷰",
    "기사",
    "사용자",
    "고객",
    "텍스트",
    "글쓴이",
    "작성자",
    "화자",
    "발화",
    "문장",
    "이메일",
    "메시지",
];
const SAMPLES: &[&str] =
    &["예시", "예제", "샘플", "견본", "더미", "가상", "가짜", "임의", "허구", "자리표시자", "플레이스홀더"];
const SCHEMAS: &[&str] = &["스키마", "양식", "템플릿"];
const DRAFTS: &[&str] = &["초안", "임시", "가안", "시안"];
const COPULAS: &[&str] = &[
    "입니다",
    "이에요",
    "예요",
    "이다",
    "임",
    "이며",
    "이고",
    "이므로",
    "일 뿐",
    "일뿐",
    "뿐입니다",
    "뿐이에요",
    "이었습니다",
    "였습니다",
    "이었어요",
    "였어요",
    "에 불과",
    "에 지나지",
    "이네요",
    "네요",
    "인데",
];
const INTERJECTIONS: &[&str] = &[
    "아",
    "아차",
    "앗",
    "아니",
    "아뇨",
    "아니요",
    "잠깐",
    "잠깐만",
    "잠깐만요",
    "잠시만요",
    "죄송합니다",
    "죄송해요",
    "미안합니다",
    "미안해요",
    "실수했네요",
    "사실",
    "다시",
    "확인해",
    "정정하면",
    "정정하자면",
    "바로잡으면",
];
/// What a word ends with that says under what condition the sentence holds.
const CONDITIONS: &[&str] = &[
    "으면",
    "하면",
    "다면",
    "라면",
    "되면",
    "시면",
    "니면",
    "리면",
    "지면",
    "나면",
    "이면",
    "경우",
    "경우에",
    "경우에는",
    "경우엔",
    "거든",
];

fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn starts(word: &str, list: &[&str]) -> bool {
    list.iter().any(|stem| word.starts_with(stem))
}

fn ends(word: &str, list: &[&str]) -> bool {
    list.iter().any(|end| word.ends_with(end))
}

/// Tells whether a sentence only announces that something was wrong: “아차!”, “죄송합니다.”
pub(super) fn is_interjection(text: &str) -> bool {
    let mut all = words(text);
    all.next().is_some_and(|first| {
        INTERJECTIONS.contains(&first) && !first.starts_with("다시") && first != "확인해"
    }) && all.next().is_none()
}

/// Tells whether a correction says that there is none.
pub(super) fn is_nothing(text: &str) -> bool {
    words(text).any(|word| starts(word, &["없음", "없습니다", "없어요"]) || word == "해당없음")
}

/// Reads one sentence.
pub(super) fn says(sentence: Sentence<'_>) -> Cue {
    let text =
        sentence.text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '*' | '_')).to_lowercase();
    let list: Vec<&str> = words(&text).collect();
    let first = list.first().copied().unwrap_or("");
    let end = text.trim_end_matches(['.', '!', ')', '"', '*', ' ', '~', '…']);
    if end.ends_with('?') || ends(end, &["까요", "나요", "습니까", "ㄹ까"]) {
        return Cue::None;
    }
    // “{…}라고 답하면 안 됩니다”
    if first.starts_with("라고") && ["안 됩", "안 돼", "안됩", "안돼"].iter().any(|no| text.contains(no))
    {
        return Cue::Rejected;
    }
    // “위 내용 무시”, “취소”
    if list.len() < 4
        && matches!(list.last(), Some(&("무시" | "취소" | "폐기" | "철회" | "무효")))
        && (list.len() == 1 || starts(first, ANSWERS))
    {
        return Cue::Rejected;
    }
    // “값은 직접 채워 넣으세요.”
    if ["채워", "채우", "입력해", "넣어"].iter().any(|word| text.contains(word))
        && ["세요", "십시오", "주세요", "바랍니다"].iter().any(|last| end.ends_with(last))
        && (text.contains("직접") || text.contains("실제") || text.contains("본인"))
    {
        return Cue::Example;
    }
    // “이 값들은 지어낸 것입니다.”
    if ["지어낸", "꾸며낸", "만들어낸", "만들어 낸", "지어 낸"].iter().any(|word| text.contains(word))
        && starts(first, ANSWERS)
        && !text.contains("아닙니다")
        && !text.contains("없")
    {
        return Cue::Example;
    }
    if let Some(turned) = dismissal(&text, &list) {
        return if turned { Cue::Rejected } else { Cue::None };
    }
    let introduces = |at: usize, word: &str| {
        at < 4
            && (starts(word, &["정정", "바로잡", "다시", "고쳐", "요약"])
                || word == "보면"
                || word == "말하면")
    };
    let conditional = list.iter().enumerate().any(|(at, word)| {
        let noun = matches!(
            *word,
            "화면"
                | "측면"
                | "반면"
                | "장면"
                | "표면"
                | "전면"
                | "라면"
                | "이면"
                | "단면"
                | "지면"
                | "도면"
        );
        ends(word, CONDITIONS) && !noun && !introduces(at, word)
    });
    // “틀릴 수 있습니다”: may be, and nobody knows.
    if conditional || text.contains("수 있") || text.contains("수도 있") {
        return Cue::None;
    }
    // “다시 작성하겠습니다.”
    if list.len() < 7
        && list.iter().any(|word| matches!(*word, "다시" | "새로"))
        && end.ends_with("겠습니다")
        && !text.contains("확인")
        && !text.contains("말씀")
    {
        return Cue::Rejected;
    }
    if replaced::is_replaced(&text, &list, sentence) || is_fault(&text, &list, sentence) {
        return Cue::Rejected;
    }
    sample(&text, &list)
}

/// Tells whether a sentence tells the reader to pass over the value, or to pass over something else.
fn dismissal(text: &str, list: &[&str]) -> Option<bool> {
    const ORDERS: &[&str] =
        &["해 주", "해주", "하세요", "하십", "하시", "해요", "해줘", "바랍", " 바랍", "부탁", "해 줘"];
    let at = text.find("무시").map(|at| (at, at + "무시".len()));
    let ordered = at.is_some_and(|(_, end)| text.get(end..).is_some_and(|rest| starts(rest, ORDERS)));
    let denied = [
        "사용하지 마",
        "쓰지 마",
        "믿지 마",
        "참고하지 마",
        "제출하지 마",
        "사용하지 말",
        "쓰지 말",
        "무시하고",
    ];
    let denied = denied.iter().filter(|words| !words.ends_with("하고")).find_map(|words| text.find(words));
    let removed = ["지워 주", "지워주", "삭제해 주", "삭제해주", "잊어 주", "잊어주", "폐기해"]
        .iter()
        .find_map(|words| text.find(words));
    let (place, must_name) = match (at, denied, removed) {
        (Some((at, _)), ..) if ordered => (at, false),
        (_, Some(at), _) => (at, false),
        (_, _, Some(at)) => (at, true),
        // “위의 값은 무시해도 됩니다”
        (Some((at, end)), ..)
            if text.get(end..).is_some_and(|rest| rest.starts_with("해도") || rest.starts_with("해야")) =>
        {
            (at, true)
        }
        _ => return None,
    };
    let object = text.get(..place).unwrap_or("");
    let named = words(object).any(|word| starts(word, ANSWERS));
    let other = words(object).any(|word| ends(word, &["은", "는", "을", "를"]));
    Some(named || (!other && !must_name && list.len() < 6))
}

/// Tells whether a sentence finds fault with the value.
fn is_fault(text: &str, list: &[&str], sentence: Sentence<'_>) -> bool {
    // “틀린 값을 고쳤습니다”: mended already.
    if [
        "수정했",
        "고쳤",
        "바로잡았",
        "제외했",
        "제거했",
        "교정했",
        "제외하",
        "제거하",
        "제외되",
        "삭제했",
        "걸러",
    ]
    .iter()
    .any(|done| text.contains(done))
    {
        return false;
    }
    // “원문에 오타가 있습니다”: said of what was read.
    let source = list.iter().any(|word| {
        SOURCES.iter().any(|source| {
            word.strip_prefix(source)
                .is_some_and(|rest| starts(rest, &["의", "에", "은", "는", "이", "가", "상"]))
        })
    });
    let first = list.first().copied().unwrap_or("");
    let pointed = list.iter().any(|word| starts(word, ANSWERS));
    if source && !starts(first, &["위", "이것", "제가", "답", "정답"]) {
        return false;
    }
    if first.starts_with("라고") && ["안 됩", "안 돼", "안됩", "안돼"].iter().any(|no| text.contains(no))
    {
        return true;
    }
    let ending = |list: &[&str]| list.iter().any(|fault| text.contains(fault));
    let denied = ["맞지 않", "옳지 않", "올바르지 않", "정확하지 않", "유효하지 않"].iter().any(|fault| {
        text.find(fault)
            .and_then(|at| text.get(at + fault.len()..))
            .is_some_and(|rest| !rest.starts_with(['는', '은']))
    });
    if denied
        || ending(&[
            "틀렸",
            "틀립니다",
            "틀려요",
            "사실과 다릅",
            "사실과 달",
            "부정확합",
            "실수했",
            "실수였",
            "실수입니다",
            "착각했",
            "오해했",
            "착오가 있",
        ])
    {
        return true;
    }
    if text.contains("틀림") && !text.contains("틀림없") {
        return true;
    }
    if !text.contains('없')
        && ending(&[
            "틀린 부분이 있",
            "틀린 곳이 있",
            "잘못된 부분이 있",
            "오류가 있",
            "실수가 있",
            "오타가 있",
            "오류입니다",
            "오류였",
            "오답입니다",
            "오답이",
        ])
    {
        return true;
    }
    // “아닙니다.”, “아닙니다, …”, or right behind the value
    let alone = sentence.beside
        || list.len() == 1
        || text.strip_prefix(first).is_some_and(|rest| rest.starts_with(','));
    for (at, word) in list.iter().enumerate() {
        let next = list.get(at + 1).copied().unwrap_or("");
        if starts(word, &["잘못됐", "잘못되었", "잘못됨", "잘못되어", "잘못돼"]) {
            return true;
        }
        let past =
            ["었", "았", "했", "였", "됐", "봤", "썼", "셌", "겼"].iter().any(|past| next.contains(past));
        if *word == "잘못" && past {
            return true;
        }
        // “틀린 답입니다”, “잘못된 결과예요”
        if matches!(*word, "틀린" | "잘못된")
            && starts(
                next,
                &["값", "답", "결과", "것", "거", "응답", "내용", "정보", "json", "데이터", "출력", "예"],
            )
            && ends(next, COPULAS)
        {
            return true;
        }
        // “이것은 정답이 아닙니다”
        let before = at.checked_sub(1).and_then(|at| list.get(at)).copied().unwrap_or("");
        if starts(word, &["아닙니다", "아니에요", "아니예요", "아녜요", "아님", "아니다"])
            && ((at == 0 && alone)
                || starts(before, &["정답", "답", "결과", "값", "최종", "맞는", "옳은", "사실", "데이터"])
                || (pointed && matches!(before, "것이" | "게" | "이게" | "이것이" | "이건")))
        {
            return true;
        }
    }
    false
}

/// Tells whether a sentence says that the value is an example, a schema or a draft.
fn sample(text: &str, list: &[&str]) -> Cue {
    if text.contains("아닙니다") || text.contains("아니") {
        return Cue::None;
    }
    for (at, word) in list.iter().enumerate() {
        let kinds = [(SAMPLES, Cue::Example), (SCHEMAS, Cue::Schema), (DRAFTS, Cue::Draft)];
        let Some((rest, cue)) = kinds.iter().find_map(|(stems, cue)| {
            stems.iter().find_map(|stem| word.strip_prefix(stem)).map(|rest| (rest, *cue))
        }) else {
            continue;
        };
        if starts(rest, COPULAS)
            || (rest == "일" && list.get(at + 1).is_some_and(|next| next.starts_with('뿐')))
        {
            return cue;
        }
        let next = list.get(at + 1).copied().unwrap_or("");
        // “예시로 작성했습니다”, “임의로 채운 값”
        let made =
            starts(next, &["작성", "만든", "만들", "넣", "채운", "채웠", "정한", "정했", "생성", "지어"]);
        if cue == Cue::Example && matches!(rest, "로" | "으로") && made {
            return cue;
        }
        if !matches!(rest, "" | "값" | "용" | "의" | "데이터" | "적인") {
            continue;
        }
        if list.len() < 3 && next.is_empty() {
            return cue;
        }
        // What follows up to the verb is one noun phrase: “예시 데이터입니다”, not “예시 형식에 맞춘 결과입니다”.
        let phrase = list.get(at + 1..).unwrap_or(&[]);
        let stop = phrase.iter().take(3).position(|word| ends(word, COPULAS) || starts(word, &["일", "뿐"]));
        let plain = |word: &&str| {
            !ends(
                word,
                &[
                    "을", "를", "에", "와", "과", "로", "대로", "처럼", "따라", "맞춘", "맞는", "맞게", "은",
                    "는",
                ],
            )
        };
        if stop.is_some_and(|stop| phrase.get(..stop).unwrap_or(&[]).iter().all(plain)) {
            return cue;
        }
    }
    Cue::None
}
