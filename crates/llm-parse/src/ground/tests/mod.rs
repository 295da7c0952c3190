#![expect(clippy::print_stdout, reason = "the counts are what these tests are read for")]

use std::time::Duration;

use proptest::prelude::*;
use rustix::time::{ClockId, clock_gettime};
use unicode_forms::nfd;

mod changed;
mod cost;
mod cut;

use super::prose::{Random, prose};
use super::*;

/// NFD of Hangul syllables, by arithmetic (Unicode Standard, 3.12).
mod unicode_forms {
    pub(super) fn nfd(text: &str) -> String {
        let mut out = String::new();
        for c in text.chars() {
            match super::lexicon::letters(c) {
                Some([initial, vowel, last]) => {
                    let parts = [0x1100 + initial, 0x1161 + vowel, if last == 0 { 0 } else { 0x11A7 + last }];
                    out.extend(parts.into_iter().filter(|code| *code != 0).filter_map(char::from_u32));
                }
                None => out.push(c),
            }
        }
        out
    }
}

const LENGTH: usize = 80_000;

/// Six neighbouring words of one line, by random place: their bytes.
fn six_words(text: &str, random: &mut Random) -> Range<usize> {
    loop {
        let mut at = random.below(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let line_end = text[at..].find('\n').map_or(text.len(), |end| at + end);
        let Some(space) = text[at..line_end].find(' ') else { continue };
        let start = at + space + 1;
        let mut end = start;
        let mut words = 0;
        for word in text[start..line_end].split(' ') {
            if word.is_empty() {
                break;
            }
            words += 1;
            end += word.len() + usize::from(words > 1);
            if words == 6 {
                break;
            }
        }
        if words == 6 && !loses_negation(text, start..end) {
            return start..end;
        }
    }
}

/// Whether the words leave out what negates them, and so are no quote: "포기하지" of "포기하지 않았다".
fn loses_negation(text: &str, range: Range<usize>) -> bool {
    let after = text[range.end..].trim_start();
    text[..range.start].trim_end().ends_with(" not")
        || text[..range.start].trim_end().ends_with(" nobody")
        || text[..range.start].trim_end().ends_with(" 못")
        || (text[range].ends_with('지') && after.starts_with(['않', '못']))
        || after.starts_with('없')
        || after.starts_with("not ")
}

fn is_slot(word: &str) -> bool {
    let bare: String = word.chars().filter(|c| c.is_alphanumeric()).collect();
    bare.chars().any(|c| c.is_ascii_digit()) || bare.chars().next().is_some_and(char::is_uppercase)
}

/// Makes one slip in a word of the quote that is no number, name or negation, as fingers do.
fn with_slip(quote: &str, random: &mut Random) -> Option<String> {
    let words: Vec<&str> = quote.split(' ').collect();
    let index = random.below(words.len());
    let word = words[index];
    let letters: Vec<char> = word.chars().collect();
    let korean = letters.iter().any(|c| lexicon::letters(*c).is_some());
    let names = [
        "민수", "지훈", "서연", "하은", "도윤", "유진", "준호", "수빈", "예린", "태현", "서울", "부산",
        "대구", "제주", "강릉", "전주", "춘천", "광주", "여수", "속초",
    ];
    if is_slot(word)
        || names.iter().any(|name| word.contains(name))
        || letters.len() < if korean { 3 } else { 4 }
        || lexicon::NEGATIONS.contains(&word)
    {
        return None;
    }
    let mut changed = letters.clone();
    let at = random.below(letters.len());
    if korean {
        // the next key: another vowel, or a final consonant more, less or other
        let [initial, vowel, last] = lexicon::letters(letters[at])?;
        if lexicon::NEGATING.contains(&letters[at]) || lexicon::NUMERALS.contains(&letters[at]) {
            return None;
        }
        let (vowel, last) = match random.below(3) {
            0 => (
                match vowel {
                    0 => 2,
                    1 => 5,
                    4 => 6,
                    5 => 1,
                    8 => 12,
                    13 => 17,
                    other => (other + 1) % 21,
                },
                last,
            ),
            1 => (vowel, if last == 20 { 19 } else { 20 }),
            _ => (vowel, if last == 0 { 24 } else { 0 }),
        };
        changed[at] = char::from_u32(0xAC00 + initial * 588 + vowel * 28 + last)?;
    } else {
        if !letters[at].is_ascii_lowercase() {
            return None;
        }
        match random.below(4) {
            0 => changed[at] = char::from(b'a' + u8::try_from(random.below(26)).ok()?),
            1 => drop(changed.remove(at)),
            2 => changed.insert(at, letters[at]),
            _ => {
                if !letters.get(at + 1)?.is_ascii_lowercase() {
                    return None;
                }
                changed.swap(at, at + 1);
            }
        }
    }
    // a slip that makes another word is read as that word
    let made: String = changed.iter().filter(|c| c.is_alphabetic()).collect();
    let word_of_its_own = lexicon::is_word(&made) || lexicon::COMMON.binary_search(&made.as_str()).is_ok();
    (changed != letters && !word_of_its_own).then(|| {
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words[index] = changed.into_iter().collect();
        words.join(" ")
    })
}

/// The CPU time that this thread has used: other work on the machine is not our cost.
fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(now.tv_sec).unwrap(), u32::try_from(now.tv_nsec).unwrap())
}

