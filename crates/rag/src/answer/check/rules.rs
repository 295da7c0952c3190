//! What a sentence of an answer may say that its sources do not, in their own words.

use super::lexicon::SOFT;
use super::numbers::Number;
use super::pieces::pieces;
use super::turned::is_denial_swapped;
use super::units::Unit;
use super::words::{Kind, Word};
use super::{Claim, Read};

/// Tells whether the claim denies what its evidence says, or says what that denies.
pub(super) fn is_denied(claim: &Claim, found: &[(&Read, &Claim)]) -> bool {
    let denies = |words: &[Word]| words.iter().any(|word| word.is_denied);
    // only somebody may: the others may not
    let is_only = |word: &Word| {
        word.raw == "only"
            || (word.is_korean() && word.raw.ends_with('만') && word.stem.len() < word.raw.len())
    };
    let is_soft = |word: &Word| SOFT.iter().any(|soft| word.raw.starts_with(soft));
    if !denies(&claim.words) && claim.words.iter().any(is_soft) {
        return false;
    }
    if denies(&claim.words) && found.iter().any(|(_, claim)| claim.words.iter().any(is_only)) {
        let denials = claim.words.iter().filter(|word| word.is_denied).count();
        let of_all = found.iter().any(|(_, claim)| denies(&claim.words));
        // only after that: not without it; only there: not there
        let without = is_allowing(claim) || claim.words.iter().any(is_only);
        let only =
            found.iter().flat_map(|(_, other)| &other.words).filter(|word| is_only(word) && word.is_korean());
        let mut there =
            only.flat_map(|only| claim.words.iter().filter(|word| !word.is_empty && word.is(only)));
        let without = without || there.any(|word| !word.is_denied && word.kind == Kind::Noun);
        return denials == 1 && without && !of_all;
    }
    if let Some((_, best)) = found.first()
        && is_denial_swapped(claim, best)
    {
        return true;
    }
    // a sentence that shares less than half with the claim speaks of something else
    let is_near = |other: &Claim| {
        let ((shared, said), (held, all)) = (claim.share(other), other.share(claim));
        shared * 2 > said || held == all
    };
    let near = found.iter().enumerate().filter(|(at, (_, other))| *at == 0 || is_near(other));
    let near: Vec<&Claim> = near.map(|(_, (_, claim))| *claim).collect();
    claim.words.iter().filter(|word| !word.is_empty).any(|word| {
        let same = |evidence: &Claim| {
            evidence.words.iter().any(|known| known.is(word) && known.is_denied == word.is_denied)
        };
        let has = |evidence: &Claim| evidence.words.iter().any(|known| known.is(word));
        let mut evidence = near.iter().copied().filter(|claim| has(claim)).peekable();
        // where both deny something, how far each denial reaches is not known well enough, unless they deny the same and one more
        evidence.peek().is_some()
            && evidence.all(|other| {
                !same(other)
                    && (denies(&other.words) != denies(&claim.words)
                        || (word.kind != Kind::Noun && is_aligned(claim, other)))
            })
    })
}

/// Tells whether the two deny the same thing, and one of them more than that.
fn is_aligned(claim: &Claim, other: &Claim) -> bool {
    let denied =
        |claim: &Claim, word: &Word| claim.words.iter().any(|known| known.is(word) && known.is_denied);
    let count = |one: &Claim, other: &Claim| {
        one.words.iter().filter(|word| word.is_denied && other.has(word)).count()
    };
    count(claim, other) != count(other, claim)
        && claim.words.iter().any(|word| word.is_denied && denied(other, word))
}

/// Tells whether the claim has a number in the place of one that the sentence has which bears it out best.
pub(super) fn is_replaced(claim: &Claim, best: &Claim) -> bool {
    let said: Vec<&Word> = claim.words.iter().filter(|word| !word.is_empty).collect();
    let shared = said.iter().filter(|word| best.has(word)).count();
    if shared * 2 < said.len() {
        return false;
    }
    let is_one_piece = || pieces(&best.text).len() == 1;
    if claim.claimed().any(|number| is_borrowed(*number, best)) && is_one_piece() {
        return true;
    }
    // three times a week, for three times a day
    let lacks = |one: &Claim, other: &Claim| {
        let has = |number: &Number| other.numbers.iter().any(|known| number.is_as_often_as(*known));
        one.numbers.iter().any(|number| number.is_period() && !has(number))
    };
    if lacks(claim, best) && lacks(best, claim) {
        return true;
    }
    claim.numbers.iter().filter(|number| !best.counts(**number)).any(|number| {
        let counts = |other: &&Number| !other.is_weak || (!number.is_weak && number.unit == Unit::None);
        let other = best.numbers.iter().filter(counts).filter(|other| other.is_of_the_kind_of(*number));
        let holds = |number: &Number, other: &Number| {
            number.bears_out(*other) && (number.unit == other.unit || !number.is_weak)
        };
        other.into_iter().any(|other| !claim.numbers.iter().any(|number| holds(number, other)))
    })
}

/// Tells whether a number stands in the sentence in another place, and beside what it stands with here there is another one: every 45
/// minutes, for every 40 minutes and 45 minutes into the race.
fn is_borrowed(number: Number, best: &Claim) -> bool {
    let known = || best.claimed().filter(|known| known.is_of_the_kind_of(number));
    let mut same = known().filter(|known| known.bears_out(number)).peekable();
    same.peek().is_some()
        && same.all(|known| known.has_sides() && !known.is_beside_the_same(number, true))
        && known().any(|known| !known.bears_out(number) && known.is_beside_the_same(number, false))
}

/// Tells whether the claim says that something does not matter: 못해도 괜찮습니다.
pub(super) fn is_waved_through(claim: &Claim) -> bool {
    let begins =
        |words: &[&str]| claim.words.iter().any(|word| words.iter().any(|other| word.raw.starts_with(other)));
    let is_conceded = claim.words.iter().any(|word| word.kind == Kind::Verb && word.raw.ends_with('도'));
    (is_conceded && begins(&["괜찮", "걱정", "상관없", "무방"])) || begins(&["harmless"])
}

/// Tells whether a sentence allows something.
pub(super) fn is_allowing(other: &Claim) -> bool {
    const WORDS: [&str; 5] = ["괜찮", "상관없", "무방", "harmless", "safe"];
    let is_conceded = other.words.iter().any(|word| word.raw.ends_with('도'));
    is_conceded || other.words.iter().any(|word| WORDS.iter().any(|other| word.raw.starts_with(other)))
}

/// Tells whether the claim takes its condition from one sentence and what follows from it from another, which has another condition.
pub(super) fn is_crossed(claim: &Claim, found: &[(&Read, &Claim)]) -> bool {
    let is_conditional = |claim: &Claim| claim.words.iter().any(Word::is_condition);
    let Some(((_, first), others)) = found.split_first() else { return false };
    if !is_conditional(claim) || !is_conditional(first) {
        return false;
    }
    let said = || claim.words.iter().filter(|word| !word.is_empty);
    others.iter().filter(|(_, other)| is_conditional(other)).any(|(_, other)| {
        let shared = said().any(|word| first.has(word) && other.has(word));
        let own = |one: &Claim, other: &Claim| {
            said().any(|word| word.kind != Kind::Verb && one.has(word) && !other.has(word))
        };
        shared && own(first, other) && own(other, first)
    })
}
