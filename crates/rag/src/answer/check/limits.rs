//! What stands around a number and turns it: bounds, before and after, the half of the day, the sign.

/// Which side of a number is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// At least so much, or more.
    Up,
    /// At most so much, or less.
    Down,
}

/// Where something stands in time, so far from something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

/// A half of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Morning,
    Evening,
}

/// How a number bounds something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) bound: Option<Bound>,
    pub(super) side: Option<Side>,
    /// Whether a denial turned the bound: not more than that. It denies nothing else.
    pub(super) is_denied: bool,
}

impl Bound {
    const fn turned(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

impl Limit {
    /// Reads what stands before a number, from its clause on, and behind its unit.
    pub(super) fn of(before: &str, after: &str) -> Self {
        let before = before.trim_end();
        let (korean, english) = (korean_bound(before, after), || english_bound(before, after));
        let found = korean.or_else(english);
        let side = korean_side(after).or_else(|| english_side(before, after));
        let Some((bound, is_denied)) = found else { return Self { side, ..Self::default() } };
        Self { bound: Some(if is_denied { bound.turned() } else { bound }), side, is_denied }
    }

    /// Tells whether two limits of one number shut each other out; of times of day, before is as much as at most.
    pub(super) fn excludes(self, other: Self, is_clock: bool) -> bool {
        let differ = |limit: Self| {
            let side = |side| match side {
                Side::Before => Bound::Down,
                Side::After => Bound::Up,
            };
            limit.bound.or_else(|| limit.side.filter(|_| is_clock).map(side))
        };
        if let (Some(one), Some(other)) = (differ(self), differ(other))
            && one != other
        {
            return true;
        }
        if let (Some(one), Some(other)) = (self.side, other.side)
            && one != other
        {
            return true;
        }
        // within so many days, and only after them
        let within = |one: Self, other: Self| {
            one.bound == Some(Bound::Down)
                && one.side.is_none()
                && other.side == Some(Side::After)
                && other.bound.is_none()
        };
        // within days of something lies behind it, too
        (within(self, other) || within(other, self)) && !is_clock
    }
}

/// The particles that may stand between a number and what bounds it.
const PARTICLES: &[&str] = &["으로", "를", "을", "가", "이", "은", "는", "도", "로"];

/// Leaves a particle and the space behind it out.
fn without_particle(after: &str) -> &str {
    let rest = after.trim_start();
    PARTICLES
        .iter()
        .find_map(|particle| rest.strip_prefix(particle)?.strip_prefix(' '))
        .unwrap_or(rest)
        .trim_start()
}

/// How 넘 goes on where it is denied itself.
const TURNING: &[&str] = &[
    "지",
    "기지",
    "을 수 없",
    "길 수 없",
    "으면 안",
    "기면 안",
    "어서는 안",
    "어선 안",
    "겨서는 안",
    "겨선 안",
];

fn korean_bound(before: &str, after: &str) -> Option<(Bound, bool)> {
    const MOST: [&str; 6] = ["최대", "많아야", "길어야", "기껏해야", "최고", "최장"];
    const LEAST: [&str; 6] = ["최소", "적어도", "못해도", "최저", "최소한", "줄잡아"];
    let ends = |words: &[&str]| words.iter().any(|word| before.ends_with(word));
    let bare = after.trim_start();
    if let Some(than) = bare.strip_prefix("보다") {
        let than = than.trim_start();
        let than = than.strip_prefix("더 ").unwrap_or(than);
        let begins = |words: &[&str]| words.iter().any(|word| than.starts_with(word));
        if begins(&["적", "낮", "짧", "작", "덜", "느", "가볍", "가벼", "추", "춥", "이르", "일찍", "어리"])
        {
            return Some((Bound::Down, false));
        }
        if begins(&["많", "높", "길", "긴", "크", "큰", "더", "덥", "무거", "무겁", "늦", "오래"])
        {
            return Some((Bound::Up, false));
        }
        return None;
    }
    let rest = without_particle(after);
    let after_word = |word: &str| rest.strip_prefix(word);
    for (words, bound) in [(&["이상", "초과", "넘"][..], Bound::Up), (&["이하", "미만", "이내"], Bound::Down)]
    {
        if let Some(tail) = words.iter().find_map(|word| after_word(word)) {
            // 넘지 않게; 10% 넘게 늘리지 마세요; but not: 넘으면 쉬지 마세요
            let turns = TURNING.iter().any(|turning| tail.starts_with(turning))
                || (is_adverbial(tail) && is_denied_in_korean(tail));
            return Some((bound, turns));
        }
    }
    let is_place = |word: &str| {
        after_word(word).is_some_and(|tail| {
            tail.is_empty()
                || !tail.starts_with(|c| ('가'..='힣').contains(&c))
                || ["에", "에서", "로", "면", "인", "의"].iter().any(|particle| tail.starts_with(particle))
        })
    };
    if bare.starts_with("까지") || is_place("안") || is_place("안쪽") || is_place("아래") || is_place("밑")
    {
        return Some((Bound::Down, false));
    }
    if bare.starts_with("부터") || is_place("위") {
        return Some((Bound::Up, false));
    }
    if ends(&MOST) {
        return Some((Bound::Down, false));
    }
    ends(&LEAST).then_some((Bound::Up, false))
}

/// Tells whether what follows a bound leads to the verb of its clause: 이상으로, 넘게; but not 이상인, 넘으면.
fn is_adverbial(tail: &str) -> bool {
    let word = tail.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    matches!(word, "" | "게" | "로" | "으로" | "은" | "는" | "도" | "씩" | "을" | "를" | "까지")
}

/// Tells whether the clause that a text begins with is denied.
fn is_denied_in_korean(text: &str) -> bool {
    let mut is_lead = false;
    for word in text.split(' ') {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let denies = ["않", "마세", "말", "마십", "못", "안"].iter().any(|denying| bare.starts_with(denying));
        if (is_lead && denies) || matches!(bare, "안" | "못") || bare.starts_with("금지") {
            return true;
        }
        is_lead = bare.ends_with(['지', '면']);
        let ends = word.ends_with([',', ';', '.']) || bare.ends_with(['고', '며']) || bare.ends_with("지만");
        if ends || (bare.ends_with('면') && !text.contains("면 안 ") && !text.contains("면 안 됩")) {
            return false;
        }
    }
    false
}

fn korean_side(after: &str) -> Option<Side> {
    let rest = without_particle(after);
    let begins = |words: &[&str]| words.iter().any(|word| rest.starts_with(word));
    let is_word = |word: &str| {
        rest.strip_prefix(word).is_some_and(|tail| {
            !tail.starts_with(|c| ('가'..='힣').contains(&c))
                || ["에", "부터", "까지", "의", "쯤", "이", "나"]
                    .iter()
                    .any(|particle| tail.starts_with(particle))
        })
    };
    if is_word("전") || is_word("이전") || begins(&["남기고", "앞두고", "앞서", "남았"]) {
        return Some(Side::Before);
    }
    (is_word("뒤") || is_word("후") || is_word("이후") || begins(&["지나", "지난", "지났"]))
        .then_some(Side::After)
}

fn english_bound(before: &str, after: &str) -> Option<(Bound, bool)> {
    const DOWN: [&str; 19] = [
        "limited to",
        "at most",
        "up to",
        "no more than",
        "not more than",
        "no longer than",
        "no later than",
        "under",
        "below",
        "less than",
        "fewer than",
        "within",
        "until",
        "shorter than",
        "lower than",
        "maximum of",
        "at the most",
        "younger than",
        "no higher than",
    ];
    const UP: [&str; 15] = [
        "at least",
        "more than",
        "over",
        "above",
        "no less than",
        "no fewer than",
        "longer than",
        "higher than",
        "greater than",
        "minimum of",
        "older than",
        "beyond",
        "exceed",
        "exceeds",
        "not less than",
    ];
    let before = ["about", "around", "the", "a", "an", "age"].iter().fold(before, |text, filler| {
        let bare = text.strip_suffix(filler).filter(|bare| bare.ends_with(' '));
        bare.map_or(text, str::trim_end)
    });
    let ends = |word: &&&str| {
        before.strip_suffix(**word).is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric()))
    };
    let rest = after.trim_start();
    let next = rest.split_once(' ').map_or("", |(_, next)| next);
    let goes_by = || {
        // the end of waiting: until 48 hours have passed
        const PASSED: [&str; 8] = [
            "have passed",
            "has passed",
            "have gone by",
            "has gone by",
            "have elapsed",
            "has elapsed",
            "after",
            "later",
        ];
        PASSED.iter().any(|words| rest.starts_with(words) || next.starts_with(words))
    };
    if let Some(word) = DOWN.iter().find(ends) {
        if *word == "until" && goes_by() {
            return Some((Bound::Up, false));
        }
        let is_only = matches!(*word, "under" | "below" | "less than" | "fewer than" | "shorter than");
        return Some((Bound::Down, is_only && is_denied_in_english(before, word)));
    }
    if let Some(word) = UP.iter().find(ends) {
        return Some((Bound::Up, !word.starts_with("no") && is_denied_in_english(before, word)));
    }
    let begins = |words: &[&str]| {
        [rest, next].iter().any(|text| {
            words.iter().any(|word| {
                text.strip_prefix(word).is_some_and(|tail| !tail.starts_with(|c: char| c.is_alphanumeric()))
            })
        })
    };
    if begins(&[
        "or more",
        "or longer",
        "or above",
        "or over",
        "and more",
        "or older",
        "at least",
        "or higher",
    ]) {
        return Some((Bound::Up, false));
    }
    begins(&[
        "or less",
        "or fewer",
        "or shorter",
        "or below",
        "or under",
        "at most",
        "or younger",
        "or lower",
    ])
    .then_some((Bound::Down, false))
}