#[test]
fn finds_quotes_of_six_words_with_a_slip_each() {
    let mut total = 0;
    let mut right = 0;
    for seed in 1..=4 {
        let text = prose(LENGTH, seed);
        let mut random = Random(seed * 7_919);
        let mut quotes = Vec::new();
        while quotes.len() < 50 {
            let place = six_words(&text, &mut random);
            if let Some(quote) = with_slip(&text[place.clone()], &mut random)
                && !text.contains(&quote)
            {
                quotes.push((quote, place));
            }
        }
        let started = cpu();
        let aligner = Aligner::new(&text);
        let built = cpu().saturating_sub(started);
        let mut exact = 0;
        for (quote, place) in &quotes {
            let lookup = aligner.lookup(quote);
            let all: Vec<_> = lookup.found.iter().map(|found| found.span.start..found.span.end).collect();
            // the same six words may stand elsewhere too
            if all.iter().any(|span| text[span.clone()] == text[place.clone()]) {
                exact += 1;
            } else {
                let found: Vec<_> = all.iter().map(|span| &text[span.clone()]).collect();
                println!("  {quote:?} for {:?}: {found:?} {:?}", &text[place.clone()], lookup.miss);
            }
        }
        println!(
            "seed {seed}: {exact} of 50 exact spans; index {built:?}, all {:?}",
            cpu().saturating_sub(started)
        );
        assert!(exact >= 48, "{exact} of 50");
        total += 50;
        right += exact;
    }
    println!("{right} of {total}");
}

