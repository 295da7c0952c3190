//! Whether the words around a named thing are known to leave it as it is.
//!
//! A list of denials never ends; so a label or a truth value within a sentence is taken only where what leads to it and what
//! follows it is known: a copula or a verb of choosing, articles, adverbs of degree, a noun for what is named, a reason.

use super::Places;
use super::words::{
    BENT, DEGREES, HEARSAY, LEADS, LINKS, NOUNS, NOUNS_KO, OPENERS, PAST_KO, QUALIFIED, REASONS, VERDICTS,
};
use crate::align::scalar::boolean::words;
use crate::align::scalar::{begins, holds};

/// Tells whether all that `clause` says beside what is named in it is known to be harmless.
pub(crate) fn is_plain(clause: &str, named: Places<'_>) -> bool {
    let (Some(first), Some(last)) = (named.first(), named.last()) else { return true };
    let lower = |text: Option<&str>| unmarked(text.unwrap_or("")).to_lowercase().replace('’', "'");
    let (head, tail) = (lower(clause.get(..first.0)), lower(clause.get(last.1..)));
    let label = lower(clause.get(first.0..first.1));
    let (Some(lead), Some(follows)) = (leads(&head, &label), follows(&tail)) else { return false };
    let article = lead == Lead::Linked
        && words(&head).last().is_some_and(|(_, word)| matches!(word, "a" | "an" | "the"));
    follows.unknown == 0 || (follows.unknown == 1 && follows.words == 1 && article)
}

/// Verbs of sorting: what should or can be sorted so, is.
const SORTS: &str = "\
    classified labelled labeled categorized categorised rated tagged described considered called assigned go \
    route routed filed seen viewed understood interpreted read";
const MODALS: &str = "\
    should may can";
const APPEARING: &str = "\
    appears appear appeared seems seem seemed turns turned proves proved";

