//! Korean: the endings that mark a deed, a wish, a plan or a duty, and the verb's plain form behind them.
//!
//! A predicate is turned into its nominal form in 기 ("외웠어요" → "외우기") by undoing the contraction of stem and
//! 아/어 and the regular sound changes (르, ㅂ, ㄷ verbs), as school grammar describes them.

use super::Hit;
use super::clause::{SENTENCE_END, SPACE};
use super::person;
use super::verb::{
    final_consonant, future_stem, infinitive_stem, past_stem, restore_l, split_last, with_final,
};

const LEADING: [&str; 24] = [
    "그리고",
    "그래서",
    "그러고",
    "그런데",
    "그다음",
    "그 다음",
    "다음으로",
    "마지막으로",
    "먼저",
    "우선",
    "일단",
    "저는",
    "제가",
    "전",
    "나는",
    "내가",
    "또한",
    "또",
    "특히",
    "처음엔",
    "처음에는",
    "사실",
    "결국",
    "그 뒤",
];
const SEQUEL: [&str; 6] = ["그다음", "그 다음", "다음으로", "마지막으로", "그 뒤", "그러고"];

/// States, feelings and outcomes: past tense, yet nothing that was done.
const NO_DEED: [&str; 60] = [
    "있",
    "없",
    "좋",
    "싫",
    "많",
    "적",
    "같",
    "힘들",
    "어렵",
    "쉽",
    "되",
    "나오",
    "놀라",
    "울",
    "막막하",
    "조용하",
    "행복하",
    "기쁘",
    "슬프",
    "아프",
    "바쁘",
    "뿌듯하",
    "즐겁",
    "재미있",
    "재밌",
    "합격하",
    "취업하",
    "취직하",
    "완주하",
    "성공하",
    "넘기",
    "달성하",
    "통과하",
    "이루",
    "걸리",
    "늘",
    "줄",
    "빠지",
    "생기",
    "뻔하",
    "그러",
    "이러",
    "느끼",
    "생각하",
    "궁금하",
    "필요하",
    "가능하",
    "부족하",
    "늦",
    "몰랐",
    "실패하",
    "탈락하",
    "불합격하",
    "떨어지",
    "잃",
    "잃어버리",
    "이기",
    "우승하",
    "지치",
    "싶",
];

/// Finds what somebody says to have done: a predicate in the past tense at the end of the clause.
pub(super) fn deed(clause: &str) -> Option<Hit> {
    let body = clause.trim_end_matches(SENTENCE_END).trim_end_matches(|c: char| {
        matches!(c, '~' | '?' | ')' | 'ㅋ' | 'ㅎ' | 'ㅠ' | 'ㅜ' | '^') || SENTENCE_END.contains(&c)
    });
    let (before, predicate) = split_last(body);
    if let Some(title) = ongoing(body).or_else(|| resolved(before, predicate)) {
        let (lead, sequel) = without_lead(&title);
        let title = lead.to_owned();
        return Some(Hit { title, quote_end: body.len(), confidence: 0.65, follows_previous: sequel });
    }
    let stem = past_stem(predicate, before)
        .or_else(|| nominal_stem(predicate, before))
        .or_else(|| linked_stem(predicate, before))?;
    if predicate.contains("이었")
        || stem.ends_with("못하")
        || matches!(split_last(before).1, "못" | "안")
        || is_denied(&stem)
        || before.ends_with("적이")
        || (stem == "하" && ["려고", "려", "까", "고자"].iter().any(|end| before.ends_with(end)))
        || person::is_another(before)
    {
        return None;
    }
    let known_state =
        NO_DEED.iter().any(|state| stem == *state || (state.chars().count() > 1 && stem.ends_with(state)));
    if known_state || before.is_empty() {
        return None;
    }
    let (lead, sequel) = without_lead(before);
    let title = join(lead, &format!("{stem}기"));
    Some(Hit { title, quote_end: body.len(), confidence: 0.7, follows_previous: sequel })
}