/// Changes a number, a name or a negation.
fn near_miss(quote: &str, random: &mut Random) -> Option<(String, &'static str)> {
    let words: Vec<&str> = quote.split(' ').collect();
    let index = random.below(words.len());
    let word = words[index];
    let replace = |by: String| {
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        words[index] = by;
        words.join(" ")
    };
    let names = [
        ("Minsu", "Minho"),
        ("Jihun", "Jihoon"),
        ("Alice", "Alicia"),
        ("Robert", "Roberto"),
        ("Hannah", "Hanna"),
        ("Marcus", "Markus"),
        ("Peter", "Petra"),
        ("Seoul", "Tokyo"),
        ("Busan", "Ulsan"),
        ("Berlin", "Dublin"),
        ("Osaka", "Odaka"),
        ("민수", "민호"),
        ("지훈", "지현"),
        ("서연", "소연"),
        ("하은", "하윤"),
        ("유진", "우진"),
        ("준호", "준하"),
        ("서울", "부산"),
        ("부산", "마산"),
        ("강릉", "강남"),
        ("전주", "진주"),
        ("춘천", "순천"),
        ("여수", "여주"),
    ];
    for (name, other) in names {
        if word.contains(name) {
            return Some((replace(word.replace(name, other)), "name"));
        }
    }
    if let Some(digit) = word.find(|c: char| c.is_ascii_digit()) {
        let mut changed = word.to_owned();
        match random.below(4) {
            0 => changed.insert(digit, '1'),
            1 => changed.insert(digit + 1, '0'),
            2 => changed.insert(digit, '-'),
            _ => {
                let other = (u32::from(word.as_bytes()[digit] - b'0') + 1) % 10;
                changed.replace_range(digit..=digit, &other.to_string());
            }
        }
        return Some((replace(changed), "number"));
    }
    let negations = [
        ("not", ""),
        ("never", "often"),
        ("Without", "With"),
        ("nobody", "somebody"),
        ("않았습니다.", "했습니다."),
        ("없었습니다.", "있었습니다."),
        ("못", "잘"),
    ];
    for (negation, other) in negations {
        if word == negation {
            return Some((replace(other.to_owned()).replace("  ", " ").trim().to_owned(), "negation"));
        }
    }
    let negate = [
        ("was", "was not"),
        ("could", "could not"),
        ("became", "never became"),
        ("finally", "never"),
        ("썼습니다.", "안 썼습니다."),
        ("걸었다.", "걷지 않았다."),
        ("맞았다.", "안 맞았다."),
        ("이루었습니다.", "못 이루었습니다."),
        ("따뜻했다.", "안 따뜻했다."),
    ];
    negate
        .iter()
        .find(|(plain, _)| *plain == word)
        .map(|(_, negated)| (replace((*negated).to_owned()), "negation"))
}

#[test]
fn refuses_quotes_with_another_number_name_or_negation() {
    let mut kinds = std::collections::BTreeMap::new();
    for seed in 1..=4 {
        let text = prose(LENGTH, seed);
        let mut random = Random(seed * 104_729);
        let aligner = Aligner::new(&text);
        let mut misses = Vec::new();
        while misses.len() < 100 {
            let place = six_words(&text, &mut random);
            if let Some(miss) = near_miss(&text[place.clone()], &mut random)
                && !text.contains(&miss.0)
            {
                misses.push((miss, place));
            }
        }
        for ((quote, kind), place) in misses {
            let lookup = aligner.lookup(&quote);
            // elsewhere the changed words may truly stand, but never where they were changed
            let wrong = lookup
                .found
                .iter()
                .find(|found| found.span.start < place.end && place.start < found.span.end);
            assert!(wrong.is_none(), "{kind}: {quote:?} for {:?}: {wrong:?}", &text[place]);
            assert!(lookup.found.iter().all(|found| found.fit != Fit::Exact));
            *kinds.entry((kind, lookup.miss)).or_insert(0) += 1;
        }
    }
    for (kind, count) in kinds {
        println!("{kind:?}: {count}");
    }
}

fn fit(source: &str, quote: &str) -> Option<(String, Fit)> {
    let found = Aligner::new(source).locate(quote)?;
    Some((found.span.of(source).to_owned(), found.fit))
}

fn miss(source: &str, quote: &str) -> Option<Miss> {
    Aligner::new(source).lookup(quote).miss
}

#[test]
fn tolerates_forms_widths_quotes_dashes_and_white_space() {
    let source = "그는 “절대 포기하지 마” — 라고\n  말했고, Ｋａｆｋａ를 배웠다. 1,234.56달러.";
    for quote in [
        "\"절대 포기하지 마\" - 라고 말했고",
        "절대포기하지마 라고 말했고",
        "Kafka를 배웠다.",
        "kafka를 배웠다",
        "1234.56달러",
    ] {
        let (text, fit) = fit(source, quote).unwrap_or_else(|| panic!("{quote}"));
        assert_eq!(fit, Fit::Normalized, "{quote}");
        assert!(source.contains(&text));
    }
    assert_eq!(fit(source, "\"절대 포기하지 마\"").unwrap().0, "“절대 포기하지 마”");
    let decomposed = nfd("매일 아침 달렸습니다");
    assert_eq!(fit(&decomposed, "아침 달렸습니다").unwrap(), (nfd("아침 달렸습니다"), Fit::Normalized));
    assert_eq!(
        fit("매일 아침 달렸습니다", &nfd("아침 달렸습니다")).unwrap(),
        ("아침 달렸습니다".to_owned(), Fit::Normalized)
    );
}

