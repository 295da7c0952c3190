//! Whether a sentence has a word in whose place its source has the opposite.

use super::Claim;
use super::lexicon::{DENYING_ENGLISH, DENYING_KOREAN};
use super::opposites::{BOUNDING, EXCLUSIVE, OPPOSITES, UNLIKE};
use super::pieces::pieces;
use super::words::{Word, is_undone, words};

/// How a claim stands to a sentence that has the opposite of one of its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opposition {
    /// It says the opposite.
    Opposed,
    /// One of the two words denies, and nothing takes that back: with pain, for without pain.
    Undenied,
    /// A denial turns it back: not allowed, for forbidden.
    Relieved,
    /// Two turns make none: never without, for always with; open until nine, for closes at nine.
    Twice,
}

/// Words that stand for each other's opposite, by their places in the claim and in the other.
#[derive(Clone, Copy)]
struct Pair {
    claimed: usize,
    known: usize,
    is_of_hours: bool,
}

/// Tells how the claim stands to another sentence, if it has a word whose opposite stands there, and the word itself does not.
///
/// `is_denied_otherwise`: all in all the one denies what the other does not.
pub(super) fn opposition(claim: &Claim, best: &Claim, is_denied_otherwise: bool) -> Option<Opposition> {
    let undone = undone(&best.words, &claim.words).map(|(known, claimed)| (claimed, known));
    if let Some((claimed, known)) = undone.or_else(|| self::undone(&claim.words, &best.words)) {
        let pair = Pair { claimed, known, is_of_hours: false };
        let is_relieved = is_relieved(pair, claim, best, is_denied_otherwise);
        return Some(if is_relieved { Opposition::Relieved } else { Opposition::Opposed });
    }
    let pairs = pairs(&claim.words, &best.words);
    if pairs.is_empty() {
        return excludes(&claim.words, &best.words).then_some(if is_denied_otherwise {
            Opposition::Relieved
        } else {
            Opposition::Opposed
        });
    }
    let live = pairs.iter().filter(|pair| !is_relieved(**pair, claim, best, is_denied_otherwise));
    let live: Vec<&Pair> = live.collect();
    let (hours, live): (Vec<&Pair>, Vec<&Pair>) =
        live.into_iter().partition(|pair| pair.is_of_hours && keeps_hours(**pair, claim, best));
    let denials = live.iter().filter(|pair| denies(***pair, claim, best)).count();
    // never without: always with
    if denials % 2 == 1 {
        Some(Opposition::Undenied)
    } else if denials < live.len() {
        Some(Opposition::Opposed)
    } else if hours.is_empty() && denials == 0 {
        Some(Opposition::Relieved)
    } else {
        Some(Opposition::Twice)
    }
}

/// Finds a word that is another one of the other's with a syllable before it that denies it: 미성년자, unsafe.
fn undone(one: &[Word], other: &[Word]) -> Option<(usize, usize)> {
    let is_alone =
        |word: &Word, all: &[Word]| !all.iter().any(|known| known.raw == word.raw || known.stem == word.stem);
    one.iter().enumerate().filter(|(_, long)| is_alone(long, other)).find_map(|(at, long)| {
        let short = other.iter().position(|short| is_undone(long, short) && is_alone(short, one));
        short.map(|short| (at, short))
    })
}

/// Where a word of a side stands.
fn place(side: &[&str], words: &[Word]) -> Option<usize> {
    let is_one = |word: &Word, entry: &str| {
        if word.is_korean() {
            word.begins_like(entry) && !UNLIKE.iter().any(|other| word.raw.starts_with(other))
        } else {
            word.raw == entry
        }
    };
    let stands = |(at, word): (usize, &Word)| {
        side.iter().any(|entry| is_one(word, entry))
            && !is_of_a_bound(words, at)
            && !is_of_a_period(words, at)
    };
    words.iter().enumerate().position(stands)
}

/// Tells whether a word bounds the number beside it: 30분 이상, above 25.
fn is_of_a_bound(words: &[Word], at: usize) -> bool {
    let is_bound = |word: &&Word| BOUNDING.iter().any(|entry| word.raw.starts_with(entry));
    let Some(word) = words.get(at).filter(is_bound) else { return false };
    let beside = if word.is_korean() { at.saturating_sub(1)..at + 1 } else { at + 1..at + 3 };
    beside.into_iter().filter_map(|at| words.get(at)).any(|word| word.is_counted)
}

/// Tells whether a word says how often: every other day.
fn is_of_a_period(words: &[Word], at: usize) -> bool {
    const NEXT: [&str; 10] =
        ["other", "second", "third", "fourth", "few", "day", "week", "month", "year", "hour"];
    words.get(at).is_some_and(|word| word.raw == "every")
        && words.get(at + 1).is_some_and(|next| NEXT.contains(&next.raw.as_str()))
}