/// "안했어요", "안갔어요"; but 안내하 and 안 themselves are verbs.
fn is_denied(stem: &str) -> bool {
    stem.strip_prefix('안').is_some_and(|verb| {
        matches!(verb, "하" | "가" | "오" | "먹" | "보" | "사" | "쓰" | "자" | "되" | "읽" | "마시")
    })
}

/// "매일 30분씩 걷고 있어요" → 매일 30분씩 걷기
fn ongoing(body: &str) -> Option<String> {
    let at = ["고 있어요", "고 있습니다", "고 있다", "고 있음", "고 있네요", "고 있죠"]
        .iter()
        .find_map(|mark| body.strip_suffix(mark))?;
    let (lead, verb) = split_last(at);
    let state =
        matches!(verb, "알" | "가지" | "살" | "갖" | "느끼" | "생각하" | "지내" | "되" | "믿" | "다니");
    (!state && !lead.is_empty()).then(|| format!("{at}기"))
}

/// "매일 걷기로 했어요" → 매일 걷기
fn resolved(before: &str, predicate: &str) -> Option<String> {
    let stem = past_stem(predicate, before)?;
    let made = matches!(stem.as_str(), "하" | "결심하" | "마음먹" | "정하" | "다짐하" | "약속하");
    let title = before.strip_suffix("로").filter(|title| made && title.ends_with('기'))?;
    Some(title.to_owned())
}

/// "신문을 읽고", where the next clause has the tense.
fn linked_stem(predicate: &str, before: &str) -> Option<String> {
    let stem = predicate.strip_suffix('고').filter(|stem| !stem.is_empty())?;
    let object = split_last(before).1.ends_with(['을', '를']);
    (object && !stem.ends_with(['있', '싶', '겠', '다', '라', '냐', '자'])).then(|| stem.to_owned())
}

/// "물을 2리터씩 마심", "영어 공부함": the clipped style, after an object or an adverb.
fn nominal_stem(predicate: &str, before: &str) -> Option<String> {
    const NOUNS: [&str; 18] = [
        "게임",
        "프로그램",
        "사람",
        "다음",
        "처음",
        "마음",
        "도움",
        "모임",
        "시스템",
        "그림",
        "이름",
        "요즘",
        "아침",
        "점심",
        "시험",
        "경험",
        "보험",
        "있음",
    ];
    let last = predicate.chars().last()?;
    let led = before.ends_with(['을', '를', '씩', '로', '서', '게', '도']);
    if final_consonant(last) != 16 || NOUNS.iter().any(|noun| predicate.ends_with(noun)) {
        return None;
    }
    if let Some(noun) = predicate.strip_suffix('함') {
        return (led || !noun.is_empty()).then(|| format!("{noun}하"));
    }
    if let Some(stem) = predicate.strip_suffix('음') {
        return (led && stem.chars().last().is_some_and(|c| final_consonant(c) != 0))
            .then(|| stem.to_owned());
    }
    led.then(|| with_final(predicate, 0))
}

/// Finds what somebody says to want, plan or have to do.
pub(super) fn need(clause: &str) -> Option<Hit> {
    let body = clause.trim_end_matches(SPACE);
    let (plain, quote_end, confidence) = wish(body)
        .or_else(|| intent(body))
        .or_else(|| duty(body))
        .or_else(|| plan(body))
        .or_else(|| future(body))
        .or_else(|| goal(body))
        .or_else(|| weighed(body))
        .or_else(|| method(body))
        .or_else(|| asked(body))?;
    let (lead, sequel) = without_lead(plain.trim());
    if lead.is_empty() || lead.chars().count() > 120 || is_open_question(lead) {
        return None;
    }
    let quote_end =
        body.get(..quote_end).map_or(body.len(), |quote| quote.trim_end_matches(['.', '!', ',']).len());
    Some(Hit { title: lead.to_owned(), quote_end, confidence, follows_previous: sequel })
}

