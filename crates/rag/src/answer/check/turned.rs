//! What a sentence turns of what its source says, in the source's own words: opposites, who does what to whom, what comes first.

use super::opposition::{Opposition, opposition};
use super::order::changes_order;
use super::pieces::pieces;
use super::places::is_elsewhere;
use super::roles::{Role, changes_roles, is_exchanged, role};
use super::rules::is_replaced;
use super::words::{Kind, Word};
use super::{Claim, Read};

/// What of a claim is turned against the sentences that bear it out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turns {
    /// A word has its opposite's place, and nothing denies either of them.
    pub(super) is_opposed: bool,
    /// Something stands in the opposite place: under the bridge, for on it.
    pub(super) is_elsewhere: bool,
    /// Two have each other's place, or what comes first comes last.
    pub(super) is_swapped: bool,
    /// A number bounds to the other side.
    pub(super) is_bounded: bool,
    /// What one piece of a sentence says of something is said of what another piece speaks of.
    pub(super) is_crossed: bool,
    /// A number has another one's place.
    pub(super) is_replaced: bool,
    /// A word is said whose opposite denies, or the other way round: with pain, for without pain.
    pub(super) is_undenied: bool,
    /// One of the two denies something, and the other nothing.
    pub(super) is_denied_otherwise: bool,
    /// A word is said whose opposite is denied: not allowed, for forbidden.
    pub(super) is_relieved: bool,
}

impl Turns {
    pub(super) fn of(claim: &Claim, found: &[(&Read, &Claim)]) -> Self {
        let mut turns = Self::default();
        turns.compare_limits(claim, found);
        let is_near = |other: &Claim| {
            let (shared, said) = claim.share(other);
            shared * 2 >= said
        };
        let near = found.iter().enumerate().filter(|(at, (_, other))| *at == 0 || is_near(other));
        let near: Vec<&Claim> = near.map(|(_, (_, other))| *other).collect();
        // denials of what only one of the two speaks of are none of the other's
        let denies =
            |one: &Claim, other: &Claim| one.words.iter().any(|word| word.is_denied && other.has(word));
        turns.is_denied_otherwise =
            near.first().is_some_and(|best| denies(best, claim) != denies(claim, best));
        for other in &near {
            let is_twice = turns.oppose(claim, other) == Some(Opposition::Twice);
            turns.is_elsewhere |= !is_twice && is_elsewhere(claim, other);
        }
        turns.is_swapped = near.first().is_some_and(|best| changes_roles(claim, best))
            || near.first().is_some_and(|best| changes_order(claim, best));
        let parts: Vec<Claim> = parts(claim);
        let others: Vec<Vec<Claim>> = near.iter().map(|other| self::parts(other)).collect();
        for part in &parts {
            let candidates =
                others.iter().flat_map(|all| all.iter().map(move |other| (all, other, overlap(part, other))));
            let candidates: Vec<(&Vec<Claim>, &Claim, f32)> = candidates.collect();
            let best = candidates.iter().fold(None, |best: Option<&(&Vec<Claim>, &Claim, f32)>, one| {
                if best.is_none_or(|best| one.2 > best.2) { Some(one) } else { best }
            });
            let Some((_, best, shared)) = best.filter(|best| best.2 > 0.0) else { continue };
            if shared * 2.0 < overlap(part, part) {
                continue;
            }
            turns.oppose(part, best);
            turns.is_swapped |= is_exchanged(part, best);
            // half may stand in one piece, and half in another
            let as_near = candidates.iter().filter(|other| other.2 > shared - 0.01);
            let far = |other: &Claim| {
                found.first().is_some_and(|(read, _)| is_crossed_far(part, other, &read.sentences))
            };
            turns.is_crossed |=
                as_near.into_iter().any(|(all, other, _)| is_crossed(part, other, all) || far(other));
            turns.is_replaced |= is_replaced(part, best);
        }
        turns
    }

    /// Tells whether all in all something is turned: twice is not at all.
    pub(super) const fn is_turned(self) -> bool {
        (self.is_opposed || self.is_elsewhere) != self.is_swapped || self.is_bounded
    }

    fn oppose(&mut self, claim: &Claim, other: &Claim) -> Option<Opposition> {
        let found = opposition(claim, other, self.is_denied_otherwise);
        match found {
            Some(Opposition::Undenied) => self.is_undenied = true,
            Some(Opposition::Opposed) => self.is_opposed = true,
            Some(Opposition::Relieved | Opposition::Twice) => self.is_relieved = true,
            None => {}
        }
        found
    }

    fn compare_limits(&mut self, claim: &Claim, found: &[(&Read, &Claim)]) {
        for number in &claim.numbers {
            let all = || found.iter().flat_map(|(_, other)| &other.numbers);
            let mut known = all().filter(|known| known.bears_out(*number)).peekable();
            self.is_bounded |= known.peek().is_some() && known.all(|known| known.excludes(*number));
        }
    }
}

