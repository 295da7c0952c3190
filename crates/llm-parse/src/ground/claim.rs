//! Whether the words of a record say what is claimed of it.

use std::collections::HashSet;

use pumasi_core::text::{english_numeral, native_numeral, sino_numeral};

use super::skeleton::{Class, Skeleton};
use super::support::{number_word, numbered, numbers, support, terms};
use super::{Doubt, Support};

/// How many words that mean something, or numbers, a quote has at least to prove what it does not say word for word.
const LEAST_WORDS: usize = 2;

/// Tells whether the words of a record say what is claimed; `false` where words alone cannot tell.
pub(super) fn said(words: &str, claim: &str) -> Result<bool, Doubt> {
    let (said, claimed) = (Skeleton::new(words), Skeleton::new(claim));
    let mut known = numbers(&said);
    known.extend(spelled(&said));
    if !spelled(&claimed).is_subset(&known) {
        return Err(Doubt::Number);
    }
    let is_supported = match support(words, claim) {
        Support::Supported => true,
        Support::Unsupported(Doubt::Number) if numbers(&claimed).is_subset(&known) => false,
        Support::Unsupported(doubt) => return Err(doubt),
        Support::Unknown => false,
    };
    if swaps(&said, &claimed) {
        return Err(Doubt::Number);
    }
    let there = terms(words);
    let scripts: Vec<Script> = there.iter().map(|term| Script::of(term)).collect();
    // Korean words change their endings: one is found if its stem is, or two letters of it.
    let here: Vec<_> = claim.split_whitespace().map(terms).filter(|word| !word.is_empty()).collect();
    let can_be_found = |word: &&HashSet<String>| word.iter().any(|term| scripts.contains(&Script::of(term)));
    let comparable: Vec<_> = here.iter().filter(can_be_found).collect();
    let found = comparable.iter().filter(|word| !word.is_disjoint(&there)).count();
    if !is_supported && found * 2 < comparable.len() {
        return Err(Doubt::Words);
    }
    let is_comparable = comparable.len() == here.len() && !here.is_empty();
    if is_supported || is_comparable {
        match (denied(words), denied(claim)) {
            (None, Some(_)) => return Err(Doubt::Words),
            (Some(denied), None) if !denied.is_disjoint(&terms(claim)) => return Err(Doubt::Words),
            (Some(_), None) => return Ok(false),
            _ => {}
        }
    }
    Ok(is_supported || is_comparable)
}

/// Tells whether a quote has words enough to prove a claim, or all the words of it.
pub(super) fn is_enough(words: &str, claim: &str) -> bool {
    let says = |word: &&str| word.contains(|c: char| c.is_ascii_digit()) || !terms(word).is_empty();
    words.split(|c: char| c.is_whitespace() || c == ',').filter(says).count() >= LEAST_WORDS
        || terms(claim).is_subset(&terms(words))
}

/// The terms that a text denies, if it denies any: those beside a word that negates.
fn denied(text: &str) -> Option<HashSet<String>> {
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().replace('’', "'"))
        .collect();
    let mut found = None::<HashSet<String>>;
    for (at, word) in words.iter().enumerate() {
        let is_english = matches!(
            word.as_str(),
            "not" | "never" | "no" | "none" | "nothing" | "nobody" | "cannot" | "without"
        ) || word.ends_with("n't");
        let before = matches!(word.as_str(), "안" | "못");
        // 없애다 is a deed.
        let lacks =
            word.split('없').skip(1).any(|end| !end.starts_with(['애', '앤', '앨', '앰', '앱', '앴']));
        let is_korean = lacks || word.contains('않') || word.starts_with("못") || word.starts_with("아니");
        let near = if is_english || before {
            at..at + 4
        } else if is_korean {
            at.saturating_sub(2)..at + 1
        } else {
            continue;
        };
        let near = words.get(near.start..near.end.min(words.len())).unwrap_or_default();
        found.get_or_insert_default().extend(near.iter().flat_map(|word| terms(word)));
    }
    found
}

/// Where something comes from, or gets to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    From,
    To,
}

/// A number, which end of a change it is, and what it counts.
#[derive(PartialEq, Eq)]
struct Counted {
    number: i128,
    end: Option<End>,
    unit: Option<char>,
}

