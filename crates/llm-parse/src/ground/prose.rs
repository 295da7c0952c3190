//! Own prose for tests and benches: sentences with open places, filled so that none comes twice.

/// Returns about `length` characters of English and Korean text; another text for another seed.
pub(crate) fn prose(length: usize, seed: u64) -> String {
    let mut random = Random(seed);
    let mut written = std::collections::HashSet::new();
    let mut text = String::new();
    let mut count = 0;
    while count < length {
        let korean = random.below(2) == 0;
        let sentence = fill(if korean { random.pick(KOREAN) } else { random.pick(ENGLISH) }, &mut random);
        if !written.insert(sentence.clone()) {
            continue;
        }
        count += sentence.chars().count() + 1;
        text.push_str(&sentence);
        text.push(if random.below(6) == 0 { '\n' } else { ' ' });
    }
    text
}

fn fill(template: &str, random: &mut Random) -> String {
    let mut out = String::new();
    let mut parts = template.split('{');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (slot, rest) = part.split_once('}').unwrap_or(("", part));
        match slot {
            "n" => out.push_str(&(2 + random.below(897)).to_string()),
            "name" => out.push_str(random.pick(NAMES)),
            "place" => out.push_str(random.pick(PLACES)),
            "thing" => out.push_str(random.pick(THINGS)),
            "how" => out.push_str(random.pick(HOW)),
            "이름" => out.push_str(random.pick(이름)),
            "곳" => out.push_str(random.pick(곳)),
            "것" => out.push_str(random.pick(것)),
            "때" => out.push_str(random.pick(때)),
            _ => {}
        }
        out.push_str(rest);
    }
    out
}

/// A small generator with a known seed (xorshift64*, Vigna 2016), so that tests repeat.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap_or_default() % bound.max(1)
    }

    pub(crate) fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list.get(self.below(list.len())).copied().unwrap_or_default()
    }
}

const NAMES: &[&str] = &[
    "Minsu", "Jihun", "Alice", "Robert", "Hannah", "Marcus", "Yuna", "Peter", "Grace", "Tomas", "Ingrid",
    "Olivia",
];
const PLACES: &[&str] =
    &["Seoul", "Busan", "Berlin", "Jeju", "London", "Osaka", "Toronto", "Daegu", "Lisbon", "Chicago"];
const THINGS: &[&str] = &[
    "morning stretching",
    "interval training",
    "meal planning",
    "evening reading",
    "language practice",
    "savings challenge",
    "garden project",
    "cooking class",
    "swimming lesson",
    "photography walk",
    "writing habit",
    "recovery routine",
];
const HOW: &[&str] = &[
    "slowly",
    "carefully",
    "gladly",
    "patiently",
    "regularly",
    "quietly",
    "honestly",
    "stubbornly",
    "cheerfully",
    "quickly",
];

const ENGLISH: &[&str] = &[
    "When {name} moved to {place}, the {thing} became a habit that took {n} minutes every evening.",
    "The doctor in {place} told {name} to rest for {n} hours and to continue the {thing} {how} afterwards.",
    "After {n} weeks of {thing}, {name} finally noticed that climbing the stairs felt lighter than before.",
    "My neighbour {name} spent {n} dollars on equipment, but the {thing} did not need any of it.",
    "We never expected that {name} would finish the {thing} in {place} with {n} other beginners.",
    "Every participant wrote down {n} small victories, and {name} read them {how} to the whole group.",
    "If the weather in {place} turned cold, {name} moved the {thing} indoors and worked {how} for {n} minutes.",
    "It was not the {thing} itself but the company of {name} that kept the {n} members together.",
    "Somebody suggested splitting the {thing} into {n} shorter sessions, which {name} accepted {how}.",
    "During the second month {name} could not sleep, so the {thing} was postponed by {n} days.",
    "The notebook from {place} lists {n} mistakes that {name} made while learning the {thing}.",
    "Without the reminder from {name}, nobody would have continued the {thing} past day {n}.",
    "I asked {name} how the {thing} started, and the answer {how} filled {n} pages.",
    "Their club in {place} offers the {thing} to {n} families, although {name} wanted a smaller group.",
    "A simple checklist helped {name} to repeat the {thing} {n} times before the deadline arrived.",
    "Later that year, {name} organised a {thing} near {place} and welcomed {n} curious visitors {how}.",
];

const 이름: &[&str] = &["민수", "지훈", "서연", "하은", "도윤", "유진", "준호", "수빈", "예린", "태현"];
const 곳: &[&str] = &["서울", "부산", "대구", "제주", "강릉", "전주", "춘천", "광주", "여수", "속초"];
const 것: &[&str] = &[
    "아침 달리기",
    "저녁 산책",
    "영어 공부",
    "가계부 쓰기",
    "근력 운동",
    "독서 모임",
    "식단 관리",
    "수영 연습",
    "명상 시간",
    "글쓰기 습관",
];
const 때: &[&str] = &[
    "퇴근하고 나서",
    "주말마다",
    "비가 오는 날에도",
    "새벽에 일어나",
    "점심을 먹은 뒤에",
    "잠들기 전에",
    "방학 동안",
    "회사 동료와 함께",
];

const KOREAN: &[&str] = &[
    "{때} {이름} 씨는 {곳}에서 {것}에 {n}분을 썼습니다.",
    "처음에는 {n}일도 버티기 어려웠지만 {이름} 덕분에 {것}을 포기하지 않았습니다.",
    "{곳}으로 이사한 다음부터 {때} {것}을 이어 가면서 체중이 {n}g 줄었어요.",
    "의사는 {이름}에게 {n}시간쯤 쉬고 나서 {것}을 천천히 다시 시작하라고 말했다.",
    "솔직히 {것}보다 {이름}의 꾸준한 응원이 더 큰 힘이 되었고 모임은 {n}주 동안 계속되었다.",
    "{때} 적어 둔 기록을 보면 {이름}은 {곳}까지 {n}km를 혼자 걸었다.",
    "준비물은 {n}원짜리 공책 하나면 충분하고 비싼 장비는 필요 없었습니다.",
    "{이름}은 {것}을 {n}번이나 미루었지만 결국 {곳}에서 목표를 이루었습니다.",
    "혼자서는 못 하던 {것}도 {이름}과 약속을 정하니 {n}일 만에 익숙해졌어요.",
    "{곳}에 사는 친구가 추천한 {것} 모임에는 {n}명이 참여했고 분위기가 무척 따뜻했다.",
    "{때} 알람을 맞추어 두었더니 {것}을 잊어버리는 일이 {n}번에서 절반으로 줄었다.",
    "다음 달에는 {이름} 코치와 {곳} 대회에 나가서 {n}등 안에 들고 싶습니다.",
    "무리하게 {것}을 늘리기보다 {n}분씩 나누어 하는 방법이 {이름}에게 잘 맞았다.",
    "돌이켜 보면 {곳}에서 보낸 {n}일 동안의 실패가 {것}을 바꾸는 계기였다고 생각해요.",
];
