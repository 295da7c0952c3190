//! Who does what to whom.

use super::Claim;
use super::lexicon::BEING;
use super::words::{Kind, Word};

/// What a Korean particle makes of its noun.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Subject,
    Object,
    To,
    From,
    Owner,
    Than,
    Until,
}

/// The role of a noun, and of one that stands before it without a particle: 부산 in 부산 창고에서.
pub(super) fn role(words: &[Word], at: usize) -> Option<Role> {
    for word in words.get(at..)? {
        if word.kind != Kind::Noun {
            return None;
        }
        // 차를
        if word.raw.ends_with(['을', '를']) {
            return Some(Role::Object);
        }
        if word.raw.ends_with(['은', '는']) && word.raw.chars().nth(2).is_none() {
            return Some(Role::Subject);
        }
        let particle = word.raw.strip_prefix(word.stem.as_str())?;
        word.stem.chars().nth(1)?;
        return Some(match particle {
            "" => continue,
            "이" | "가" | "은" | "는" | "께서" => Role::Subject,
            "에게" | "한테" | "께" | "에" | "로" | "으로" => Role::To,
            "에서" | "에게서" | "한테서" | "부터" => Role::From,
            "의" => Role::Owner,
            "보다" => Role::Than,
            "까지" => Role::Until,
            _ => return None,
        });
    }
    None
}

/// Tells whether two Korean nouns have each other's particle: 민수가 지영에게, 지영이 민수에게.
pub(super) fn changes_roles(claim: &Claim, other: &Claim) -> bool {
    fn roles(claim: &Claim) -> Vec<(&Word, Role)> {
        let role = |at| role(&claim.words, at);
        claim.words.iter().enumerate().filter_map(|(at, word)| Some((word, role(at)?))).collect()
    }
    let (said, known) = (roles(claim), roles(other));
    let roles = |word: &Word| {
        let same = known.iter().filter(|(known, _)| known.stem == word.stem);
        same.fold(Vec::new(), |mut roles, (_, role)| {
            if !roles.contains(role) {
                roles.push(*role);
            }
            roles
        })
    };
    let there: Vec<Vec<Role>> = said.iter().map(|(word, _)| roles(word)).collect();
    // 실력을 올리다, 실력이 올라가다
    let begins = |word: &Word| word.raw.chars().take(2).collect::<String>();
    let mut verbs = claim.words.iter().filter(|word| word.kind == Kind::Verb && !word.is_empty);
    let has_its_verb = verbs.any(|verb| {
        other.words.iter().any(|known| known.kind == Kind::Verb && begins(known) == begins(verb))
    });
    let is_free = |one: Role, two: Role| {
        has_its_verb || !matches!((one, two), (Role::Subject, Role::Object) | (Role::Object, Role::Subject))
    };
    let said: Vec<(&(&Word, Role), &Vec<Role>)> = said.iter().zip(&there).collect();
    said.iter().enumerate().any(|(at, ((one, one_role), one_there))| {
        let others = said.iter().skip(at + 1);
        others.filter(|((two, two_role), _)| two_role != one_role && two.stem != one.stem).any(
            |((_, two_role), two_there)| {
                one_there.contains(two_role)
                    && two_there.contains(one_role)
                    && !one_there.contains(one_role)
                    && !two_there.contains(two_role)
                    && is_free(*one_role, *two_role)
            },
        )
    })
}

/// English words that say which, and are compared like nouns.
const WHICH: &[&str] = &["first", "second", "third", "last"];

fn says(word: &Word) -> bool {
    !word.is_empty || WHICH.contains(&word.raw.as_str())
}

fn is_same(one: &Word, other: &Word) -> bool {
    if WHICH.contains(&one.raw.as_str()) || WHICH.contains(&other.raw.as_str()) {
        return one.raw == other.raw;
    }
    one.is(other)
}

/// Tells whether a list goes on with a word: after a comma, or with `and` or `or`.
fn parts_a_list(word: &Word) -> bool {
    word.is_apart || matches!(word.raw.as_str(), "and" | "or" | "nor")
}

/// Tells whether two stand on each other's side of a word that both have: the carrier pays the supplier; the track … than the belt.
pub(super) fn is_exchanged(claim: &Claim, other: &Claim) -> bool {
    let pivots = || {
        claim
            .words
            .iter()
            .enumerate()
            .filter(|(_, word)| !word.is_korean() && (says(word) || word.raw == "than"))
    };
    pivots().any(|(at, pivot)| {
        let Some(there) = other.words.iter().position(|known| {
            known.raw == pivot.raw || (pivot.raw != "than" && !known.is_empty && known.stem == pivot.stem)
        }) else {
            return false;
        };
        let (left, right) = (claim.words.get(..at), claim.words.get(at + 1..));
        let (known_left, known_right) = (other.words.get(..there), other.words.get(there + 1..));
        let (Some(left), Some(right), Some(known_left), Some(known_right)) =
            (left, right, known_left, known_right)
        else {
            return false;
        };
        // of a verb, the words next to it; of a comparison, all that are compared
        let near = |words: &[Word], is_left: bool, at_hand: &Word| -> Vec<Word> {
            let said = words.iter().filter(|word| says(word)).cloned();
            if pivot.raw == "than" {
                return said.collect();
            }
            // what is listed beside it is neither done by it nor to it
            let next = if is_left { words.iter().rposition(says) } else { words.iter().position(says) };
            let Some(next) = next else { return Vec::new() };
            let between = if is_left { words.get(next + 1..) } else { words.get(..=next) };
            let is_listed =
                between.unwrap_or_default().iter().any(parts_a_list) || (is_left && parts_a_list(at_hand));
            if is_listed { Vec::new() } else { words.get(next).cloned().into_iter().collect() }
        };
        let (left, right) = (near(left, true, pivot), near(right, false, pivot));
        let Some(known) = other.words.get(there) else { return false };
        let (known_left, known_right) = (near(known_left, true, known), near(known_right, false, known));
        let has = |words: &[Word], word: &Word| words.iter().any(|known| says(known) && is_same(known, word));
        let moved = |from: &[Word], to: &[Word], away: &[Word]| {
            from.iter().any(|word| says(word) && has(to, word) && !has(away, word))
        };
        let crosses = moved(&left, &known_right, &known_left) && moved(&right, &known_left, &known_right);
        let stays = moved(&left, &known_left, &known_right) && moved(&right, &known_right, &known_left);
        let differs = is_passive(claim, at) != is_passive(other, there);
        if differs { stays && !crosses } else { crosses && !stays }
    })
}

/// Tells whether something is done by what follows: is paid by.
fn is_passive(claim: &Claim, verb: usize) -> bool {
    let before = claim.words.get(verb.saturating_sub(2)..verb).unwrap_or_default();
    let after =
        claim.words.get(verb + 1..verb + 3).or_else(|| claim.words.get(verb + 1..)).unwrap_or_default();
    before.iter().any(|word| BEING.contains(&word.raw.as_str())) && after.iter().any(|word| word.raw == "by")
}