/// Tells whether what leads to a bound denies it: do not run longer than.
fn is_denied_in_english(before: &str, word: &str) -> bool {
    let lead = before.strip_suffix(word).unwrap_or(before);
    let clause = [" if ", " when ", " and ", " but ", " unless "]
        .iter()
        .fold(lead, |text, boundary| text.rsplit(boundary).next().unwrap_or(text));
    let clause = clause.rsplit([',', ';', '.', ':']).next().unwrap_or(clause);
    let mut words = clause.split(' ');
    words.any(|word| {
        matches!(word, "not" | "never" | "cannot" | "no") || word.ends_with("n't") || word.ends_with("n’t")
    })
}

fn english_side(before: &str, after: &str) -> Option<Side> {
    let rest = after.trim_start();
    let begins = |words: &[&str]| {
        words.iter().any(|word| {
            rest.strip_prefix(word).is_some_and(|tail| !tail.starts_with(|c: char| c.is_alphanumeric()))
        })
    };
    if begins(&["before", "ago", "ahead", "early", "earlier", "prior", "in advance", "beforehand"]) {
        return Some(Side::Before);
    }
    if begins(&["after", "later", "late", "afterwards"]) {
        return Some(Side::After);
    }
    let last = before.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    match last {
        "before" => Some(Side::Before),
        "after" | "past" => Some(Side::After),
        _ => None,
    }
}