fn pairs(claim: &[Word], best: &[Word]) -> Vec<Pair> {
    let mut found: Vec<Pair> = Vec::new();
    for (one, other) in OPPOSITES {
        for (one, other) in [(one, other), (other, one)] {
            let (Some(claimed), Some(known)) = (place(one, claim), place(other, best)) else { continue };
            let is_both = place(other, claim).is_some() || place(one, best).is_some();
            if is_both || found.iter().any(|pair| pair.claimed == claimed) {
                continue;
            }
            let is_of_hours = ["open", "닫"].iter().any(|word| one.contains(word) || other.contains(word));
            found.push(Pair { claimed, known, is_of_hours });
        }
    }
    found
}

/// Tells whether the two say words of which one shuts the other out.
fn excludes(claim: &[Word], best: &[Word]) -> bool {
    EXCLUSIVE.iter().any(|members| {
        let stands = |member: &&[&str], words: &[Word]| place(member, words).is_some();
        let claimed = members.iter().position(|member| stands(member, claim));
        let known = members.iter().position(|member| stands(member, best));
        claimed.zip(known).is_some_and(|(claimed, known)| {
            claimed != known
                && !members.get(claimed).is_some_and(|member| stands(member, best))
                && !members.get(known).is_some_and(|member| stands(member, claim))
        })
    })
}

/// Tells whether one of a pair denies by itself.
fn denies(pair: Pair, claim: &Claim, best: &Claim) -> bool {
    let denying = |word: &Word| {
        DENYING_KOREAN.iter().any(|denying| word.raw.starts_with(denying))
            || DENYING_ENGLISH.contains(&word.raw.as_str())
    };
    [claim.words.get(pair.claimed), best.words.get(pair.known)].into_iter().flatten().any(denying)
}

/// Tells whether a denial takes an opposite back: of the word, of its piece, or of what depends on it: no runs while it is swollen, runs once
/// the swelling is gone.
fn is_relieved(pair: Pair, claim: &Claim, best: &Claim, is_denied_otherwise: bool) -> bool {
    let is_denied = |claim: &Claim, at: usize| {
        // 허용되지 않습니다: of a word that says nothing by itself, the denial reaches further
        let next = claim.words.get(at + 1).filter(|next| next.raw.starts_with(['않', '못']));
        claim.words.get(at).is_some_and(|word| {
            word.is_denied || (word.is_empty && word.raw.ends_with('지') && next.is_some())
        })
    };
    if is_denied(claim, pair.claimed) != is_denied(best, pair.known) {
        return true;
    }
    if denies(pair, claim, best) {
        return false;
    }
    let (here, there) = (piece(claim, pair.claimed), piece(best, pair.known));
    let denies = |words: &[Word], other: &Claim| {
        let is_denied_there =
            |word: &Word| other.words.iter().any(|known| known.is_denied && known.bears_out(word));
        words.iter().any(|word| word.is_denied && other.has(word) && !is_denied_there(word))
    };
    let is_condition = |words: &[Word]| {
        words.iter().any(|word| {
            word.is_condition()
                || matches!(word.raw.as_str(), "while" | "after" | "before" | "동안" | "뒤" | "뒤에" | "후에")
        })
    };
    denies(here, best) != denies(there, claim)
        || (is_denied_otherwise && (is_condition(here) || is_condition(there)))
}

/// The words of the piece that a word stands in.
fn piece(claim: &Claim, at: usize) -> &[Word] {
    let mut from = 0;
    for piece in pieces(&claim.text) {
        let to = from + words(piece).len();
        if (from..to).contains(&at) {
            return claim.words.get(from..to).unwrap_or_default();
        }
        from = to;
    }
    &claim.words
}

/// Tells whether open and closed go on to the same time: open until nine, closes at nine; closed until Monday, open from Monday.
fn keeps_hours(pair: Pair, claim: &Claim, best: &Claim) -> bool {
    let (here, there) = (piece(claim, pair.claimed), piece(best, pair.known));
    let says = |words: &[Word], english: [&str; 2], korean: &str| {
        words.iter().any(|word| english.contains(&word.raw.as_str()) || word.raw.contains(korean))
    };
    let hours =
        |words: &[Word]| (says(words, ["until", "till"], "까지"), says(words, ["from", "since"], "부터"));
    let closes = claim.words.get(pair.claimed).is_some_and(|word| {
        word.raw.starts_with('닫')
            || word.raw.starts_with("close")
            || word.raw == "closing"
            || word.raw == "shut"
    });
    let (closing, opening) = if closes { (here, there) } else { (there, here) };
    let ((until_closing, from_closing), (until_opening, from_opening)) = (hours(closing), hours(opening));
    (until_opening && !until_closing) || (from_opening && until_closing && !until_opening && !from_closing)
}
