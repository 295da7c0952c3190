//! The words before a date: most leave it as it is, some make another day of it.

use super::weekday;
use crate::align::scalar::boolean::words;
use crate::align::scalar::holds;

/// They make another day, a span or no day of the date behind them, wherever before it they stand.
const TURNS: &str = "\
    before after until till by since from not around about circa early late between earlier later no than \
    week weeks month eve originally formerly previously initially mid beginning end during through never \
    except if unless maybe perhaps possibly probably approximately approx roughly days ago prior following \
    past rescheduled postponed moved instead old former either or night once within expected tentatively \
    nearly almost weekend year quarter anniversary ahead preceding isn't wasn't cancelled canceled";

/// Behind these a date stands by itself.
const LINKS: &str = "\
    for on is was dated date it's falls fell are be equals answer born published issued released signed \
    posted created updated held scheduled due deadline effective started starts starting ends ended expires \
    expired opens closed closes arrives arrived departs founded died launched begins began occurred";

/// Tells why the words of `lead` make another day of the date behind them: because they are known to, or not known at all.
pub(super) fn alters(lead: &str) -> Option<&'static str> {
    let lower = lead.to_lowercase();
    let all: Vec<&str> = words(&lower).map(|(_, word)| word).collect();
    if all.iter().any(|word| holds(TURNS, word)) {
        return Some("a bound, not a date");
    }
    let sign = lead.trim_end().ends_with([':', '=', '→', '-', '–', '—', '*', '(', '"', '\'', '>']);
    let harmless = |word: &&str| {
        matches!(*word, "the" | "a" | "it" | "this" | "of" | "day" | "that" | "as" | "at" | "exactly" | "st")
            || weekday(word).is_some()
    };
    let behind = all.iter().rposition(|word| holds(LINKS, word)).map_or(0, |at| at + 1);
    let linked = behind > 0 && all.iter().skip(behind).all(&harmless);
    (!sign && !linked && !all.iter().all(harmless)).then_some("words that may make another day of the date")
}

#[cfg(test)]
mod tests {
    use super::alters;

    #[test]
    fn unknown_words_before_a_date_are_not_taken_for_nothing() {
        for lead in ["no earlier than ", "the week of ", "eve of ", "originally ", "You ", "before "] {
            assert!(alters(lead).is_some(), "{lead}");
        }
        for lead in [
            "",
            "on ",
            "on Monday, ",
            "Date: ",
            "The date is ",
            "Published on the ",
            "Meeting on ",
            "(",
            "Friday ",
        ] {
            assert_eq!(alters(lead), None, "{lead}");
        }
    }
}
