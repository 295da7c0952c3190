//! Units of what is counted and measured.

use super::lexicon::NOMINAL;

/// What is counted. Lengths of time are brought to seconds and days, distances to metres, masses to grams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    None,
    Seconds,
    Days,
    Months,
    Years,
    Metres,
    Miles,
    Grams,
    Litres,
    Percent,
    Degrees,
    Times,
    Sets,
    Money(Currency),
    Steps,
    /// A thousand metres or grams: 18킬로.
    Kilos,
    /// A thousandth of a litre, a metre or a gram: 150밀리.
    Millis,
    Calories,
    /// Minutes of a clock, which may or may not have said which half of the day it is.
    Clock,
    /// What a Korean counter counts, by one counter for all that count the same.
    Counted(char),
}

/// What something is paid in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Currency {
    Won,
    Dollar,
    Euro,
    Pound,
    Yen,
    Yuan,
}

impl Currency {
    /// Reads the sign that a text ends with: `$` of $40.
    pub(super) fn before(text: &str) -> Option<Self> {
        let text = text.trim_end();
        let signs = [
            ("$", Self::Dollar),
            ("usd", Self::Dollar),
            ("€", Self::Euro),
            ("eur", Self::Euro),
            ("£", Self::Pound),
            ("gbp", Self::Pound),
            ("₩", Self::Won),
            ("krw", Self::Won),
            ("¥", Self::Yen),
            ("jpy", Self::Yen),
        ];
        let stands = |sign: &str| {
            let rest = text.strip_suffix(sign);
            rest.is_some_and(|rest| {
                !sign.is_ascii() || sign == "$" || !rest.ends_with(|c: char| c.is_alphanumeric())
            })
        };
        signs.iter().find(|(sign, _)| stands(sign)).map(|(_, currency)| *currency)
    }
}

impl Unit {
    pub(super) const fn is_money(self) -> bool {
        matches!(self, Self::Money(_))
    }

    /// Tells whether one may stand for the other: 18킬로 for 18 km.
    const fn stands_for(self, other: Self) -> bool {
        matches!(
            (self, other),
            (Self::Kilos, Self::Metres | Self::Grams)
                | (Self::Millis, Self::Litres | Self::Metres | Self::Grams)
        )
    }

    pub(super) fn agrees(self, other: Self) -> bool {
        self == other || self.stands_for(other) || other.stands_for(self)
    }

    /// Tells whether the two measure the same, as far as they say.
    pub(super) fn agrees_or_none(self, other: Self) -> bool {
        self.agrees(other) || self == Self::None || other == Self::None
    }

    pub(super) const fn is_time(self) -> bool {
        matches!(self, Self::Seconds | Self::Days | Self::Months | Self::Years)
    }
}