fn parts(claim: &Claim) -> Vec<Claim> {
    pieces(&claim.text).into_iter().map(|piece| Claim::new(piece, claim.span)).collect()
}

/// How much of one piece stands in the other.
fn overlap(one: &Claim, other: &Claim) -> f32 {
    let words = one.words.iter().filter(|word| !word.is_empty && other.has(word)).map(Word::weight);
    let numbers = one.numbers.iter().filter(|number| other.counts(**number));
    let numbers = numbers.map(|number| if number.is_weak { 0.3 } else { 0.6 });
    words.chain(numbers).sum()
}

/// Where in its piece a word stands: what would say something else in its place.
#[derive(PartialEq, Eq)]
enum Slot<'a> {
    First,
    Behind(&'a str),
    /// Next to what is done to it, or what it is.
    Next(&'a str),
    Particle(Role),
}

fn slot(claim: &Claim, at: usize) -> Option<Slot<'_>> {
    const PREPOSITIONS: [&str; 12] =
        ["with", "from", "to", "in", "on", "at", "for", "by", "than", "of", "into", "through"];
    let word = claim.words.get(at)?;
    if word.is_korean() {
        return role(&claim.words, at).map(Slot::Particle);
    }
    let before = claim.words.get(..at)?;
    if !before.iter().any(|word| !word.is_empty) {
        return Some(Slot::First);
    }
    let lead = before.iter().rev().take_while(|word| word.is_empty);
    let lead = lead.into_iter().find(|word| PREPOSITIONS.contains(&word.raw.as_str()));
    if let Some(lead) = lead {
        return Some(Slot::Behind(&lead.raw));
    }
    before.iter().rev().find(|word| !word.is_empty).map(|lead| Slot::Next(&lead.stem))
}

/// Tells whether a piece speaks of something that another piece of the sentence speaks of, and says of it what this one says of
/// something else: costs rose by 8 percent, for revenue rose by 8 percent while costs fell by 3.
fn is_crossed(part: &Claim, best: &Claim, all: &[Claim]) -> bool {
    displaced(part, best).any(|(word, _)| is_another_s(part, word, all))
}

/// Tells the same of another sentence, but for what the sentence is about: that may be said once for all that follow.
fn is_crossed_far(part: &Claim, best: &Claim, sentences: &[Claim]) -> bool {
    let is_about = |slot: &Slot<'_>| {
        matches!(slot, Slot::First | Slot::Next(_) | Slot::Particle(Role::Subject | Role::Owner))
    };
    displaced(part, best).any(|(word, slot)| !is_about(&slot) && is_another_s(part, word, sentences))
}

/// The words of a piece in whose place the other has something else that the piece does not say.
fn displaced<'a>(part: &'a Claim, best: &'a Claim) -> impl Iterator<Item = (&'a Word, Slot<'a>)> {
    let missing = part
        .words
        .iter()
        .enumerate()
        .filter(|(_, word)| !word.is_empty && word.kind != Kind::Verb && !best.has(word));
    let other_s = |(at, other): (usize, &'a Word)| {
        let is_new = !other.is_empty && other.kind != Kind::Verb && !part.has(other);
        is_new.then(|| slot(best, at)).flatten()
    };
    let others: Vec<Slot<'a>> = best.words.iter().enumerate().filter_map(other_s).collect();
    missing.filter_map(move |(at, word)| {
        let wanted = slot(part, at)?;
        others.contains(&wanted).then_some((word, wanted))
    })
}

/// Tells whether a word is what others speak of. What the piece says all of is named beside, and has nothing of its own.
fn is_another_s(part: &Claim, word: &Word, others: &[Claim]) -> bool {
    let has_more = |other: &Claim| {
        other.words.iter().any(|own| !own.is_empty && !part.has(own))
            || other.numbers.iter().any(|own| !part.counts(*own))
    };
    others.iter().any(|other| other.has(word) && has_more(other))
}

/// Tells whether the claim denies what the other does not, and says what that denies, in the same place: with tea and not with juice.
pub(super) fn is_denial_swapped(claim: &Claim, other: &Claim) -> bool {
    fn denied_alone<'a>(one: &'a Claim, other: &Claim) -> impl Iterator<Item = Slot<'a>> {
        let is_alone = move |(_, word): &(usize, &Word)| {
            let mut same = other.words.iter().filter(|known| known.is(word)).peekable();
            word.is_denied && !word.is_empty && same.peek().is_some() && same.all(|known| !known.is_denied)
        };
        let alone: Vec<usize> = one.words.iter().enumerate().filter(is_alone).map(|(at, _)| at).collect();
        alone.into_iter().filter_map(|at| slot(one, at))
    }
    denied_alone(claim, other)
        .any(|slot| slot != Slot::First && denied_alone(other, claim).any(|other| other == slot))
}
