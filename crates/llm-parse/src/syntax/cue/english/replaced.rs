//! Sentences that put something in the place of a value or of a part of it.

use super::super::is_correction_word;
use super::super::remark::Sentence;
use super::is_nothing;
use super::lexicon::{ASSESSED, FILLERS, INTERJECTIONS, OPENERS, RIGHT, SLIPS, SOURCES, is_one_of, is_value};

/// Is a sentence that may give another value.
#[derive(Clone, Copy)]
struct Claim<'a> {
    words: &'a [&'a str],
    sentence: Sentence<'a>,
    /// “Wait,”, “Sorry,” and the like stand before it.
    interjected: bool,
    /// It speaks of what was read.
    source: bool,
}

/// Tells whether a sentence puts something in the place of the value or of a part of it.
pub(super) fn is_replaced(text: &str, words: &[&str], sentence: Sentence<'_>) -> bool {
    let first = words.first().copied().unwrap_or("");
    let behind = text.get(first.len()..).unwrap_or("").trim_start_matches(['*', '_', ' ']);
    if is_correction_word(first) && behind.starts_with([':', '：', ',', '-', '–', '—']) {
        return words.len() > 1 && !is_nothing(text);
    }
    let set_off = behind.starts_with([',', ':', '：', '!', '-', '–', '—', '.', '…'])
        || matches!(first, "actually" | "oops" | "whoops" | "hmm" | "apologies" | "err");
    let interjected = sentence.interjected
        || (is_one_of(first, INTERJECTIONS) && set_off)
        || matches!(
            words,
            ["my", "bad" | "mistake", ..] | ["hold", "on", ..] | ["on", "second", "thought", ..]
        )
        || matches!(words, ["i", "meant", ..] | ["let", "me", "correct", ..])
        || words.windows(2).any(|pair| pair == ["correct", "myself"]);
    let source = words.iter().any(|word| is_one_of(word, SOURCES));
    let claim = Claim { words, sentence, interjected, source };
    claim.gives() || claim.sets() || claim.wants() || claim.tells() || claim.knows_better() || claim.admits()
}