/// Units with what one of them is, longest first where one begins another.
pub(super) const UNITS: &[(&str, Unit, f64)] = &[
    ("킬로칼로리", Unit::Calories, 1.0),
    ("kilocalorie", Unit::Calories, 1.0),
    ("칼로리", Unit::Calories, 1.0),
    ("calorie", Unit::Calories, 1.0),
    ("kcal", Unit::Calories, 1.0),
    ("밀리그램", Unit::Grams, 0.001),
    ("밀리리터", Unit::Litres, 0.001),
    ("밀리미터", Unit::Metres, 0.001),
    ("센티미터", Unit::Metres, 0.01),
    ("milligram", Unit::Grams, 0.001),
    ("millilitre", Unit::Litres, 0.001),
    ("milliliter", Unit::Litres, 0.001),
    ("centimetre", Unit::Metres, 0.01),
    ("centimeter", Unit::Metres, 0.01),
    ("킬로미터", Unit::Metres, 1_000.0),
    ("kilometre", Unit::Metres, 1_000.0),
    ("kilometer", Unit::Metres, 1_000.0),
    ("kilogram", Unit::Grams, 1_000.0),
    ("킬로그램", Unit::Grams, 1_000.0),
    ("millimetre", Unit::Metres, 0.001),
    ("millimeter", Unit::Metres, 0.001),
    ("microgram", Unit::Grams, 0.000_001),
    ("마이크로그램", Unit::Grams, 0.000_001),
    ("percent", Unit::Percent, 1.0),
    ("프로", Unit::Percent, 1.0),
    ("퍼센트", Unit::Percent, 1.0),
    ("second", Unit::Seconds, 1.0),
    ("minute", Unit::Seconds, 60.0),
    ("degree", Unit::Degrees, 1.0),
    ("week", Unit::Days, 7.0),
    ("month", Unit::Months, 1.0),
    ("year", Unit::Years, 1.0),
    ("decade", Unit::Years, 10.0),
    ("hour", Unit::Seconds, 3_600.0),
    ("day", Unit::Days, 1.0),
    ("time", Unit::Times, 1.0),
    ("set", Unit::Sets, 1.0),
    ("mile", Unit::Miles, 1.0),
    ("metre", Unit::Metres, 1.0),
    ("meter", Unit::Metres, 1.0),
    ("gram", Unit::Grams, 1.0),
    ("litre", Unit::Litres, 1.0),
    ("liter", Unit::Litres, 1.0),
    ("euro", Unit::Money(Currency::Euro), 1.0),
    ("won", Unit::Money(Currency::Won), 1.0),
    ("dollar", Unit::Money(Currency::Dollar), 1.0),
    ("pound", Unit::Money(Currency::Pound), 1.0),
    ("달러", Unit::Money(Currency::Dollar), 1.0),
    ("step", Unit::Steps, 1.0),
    ("시간", Unit::Seconds, 3_600.0),
    ("개월", Unit::Months, 1.0),
    ("걸음", Unit::Steps, 1.0),
    ("세트", Unit::Sets, 1.0),
    ("리터", Unit::Litres, 1.0),
    ("그램", Unit::Grams, 1.0),
    ("미터", Unit::Metres, 1.0),
    ("파운드", Unit::Money(Currency::Pound), 1.0),
    ("위안", Unit::Money(Currency::Yuan), 1.0),
    ("엔", Unit::Money(Currency::Yen), 1.0),
    ("yen", Unit::Money(Currency::Yen), 1.0),
    ("yuan", Unit::Money(Currency::Yuan), 1.0),
    ("usd", Unit::Money(Currency::Dollar), 1.0),
    ("eur", Unit::Money(Currency::Euro), 1.0),
    ("krw", Unit::Money(Currency::Won), 1.0),
    ("€", Unit::Money(Currency::Euro), 1.0),
    ("유로", Unit::Money(Currency::Euro), 1.0),
    ("킬로", Unit::Kilos, 1_000.0),
    ("밀리", Unit::Millis, 0.001),
    ("센티", Unit::Metres, 0.01),
    ("kilo", Unit::Kilos, 1_000.0),
    ("km", Unit::Metres, 1_000.0),
    ("kg", Unit::Grams, 1_000.0),
    ("ml", Unit::Litres, 0.001),
    ("mm", Unit::Metres, 0.001),
    ("mg", Unit::Grams, 0.001),
    ("cm", Unit::Metres, 0.01),
    ("min", Unit::Seconds, 60.0),
    ("pm", Unit::Clock, 60.0),
    ("p.m", Unit::Clock, 60.0),
    ("a.m", Unit::Clock, 60.0),
    ("am", Unit::Clock, 60.0),
    ("o'clock", Unit::Clock, 60.0),
    ("번", Unit::Times, 1.0),
    ("회", Unit::Times, 1.0),
    ("시", Unit::Clock, 60.0),
    ("분", Unit::Seconds, 60.0),
    ("초", Unit::Seconds, 1.0),
    ("일", Unit::Days, 1.0),
    ("주", Unit::Days, 7.0),
    ("달", Unit::Months, 1.0),
    ("년", Unit::Years, 1.0),
    ("도", Unit::Degrees, 1.0),
    ("원", Unit::Money(Currency::Won), 1.0),
    ("세", Unit::Years, 1.0),
    ("살", Unit::Years, 1.0),
    ("명", Unit::Counted('명'), 1.0),
    ("사람", Unit::Counted('명'), 1.0),
    ("인", Unit::Counted('명'), 1.0),
    ("권", Unit::Counted('권'), 1.0),
    ("장", Unit::Counted('장'), 1.0),
    ("개", Unit::Counted('개'), 1.0),
    ("컵", Unit::Counted('컵'), 1.0),
    ("잔", Unit::Counted('잔'), 1.0),
    ("병", Unit::Counted('병'), 1.0),
    ("마리", Unit::Counted('마'), 1.0),
    ("층", Unit::Counted('층'), 1.0),
    ("대", Unit::Counted('대'), 1.0),
    ("%", Unit::Percent, 1.0),
    ("g", Unit::Grams, 1.0),
    ("m", Unit::Metres, 1.0),
    ("l", Unit::Litres, 1.0),
];

/// Tells whether a word names a unit, whole; of Korean ones those that no other word begins with.
pub(super) fn is_unit(word: &str) -> bool {
    const WORDS: [&str; 8] =
        ["킬로", "밀리리터", "밀리그램", "밀리", "센티미터", "센티", "칼로리", "킬로칼로리"];
    if word.is_ascii() {
        let one = word.strip_suffix('s').unwrap_or(word);
        return UNITS
            .iter()
            .any(|(name, _, factor)| *name == one && name.len() > 3 && (*factor - 1.0).abs() > f64::EPSILON);
    }
    let is_one =
        |unit: &str| word.strip_prefix(unit).is_some_and(|rest| rest.is_empty() || NOMINAL.contains(&rest));
    WORDS.into_iter().any(is_one)
}
