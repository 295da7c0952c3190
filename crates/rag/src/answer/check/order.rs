//! What is said to come before something else.

use super::Claim;
use super::words::Word;

/// What is said to come before something else.
struct Order<'a> {
    earlier: Vec<&'a Word>,
    later: Vec<&'a Word>,
}

/// Tells whether what comes first in the claim comes last in the other.
pub(super) fn changes_order(claim: &Claim, other: &Claim) -> bool {
    let (here, there) = (orders(claim), orders(other));
    let shared = |one: &[&Word], other: &[&Word]| {
        one.iter().filter(|word| other.iter().any(|known| known.is(word))).count()
    };
    here.iter().any(|order| {
        let straight =
            |known: &Order| shared(&order.earlier, &known.earlier) + shared(&order.later, &known.later);
        let turned =
            |known: &Order| shared(&order.earlier, &known.later) + shared(&order.later, &known.earlier);
        let best = there.iter().max_by_key(|known| straight(known).max(turned(known)));
        best.is_some_and(|known| turned(known) > straight(known))
    })
}

fn orders<'a>(claim: &'a Claim) -> Vec<Order<'a>> {
    let mut found = Vec::new();
    for (at, word) in claim.words.iter().enumerate() {
        let raw = word.raw.as_str();
        let is_before = match raw {
            "before" => true,
            "after" | "then" => false,
            _ if word.is_korean() && is_time_word(raw, "전") => true,
            _ if word.is_korean()
                && (is_time_word(raw, "뒤") || is_time_word(raw, "후") || raw == "나서") =>
            {
                false
            }
            _ => continue,
        };
        let said = |words: &'_ [Word]| words.iter().any(|word| !word.is_empty);
        let before = claim.words.get(..at).unwrap_or_default();
        let after = claim.words.get(at + 1..).unwrap_or_default();
        let (of, main) = if raw == "then" {
            (before, after)
        } else if word.is_korean() {
            let Some(near) = before.iter().rposition(|word| !word.is_empty) else { continue };
            let (rest, of) = before.split_at(near);
            (of, if said(after) { after } else { rest })
        } else {
            // of what follows, the next two words; a longer clause goes on with something else
            let ends = after.iter().enumerate().filter(|(_, word)| !word.is_empty).nth(1);
            let of = after.get(..ends.map_or(after.len(), |(at, _)| at + 1)).unwrap_or_default();
            (of, if said(before) { before } else { after.get(of.len()..).unwrap_or_default() })
        };
        let words = |words: &'a [Word]| words.iter().filter(|word| !word.is_empty).collect::<Vec<&'a Word>>();
        let (of, main) = (words(of), words(main));
        found.push(if is_before {
            Order { earlier: main, later: of }
        } else {
            Order { earlier: of, later: main }
        });
    }
    found
}

fn is_time_word(raw: &str, word: &str) -> bool {
    raw.strip_prefix(word).is_some_and(|rest| {
        matches!(
            rest,
            "" | "에" | "에는" | "에만" | "에도" | "부터" | "부터는" | "까지" | "까지는" | "이나" | "나"
        )
    })
}