fn counted(text: &Skeleton) -> Vec<Counted> {
    const PARTICLES: [(&str, Option<End>); 14] = [
        ("에서", Some(End::From)),
        ("부터", Some(End::From)),
        ("을", Some(End::From)),
        ("를", Some(End::From)),
        ("로", Some(End::To)),
        ("까지", Some(End::To)),
        ("이", None),
        ("가", None),
        ("은", None),
        ("는", None),
        ("의", None),
        ("와", None),
        ("과", None),
        ("에", None),
    ];
    let of = |(number, place): (i128, std::ops::Range<usize>)| {
        let word = |at: usize| text.words.get(at).map(|word| (text.word_text(word), word.class));
        let before = place.start.checked_sub(1).and_then(word).map(|(word, _)| word);
        let after = word(place.end);
        // "94%로", "37건에서", "400ms로"
        let korean = match after {
            Some((_, Class::Latin)) => word(place.end + 1),
            after => after,
        };
        let ending = korean.filter(|(_, class)| *class == Class::Hangul).map(|(word, _)| word);
        let particle =
            ending.and_then(|word| PARTICLES.iter().find(|(particle, _)| word.ends_with(particle)));
        let end = match before {
            Some("from") => Some(End::From),
            Some("to") => Some(End::To),
            _ => particle.and_then(|(_, end)| *end),
        };
        let unit = after.filter(|(_, class)| *class != Class::Number).map(|(word, _)| word);
        let unit = unit.filter(|unit| *unit != "으로" && !PARTICLES.iter().any(|(one, _)| one == unit));
        Counted { number, end, unit: unit.and_then(|unit| unit.chars().next()) }
    };
    numbered(text).into_iter().map(of).collect()
}

/// Tells whether a claim has numbers of its quote in each other's places: `94%에서 71%로` for `71%에서 94%로`.
fn swaps(said: &Skeleton, claimed: &Skeleton) -> bool {
    let (there, here) = (counted(said), counted(claimed));
    let places = |number| there.iter().enumerate().filter(move |(_, one)| one.number == number);
    let is_opposed = |one: &Counted| {
        let opposes = |other: &Counted| one.end.is_some() && other.end.is_some() && one.end != other.end;
        places(one.number).next().is_some() && places(one.number).all(|(_, other)| opposes(other))
    };
    if here.iter().any(is_opposed) {
        return true;
    }
    here.windows(2).any(|pair| {
        let [one, other] = pair else { return false };
        let pairs =
            || places(one.number).flat_map(|first| places(other.number).map(move |last| (first, last)));
        if one.number == other.number
            || pairs().next().is_none()
            || pairs().any(|((first, _), (last, _))| first < last)
        {
            return false;
        }
        let is_said_so = pairs().any(|((_, first), (_, last))| {
            (one.end.is_some() && one.end == first.end) || (other.end.is_some() && other.end == last.end)
        });
        let names_ends = pairs()
            .any(|((_, first), (_, last))| [one, other, first, last].iter().any(|one| one.end.is_some()));
        !is_said_so && (names_ends || one.unit == other.unit)
    })
}

/// Korean numerals that are other words, too.
const AMBIGUOUS: [char; 5] = ['일', '이', '사', '오', '구'];
/// What is counted by years whatever the numeral is.
const YEARS: [&str; 3] = ["년", "개월", "퍼센트"];
const COUNTERS: [&str; 22] = [
    "년",
    "개월",
    "퍼센트",
    "명",
    "건",
    "번",
    "배",
    "시간",
    "초",
    "분",
    "개",
    "회",
    "주",
    "위",
    "원",
    "달러",
    "대",
    "차례",
    "사람",
    "팀",
    "곳",
    "가지",
];
/// What may follow a counter.
const ENDINGS: [&str; 33] = [
    "", "간", "차", "째", "의", "을", "를", "이", "가", "은", "는", "에", "에서", "으로", "로", "동안",
    "만에", "만", "도", "씩", "이상", "넘게", "까지", "경력", "여", "짜리", "이나", "과", "와", "부터",
    "이다", "임", "쯤",
];

/// The numbers that a text spells in words that count something (`십 년`, `스물다섯 명`, `fifteen`), in thousandths.
fn spelled(text: &Skeleton) -> HashSet<i128> {
    let counts = |word: &str, counters: &[&str]| {
        counters.iter().any(|counter| word.strip_prefix(counter).is_some_and(|end| ENDINGS.contains(&end)))
    };
    let mut found = HashSet::new();
    for (at, word) in text.words.iter().enumerate() {
        let literal = text.word_text(word);
        // those that are no number of the skeleton's own
        let english = english_numeral(literal).filter(|_| number_word(literal).is_none());
        found.extend(english.or((literal == "decade").then_some(10)).map(|number| i128::from(number) * 1000));
        if word.class != Class::Hangul || word.unit {
            continue;
        }
        let Some((number, rest)) = numeral(literal) else { continue };
        let numeral = literal.strip_suffix(rest).unwrap_or_default();
        let is_single = numeral.chars().count() == 1;
        let next = text.words.get(at + 1).map(|word| text.word_text(word)).unwrap_or_default();
        let is_counted = match rest {
            _ if is_single && numeral.starts_with(AMBIGUOUS) => {
                counts(if rest.is_empty() { next } else { rest }, &YEARS)
            }
            "" => counts(next, &COUNTERS),
            rest if is_single => counts(rest, &YEARS) || counts(rest, &["명"]),
            rest => counts(rest, &COUNTERS),
        };
        if is_counted {
            found.insert(i128::from(number) * 1000);
        }
    }
    found
}

