//! Truth values in words, Korean and English.

use super::clause::{clauses, retracts};
use super::marks::{Mark, around, beside};
use super::stance::{Stance, is_plain, stance, undoes};

/// What a text says as a truth value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// The text is one word for it.
    Word(bool),
    /// A sentence says it.
    Sentence(bool),
    Negated,
    Ambiguous(&'static str),
    None,
}

const MAX_LEN: usize = 4096;

fn word(text: &str) -> Option<bool> {
    match text {
        "true" | "yes" | "y" | "on" | "1" | "o" | "t" | "correct" | "yep" | "yeah" | "예" | "네" | "넵"
        | "응" | "참" | "맞음" | "맞다" | "맞아요" | "맞습니다" | "그렇다" | "그렇습니다" | "사실"
        | "있음" | "○" | "✓" | "✔" | "✅" | "1.0" => Some(true),
        "false" | "no" | "n" | "off" | "0" | "x" | "f" | "incorrect" | "nope" | "아니오" | "아니요"
        | "아뇨" | "거짓" | "틀림" | "틀림니다" | "틀립니다" | "×" | "✗" | "✘" | "❌" | "0.0" => {
            Some(false)
        }
        _ => None,
    }
}

/// Words that state a truth value inside a sentence.
fn stated(word: &str) -> Option<bool> {
    match word {
        "true" | "yes" | "yep" | "correct" | "예" | "네" | "참" | "참입니다" | "맞습니다" | "맞아요"
        | "맞다" | "그렇습니다" | "사실입니다" | "사실이다" => Some(true),
        "false" | "no" | "nope" | "incorrect" | "아니오" | "아니요" | "아뇨" | "거짓" | "거짓입니다"
        | "틀렸습니다" | "틀립니다" => Some(false),
        _ => None,
    }
}

pub(crate) fn read(text: &str) -> Reading {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_LEN {
        return Reading::None;
    }
    match &*text.to_lowercase() {
        "[x]" | "[v]" | "[o]" | "[✓]" | "[✔]" => return Reading::Word(true),
        "[ ]" => return Reading::Word(false),
        _ => {}
    }
    // commented out, struck through, crossed out, `!true`
    if let Some((mark, inner)) = around(text).or_else(|| around(text.trim_matches(is_quote))) {
        return match unmarked(inner) {
            no @ (Reading::Word(false) | Reading::Sentence(false)) if mark == Mark::Crossed => no,
            Reading::None => Reading::None,
            _ => Reading::Negated,
        };
    }
    unmarked(text)
}

fn is_quote(c: char) -> bool {
    c.is_whitespace() || ".,;:\"'`*_()[]。".contains(c)
}

/// Reads a text that no sign denies as a whole.
fn unmarked(text: &str) -> Reading {
    let bare = text.trim_start_matches(is_quote).trim_end_matches(|c| is_quote(c) || c == '!').to_lowercase();
    if let Some(value) = word(&bare) {
        return Reading::Word(value);
    }
    if bare.starts_with("un") && word(bare.get(2..).unwrap_or("")).is_some() {
        return Reading::Negated;
    }
    sentence(text)
}

/// Tells whether the word from `start` to `end` answers, in `clause`: a yes or no alone or as the last word, or first before
/// a pronoun (“Yes it is”); not “no problem”, “네 개”, “No. 1”.
pub(super) fn answers(clause: &str, start: usize, end: usize) -> bool {
    let word = clause.get(start..end).unwrap_or("").to_lowercase();
    // “참 좋다”: the adverb.
    if word == "참" {
        let rest = clause.get(end..).unwrap_or("");
        let next = words(rest).next().map_or("", |(_, next)| next);
        let copula =
            ["입니다", "이다", "이에요", "임", "이며", "이고"].iter().any(|end| next.starts_with(end));
        let apart = rest.trim_start().starts_with(|c: char| !c.is_alphanumeric());
        return next.is_empty() || copula || apart;
    }
    if !matches!(&*word, "yes" | "yep" | "no" | "nope" | "예" | "네" | "아니오" | "아니요" | "아뇨")
    {
        return true;
    }
    let Some((_, next)) = words(clause.get(end..).unwrap_or("")).next() else { return true };
    let first = words(clause).next().is_some_and(|(at, _)| at == start);
    first
        && matches!(
            &*next.to_lowercase(),
            "it" | "it's"
                | "this"
                | "that"
                | "they"
                | "he"
                | "she"
                | "i"
                | "we"
                | "you"
                | "there"
                | "because"
        )
}