/// Gives the title of a list item.
pub(super) fn item_title(item: &str) -> String {
    if let Some(hit) = deed(item).or_else(|| need(item)) {
        return hit.title;
    }
    let short = match item.rsplit_once('(') {
        Some((head, tail)) if tail.ends_with(')') && !head.trim().is_empty() => head.trim_end(),
        _ => item,
    };
    without_lead(short).0.to_owned()
}

type Need = (String, usize, f32);

/// "어떻게 하기", "뭐부터 시작하기": what is asked for, not what is to be done.
fn is_open_question(title: &str) -> bool {
    const ASKED: [&str; 12] = [
        "어떻게",
        "뭐부터",
        "뭘",
        "뭐를",
        "무엇을",
        "무엇부터",
        "뭐",
        "어디서부터",
        "어디부터",
        "어떤",
        "무슨",
        "얼마나",
    ];
    let mut words = title.split(SPACE).rev();
    let verb = words.next().unwrap_or_default();
    let before = words.next().unwrap_or_default();
    ASKED.contains(&before) && matches!(verb, "하기" | "시작하기" | "준비하기" | "해 보기" | "되기")
        || ASKED.contains(&verb)
}

/// "내일부터 뛸 거예요", "꾸준히 해 보겠습니다" → 뛰기, 꾸준히 해 보기
fn future(body: &str) -> Option<Need> {
    let state = |stem: &str| {
        let verb = split_last(stem).1;
        NO_DEED.iter().any(|state| verb == *state || (state.chars().count() > 1 && verb.ends_with(state)))
    };
    if let Some((at, _)) =
        [" 거예요", " 거에요", " 겁니다", " 거야", " 건데", " 거고", " 것이다", " 거임", " 거라"]
            .iter()
            .filter_map(|mark| body.find(mark).map(|at| (at, mark)))
            .min()
    {
        let stem = future_stem(body.get(..at)?).filter(|stem| !state(stem))?;
        return Some((format!("{stem}기"), end_of_words(body, at + 1), 0.7));
    }
    let at = body.find('겠')?;
    let stem = body.get(..at)?;
    let verb = split_last(stem).1;
    let rest = body.get(at + '겠'.len_utf8()..)?;
    let said = ["습니다", "다", "어요", "음", "는데", "지만"].iter().any(|end| rest.starts_with(end));
    let other = ["알", "모르", "죽", "미치", "시", "감사하", "고맙", "부탁드리"]
        .iter()
        .any(|end| verb.ends_with(end));
    (said && !other && !state(stem)).then(|| (format!("{stem}기"), end_of_words(body, at), 0.65))
}

/// "담배 끊는 법 알려 주세요" → 담배 끊기
fn method(body: &str) -> Option<Need> {
    let at = ["는 방법", "는 법", "는법", "는 요령", "는 팁"].iter().find_map(|mark| body.find(mark))?;
    let before = body.get(..at)?;
    let rest = body.get(at..)?;
    let asked = ["알려", "궁금", "있을까", "있나", "추천", "조언", "뭘까", "뭔가", "모르겠", "공유", "?"];
    asked
        .iter()
        .any(|mark| rest.contains(mark))
        .then(|| (format!("{}기", restore_l(before)), body.len(), 0.6))
}

/// "학원을 끊을까요?", "책부터 사면 될까요?" → 학원을 끊기, 책부터 사기
fn asked(body: &str) -> Option<Need> {
    if let Some(at) =
        ["면 될까", "면 되나", "면 되는", "면 좋을까", "면 될지"].iter().find_map(|mark| body.find(mark))
    {
        let before = body.get(..at)?;
        let stem = before.strip_suffix('으').unwrap_or(before);
        if stem.ends_with("정도") || stem.ends_with('이') {
            return None;
        }
        return Some((format!("{stem}기"), body.len(), 0.6));
    }
    let end = ["까요", "까 말까", "까"]
        .iter()
        .find_map(|end| body.trim_end_matches(['?', '.', '!', ' ', 'ㅠ', 'ㅜ', '~']).strip_suffix(end))?;
    let stem = future_stem(end)?;
    let verb = split_last(&stem).1;
    let state =
        NO_DEED.iter().any(|state| verb.ends_with(state)) || matches!(verb, "괜찮" | "하" | "이" | "낫");
    (!state && !verb.is_empty()).then(|| (format!("{stem}기"), body.len(), 0.6))
}