#[test]
fn tolerates_particles_and_small_slips() {
    let source = "저는 매일 아침 학교에서 운동장을 열 바퀴 뛰었습니다. I started to exercise regularly because of stress.";
    for (quote, place) in [
        ("매일 아침 학교 운동장을 열 바퀴 뛰었습니다", "매일 아침 학교에서 운동장을 열 바퀴 뛰었습니다"),
        ("아침 학교에서 운동장 열 바퀴 뛰었습니다", "아침 학교에서 운동장을 열 바퀴 뛰었습니다"),
        ("운동장을 열 바퀴 뛰엇습니다", "운동장을 열 바퀴 뛰었습니다"),
        ("매일 아침 학교에서 운동장을 열바퀴를 뛰었습니다", "매일 아침 학교에서 운동장을 열 바퀴 뛰었습니다"),
        ("started to exercize regularly", "started to exercise regularly"),
        ("exercise regulary because of stress", "exercise regularly because of stress"),
        ("started to exericse regularly because", "started to exercise regularly because"),
        ("xtarted to exercise regularly", "started to exercise regularly"),
        ("exercise regularly because of stresz", "exercise regularly because of stress"),
    ] {
        let (text, fit) = fit(source, quote).unwrap_or_else(|| panic!("{quote}: {:?}", miss(source, quote)));
        assert_eq!(text, place);
        assert!(matches!(fit, Fit::Fuzzy { .. }), "{quote}");
    }
}

#[test]
fn refuses_small_changes_of_meaning_and_says_which() {
    for (source, quote, reason) in [
        ("매일 아침 10km를 달렸습니다", "매일 아침 100km를 달렸습니다", Miss::Number),
        ("매일 아침 100km를 달렸습니다", "매일 아침 10km를 달렸습니다", Miss::Number),
        ("매일 아침 110km를 달렸습니다", "10km를 달렸습니다", Miss::Number),
        ("참가비로 5만원을 냈습니다", "참가비로 50만원을 냈습니다", Miss::Number),
        ("참가비로 5만원을 냈습니다", "참가비로 5천원을 냈습니다", Miss::Number),
        ("체온이 36.5도였습니다", "체온이 365도였습니다", Miss::Number),
        ("한 번에 3시간 걸었습니다", "한 번에 3시 걸었습니다", Miss::Number),
        ("I ran three miles before work", "I ran there miles before work", Miss::Number),
        ("it was 5 degrees outside today", "it was -5 degrees outside today", Miss::Number),
        ("a distance of 10 km in total", "a distance of 10 m in total", Miss::Number),
        ("저는 고기를 먹지 않습니다", "저는 고기를 먹습니다", Miss::Negation),
        ("그 약은 효과가 없었습니다", "그 약은 효과가 있었습니다", Miss::Negation),
        ("어제는 운동을 했습니다", "어제는 운동을 안 했습니다", Miss::Negation),
        ("어제는 수영을 못 했습니다", "어제는 수영을 했습니다", Miss::Negation),
        ("I did not finish the race", "I did finish the race", Miss::Negation),
        ("I could finish the whole race", "I couldn't finish the whole race", Miss::Negation),
        ("we were unable to finish it", "able to finish it", Miss::Negation),
        ("I have now finished the race", "I have not finished the race", Miss::Negation),
        ("coach Anna told me to rest", "coach Anne told me to rest", Miss::Name),
        ("어제 민수 씨가 완주했습니다", "어제 민호 씨가 완주했습니다", Miss::Name),
        ("어제 김민수가 완주했습니다", "어제 김민호가 완주했습니다", Miss::Name),
        ("지난주 서울에서 완주했습니다", "지난주 부산에서 완주했습니다", Miss::Name),
        ("the weather is quite cold here", "the weather is quiet cold here", Miss::Wording),
        ("we went home after the race", "we went home before the race", Miss::Wording),
        ("매일 저녁에 운동을 합니다", "내일 저녁에 운동을 합니다", Miss::Wording),
        ("", "anything", Miss::NotFound),
        ("something", " \n", Miss::Empty),
        ("something", "?!", Miss::Empty),
        ("It is over. Is it?", ". ", Miss::Empty),
        ("끝났습니다.", ".", Miss::Empty),
    ] {
        let lookup = Aligner::new(source).lookup(quote);
        assert!(lookup.found.is_empty(), "{quote:?} in {source:?}: {:?}", lookup.found);
        assert_eq!(lookup.miss, Some(reason), "{quote:?} in {source:?}");
    }
}

