//! The unit of a number whose field is not named after it: an age is in years, and a description may say “in minutes”.

use super::scalar::unit::{Dimension, Unit, last_word, named};

/// The unit that what a field measures is told in.
pub(super) fn of_name(name: &str) -> Option<Unit> {
    let word = last_word(name).to_lowercase();
    matches!(&*word, "age" | "나이" | "연령").then(|| named("years")).flatten()
}

/// The unit that a description asks for: `in minutes`, `분 단위`, `단위: 분`. None where it names two.
pub(super) fn of_description(text: &str) -> Option<Unit> {
    let mut found: Option<Unit> = None;
    let mut before = "";
    let mut word_of = |unit: Option<Unit>| {
        let Some(unit) = unit.filter(|unit| unit.dimension != Dimension::Other) else { return true };
        found.replace(unit).is_none_or(|known| !known.contradicts(unit))
    };
    for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(64) {
        let lower = word.to_lowercase();
        // “in week 3” asks for no weeks.
        let several = lower.ends_with('s') || lower.len() <= 2 || lower == "feet";
        let one = match (before, &*lower) {
            ("in" | "In", unit) if several => word_of(named(unit)),
            ("단위", unit) => word_of(named(unit)),
            (unit, "단위" | "단위로" | "단위의") => word_of(named(&unit.to_lowercase())),
            _ => true,
        };
        if !one {
            return None;
        }
        before = word;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{named, of_description, of_name};

    #[test]
    fn a_description_may_name_the_unit() {
        for (text, unit) in [
            ("Age in years.", Some("years")),
            ("How long it takes in all, in minutes, if the post says so", Some("min")),
            ("걸리는 시간(분 단위)", Some("분")),
            ("거리, 단위: km", Some("km")),
            ("Days off in week 3", None),
            ("In metres, or in feet", None),
            ("What happened in it", None),
            ("Points in total", None),
        ] {
            assert_eq!(of_description(text), unit.and_then(named), "{text}");
        }
        for (name, unit) in
            [("age", Some("years")), ("petAge", Some("years")), ("나이", Some("년")), ("page", None)]
        {
            assert_eq!(of_name(name), unit.and_then(named), "{name}");
        }
    }
}
