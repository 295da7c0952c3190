//! English names of months, for dates in values and in sources.

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// Returns the number of the month of this name in lower case, whole or cut to three letters, `sept` to four.
pub(crate) fn named(word: &str) -> Option<u32> {
    let at = MONTHS
        .iter()
        .position(|month| *month == word || word.len() == 3 && month.starts_with(word))
        .or_else(
            || (word == "sept").then_some(8), // the one name that is cut to four letters
        )?;
    u32::try_from(at + 1).ok()
}