/// Tells whether the "no" that ends at `end` belongs to "no doubt", "no question".
fn is_idiom(clause: &str, end: usize) -> bool {
    let next = words(clause.get(end..).unwrap_or("")).next();
    next.is_some_and(|(_, word)| {
        matches!(&*word.to_lowercase(), "doubt" | "question" | "mistake" | "denying")
    })
}

/// Words that let a statement be true only in part.
fn is_partial(clause: &str) -> bool {
    let lower = clause.to_lowercase();
    let phrase = ["sort of", "kind of", "more or less", "for the most part", "to some extent"];
    phrase.iter().any(|words| lower.contains(words))
        || words(&lower).any(|(_, word)| {
            matches!(
                word,
                "half"
                    | "partly"
                    | "partially"
                    | "only"
                    | "sometimes"
                    | "mostly"
                    | "occasionally"
                    | "almost"
                    | "nearly"
                    | "practically"
                    | "virtually"
                    | "largely"
                    | "somewhat"
                    | "roughly"
                    | "technically"
                    | "arguably"
                    | "거의"
                    | "대체로"
                    | "대부분"
                    | "대개"
                    | "가끔"
                    | "때때로"
                    | "종종"
                    | "반쯤"
                    | "절반"
                    | "절반은"
                    | "조금"
                    | "약간"
                    | "어느"
                    | "일부"
                    | "부분적으로"
            )
        })
}

/// Tells whether words beside a truth value may make something else of it: "was true", "true when asked", "no it is".
fn is_bent(clause: &str, (start, end): (usize, usize)) -> bool {
    let lower = |text: Option<&str>| text.unwrap_or("").trim().to_lowercase();
    let (head, word, tail) =
        (lower(clause.get(..start)), lower(clause.get(start..end)), lower(clause.get(end..)));
    // an answer stands for itself, whatever follows
    if head.is_empty()
        && matches!(&*word, "yes" | "yep" | "no" | "nope" | "예" | "네" | "아니오" | "아니요" | "아뇨")
    {
        return matches!(&*word, "no" | "nope")
            && matches!(&*tail, "it is" | "this is" | "that is" | "it was");
    }
    matches!(&*head, "was" | "were") || !is_plain(clause, &[(start, end)])
}

/// `No. 1`: a number of something.
pub(super) fn is_ordinal(text: &str) -> bool {
    text.to_ascii_lowercase().match_indices("no.").any(|(at, no)| {
        let (before, rest) = (text.get(..at).unwrap_or(""), text.get(at + no.len()..).unwrap_or(""));
        !before.ends_with(char::is_alphanumeric)
            && rest.trim_start().starts_with(|c: char| c.is_ascii_digit())
    })
}