#[test]
fn a_quote_that_loses_a_negation_at_its_ends_is_refused() {
    for (source, quote) in [
        ("결과는 불합격입니다", "합격입니다"),
        ("이번에도 최종불합격했습니다", "합격했습니다"),
        ("비정상으로 나왔습니다", "정상으로 나왔습니다"),
        ("과제는 미완료 상태입니다", "완료 상태입니다"),
        ("무경험자도 지원했습니다", "경험자도 지원했습니다"),
        ("아침에 운동을 안했다", "했다"),
        ("어제는 병원에 못갔습니다", "갔습니다"),
        ("저는 담배를 안 피웠습니다", "피웠습니다"),
        ("시험에 합격하지 못했다", "시험에 합격하지"),
        ("시험에 합격하지 못했다", "시험에 합격"),
        ("시험에 합격하지못했다", "시험에 합격"),
        ("시험에 합격하지는 않았습니다", "시험에 합격하지는"),
        ("그 약은 효과가 없었습니다", "그 약은 효과가"),
        ("그 약은 효과가 전혀 없었습니다", "그 약은 효과가"),
        ("저는 전문가가 아닙니다", "저는 전문가"),
        ("오늘은 운동을 안 했어요", "오늘은 운동을"),
        ("매일 저녁 운동 못했어요", "매일 저녁 운동"),
        ("차를 사고 싶지 않아요", "차를 사고"),
        ("단어를 외우려고 하지 않았다", "단어를 외우려고"),
        ("시험에 합격할 수 없었다", "시험에 합격할"),
        ("I did not finish the race", "finish the race"),
        ("I have never run a marathon", "run a marathon"),
        ("I don't eat any meat", "eat any meat"),
        ("We could not finish it", "We could"),
    ] {
        let lookup = Aligner::new(source).lookup(quote);
        assert!(lookup.found.is_empty(), "{quote:?} in {source:?}: {:?}", lookup.found);
        assert_eq!(lookup.miss, Some(Miss::Negation), "{quote:?} in {source:?}");
    }
    for (source, quote) in [
        ("비빔밥을 먹고 미국에 갔습니다", "비빔밥을 먹고"),
        ("비빔밥을 먹고 미국에 갔습니다", "미국에 갔습니다"),
        ("소불고기를 먹었습니다", "고기를 먹었습니다"),
        ("불고기를 먹었습니다", "고기를 먹었습니다"),
        ("무릎이 아파서 쉬었습니다", "무릎이 아파서"),
        ("길안내를 받았습니다", "안내를 받았습니다"),
        ("벽에 못을 박았습니다", "박았습니다"),
        ("벽에 못을 박았습니다", "벽에"),
        ("실무경험이 있습니다", "경험이 있습니다"),
        ("업무처리를 배웠습니다", "처리를 배웠습니다"),
        ("취미생활을 시작했습니다", "생활을 시작했습니다"),
        ("한 달동안 했습니다", "했습니다"),
        ("집 안 청소를 했습니다", "청소를 했습니다"),
        ("매일 운동하고 못 잤습니다", "매일 운동하고"),
        ("매일 달렸습니다. 못 잤습니다", "매일 달렸습니다"),
        ("달리기뿐만 아니라 수영도 했습니다", "달리기뿐만"),
        ("불합격했다가 다시 합격했습니다", "다시 합격했습니다"),
        ("불합격이었습니다", "불합격이었습니다"),
        ("합격하지 못했습니다", "합격하지 못했습니다"),
        ("안내 데스크에 안 갔습니다", "안내 데스크에 안 갔습니다"),
        ("I wonder whether or not run clubs help", "run clubs help"),
        ("It was not the race I wanted", "the race I wanted"),
        ("Not today. Run 5 km daily", "Run 5 km daily"),
        ("I could run, not walk", "I could run"),
    ] {
        let found = fit(source, quote);
        assert_eq!(
            found.as_ref().map(|found| found.1),
            Some(Fit::Exact),
            "{quote:?} in {source:?}: {:?}",
            miss(source, quote)
        );
    }
}

