//! What an English sentence after a value says of it.

mod lexicon;
mod replaced;

use super::super::document::Cue;
use super::remark::Sentence;
use lexicon::{
    ANSWERS, COPULAS, DISMISSALS, DRAFTS, FILLERS, INTERJECTIONS, MEANT, MISTAKES, OPENERS, RIGHT, SAMPLES,
    SCHEMAS, SOURCES, WRONG, is_one_of, tokens,
};

/// Tells whether a sentence only announces that something was wrong: “Oops!”, “Wait.”
pub(super) fn is_interjection(text: &str) -> bool {
    let text = text.to_lowercase();
    let words = tokens(&text);
    words.len() < 4
        && words.first().is_some_and(|first| {
            is_one_of(first, INTERJECTIONS) || matches!(words.as_slice(), ["my", "bad" | "mistake"])
        })
        && words.iter().all(|w| {
            is_one_of(w, INTERJECTIONS)
                || is_one_of(w, OPENERS)
                || matches!(*w, "mistake" | "about" | "for" | "it" | "i" | "am")
        })
}

/// Tells whether a correction says that there is none.
pub(super) fn is_nothing(text: &str) -> bool {
    let text = text.to_lowercase();
    tokens(&text).iter().any(|word| is_one_of(word, &["no", "none", "nothing", "n/a"]))
}

/// Reads one sentence.
pub(super) fn says(sentence: Sentence<'_>) -> Cue {
    let text = sentence.text.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '=');
    let text = text.to_lowercase().replace('’', "'");
    let words = tokens(&text);
    let question = text.trim_end_matches(['"', ')', '*', ' ']).ends_with('?');
    if let Some(start) = dismissal(&text, &words)
        && !question
    {
        return if start { Cue::Rejected } else { Cue::None };
    }
    let conditional = words.iter().enumerate().any(|(at, word)| {
        is_one_of(word, &["if", "whether", "unless"])
            || (*word == "case" && at > 0 && words.get(at - 1) == Some(&"in"))
            // “Let me know”, “may be wrong”
            || (*word == "know" && words.get(at.wrapping_sub(2)) == Some(&"let"))
            || (is_one_of(word, &["may", "might", "could"]) && words.get(at + 1).is_some_and(|next| is_one_of(next, &["be", "have", "contain"])))
    }) || (is_one_of(words.first().unwrap_or(&""), &["should", "were"]) && words.len() > 2);
    if conditional || question {
        return Cue::None;
    }
    if takes_back(&words) {
        return Cue::Rejected;
    }
    if asks_to_fill(&words) {
        return Cue::Example;
    }
    if replaced::is_replaced(&text, &words, sentence) {
        return Cue::Rejected;
    }
    let mut found = Cue::None;
    let clauses = text.split([',', ';', ':', '(', ')', '—', '–']).flat_map(|part| part.split(" - "));
    for (number, clause) in clauses.enumerate() {
        let beside = sentence.beside && number == 0;
        match clause_says(&tokens(clause), &words, beside, sentence) {
            Cue::None => {}
            Cue::Rejected => return Cue::Rejected,
            cue if found == Cue::None => found = cue,
            _ => {}
        }
    }
    found
}

/// Tells whether the writer takes the value back, or goes at it anew: “I take that back.”, “My mistake!”, “Let me redo this.”
fn takes_back(words: &[&str]) -> bool {
    if matches!(words, ["my", "mistake" | "bad" | "error" | "apologies", ..] if words.len() < 4)
        || words.windows(4).any(|w| matches!(w, ["i", "take", "that" | "this" | "it", "back"]))
        || words
            .windows(3)
            .any(|w| matches!(w, ["i", "retract" | "withdraw" | "ignore" | "reject", "this" | "that" | "it"]))
    {
        return true;
    }
    // “None of this is in the text.”
    if matches!(words, ["none" | "nothing", "of" | "in", "this" | "that" | "these" | "it", ..])
        && words.iter().any(|w| matches!(*w, "is" | "are" | "was" | "were"))
        && !words.iter().any(|w| matches!(*w, "not" | "missing" | "invented" | "wrong" | "made" | "guessed"))
    {
        return true;
    }
    // “This is what a wrong answer looks like.”
    if matches!(words, ["this" | "that" | "it", "is" | "was", "what" | "how", ..])
        && words.iter().any(|w| is_one_of(w, WRONG) || matches!(*w, "bad" | "not"))
    {
        return true;
    }
    let announces =
        words.iter().position(|w| matches!(*w, "let" | "will" | "need" | "must" | "should" | "going"));
    announces.is_some_and(|at| {
        let starts = match words.get(at) {
            Some(&"let") => words.get(at + 1) == Some(&"me"),
            _ => at > 0 && words.get(at - 1).is_some_and(|w| matches!(*w, "i" | "am" | "now")),
        };
        let verb = words
            .get(at + 1..)
            .unwrap_or(&[])
            .iter()
            .find(|w| !matches!(**w, "me" | "to" | "now" | "just" | "quickly"));
        let object = words.last().copied().unwrap_or("");
        starts
            && verb.is_some_and(|w| {
                matches!(
                    *w,
                    "redo"
                        | "recheck"
                        | "revise"
                        | "rewrite"
                        | "retry"
                        | "recompute"
                        | "recalculate"
                        | "recount"
                        | "reconsider"
                ) || (matches!(*w, "fix" | "correct" | "try" | "start")
                    && matches!(
                        object,
                        "this" | "that" | "it" | "again" | "over" | "answer" | "json" | "output"
                    ))
            })
    })
}

