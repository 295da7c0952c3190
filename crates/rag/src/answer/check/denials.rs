//! How far a denial reaches.

use std::collections::HashSet;

use pumasi_core::text::Span;

use super::lexicon::{BREAKS, DENYING_ENGLISH};
use super::numbers::numbers;
use super::pieces::pieces;
use super::words::{Word, words as read};

/// How many words after it an English negation reaches.
const REACH: usize = 6;

/// Denies the nearest word before that says something, or all of the clause.
pub(super) fn deny_back(found: &mut [(Word, Span)], clause_ends: &HashSet<usize>, is_all: bool) {
    let from = (0..found.len()).rev().take_while(|at| !clause_ends.contains(&(at + 1))).last().unwrap_or(0);
    let before = found.iter_mut().skip(from).rev().map(|(word, _)| word).filter(|word| !word.is_empty);
    before.take(if is_all { usize::MAX } else { 1 }).for_each(|word| word.is_denied = true);
}

/// Tells whether a word denies what follows it, which `tail` begins with the word itself.
pub(super) fn denies_in_english(raw: &str, tail: &str) -> bool {
    let after = tail.get(raw.len()..).unwrap_or_default().trim_start();
    let next = after.split(|c: char| !c.is_alphabetic()).next().unwrap_or_default();
    match raw {
        // no more than, no later than: at most, until
        "no" | "not" => !matches!(
            next,
            "more" | "later" | "less" | "fewer" | "earlier" | "longer" | "higher" | "sooner" | "only"
        ),
        // stop running; but: stop the shot at
        "stop" | "stops" => next.ends_with("ing") || next == "all",
        _ => DENYING_ENGLISH.contains(&raw) || raw.ends_with("n't") || raw.ends_with("n’t"),
    }
}

/// Marks what the negation at `at` denies.
pub(super) fn deny(
    words: &mut [Word],
    at: usize,
    is_korean: bool,
    has_denied: bool,
    clause_ends: &HashSet<usize>,
) {
    if is_korean {
        let comes_before_its_verb =
            words.get(at).is_some_and(|word| matches!(word.raw.as_str(), "안" | "못"));
        let next = words.get(at + 1).filter(|word| comes_before_its_verb && !word.is_empty);
        // 안 합니다; else the nearest word before that says something: 달리지 않습니다, 할 수 없습니다, 달리면 안 됩니다
        let target = if next.is_some() {
            Some(at + 1)
        } else {
            let before = || (at.saturating_sub(REACH)..at).rev();
            let at_place = |place: usize| words.get(place).filter(|word| !word.is_empty);
            let is_light = at > 0 && words.get(at - 1).is_some_and(|word| word.raw == "하지");
            // 운동은 통증을 키우니 하지 마세요: what is done, not why
            let is_reason = before().find_map(at_place).is_some_and(|word| word.raw.ends_with(['니', '서']));
            let topic = || before().find(|place| at_place(*place).is_some_and(Word::is_topic));
            let nearest = || before().find(|place| at_place(*place).is_some());
            if is_light && is_reason { topic().or_else(nearest) } else { nearest() }
        };
        if let Some(word) = target.and_then(|target| words.get_mut(target)) {
            word.is_denied = !word.is_denied;
        }
        return;
    }
    let mut has_denied = has_denied;
    for place in at + 1..(at + 1 + REACH).min(words.len()) {
        if clause_ends.contains(&place) {
            break;
        }
        if let Some(word) = words.get_mut(place) {
            if has_denied && (word.is_condition() || BREAKS.contains(&word.raw.as_str())) {
                break;
            }
            if !word.is_empty {
                word.is_denied = true;
                has_denied = true;
            }
        }
    }
}

/// Takes the denials back that turn a bound, and deny nothing else: not more than, for at most.
pub(super) fn spend(words: &mut [Word], text: &str) {
    let mut from = 0;
    for piece in pieces(text) {
        let to = from + read(piece).len();
        let own = words.get_mut(from..to).unwrap_or_default();
        from = to;
        if !numbers(piece).iter().any(|number| number.limit.is_denied) {
            continue;
        }
        // the verb that leads to it: in Korean the last word that is denied
        let last = own.iter().rposition(|word| word.is_denied && word.is_korean());
        for (at, word) in own.iter_mut().enumerate() {
            word.is_denied &= last.is_some_and(|last| at != last);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::answer::check::words::words;

    fn denied(text: &str) -> Vec<String> {
        words(text).into_iter().filter(|word| word.is_denied).map(|word| word.raw).collect()
    }

    #[test]
    fn finds_what_is_denied() {
        assert_eq!(denied("작은 물집은 터뜨리지 않습니다."), ["터뜨리지"]);
        assert_eq!(denied("통증이 있으면 달리지 마세요."), ["달리지"]);
        assert_eq!(denied("열이 나면 달리면 안 됩니다."), ["달리면"]);
        assert_eq!(denied("Do not stretch it, walk instead."), ["stretch"]);
        assert_eq!(denied("Dogs aren't allowed at group runs."), ["dogs"]);
        assert!(denied("천천히 달립니다. Run slowly.").is_empty());
    }
}