/// "배우고 싶습니다" → 배우기
fn wish(body: &str) -> Option<Need> {
    let at = ["고 싶", "고싶"].iter().find_map(|mark| body.find(mark))?;
    let before = body.get(..at)?;
    let rest = body.get(at + "고".len()..)?.trim_start().trim_start_matches('싶');
    if ["지 않", "지는 않", "진 않", "지도 않", "지가 않"].iter().any(|not| rest.starts_with(not))
    {
        return None;
    }
    if person::wishes(before, rest) || is_given_up(rest) {
        return None;
    }
    let (_, verb) = split_last(before);
    if matches!(verb, "알" | "듣" | "묻" | "여쭤보" | "여쭙" | "물어보") {
        return None;
    }
    Some((format!("{before}기"), end_of_words(body, at + "고".len()), 0.75))
}

/// "배우고 싶었지만 이제는 아니에요": what follows a wish takes it back; that it is hard does not.
fn is_given_up(rest: &str) -> bool {
    const GIVEN_UP: [&str; 18] = [
        "아니에요",
        "아니예요",
        "아닙니다",
        "아니다",
        "아니야",
        "하지 않",
        "싶지 않",
        "원하지 않",
        "포기했",
        "포기하기로",
        "그만뒀",
        "그만두었",
        "그만두기로",
        "접었",
        "접기로",
        "안 하기로",
        "관심이 없",
        "생각이 없",
    ];
    let turned =
        ["지만", "는데", "으나"].iter().filter_map(|turn| rest.split_once(turn)).map(|(_, tail)| tail);
    turned.into_iter().any(|tail| GIVEN_UP.iter().any(|word| tail.contains(word)))
}

/// "외우려고 하는데" → 외우기
fn intent(body: &str) -> Option<Need> {
    let at = ["려고", "려구", "려 합니다", "려 해요", "려 한다", "려 하는", "려는데", "려는 중"]
        .iter()
        .find_map(|mark| body.find(mark))?;
    let before = body.get(..at)?;
    // what was tried and given up is no plan
    let rest = body.get(at..)?;
    if ["려고 했", "려고도 했", "려고 하지", "려고 노력했"].iter().any(|gone| rest.starts_with(gone))
    {
        return None;
    }
    let stem = match before.strip_suffix('으') {
        Some(stem) if stem.chars().last().is_some_and(|c| final_consonant(c) != 0) => stem,
        _ => before,
    };
    Some((format!("{stem}기"), end_of_words(body, at + "려".len()), 0.75))
}

/// "풀어야 할 것 같은데" → 풀기
fn duty(body: &str) -> Option<Need> {
    let (at, mark) = [
        "야 하", "야 할", "야 해", "야 한", "야 합", "야 될", "야 되", "야 돼", "야겠", "야할", "야하",
        "야지",
    ]
    .iter()
    .filter_map(|mark| body.find(mark).map(|at| (at, *mark)))
    .min()?;
    let before = body.get(..at)?;
    let (lead, verb) = split_last(before);
    let stem = infinitive_stem(verb, lead)?;
    if matches!(stem.as_str(), "있" | "없") {
        return None;
    }
    Some((join(lead, &format!("{stem}기")), end_of_words(body, at + mark.len()), 0.75))
}