fn sentence(text: &str) -> Reading {
    if is_ordinal(text) {
        return Reading::None;
    }
    let mut verdict: Option<bool> = None;
    let mut named = false;
    let mut denied = false;
    let mut open = false;
    for clause in clauses(text) {
        let mut in_clause: Option<(bool, usize, usize)> = None;
        let mut any: Option<bool> = None;
        for (start, word) in words(clause.text) {
            let Some(value) = stated(&word.to_lowercase()) else { continue };
            // "there is no doubt that it is true" names one
            if !value && is_idiom(clause.text, start + word.len()) {
                continue;
            }
            if any.replace(value).is_some_and(|known| known != value) {
                return Reading::Ambiguous("both truth values are named");
            }
            if answers(clause.text, start, start + word.len()) {
                named = true;
                in_clause = Some((value, start, start + word.len()));
            }
        }
        let at = in_clause.map(|(_, start, end)| (start, end));
        // "is it true: not (false)"
        if clause.text.trim().eq_ignore_ascii_case("not") {
            return Reading::Negated;
        }
        let mark = at.and_then(|(start, end)| beside(clause.text, start, end));
        let is_no = in_clause.is_some_and(|(value, ..)| !value);
        let stance = match (mark, stance(clause.text, clause.question, at.as_slice())) {
            (Some(Mark::Crossed), stance) if is_no => stance,
            (Some(Mark::Denied | Mark::Crossed), _) => Stance::Denied,
            (Some(Mark::Bound), Stance::Affirmed) => Stance::Open,
            (None, Stance::Affirmed) if in_clause.is_some() && is_partial(clause.text) => Stance::Open,
            (None, Stance::Affirmed) if at.is_some_and(|at| is_bent(clause.text, at)) => Stance::Open,
            (_, stance) => stance,
        };
        match (stance, in_clause) {
            (Stance::Affirmed, Some((value, _, _))) => {
                if verdict.is_some_and(|known| known != value) {
                    return Reading::Ambiguous("both truth values are named");
                }
                verdict = Some(value);
            }
            // "No, it isn't": the denial agrees with the answer.
            (Stance::Denied, None) => denied = true,
            (Stance::Denied, Some(_)) => return Reading::Negated,
            (Stance::Open, Some(_)) => open = true,
            (Stance::Open, None) => open |= clause.question,
            // “true, mostly”
            (Stance::Affirmed, None) => {
                let short = any.is_none() && words(clause.text).count() < 3;
                open |= short && (is_partial(clause.text) || undoes(clause.text));
            }
        }
    }
    if retracts(text) {
        return Reading::Ambiguous("the text takes back what it said");
    }
    match verdict {
        Some(_) if open => Reading::Ambiguous("the text asks or hedges"),
        Some(true) if denied => Reading::Negated,
        Some(value) => Reading::Sentence(value),
        None if open => Reading::Ambiguous("the text asks or hedges"),
        None if denied || named => Reading::Negated,
        None => Reading::None,
    }
}

/// Words with their places.
pub(crate) fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = text.get(from..)?;
        let start = from + rest.find(char::is_alphanumeric)?;
        let tail = text.get(start..)?;
        let len = tail.find(|c: char| !c.is_alphanumeric() && c != '\'' && c != '’').unwrap_or(tail.len());
        from = start + len;
        Some((start, tail.get(..len)?))
    })
}

#[cfg(test)]
mod tests {
    use super::{Reading, read};

    #[test]
    fn reads_words_in_korean_and_english() {
        for text in ["yes", "True", "예", "네", "O", "1", "맞음", "YES.", "**true**"] {
            assert_eq!(read(text), Reading::Word(true), "{text}");
        }
        for text in
            ["no", "False", "아니오", "아니요", "X", "0", "거짓", "No!", "❌ No", "❌ 아니오", "false ✗"]
        {
            assert_eq!(read(text), Reading::Word(false), "{text}");
        }
    }

    #[test]
    fn reads_plain_sentences() {
        for text in [
            "The statement is true.",
            "Yes, it is.",
            "This is verified: true.",
            "네, 맞습니다.",
            "답은 참입니다.",
            "There is no doubt that it is true.",
        ] {
            assert_eq!(read(text), Reading::Sentence(true), "{text}");
        }
        for text in [
            "It is false.",
            "There is no question that it is false.",
            "No, it isn't.",
            "아니요, 그렇지 않습니다.",
        ] {
            assert_eq!(read(text), Reading::Sentence(false), "{text}");
        }
    }

    #[test]
    fn refuses_denials_and_doubts() {
        for text in [
            "not true",
            "The statement is not true.",
            "never true",
            "It isn't false.",
            "untrue",
            "사실이 아님",
            "절대 아니다",
            "참이 아닙니다",
            "Yes, it is not.",
            "!true",
            "! yes",
            "**!true**",
            "!0",
            "!참",
            "¬true",
            "~true",
            "~~true~~",
            "❌ true",
            "예 ✗",
            "[ ] yes",
            "The flag is !true",
            "값은 !참입니다",
            "x != true",
            "not (false)",
            "This cannot be verified as true.",
        ] {
            assert_eq!(read(text), Reading::Negated, "{text}");
        }
        for text in ["It could be true or false.", "Is it true?", "true or false", "예 또는 아니오"] {
            assert!(matches!(read(text), Reading::Ambiguous(_) | Reading::Negated), "{text}");
        }
        for text in
            ["네 개", "예 3가지", "No. 1", "no doubt", "Yes and no.", "half true", "maybe", "2", "hello"]
        {
            assert!(!matches!(read(text), Reading::Word(_) | Reading::Sentence(_)), "{text}");
        }
    }
}