/// The text without tags, ticked boxes and what a comment says behind it.
fn unmarked(text: &str) -> String {
    let text = text.split("//").next().unwrap_or(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        out.push_str(before);
        rest = match tag.split_once('>') {
            Some((name, behind)) if name.len() <= 12 => behind,
            _ => tag,
        };
    }
    out.push_str(rest);
    for tick in ["[x]", "[X]", "[v]", "[V]", "[o]", "[O]"] {
        out = out.replace(tick, "");
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// A verb or a sign leads to it.
    Linked,
    Free,
}

fn is_hangul(word: &str) -> bool {
    word.contains(|c: char| matches!(c, '가'..='힣'))
}

/// Judges what stands before: `None` if it may make something else of what is named.
fn leads(head: &str, label: &str) -> Option<Lead> {
    if share(head, true) {
        return None;
    }
    let all: Vec<(usize, &str)> = words(head).collect();
    let sign = head.rfind(['=', ':', '→', '>']);
    let link = all.iter().rposition(|(at, word)| {
        holds(LINKS, word) || word.ends_with("'s") || sign.is_some_and(|sign| *at > sign)
    });
    let link = match (link, sign) {
        // the sign stands behind the last word
        (_, Some(sign)) if all.last().is_none_or(|(at, _)| *at < sign) => Some(all.len()),
        (link, _) => link,
    };
    // "were it x", "is it x"
    if let [(_, "were" | "had" | "should" | "is" | "was" | "are"), (_, "it" | "this" | "they"), ..] =
        all.as_slice()
    {
        return None;
    }
    let sorts = all.iter().any(|(_, word)| holds(SORTS, word));
    let state = label.ends_with("ed") || matches!(label, "done" | "complete" | "ready" | "open" | "paid");
    for (at, (_, word)) in all.iter().enumerate() {
        if is_hangul(word) {
            if holds(BENT, word) || begins(PAST_KO, word) {
                return None;
            }
            continue;
        }
        let before = at.checked_sub(1).and_then(|at| all.get(at)).map_or("", |(_, word)| *word);
        if holds(HEARSAY, word) && !is_determiner(before) {
            return None;
        }
        if holds(MODALS, word) && (state || !sorts) {
            return None;
        }
        let next = all.get(at + 1).map_or("", |(_, word)| *word);
        match link {
            Some(link) if at < link => {
                if holds(BENT, word) {
                    return None;
                }
            }
            Some(link) if at == link => {}
            Some(link) => {
                let link = all.get(link).map_or("", |(_, word)| *word);
                // "falls in category x", "appears to be x", "is friendly and x"
                let known = is_soft(word)
                    || (holds(NOUNS, word) && next.is_empty())
                    || (*word == "be" && (holds(APPEARING, link) || before == "must" || sorts))
                    || (next == "and" && !word.ends_with("ly"))
                    || *word == "and";
                if !known {
                    return None;
                }
            }
            None => {
                let known = is_soft(word) || holds(LEADS, word) || holds(NOUNS, word);
                // "all but x"
                let known = known && (at == 0 || *word != "but");
                let subject = state
                    && all.len() <= 3
                    && !word.ends_with("ly")
                    && !holds(BENT, word)
                    && !matches!(*word, "will" | "get" | "getting" | "be" | "to");
                if !known && !subject {
                    return None;
                }
            }
        }
    }
    Some(if link.is_some() { Lead::Linked } else { Lead::Free })
}

fn is_determiner(word: &str) -> bool {
    matches!(
        word,
        "the" | "this" | "that" | "a" | "an" | "his" | "her" | "their" | "its" | "your" | "my" | "our"
    ) || word.ends_with("'s")
}

fn is_soft(word: &str) -> bool {
    holds(DEGREES, word) || (*word != *"0" && word.chars().all(|c| c.is_ascii_digit()))
}

struct Follows {
    words: usize,
    unknown: usize,
}

/// Judges what stands behind: `None` if it may take back what is named.
fn follows(tail: &str) -> Option<Follows> {
    if share(tail, false) {
        return None;
    }
    let mut found = Follows { words: 0, unknown: 0 };
    let all: Vec<&str> = words(tail).map(|(_, word)| word).collect();
    if all.iter().any(|word| holds(QUALIFIED, word)) {
        return None;
    }
    let chance = all.iter().any(|word| word.starts_with("가능성"));
    if chance && !all.iter().any(|word| begins("높 크 큼 큰 농후", word)) {
        return None;
    }
    let mut words = all.iter().enumerate().peekable();
    while let Some((at, word)) = words.next() {
        found.words += 1;
        if is_hangul(word) {
            if joins_clause(word) && (at > 0 || !tail.starts_with(' ')) {
                return Some(found);
            }
            let known = at == 0 && matches!(*word, "중" | "중입니다" | "중이다" | "중임");
            // what is glued to the named word is a particle or an ending
            let glued = at == 0 && !tail.starts_with(' ');
            let told = ["하라고", "으라고", "라며", "달라고"].iter().any(|end| word.ends_with(end));
            let listed = matches!(*word, "수" | "할" | "볼")
                || (word.starts_with(|c: char| c.is_ascii_digit()) && !word.starts_with('0'))
                || begins(NOUNS_KO, word);
            let known = known || glued || (listed && !told);
            found.unknown += usize::from(!known) * 2;
            continue;
        }
        if holds(REASONS, word) {
            return Some(found);
        }
        let next = words.peek().map_or("", |(_, next)| *next);
        if holds(OPENERS, word) {
            // "at best", "is over"
            let before = at.checked_sub(1).and_then(|at| all.get(at)).map_or("", |word| *word);
            if (*word == "at" && matches!(next, "best" | "most" | "worst"))
                || (*word == "over" && matches!(before, "is" | "was"))
            {
                return None;
            }
            // "approved by 2 of 5"
            return (!next.starts_with(|c: char| c.is_ascii_digit()) || *word != "by").then_some(found);
        }
        let number = word.starts_with(|c: char| c.is_ascii_digit()) && *word != "0";
        let known = number || is_soft(word) || holds(NOUNS, word) || holds(VERDICTS, word);
        found.unknown += usize::from(!known);
    }
    Some(found)
}

/// A Korean word behind which another clause begins: 긍정이며, 분류했고.
fn joins_clause(word: &str) -> bool {
    ["이며", "이고", "하며", "으며", "므로", "는데", "했고", "지만", "니까", "되고", "적이고", "아서", "어서"]
        .iter()
        .any(|end| word.ends_with(end))
}

/// “90% x”, “x, probability 10%”: a share of it, unless it is all or says how sure it is.
fn share(text: &str, before: bool) -> bool {
    let sure = ["confiden", "probab", "certain", "sure", "likel", "확률", "신뢰", "확신"];
    text.match_indices('%').any(|(at, _)| {
        let head = text.get(..at).unwrap_or("").trim_end();
        let digits = head.rfind(|c: char| !c.is_ascii_digit() && c != '.').map_or(0, |at| {
            at + head.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
        });
        let Ok(value) = head.get(digits..).unwrap_or("").parse::<f64>() else { return true };
        let far = before && text.get(at..).is_some_and(|rest| rest.split_whitespace().count() > 3);
        value < 99.0 && !far && (value <= 50.0 || !sure.iter().any(|word| text.contains(word)))
    })
}

/// Tells whether a clause is a small number alone, as a probability is given: `= 0.1`, `(20%)`.
pub(crate) fn is_small_share(clause: &str) -> bool {
    let bare = clause.trim_matches(|c: char| c.is_whitespace() || "=:≈~()[]%".contains(c));
    let percent = clause.contains('%');
    bare.parse::<f64>().is_ok_and(|value| {
        value >= 0.0 && if percent { value < 50.0 } else { value < 0.5 && bare.contains('.') }
    })
}

/// Tells whether a short clause takes back, mocks or conditions what stands beside it: "but reopened", "sarcasm", "if so".
pub(crate) fn undoes(clause: &str) -> bool {
    const WORDS: &str = "\
    reopened revoked expired withdrawn retracted overturned overruled reversed reverted rescinded sarcasm \
    sarcastic sarcastically irony ironic ironically kidding joking joke mistake supposedly unlikely \
    improbable doubtful questionable wrongly mistakenly erroneously allegedly claim";
    const FIRST: &str = "\
    if maybe perhaps possibly unless depending provided";
    const KOREAN: &str = "\
    번복 철회 무효 반어 비꼬 비꼼 농담 풍자 조건부";
    let lower = clause.to_lowercase();
    let mut all = words(&lower).map(|(_, word)| word).peekable();
    all.peek().is_some_and(|first| holds(FIRST, first))
        || lower.contains("yeah right")
        || lower.contains("as if")
        || lower.contains("they say")
        || lower.contains("rolled back")
        || all.any(|word| holds(WORDS, word) || begins(KOREAN, word))
}
