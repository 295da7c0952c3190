//! Bounded edit distance for names and labels that were misspelt.

use unicode_normalization::UnicodeNormalization;

/// Whether `text` is `name` with a slip of the keyboard; both are folded.
///
/// One edit (insertion, deletion, substitution, swap of neighbours; the restricted distance of Damerau and Levenshtein)
/// is allowed from five letters on (from four for a swap), two from ten on. Hangul is compared by its letters, with eight
/// as the least. The first letter has to match, digits have to be the same, a negating prefix never counts as a slip,
/// and neither does a longer word that begins with the shorter one, but for a plural. A last letter or an ending that another
/// one takes the place of makes another word (`employee` and `employer`, `requested_by` and `requester_by`), and so does a slip
/// that is a word of its own (`content` is no misspelt `context`).
pub(crate) fn is_slip(text: &str, name: &str) -> bool {
    if text.len() > 128 || name.len() > 128 {
        return false;
    }
    let hangul = !name.is_ascii();
    let (a, b): (Vec<char>, Vec<char>) = if hangul {
        (text.nfd().collect(), name.nfd().collect())
    } else {
        (text.chars().collect(), name.chars().collect())
    };
    let (short, long) = (a.len().min(b.len()), a.len().max(b.len()));
    let allowed = match (hangul, short) {
        (true, 8..=15) => 1,
        (true, 16..) => 2,
        (false, 4..=9) => 1,
        (false, 10..) => 2,
        _ => return false,
    };
    if long - short > allowed || a.first() != b.first() || digits(text) != digits(name) {
        return false;
    }
    if text.starts_with(name) || name.starts_with(text) {
        return plural(text, name) || plural(name, text);
    }
    if has_other_ending(&a, &b) || WORDS.binary_search(&text).is_ok() {
        return false;
    }
    let (distance, swap_only) = distance(&a, &b, allowed);
    distance <= allowed && (hangul || short >= 5 || swap_only) && !has_other_prefix(text, name)
}

/// Common names of fields and labels that are one or two letters from other words, sorted.
const WORDS: [&str; 39] = [
    "borrower",
    "complement",
    "compliment",
    "consent",
    "contact",
    "content",
    "contest",
    "context",
    "contract",
    "council",
    "counsel",
    "country",
    "county",
    "form",
    "formal",
    "former",
    "from",
    "leader",
    "lender",
    "message",
    "modal",
    "model",
    "normal",
    "object",
    "parent",
    "patent",
    "patient",
    "personal",
    "personnel",
    "price",
    "principal",
    "principle",
    "prize",
    "quality",
    "quantity",
    "sender",
    "stage",
    "state",
    "vendor",
];

/// What is left of both words between their common head and tail is a letter or an ending in place of another.
fn has_other_ending(a: &[char], b: &[char]) -> bool {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (a.get(head - head.min(1)..).unwrap_or(&[]), b.get(head - head.min(1)..).unwrap_or(&[]));
    let room = a.len().min(b.len()).saturating_sub(1);
    let tail = a.iter().rev().zip(b.iter().rev()).take(room).take_while(|(x, y)| x == y).count();
    let middle = |word: &[char]| word.get(..word.len() - tail).unwrap_or(&[]).iter().collect::<String>();
    let (x, y) = (middle(a), middle(b));
    let last = tail == 0 && x.chars().count() == 2 && y.chars().count() == 2;
    let ending = |text: &str| matches!(text, "ed" | "er" | "ee" | "en" | "es");
    let agent = |text: &str| {
        let rest = text.chars().skip(1).collect::<String>();
        matches!(&*rest, "ed" | "er" | "or" | "ing" | "ion" | "ee")
    };
    last || (ending(&x) && ending(&y)) || (agent(&x) && agent(&y))
}

fn plural(one: &str, other: &str) -> bool {
    one.len() >= 3 && other.strip_prefix(one) == Some("s")
}

fn digits(text: &str) -> impl PartialEq {
    text.chars().filter(|c| c.is_numeric()).collect::<String>()
}

/// `impossible` is not a slip of `possible`, though only two letters apart.
fn has_other_prefix(a: &str, b: &str) -> bool {
    const PREFIXES: [&str; 12] =
        ["un", "in", "im", "ir", "il", "dis", "non", "de", "mis", "anti", "re", "pre"];
    let strip = |text: &str| {
        PREFIXES.iter().filter_map(|p| text.strip_prefix(p).map(str::to_owned)).collect::<Vec<_>>()
    };
    strip(a).iter().any(|rest| rest == b) || strip(b).iter().any(|rest| rest == a)
}

/// The distance, or more than `limit`; and whether it is a single swap.
fn distance(a: &[char], b: &[char], limit: usize) -> (usize, bool) {
    let get = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best =
                (get(&last, j) + usize::from(x != y)).min(get(&last, j + 1) + 1).min(get(&row, j) + 1);
            if i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x) {
                best = best.min(get(&before, j - 1) + 1);
            }
            row.push(best);
        }
        if row.iter().min().is_some_and(|least| *least > limit) {
            return (limit + 1, false);
        }
        before = std::mem::replace(&mut last, row);
    }
    let mut differing: Vec<usize> = (0..a.len().min(b.len())).filter(|i| a.get(*i) != b.get(*i)).collect();
    let swap = a.len() == b.len()
        && differing.len() == 2
        && differing
            .pop()
            .zip(differing.pop())
            .is_some_and(|(j, i)| j == i + 1 && a.get(i) == b.get(j) && a.get(j) == b.get(i));
    (get(&last, b.len()), swap)
}

#[cfg(test)]
mod tests {
    use super::is_slip;

    #[test]
    fn accepts_slips() {
        for (text, name) in [
            ("nmae", "name"),
            ("postive", "positive"),
            ("descritpion", "description"),
            ("skill", "skills"),
            ("grean", "green"),
            ("employre", "employer"),
            ("emploer", "employer"),
            ("contezt", "context"),
            ("requestdby", "requestedby"),
            ("안녕하서요", "안녕하세요"),
        ] {
            assert!(is_slip(text, name), "{text} {name}");
        }
    }

    #[test]
    fn refuses_other_words() {
        for (text, name) in [
            ("start", "star"),
            ("cap", "cat"),
            ("minprice", "maxprice"),
            ("enddate", "startdate"),
            ("priceusd", "priceeur"),
            ("unhappy", "happy"),
            ("impossible", "possible"),
            ("v3", "v2"),
            ("level1", "level2"),
            ("decrease", "increase"),
            ("higher", "high"),
            ("irrelevant", "relevant"),
            ("부정", "긍정"),
            ("id1", "id2"),
            ("시작일", "종료일"),
            ("major", "minor"),
            ("employee", "employer"),
            ("payee", "payer"),
            ("requestedby", "requesterby"),
            ("coordinated", "coordinator"),
            ("content", "context"),
            ("contact", "contract"),
            ("from", "form"),
            ("발신인", "발신일"),
            ("생산자", "생산지"),
        ] {
            assert!(!is_slip(text, name), "{text} {name}");
        }
    }
}