/// “Fill in the actual values.”
fn asks_to_fill(words: &[&str]) -> bool {
    let at = words.iter().take_while(|w| is_one_of(w, OPENERS)).count();
    words
        .get(at)
        .is_some_and(|w| matches!(*w, "fill" | "insert" | "put" | "enter" | "add" | "substitute" | "plug"))
        && words.iter().any(|w| matches!(*w, "actual" | "real" | "own" | "your" | "yours"))
}

/// Tells whether a sentence tells the reader to pass over the value, or to pass over something else.
fn dismissal(text: &str, words: &[&str]) -> Option<bool> {
    let set_off = text.strip_prefix("never mind").is_some_and(|rest| rest.starts_with([',', '.', '!', ':']));
    let opened = |at: usize| {
        words
            .get(..at)
            .is_some_and(|before| before.iter().all(|w| is_one_of(w, OPENERS) || is_one_of(w, INTERJECTIONS)))
    };
    let object = |at: usize| {
        words
            .get(at..)
            .unwrap_or(&[])
            .iter()
            .take(3)
            .take_while(|w| !is_one_of(w, &["to", "about", "in", "not"]))
            .any(|w| {
                is_one_of(
                    w,
                    &[
                        "this",
                        "that",
                        "it",
                        "above",
                        "previous",
                        "earlier",
                        "everything",
                        "these",
                        "those",
                        "last",
                        "answer",
                        "json",
                        "output",
                        "all",
                    ],
                )
            })
    };
    for (at, word) in words.iter().enumerate() {
        let denied = at > 1
            && words.get(at - 1).is_some_and(|w| is_one_of(w, &["not", "never"]))
            && opened(at - 2)
            && is_one_of(word, &["use", "trust", "submit", "take", "copy", "return", "rely", "output"]);
        if denied && object(at + 1) {
            return Some(true);
        }
        if is_one_of(word, DISMISSALS) && opened(at) {
            return Some(object(at + 1));
        }
        if *word == "mind" && words.get(at.wrapping_sub(1)) == Some(&"never") && (words.len() < 4 || set_off)
        {
            return Some(true);
        }
    }
    None
}

/// Reads one clause: a subject that is the value, a verb, and what it says.
fn clause_says(clause: &[&str], words: &[&str], beside: bool, sentence: Sentence<'_>) -> Cue {
    let source = words.iter().any(|word| is_one_of(word, SOURCES));
    // “This should be ignored.”
    if let Some(at) = clause.windows(3).position(|w| {
        matches!(
            w,
            [
                "should" | "must" | "can",
                "be",
                "ignored" | "disregarded" | "discarded" | "deleted" | "replaced"
            ]
        )
    }) && speaks_of(clause.get(..at).unwrap_or(&[]), beside, sentence)
        && !source
    {
        return Cue::Rejected;
    }
    for (at, word) in clause.iter().enumerate() {
        let denies = is_one_of(word, RIGHT) || is_one_of(word, MEANT);
        let cue = if is_one_of(word, WRONG) || denies || is_one_of(word, MISTAKES) {
            Cue::Rejected
        } else if is_one_of(word, SAMPLES) || (*word == "made" && clause.get(at + 1) == Some(&"up")) {
            Cue::Example
        } else if is_one_of(word, SCHEMAS) {
            Cue::Schema
        } else if is_one_of(word, DRAFTS) {
            Cue::Draft
        } else if is_one_of(word, &["match", "reflect", "follow", "satisfy", "conform", "comply"]) {
            // “This does not match the text.”
            let before = clause.get(..at).unwrap_or(&[]);
            if matches!(before, [.., "does" | "do" | "did", "not"])
                && before.len() < 6
                && before.first().is_some_and(|w| is_one_of(w, &["this", "that", "it", "the", "these"]))
                && before.iter().any(|w| is_one_of(w, ANSWERS))
            {
                return Cue::Rejected;
            }
            continue;
        } else {
            continue;
        };
        // “a valid example of the schema”
        if is_one_of(word, SAMPLES)
            && clause
                .get(at + 1..)
                .unwrap_or(&[])
                .iter()
                .take(4)
                .any(|w| is_one_of(w, SCHEMAS) || *w == "format")
        {
            continue;
        }
        if is_one_of(word, SCHEMAS)
            && clause.get(..at).unwrap_or(&[]).iter().any(|w| is_one_of(w, SAMPLES) || *w == "of")
        {
            continue;
        }
        let Some((verb, denied)) = governed(clause, at) else { continue };
        // “not right” and “no longer valid” say what “wrong” says; “not wrong” says nothing.
        if denies != denied {
            continue;
        }
        if is_one_of(word, RIGHT)
            && clause.get(at + 1).is_some_and(|next| is_one_of(next, &["about", "for", "until"]))
        {
            continue;
        }
        let subject = clause.get(..verb).unwrap_or(&[]);
        if is_one_of(word, MISTAKES) {
            let there = subject.is_empty()
                || subject.iter().any(|w| matches!(*w, "there" | "i" | "that" | "this" | "it"))
                || speaks_of(subject, beside, sentence);
            if there && !source {
                return Cue::Rejected;
            }
            continue;
        }
        if speaks_of(subject, beside, sentence) && !subject.iter().any(|w| is_one_of(w, SOURCES)) {
            return cue;
        }
    }
    short_label(clause, words)
}

