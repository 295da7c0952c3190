//! Words around numbers: magnitudes, units, bounds.

use super::currency::{self, Currency};

/// A unit that is known well enough to be compared with the one a field's name gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) dimension: Dimension,
    name: &'static str,
}

impl Unit {
    /// Both units measure the same thing on different scales: 5 km are not 5 m.
    pub(crate) fn contradicts(self, other: Self) -> bool {
        self.name != other.name
    }

    /// The speed that a length over a time makes: `km/h`, `m/s`.
    pub(crate) fn over(self, time: &str) -> Option<Self> {
        named(match (self.name, named(time)?.name) {
            ("km", "h") => "kmh",
            ("mi", "h") => "mph",
            ("m", "s") => "mps",
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dimension {
    Length,
    Time,
    Mass,
    Bytes,
    Volume,
    Speed,
    Temperature,
    Other,
}

pub(crate) enum Suffix {
    Percent,
    Currency(Currency),
    Unit(Unit),
    Bound,
    Other,
}

pub(crate) enum Word {
    Currency(Currency),
    About,
    Bound,
    Negation,
    Alternative,
    Minus,
    NumberWord,
    Other,
}

/// The factor that a word multiplies by, and what follows it in the same word (`천원` → `원`).
pub(crate) fn magnitude(word: &str) -> Option<(i128, &str)> {
    let whole = |factor| Some((factor, ""));
    match word {
        "k" | "thousand" | "천" => return whole(1_000),
        "million" | "millions" | "mn" | "mio" | "mil" | "mln" | "млн" | "백만" => {
            return whole(1_000_000);
        }
        "b" | "bn" | "bil" | "billion" | "billions" | "mrd" | "mld" | "milliard" | "milliards" | "млрд" =>
        {
            return whole(1_000_000_000);
        }
        "trillion" | "trillions" | "tn" => return whole(1_000_000_000_000),
        "lakh" | "lakhs" => return whole(100_000),
        "crore" | "crores" => return whole(10_000_000),
        "hundred" | "백" => return whole(100),
        "dozen" => return whole(12),
        _ => {}
    }
    let mut rest = word;
    let mut factor: i128 = 1;
    let mut any = false;
    while let Some(c) = rest.chars().next() {
        let step = match c {
            '십' | '十' => 10,
            '백' | '百' => 100,
            '천' | '千' => 1_000,
            '만' | '万' | '萬' => 10_000,
            '억' | '億' | '亿' => 100_000_000,
            '조' | '兆' => 1_000_000_000_000,
            _ => break,
        };
        factor = factor.checked_mul(step)?;
        any = true;
        rest = rest.get(c.len_utf8()..)?;
    }
    any.then_some((factor, rest))
}

pub(crate) fn suffix(word: &str) -> Suffix {
    match word {
        "" => Suffix::Other,
        "percent" | "pct" | "퍼센트" | "프로" => Suffix::Percent,
        "m" => Suffix::Unit(Unit { dimension: Dimension::Length, name: "m" }),
        "이상" | "이하" | "미만" | "초과" | "여" | "or" | "plus" | "남짓" | "가량" | "이내" => {
            Suffix::Bound
        }
        _ => match currency::of_word(word) {
            Some(currency) => Suffix::Currency(currency),
            None => named(word).map_or(Suffix::Other, Suffix::Unit),
        },
    }
}

/// The unit that a word names.
pub(crate) fn named(word: &str) -> Option<Unit> {
    use Dimension::{Bytes, Length, Mass, Other, Speed, Temperature, Time, Volume};
    let (dimension, name) = match word {
        "km" | "kms" | "kilometer" | "kilometers" | "kilometre" | "kilometres" | "킬로미터" | "킬로" => {
            (Length, "km")
        }
        "m" | "meter" | "meters" | "metre" | "metres" | "미터" => (Length, "m"),
        "cm" | "centimeter" | "centimeters" | "센티미터" | "센티" => (Length, "cm"),
        "mm" | "밀리미터" => (Length, "mm"),
        "mi" | "mile" | "miles" | "마일" => (Length, "mi"),
        "ft" | "foot" | "feet" => (Length, "ft"),
        "inch" | "inches" | "인치" => (Length, "in"),
        "yd" | "yard" | "yards" | "야드" => (Length, "yd"),
        "ms" | "millis" | "milliseconds" | "밀리초" => (Time, "ms"),
        "s" | "sec" | "secs" | "second" | "seconds" | "초" => (Time, "s"),
        "min" | "mins" | "minute" | "minutes" | "분" => (Time, "min"),
        "h" | "hr" | "hrs" | "hour" | "hours" | "시간" => (Time, "h"),
        "d" | "day" | "days" | "일" | "일간" => (Time, "d"),
        "week" | "weeks" | "wk" | "wks" | "주" | "주일" | "주간" => (Time, "w"),
        "month" | "months" | "개월" | "달" => (Time, "mo"),
        "y" | "yr" | "yrs" | "year" | "years" | "년" | "년간" => (Time, "y"),
        "kg" | "kgs" | "kilogram" | "kilograms" | "킬로그램" => (Mass, "kg"),
        "g" | "gram" | "grams" | "그램" => (Mass, "g"),
        "mg" | "밀리그램" => (Mass, "mg"),
        "lb" | "lbs" => (Mass, "lb"),
        "oz" | "ounce" | "ounces" | "온스" => (Mass, "oz"),
        "ton" | "tons" | "tonne" | "tonnes" | "톤" => (Mass, "t"),
        "ml" | "milliliter" | "milliliters" | "millilitre" | "millilitres" | "cc" | "밀리리터" => {
            (Volume, "ml")
        }
        "l" | "liter" | "liters" | "litre" | "litres" | "리터" => (Volume, "l"),
        "gal" | "gallon" | "gallons" | "갤런" => (Volume, "gal"),
        "kmh" | "kph" => (Speed, "km/h"),
        "mph" => (Speed, "mi/h"),
        "mps" => (Speed, "m/s"),
        "knot" | "knots" | "노트" => (Speed, "kn"),
        "celsius" | "섭씨" => (Temperature, "C"),
        "fahrenheit" | "화씨" => (Temperature, "F"),
        "kelvin" => (Temperature, "K"),
        "kb" => (Bytes, "kb"),
        "mb" => (Bytes, "mb"),
        "gb" => (Bytes, "gb"),
        "tb" => (Bytes, "tb"),
        "st" | "nd" | "rd" | "th" | "번째" | "위" | "등" => (Other, "th"),
        "times" | "x" | "회" | "번" | "배" => (Other, "x"),
        "points" | "point" | "pts" | "pt" | "점" => (Other, "pt"),
        "people" | "persons" | "명" | "인" => (Other, "p"),
        "items" | "item" | "pcs" | "개" => (Other, "n"),
        "kcal" | "칼로리" => (Other, "kcal"),
        "bpm" => (Other, "bpm"),
        "세" | "살" => (Other, "age"),
        _ => return None,
    };
    Some(Unit { dimension, name })
}

/// The scale that a letter behind a degree sign names.
pub(crate) fn degrees(letter: &str) -> Option<Unit> {
    named(match letter {
        "c" => "celsius",
        "f" => "fahrenheit",
        "k" => "kelvin",
        _ => return None,
    })
}

/// The unit that the name of a field demands: `distance_m`, `durationMinutes`, `weight_kg`.
pub(crate) fn of_field(name: &str) -> Option<Unit> {
    let last = last_word(name);
    let word = last.to_lowercase();
    // A one-letter name is a variable, `min` mostly a bound, and what is counted per day is no days.
    let alone = last.len() == name.len();
    if alone && (word.len() < 2 || word == "min") {
        return None;
    }
    let before = name.strip_suffix(last).unwrap_or("").trim_end_matches(['_', '-', ' ', '.']);
    if last_word(before).eq_ignore_ascii_case("per") {
        return None;
    }
    if !alone && word.len() <= 2 {
        let what = name.to_lowercase();
        let of = |words: &[&str]| words.iter().any(|word| what.contains(word));
        match &*word {
            "c" | "f" | "k" if of(&["temp", "degree"]) => return degrees(&word),
            "in" if of(&["height", "width", "length", "depth", "size"]) => return named("inch"),
            "ms" if of(&["speed", "velocity"]) => return named("mps"),
            _ => {}
        }
    }
    named(&word).filter(|unit| unit.dimension != Dimension::Other)
}

/// The last word of a name in snake, kebab or camel case.
pub(crate) fn last_word(name: &str) -> &str {
    let mut start = 0;
    let mut last_lower = false;
    for (at, c) in name.char_indices() {
        if matches!(c, '_' | '-' | ' ' | '.') {
            start = at + c.len_utf8();
        } else if c.is_uppercase() && last_lower {
            start = at;
        }
        last_lower = c.is_lowercase();
    }
    name.get(start..).unwrap_or(name)
}

/// Words that lead from a reckoning to its result.
pub(crate) fn concludes(word: &str) -> bool {
    matches!(
        word,
        "so" | "thus"
            | "therefore"
            | "hence"
            | "answer"
            | "result"
            | "final"
            | "finally"
            | "즉"
            | "따라서"
            | "그러므로"
            | "그래서"
            | "결론은"
            | "결과는"
            | "답은"
            | "정답은"
    )
}

/// A key in small letters that makes a bound of what it holds: `min`, `at_least`, `maxvalue`, 최소.
pub(crate) fn is_bound(key: &str) -> bool {
    let mut words = key.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let whole = ["min", "max"].iter().filter_map(|end| key.strip_prefix(end));
    whole.clone().any(|rest| matches!(rest, "value" | "imum" | "val" | "count"))
        || words.any(|word| {
            matches!(classify(word), Word::Bound)
                || matches!(
                    word,
                    "from" | "to" | "upper" | "lower" | "floor" | "ceiling" | "limit" | "상한" | "하한"
                )
        })
}

pub(crate) fn classify(word: &str) -> Word {
    if let Some(currency) = currency::of_word(word) {
        return Word::Currency(currency);
    }
    match word {
        "about" | "around" | "approximately" | "approx" | "roughly" | "ca" | "circa" | "nearly"
        | "almost" | "약" | "대략" | "거의" | "정도" | "쯤" | "대충" => Word::About,
        "over" | "under" | "least" | "most" | "more" | "less" | "fewer" | "below" | "above" | "up"
        | "minimum" | "maximum" | "min" | "max" | "exceeds" | "이상" | "이하" | "미만" | "초과" | "최소"
        | "최대" | "적어도" | "이내" => Word::Bound,
        "not" | "no" | "never" | "isn't" | "isn’t" | "cannot" | "can't" | "can’t" | "wasn't" | "doesn't"
        | "don't" | "without" | "neither" | "nor" | "wrong" | "incorrect" | "아님" | "아니다" | "아니라"
        | "아니고" | "아닙니다" | "아니에요" | "아니" | "않다" | "않음" | "않습니다" | "틀림" => {
            Word::Negation
        }
        "or" | "to" | "between" | "through" | "versus" | "vs" | "out" | "per" | "of" | "또는" | "혹은"
        | "에서" | "부터" | "내지" | "중" | "대" => Word::Alternative,
        "minus" | "negative" | "마이너스" | "영하" | "음수" => Word::Minus,
        "half" | "quarter" | "dozen" | "hundred" | "thousand" | "million" | "billion" | "반" | "one"
        | "two" | "three" | "four" | "five" | "six" | "seven" | "eight" | "nine" | "ten" => Word::NumberWord,
        _ if word.ends_with("아닙니다")
            || word.ends_with("아님")
            || word.ends_with("아니다")
            || word.starts_with("아니") =>
        {
            Word::Negation
        }
        _ => Word::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::{named, of_field};

    #[test]
    fn a_field_is_named_after_its_unit_or_is_one() {
        for (field, unit) in [
            ("km", Some("km")),
            ("distance_km", Some("km")),
            ("temp_c", Some("celsius")),
            ("temperatureF", Some("fahrenheit")),
            ("volume_ml", Some("ml")),
            ("speed_kmh", Some("kph")),
            ("height_in", Some("inch")),
            ("m", None),
            ("min", None),
            ("duration_min", Some("minutes")),
            ("price_per_kg", None),
            ("costPerDay", None),
            ("vitamin_c", None),
            ("checked_in", None),
            ("name", None),
        ] {
            assert_eq!(of_field(field), unit.and_then(named), "{field}");
        }
    }
}