impl Claim<'_> {
    fn word(&self, at: usize) -> &str {
        self.words.get(at).copied().unwrap_or("")
    }

    /// Returns the word before a place.
    fn before(&self, at: usize) -> &str {
        at.checked_sub(1).map_or("", |at| self.word(at))
    }

    /// “Sorry, 5.”, “Err, age: 5”
    fn gives(&self) -> bool {
        let last = self.words.last().copied().unwrap_or("");
        let key = self.before(self.words.len().saturating_sub(1));
        self.interjected
            && is_value(last)
            && !self.sentence.holds(last)
            && (self.words.len() < 3 || (self.words.len() < 5 && self.sentence.is_key(key)))
    }

    /// “Actually it's 3.”, “It is 3, not 1.”, “The name is not apple.”
    fn sets(&self) -> bool {
        let pair = |w: &[&str]| matches!(w, [a, "not", b] if is_value(a) && is_value(b));
        let contrast = !self.source && self.words.windows(3).any(pair);
        self.words.iter().enumerate().any(|(at, verb)| {
            if !matches!(*verb, "is" | "was" | "are" | "equals" | "=" | "were") {
                return false;
            }
            let (next, third) = (self.word(at + 1), self.word(at + 2));
            // “The age is 4, not 3.” says again what the value says.
            let kept = self.sentence.holds(next);
            let again = contrast && kept;
            if is_value(next) && !again && (self.interjected || contrast) {
                return true;
            }
            let subject = self.before(at);
            let named = self.sentence.is_key(subject);
            let other = !is_one_of(next, FILLERS) && !matches!(next, "not" | "given" | "");
            let denied =
                next == "not" && third.len() > 2 && !is_one_of(third, FILLERS) && self.sentence.holds(third);
            let claimed = is_value(next) && !kept && at + 2 == self.words.len() && !self.source;
            (named && claimed)
                || (named && self.interjected && other && !self.sentence.holds(next))
                || (named && denied)
                || ((named || matches!(subject, "it" | "this" | "that"))
                    && next == "actually"
                    && is_value(third))
        })
    }

    /// “qty should be 2”
    fn wants(&self) -> bool {
        let Some(should) = self.words.iter().position(|word| matches!(*word, "should" | "must")) else {
            return false;
        };
        if self.source {
            return false;
        }
        let instead = self.words.last() == Some(&"instead") || self.words.contains(&"rather");
        let bounded = self.words.iter().any(|word| matches!(*word, "more" | "least" | "most" | "less"));
        let topic = self.before(should);
        (should + 1..should + 3).any(|at| {
            let next = self.word(at + 1);
            let kept = next.is_empty() || is_one_of(next, ASSESSED) || is_one_of(next, RIGHT);
            matches!(self.word(at), "be" | "been" | "read" | "say" | "equal")
                && next != "been"
                && ((is_value(next) && !bounded)
                    || instead
                    || (!kept && self.interjected)
                    || (!kept && self.sentence.is_key(topic) && !self.sentence.holds(next)))
        })
    }

    /// “Make that 3.”, “Change qty to 2.”, “Use 2 instead.”, “Replace apple with pear.”
    fn tells(&self) -> bool {
        let opens = |word: &&str| is_one_of(word, INTERJECTIONS) || is_one_of(word, OPENERS);
        let at = self.words.iter().take_while(|word| opens(word)).count();
        match self.word(at) {
            "make" => matches!(self.word(at + 1), "it" | "that") && is_value(self.word(at + 2)),
            "use" | "take" => self.words.last() == Some(&"instead"),
            "change" | "set" | "correct" | "fix" | "update" | "replace" => {
                let Some(with) = self.words.iter().position(|word| matches!(*word, "to" | "with" | "by"))
                else {
                    return false;
                };
                let old = self.words.get(at + 1..with).unwrap_or(&[]);
                let new = self.words.get(with + 1..).unwrap_or(&[]);
                is_value(self.word(with + 1))
                    || (self.word(at) == "replace"
                        && (new.iter().any(|word| matches!(*word, "real" | "actual"))
                            || old.iter().any(|word| {
                                word.len() > 2 && self.sentence.holds(word) && !self.sentence.is_key(word)
                            })))
            }
            _ => false,
        }
    }

    /// “The correct qty is 3.”
    fn knows_better(&self) -> bool {
        const PROPER: &[&str] = &["correct", "right", "actual", "real", "true", "proper"];
        let proper = self.words.iter().enumerate();
        let mut proper =
            proper.filter(|(at, word)| is_one_of(word, PROPER) && matches!(self.before(*at), "the" | "a"));
        !self.source
            && proper.any(|(at, _)| {
                let rest = self.words.get(at + 1..).unwrap_or(&[]);
                let verb = rest.iter().take(4).position(|word| matches!(*word, "is" | "was" | "are" | "="));
                let claim =
                    verb.filter(|verb| *verb > 0).and_then(|verb| rest.get(verb + 1..)).unwrap_or(&[]);
                let claim = claim
                    .iter()
                    .find(|word| !matches!(**word, "a" | "an" | "the" | "actually" | "in" | "fact"));
                claim.is_some_and(|word| {
                    let pointer =
                        ["above", "as", "shown", "given", "here", "this", "that", "therefore", "not"];
                    !is_one_of(word, &pointer) && !self.sentence.holds(word)
                })
            })
    }

    /// “I misread the text.”, “I wrote the wrong qty.”, “I made these up.”
    fn admits(&self) -> bool {
        let mut first_person = self.words.iter().enumerate().filter(|(_, word)| **word == "i");
        first_person.any(|(i, _)| self.admits_from(self.words.get(i + 1..).unwrap_or(&[])))
    }

    fn admits_from(&self, rest: &[&str]) -> bool {
        let passed = |word: &&&str| {
            !matches!(**word, "have" | "just" | "think" | "really" | "actually" | "had" | "also")
        };
        match rest.iter().find(passed).copied().unwrap_or("") {
            verb if is_one_of(verb, SLIPS) => true,
            "got" | "wrote" | "put" | "gave" | "used" | "picked" | "returned" => {
                let wrong = rest.iter().any(|word| matches!(*word, "wrong" | "incorrectly"));
                !self.source && (wrong || rest.windows(2).any(|pair| pair == ["by", "mistake"]))
            }
            "meant" => rest.iter().any(|word| is_value(word)),
            "made" => rest.get(1) == Some(&"up") || rest.last() == Some(&"up"),
            _ => false,
        }
    }
}