/// "풀 계획입니다", "외워 볼까 해요" → 풀기, 외워 보기
fn plan(body: &str) -> Option<Need> {
    if let Some(at) =
        ["기로 했", "기로 결심", "기로 마음", "기로 정했"].iter().find_map(|mark| body.find(mark))
    {
        return Some((format!("{}기", body.get(..at)?), end_of_words(body, at + "기로 ".len()), 0.7));
    }
    if let Some(at) = [" 계획", " 예정", " 생각", " 작정"].iter().find_map(|mark| body.find(mark))
        && let rest = body.get(at..).unwrap_or_default()
        && !["없", "이었", "였"].iter().any(|gone| rest.chars().take(8).collect::<String>().contains(gone))
        && future_stem(body.get(..at)?).is_some()
    {
        let before = body.get(..at)?;
        let stem = future_stem(before)?;
        return Some((format!("{stem}기"), end_of_words(body, at + 1), 0.75));
    }
    let at = ["까 해", "까 합", "까 하", "까 고민", "까 생각", "까 말까", "까 싶"]
        .iter()
        .find_map(|mark| body.find(mark))?;
    let stem = future_stem(body.get(..at)?)?;
    Some((format!("{stem}기"), end_of_words(body, at + "까 ".len()), 0.7))
}

/// "900점을 넘기는 게 목표예요", "합격이 목표입니다" → 900점을 넘기기, 합격
fn goal(body: &str) -> Option<Need> {
    let at = ["목표", "꿈이에", "꿈입", "꿈이"].iter().find_map(|mark| body.find(mark))?;
    let before = body.get(..at)?.trim_end();
    for mark in ["는 게", "는 것이", "는 것", "는게"] {
        if let Some(verb) = before.strip_suffix(mark) {
            return Some((format!("{}기", restore_l(verb)), body.len(), 0.75));
        }
    }
    let noun = before.strip_suffix('이').or_else(|| before.strip_suffix('가'))?;
    (!noun.trim().is_empty()).then(|| (noun.to_owned(), body.len(), 0.65))
}

/// "기록하는 게 도움이 될까요?" → 기록하기
fn weighed(body: &str) -> Option<Need> {
    let (at, _) =
        ["는 게 도움", "는 게 좋", "는 것이 좋", "는 게 나", "는 게 맞", "는 것도 도움", "는 건 어떨"]
            .iter()
            .filter_map(|mark| body.find(mark).map(|at| (at, mark)))
            .min()?;
    let before = body.get(..at)?;
    Some((format!("{}기", restore_l(before)), body.len(), 0.6))
}

/// Drops connectives and the speaker from the front; tells whether a connective says "then".
fn without_lead(text: &str) -> (&str, bool) {
    let mut rest = text.trim();
    let mut sequel = false;
    while let Some((word, tail)) = LEADING.iter().find_map(|word| {
        let tail = rest.strip_prefix(word)?;
        let tail = tail.strip_prefix(',').unwrap_or(tail);
        tail.starts_with(SPACE).then_some((*word, tail.trim_start()))
    }) {
        sequel |= SEQUEL.contains(&word);
        rest = tail;
    }
    (rest, sequel)
}

fn join(before: &str, predicate: &str) -> String {
    if before.is_empty() { predicate.to_owned() } else { format!("{before} {predicate}") }
}