#[test]
fn a_magnitude_that_is_cut_off_a_number_is_refused() {
    for (source, quote) in [
        ("It cost $10k in total", "It cost $10"),
        ("It cost $10k in total", "$10"),
        ("we raised 3 million last year", "we raised 3"),
        ("a town of 2.5M people", "a town of 2.5"),
        ("참가비는 5 만원입니다", "참가비는 5"),
    ] {
        assert_eq!(miss(source, quote), Some(Miss::Number), "{quote:?} in {source:?}");
    }
    for (source, quote) in [("It cost $10 in total", "It cost $10"), ("I ran 10 k and 5 m", "I ran 10")] {
        assert!(fit(source, quote).is_some(), "{quote:?} in {source:?}");
    }
}

#[test]
fn an_ellipsis_may_not_leave_a_negation_out() {
    for (source, quote) in [
        ("I could not, after all, finish the race", "I could … finish the race"),
        ("저는 담배를 어제부터 안 피웠습니다", "저는 담배를 … 피웠습니다"),
        ("The plan was rejected because it never worked well", "The plan … worked well"),
        ("시험에 합격하지 못했고 다시 준비했습니다", "시험에 … 다시 준비했습니다"),
    ] {
        let lookup = Aligner::new(source).lookup(quote);
        assert_eq!((lookup.found.len(), lookup.miss), (0, Some(Miss::Negation)), "{quote:?} in {source:?}");
    }
    // A sentence of its own in between says nothing of either.
    for (source, quote) in [
        ("I joined a gym. It was not cheap. Then I ran every day.", "I joined a gym. … I ran every day."),
        (
            "헬스장에 등록했습니다. 싸지 않았습니다. 매일 달렸습니다.",
            "헬스장에 등록했습니다. … 매일 달렸습니다.",
        ),
    ] {
        assert!(
            Aligner::new(source).locate(quote).is_some(),
            "{quote:?} in {source:?}: {:?}",
            miss(source, quote)
        );
    }
}

#[test]
fn finds_a_quote_with_an_ellipsis_as_its_parts() {
    let source = "I started running in spring, although it rained, and finished a marathon in autumn.";
    let found = Aligner::new(source).locate("I started running … finished a marathon").unwrap();
    let parts: Vec<_> = found.parts.iter().map(|part| part.of(source)).collect();
    assert_eq!(parts, ["I started running", "finished a marathon"]);
    assert!(Aligner::new(source).locate("finished a marathon ... I started running").is_none());
}

#[test]
fn returns_all_places_of_an_ambiguous_quote_and_the_nearest_by_hint() {
    let source = "물을 마셨다. 밥을 먹었다. 물을 마셨다.";
    let aligner = Aligner::new(source);
    let lookup = aligner.lookup("물을 마셨다");
    assert_eq!(lookup.found.len(), 2);
    assert!(lookup.found[0].ambiguous);
    assert_eq!(aligner.locate_near("물을 마셨다", source.len()).unwrap().span, lookup.found[1].span);
    assert_eq!(lookup.found[1].chars, 16..22);
}

#[test]
fn tells_a_leaked_example_from_the_source() {
    let examples = [Aligner::new("저는 매일 5km를 뜁니다."), Aligner::new("I read before bed every day.")];
    let source = Aligner::new("저는 매일 30분씩 걷습니다.");
    assert_eq!(source.origin("I read before bed", &examples), Origin::Example(1));
    assert!(matches!(source.origin("매일 30분씩", &examples), Origin::Source(_)));
    assert!(matches!(source.origin("nothing of the sort", &examples), Origin::Nowhere(_)));
}