/// Reads which half of the day a time is in, of a clock that says it.
pub(super) fn half(before: &str, after: &str) -> Option<Half> {
    let (before, rest) = (before.trim_end(), after.trim_start());
    let begins = |words: &[&str]| words.iter().any(|word| rest.starts_with(word));
    if before.ends_with("오전")
        || before.ends_with("아침")
        || before.ends_with("새벽")
        || begins(&["in the morning"])
    {
        return Some(Half::Morning);
    }
    let is_late = before.ends_with("오후")
        || before.ends_with("저녁")
        || begins(&["in the evening", "in the afternoon", "at night"]);
    is_late.then_some(Half::Evening)
}

/// Tells whether a number is below zero by words around it: 영하 5도, minus 5, 5 degrees below zero.
pub(super) fn is_said_negative(before: &str, after: &str) -> bool {
    let (before, after) = (before.trim_end(), after.trim_start());
    ["영하", "마이너스", "minus", "negative"].iter().any(|sign| before.ends_with(sign))
        || after.starts_with("below zero")
        || after.starts_with("below freezing")
}

/// Tells whether a sign stands before a number: at -5; but not 10 -20.
pub(super) fn is_signed(before: &str) -> bool {
    let signed = before.strip_suffix(['-', '−', '\u{2010}', '\u{2011}']);
    signed.is_some_and(|rest| {
        let last = rest.trim_end().rsplit(char::is_whitespace).next().unwrap_or_default();
        let is_range = last.contains(|c: char| c.is_ascii_digit()) && last.ends_with(char::is_alphanumeric);
        rest.is_empty()
            || (rest.ends_with(|c: char| c.is_whitespace() || matches!(c, '(' | '[' | ',')) && !is_range)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_in_both_languages_and_turned_by_denials() {
        let (up, down) = (Some(Bound::Up), Some(Bound::Down));
        for (before, after, bound, is_denied) in [
            ("", " 이상이면 쉽니다", up, false),
            ("", "를 넘으면 쉬지 마세요", up, false),
            ("", " 넘게 늘리지 않습니다", down, true),
            ("", "를 넘지 않게", down, true),
            ("", " 이상으로 올리지 마세요", down, true),
            ("", " 이하로만 늘리세요", down, false),
            ("", "보다 적게 자면", down, false),
            ("최대 ", "까지만 먹습니다", down, false),
            ("적어도 ", " 전에", up, false),
            ("", " 안에 신청합니다", down, false),
            ("do not walk longer than ", "", down, true),
            ("no more than ", " a day", down, false),
            ("if it is over ", ", do not run", up, false),
            ("walk for ", " at most", down, false),
            ("", " lumens or more", up, false),
            ("above the ", " line", up, false),
            ("", " 동안 걷습니다", None, false),
        ] {
            let limit = Limit::of(before, after);
            assert_eq!((limit.bound, limit.is_denied), (bound, is_denied), "{before}N{after}");
        }
    }

    #[test]
    fn before_and_after_shut_each_other_out() {
        let limit = Limit::of;
        assert!(limit("", " 전부터는").excludes(limit("", " 뒤에"), false));
        assert!(limit("", " before a run").excludes(limit("", " after a run"), false));
        assert!(limit("within ", " of purchase").excludes(limit("", "이 지나야"), false));
        assert!(limit("", " 전에").excludes(limit("", " 이후에"), true));
        assert!(limit("", "까지").excludes(limit("", "부터"), true));
        assert!(!limit("적어도 ", " 전에").excludes(limit("최소 ", " 전에"), false));
        assert!(!limit("", " 동안").excludes(limit("", " 전에"), false));
    }

    #[test]
    fn signs_and_halves_of_the_day_are_read() {
        assert!(is_said_negative("영하 ", "도") && is_signed("at -") && is_said_negative("", " below zero"));
        assert!(!is_signed("5-") && !is_signed("10 -") && !is_said_negative("영상 ", "도"));
        assert_eq!(half("오전 ", "에"), Some(Half::Morning));
        assert_eq!(half("at ", " in the evening"), Some(Half::Evening));
        assert_eq!(half("at ", ""), None);
    }
}
