//! Where something is said to be: on the bridge, under it; 다리 위에서, 다리 아래에서.

use super::Claim;
use super::words::{Kind, Word};

/// Words of place that shut each other out where they stand with the same word.
const PLACES: &[(&str, &str)] = &[
    ("on", "under"),
    ("on", "below"),
    ("on", "off"),
    ("over", "under"),
    ("above", "below"),
    ("inside", "outside"),
    ("into", "from"),
    ("to", "from"),
    ("from", "until"),
    ("with", "without"),
    ("up", "down"),
    ("in", "out"),
    ("toward", "from"),
    ("towards", "from"),
    ("behind", "before"),
];

/// Korean words of place, behind the word that they stand with.
const PLACES_KOREAN: &[(&str, &str)] =
    &[("위", "아래"), ("위", "밑"), ("안", "밖"), ("앞", "뒤"), ("안쪽", "바깥쪽")];

/// Words before which `in`, `out`, `on`, `off`, `up` and `down` belong to the verb.
const AFTER_PARTICLE: &[&str] =
    &["as", "while", "when", "and", "before", "after", "through", "if", "until", "slowly", "by"];

/// Tells whether a word stands with a word of place in the claim, and with its opposite in the other.
pub(super) fn is_elsewhere(claim: &Claim, other: &Claim) -> bool {
    let (here, there) = (places(claim), places(other));
    here.iter().any(|(word, place)| {
        let same = || there.iter().filter(|(known, _)| known.is(word)).map(|(_, place)| *place);
        let contrasts = |one: &str, other: &str| {
            PLACES
                .iter()
                .chain(PLACES_KOREAN)
                .any(|(a, b)| (*a, *b) == (one, other) || (*b, *a) == (one, other))
        };
        same().any(|known| contrasts(place, known)) && !same().any(|known| known == *place)
    })
}

/// The words that stand with a word of place.
fn places(claim: &Claim) -> Vec<(&Word, &str)> {
    let mut found = Vec::new();
    for (at, word) in claim.words.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| claim.words.get(at)).filter(|word| !word.is_empty);
        let after = claim.words.get(at + 1);
        if word.is_korean() {
            let place = PLACES_KOREAN.iter().flat_map(|(one, other)| [*one, *other]).find(|place| {
                word.raw
                    .strip_prefix(*place)
                    .is_some_and(|rest| matches!(rest, "" | "에" | "에서" | "에는" | "로" | "으로" | "의"))
            });
            if let (Some(place), Some(before)) = (place, before.filter(|before| before.kind == Kind::Noun)) {
                found.push((before, place));
            }
            continue;
        }
        let Some(place) =
            PLACES.iter().flat_map(|(one, other)| [*one, *other]).find(|place| word.raw == *place)
        else {
            continue;
        };
        let is_of_verb = after.is_none_or(|after| AFTER_PARTICLE.contains(&after.raw.as_str()));
        if is_of_verb {
            found.extend(before.map(|before| (before, place)));
        } else {
            let next = claim.words.iter().skip(at + 1).take(3).find(|word| !word.is_empty);
            found.extend(next.map(|next| (next, place)));
        }
    }
    found
}