/// Finds the verb that says the word at `at` of its subject, and whether it says so with “not”.
fn governed(clause: &[&str], at: usize) -> Option<(usize, bool)> {
    let mistake = clause.get(at).is_some_and(|word| is_one_of(word, MISTAKES));
    let mut denied = false;
    let mut at = at;
    for _ in 0..7 {
        at = at.checked_sub(1)?;
        let word = *clause.get(at)?;
        if matches!(word, "not" | "never" | "longer") {
            denied = true;
        } else if matches!(word, "no" | "nothing" | "without" | "any" | "none") {
            if clause.get(at + 1) != Some(&"longer") {
                return None;
            }
        } else if is_one_of(word, COPULAS)
            || (mistake
                && is_one_of(
                    word,
                    &[
                        "contains", "contain", "has", "have", "had", "made", "spotted", "found", "noticed",
                        "with",
                    ],
                ))
        {
            return Some((at, denied));
        } else if !(is_one_of(word, FILLERS)
            || is_one_of(word, SAMPLES)
            || is_one_of(word, RIGHT)
            || is_one_of(word, ANSWERS))
        {
            return None;
        }
    }
    None
}

/// Tells whether a subject is the value, a part of it, or left out because it was just there.
fn speaks_of(subject: &[&str], beside: bool, sentence: Sentence<'_>) -> bool {
    let Some(last) = subject.last() else { return beside };
    if subject.iter().any(|word| {
        is_one_of(word, &["nothing", "none", "no", "neither", "which", "that"]) && *word != "that"
    }) {
        return false;
    }
    // “the item that I left out”: said of the item
    let restricted = subject.len() > 2 && subject.iter().skip(1).any(|word| *word == "that");
    // “the quantity I gave”
    let mine = subject
        .windows(2)
        .any(|w| matches!(w, ["i", "gave" | "wrote" | "listed" | "returned" | "provided" | "put"]));
    let named = mine || (subject.iter().any(|word| is_one_of(word, ANSWERS)) && subject.len() < 6);
    let i = subject.len() < 3 && subject.contains(&"i");
    !restricted && (named || i || sentence.is_key(last))
}

/// Reads what stands there without a verb: “Just an example.”, “For illustration only”.
fn short_label(clause: &[&str], words: &[&str]) -> Cue {
    if words.len() > 4 || clause.len() != words.len() {
        return Cue::None;
    }
    // “Not the correct answer.”
    if words.first() == Some(&"not") && words.iter().any(|w| is_one_of(w, RIGHT)) {
        return Cue::Rejected;
    }
    if words.iter().any(|w| {
        is_one_of(
            w,
            &["no", "not", "see", "per", "with", "above", "matches", "follows", "usage", "in", "from"],
        )
    }) {
        return Cue::None;
    }
    let bounded =
        words.len() == 1 || words.iter().any(|w| is_one_of(w, &["just", "only", "merely", "an", "a"]));
    let has = |list: &[&str]| words.iter().any(|w| is_one_of(w, list));
    if has(SAMPLES) {
        Cue::Example
    } else if bounded && has(DRAFTS) {
        Cue::Draft
    } else if bounded && has(SCHEMAS) {
        Cue::Schema
    } else {
        Cue::None
    }
}