#[test]
fn hostile_repeats_cost_linear_time() {
    for piece in ["a", "ab", " ", "가", "가나", "1", "a ", "1 ", "\u{301}", ".", "안 ", "e\u{301}"] {
        let source = piece.repeat(LENGTH / piece.chars().count());
        let started = cpu();
        let aligner = Aligner::new(&source);
        for quote in [
            piece.repeat(30),
            format!("{}x{}", piece.repeat(20), piece.repeat(20)),
            "x".repeat(40),
            piece.repeat(5_000),
            format!("{}…{}", piece.repeat(10), piece.repeat(10)),
        ] {
            let _ = aligner.lookup(&quote);
        }
        let took = cpu().saturating_sub(started);
        println!("{piece:?}: {took:?}");
        assert!(took.as_secs() < 10, "{piece:?}: {took:?}");
    }
}

#[test]
fn debug_shows_no_text() {
    assert!(!format!("{:?}", Aligner::new("비밀")).contains("비밀"));
}

/// Whether a piece begins or ends inside a number.
fn cuts(source: &str, range: &Range<usize>) -> bool {
    let skeleton = Skeleton::new(source);
    let cut = |at: usize| {
        skeleton.words.iter().any(|word| {
            let bytes = skeleton.source(word.start, word.end);
            bytes.start < at && at < bytes.end
        })
    };
    cut(range.start) || cut(range.end)
}

proptest! {
    #[test]
    fn a_piece_of_the_source_is_found_exactly(
        source in prop_oneof!["\\PC{1,60}", "[가-힣a-zA-Z0-9 ,.\n'안않]{1,80}"],
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let bounds: Vec<usize> = source.char_indices().map(|(at, _)| at).chain([source.len()]).collect();
        let (a, b) = (*from.get(&bounds), *to.get(&bounds));
        let range = a.min(b)..a.max(b);
        let piece = &source[range.clone()];
        prop_assume!(Skeleton::new(piece).len() > 0 && !cuts(&source, &range));
        let skeleton = Skeleton::new(&source);
        let after = skeleton.word_of(skeleton.bytes.partition_point(|bytes| bytes.start < range.end));
        prop_assume!(!after.is_some_and(|word| word.unit));
        // A piece that touches a letter, a number or a hyphen may be a part of it, as one beside a number may.
        let open = |beside: Option<char>| beside.is_none_or(|c| !c.is_alphanumeric() && !"-\u{2010}\u{2011}".contains(c));
        let beside = (source[..range.start].chars().next_back(), source[range.end..].chars().next());
        let aligner = Aligner::new(&source);
        let lookup = aligner.lookup(piece);
        if !open(beside.0) || !open(beside.1) || lookup.miss == Some(Miss::Number) {
            return Ok(());
        }
        // A piece beside a negation may lose it.
        if lookup.miss == Some(Miss::Negation) {
            prop_assert!(source.contains(['안', '못', '않', '없', '아', '불', '비', '미', '무', '몰', '말', '마']), "{source:?}");
            return Ok(());
        }
        let found = aligner.locate(piece);
        prop_assert!(found.is_some(), "{:?} in {:?}: {:?}", piece, source, aligner.lookup(piece));
        let found = found.unwrap();
        prop_assert_eq!(found.fit, Fit::Exact);
        prop_assert_eq!(found.span.of(&source), piece);
    }

    #[test]
    fn spans_lie_on_characters_whatever_is_asked(source in "[가-힣a-c ,.0-9”\n]{0,60}", quote in "[가-힣a-c ,.0-9\"…]{0,30}") {
        let aligner = Aligner::new(&source);
        for found in aligner.lookup(&quote).found {
            for span in found.parts.iter().chain([&found.span]) {
                prop_assert!(source.get(span.start..span.end).is_some());
            }
            prop_assert_eq!(source.chars().skip(found.chars.start).take(found.chars.len()).collect::<String>(), found.span.of(&source));
            prop_assert!(found.score > 0.0 && found.score <= 1.0);
        }
    }
}