/// Reads the Korean numeral that a word begins with, and returns what follows it; of an approximate one (`이삼십`, `십이삼`) the larger.
fn numeral(word: &str) -> Option<(u64, &str)> {
    if let Some(read) = native_numeral(word).filter(|read| !read.literal.ends_with(['석', '넉'])) {
        return Some((read.value, read.rest));
    }
    let read = sino_numeral(word)?;
    let (mut number, mut rest) = (read.value, read.rest);
    while let Some(larger) = sino_numeral(rest) {
        // what stands before ten thousand multiplies it: 십이삼만
        let power = larger
            .literal
            .chars()
            .any(|sign| matches!(sign, '만' | '억'))
            .then(|| above_myriad(larger.value));
        let base = number - number % 10;
        (number, rest) = (base.saturating_mul(power.unwrap_or(1)).saturating_add(larger.value), larger.rest);
    }
    // Further than that nobody counts in words.
    (number < 1_000_000_000_000).then_some((number, rest))
}

/// Returns by how much the last power from ten thousand on multiplies what stands before it.
fn above_myriad(number: u64) -> u64 {
    if number < 100_000_000 { 10_000 } else { 100_000_000 }
}

/// What a term is written in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Korean,
    Latin,
    Other,
}

impl Script {
    fn of(term: &str) -> Self {
        match term.chars().next() {
            Some('가'..='힣' | 'ㄱ'..='ㅣ') => Self::Korean,
            Some(letter) if letter.is_ascii_alphanumeric() => Self::Latin,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_words_are_numbers() {
        for (quote, claim) in [
            ("usable with a keyboard and a screen reader", "십 년 경력의 수석 개발자, 팀을 이끎"),
            ("검색 팀의 개발자", "십년차 검색 팀의 개발자"),
            ("검색 팀을 이끌었다", "스물다섯 명의 검색 팀을 이끌었다"),
            ("Led a search team", "Led a search team of fifteen"),
        ] {
            assert_eq!(said(quote, claim), Err(Doubt::Number), "{claim}");
        }
        for (quote, claim) in [
            ("10년 동안 검색 팀의 개발자", "십 년 동안 검색 팀의 개발자"),
            ("십오 년 동안 검색 팀의 개발자", "15년 동안 검색 팀의 개발자"),
            ("이 사건과 사회 구분을 만회했다", "이 사건과 사회 구분을 만회했다"),
            ("A search team of 15", "A search team of fifteen"),
        ] {
            assert_eq!(said(quote, claim), Ok(true), "{claim}");
        }
        let none = "이번 이 개발자 이 회의 사건 구분 만일 만회 사회 일부 오차 백업 천천히 십분 활용";
        assert!(spelled(&Skeleton::new(none)).is_empty());
    }

    #[test]
    fn what_denies_its_proof_is_refused() {
        let quote = "결제가 실패하면 자리를 돌려준다";
        assert_eq!(said(quote, "결제가 실패하면 자리를 돌려주지 않음"), Err(Doubt::Words));
        assert_eq!(said("알림이 사라지지 않는다", "알림이 사라진다"), Err(Doubt::Words));
        assert_eq!(said("Do not drop events on restart", "Drop events on restart"), Err(Doubt::Words));
        assert_eq!(said(quote, "결제가 실패하면 자리를 돌려줌"), Ok(true));
        assert_eq!(said("서버가 꺼져도 알림이 사라지지 않는다", "알림이 사라지지 않게 함"), Ok(true));
        assert_eq!(said("대출 목록의 N+1 쿼리를 없앤다", "대출 목록의 N+1 쿼리를 제거"), Ok(true));
    }

    #[test]
    fn numbers_stay_in_their_places() {
        for (quote, claim) in [
            ("재현율이 71%에서 94%로 올랐다", "재현율이 94%에서 71%로 올랐다"),
            ("재현율 71% → 94%", "재현율 94% → 71%"),
            ("쿼리 101번을 2번으로 줄였다", "쿼리 2번을 101번으로 줄였다"),
            ("첫 조회가 900ms에서 400ms로 줄었다", "첫 조회가 400ms에서 900ms로 줄었다"),
            ("Start-up falls from 1.8 s to 0.2 s", "Start-up falls from 0.2 s to 1.8 s"),
            ("Start-up falls from 1.8 s to 0.2 s", "시작 시간을 0.2초에서 1.8초로"),
        ] {
            assert_eq!(said(quote, claim), Err(Doubt::Number), "{claim}");
        }
        for (quote, claim) in [
            ("재현율이 71%에서 94%로 올랐다", "재현율이 71%에서 94%로 올랐다"),
            ("Start-up falls from 1.8 s to 0.2 s", "Start-up falls to 0.2 s from 1.8 s"),
            ("412 stars and 3 forks", "3 forks and 412 stars"),
            ("예약이 겹치는 일이 한 달 37건에서 0건이 되었다", "겹치는 예약을 한 달 37건에서 0건으로"),
        ] {
            assert_eq!(said(quote, claim), Ok(true), "{claim}");
        }
    }

    #[test]
    fn a_word_proves_no_more_than_itself() {
        assert!(!is_enough("usable", "수석 개발자, 팀을 이끎"));
        assert!(is_enough("Rust", "Rust"));
        assert!(is_enough("412 stars", "A tokenizer of 412 stars"));
        assert!(!is_enough("the Rust", "Rust expert"));
    }
}