/// From `from`, goes to the end of the phrase: a word that ends in 데 or 지만, a mark, or the end.
fn end_of_words(body: &str, from: usize) -> usize {
    let Some(rest) = body.get(from..) else { return body.len() };
    let mut end = from;
    for word in rest.split_inclusive(SPACE) {
        end += word.len();
        let word = word.trim_end();
        if word.ends_with('데') || word.ends_with("지만") || word.ends_with(['?', ',', '!']) {
            return body.get(..end).map_or(end, |part| part.trim_end().len());
        }
    }
    body.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_of_each_kind_are_found() {
        for (clause, title) in [
            ("자바 기초 강의를 먼저 들어야 하나요?", "자바 기초 강의를 먼저 듣기"),
            ("썸네일 만드는 법도 배우고 싶습니다.", "썸네일 만드는 법도 배우기"),
            ("단어를 매일 외우려고 하는데 자꾸 까먹어요.", "단어를 매일 외우기"),
            ("기출문제를 하루에 한 회씩 풀 계획입니다.", "기출문제를 하루에 한 회씩 풀기"),
            ("용어는 카드로 만들어서 외워 볼까 해요.", "용어는 카드로 만들어서 외워 보기"),
            ("900점을 넘기는 게 목표예요.", "900점을 넘기기"),
            ("식단을 기록하는 게 도움이 될까요?", "식단을 기록하기"),
            ("장비를 먼저 사야 할까요?", "장비를 먼저 사기"),
            ("책을 매일 읽으려고 합니다", "책을 매일 읽기"),
            ("영어를 배우고 싶지만 쉽지 않아요.", "영어를 배우기"),
            ("전부터 영어를 배우고 싶었는데 시간이 없어요.", "전부터 영어를 배우기"),
            ("영어를 배우고 싶다는 생각이 들어요.", "영어를 배우기"),
        ] {
            assert_eq!(need(clause).map(|hit| hit.title).as_deref(), Some(title), "{clause}");
        }
        assert!(need("다들 어떻게 하셨나요?").is_none());
        assert!(need("방법을 알고 싶습니다.").is_none());
        for clause in [
            "영어를 배우고 싶었지만 이제는 아니에요.",
            "차를 사고 싶었는데 포기했어요.",
            "살을 빼고 싶다는 친구가 있어요.",
            "동생이 영어를 배우고 싶어 해요.",
            "아들은 수영을 배우고 싶어합니다.",
        ] {
            assert!(need(clause).is_none(), "{clause}");
        }
    }

    #[test]
    fn the_quote_ends_where_the_wish_does() {
        let clause = "알고리즘 문제도 매일 풀어야 할 것 같은데 엄두가 안 나네요.";
        let hit = need(clause).unwrap();
        assert_eq!(&clause[..hit.quote_end], "알고리즘 문제도 매일 풀어야 할 것 같은데");
    }

    #[test]
    fn states_are_no_deeds() {
        for clause in [
            "날씨가 정말 좋았어요.",
            "운도 좋았던 것 같습니다.",
            "점수가 40점대라서 막막했어요.",
            "드디어 하프를 완주했습니다!",
            "마라톤에 실패했어요.",
            "면접에서 떨어졌습니다.",
            "오디션에서 탈락했어요.",
            "스페인어를 배우려고 했지만 결국 안 했어요.",
            "운동을 안 했어요.",
            "숙제를 안했습니다.",
            "스페인어를 배우려고 했어요.",
            "기타를 배우고 싶었어요.",
            "친구가 10kg을 뺐어요.",
            "동생은 스페인어를 배웠습니다.",
            "우리 형이 매일 5km를 뛰었어요.",
            "민수 씨가 책을 두 권 읽었어요.",
            "어머니께서 김치를 담갔습니다.",
        ] {
            assert!(deed(clause).is_none(), "{clause}");
        }
    }

    #[test]
    fn what_others_gave_or_said_leaves_the_deed_to_the_writer() {
        for (clause, title) in [
            ("친구가 추천한 책을 읽었어요.", "친구가 추천한 책을 읽기"),
            ("동료가 알려 줘서 앱을 깔았어요.", "동료가 알려 줘서 앱을 깔기"),
            ("아들은 제가 직접 가르쳤습니다.", "아들은 제가 직접 가르치기"),
            ("친구와 매일 운동장을 뛰었어요.", "친구와 매일 운동장을 뛰기"),
            ("친구에게 편지를 썼어요.", "친구에게 편지를 쓰기"),
            ("형은 없어도 매일 일기를 썼어요.", "형은 없어도 매일 일기를 쓰기"),
            ("저는 텔레비전을 봤어요.", "텔레비전을 보기"),
            ("6개월 동안 500만 원을 모았습니다.", "6개월 동안 500만 원을 모으기"),
            ("손님들을 안내했어요.", "손님들을 안내하기"),
        ] {
            assert_eq!(deed(clause).map(|hit| hit.title).as_deref(), Some(title), "{clause}");
        }
    }
}
