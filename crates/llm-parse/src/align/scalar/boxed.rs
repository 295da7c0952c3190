//! The answer in LaTeX's `\boxed{…}`, with which models end their reckoning.

/// The one boxed text that ends an answer, and the words that lead to it.
pub(crate) struct Boxed<'a> {
    pub(crate) lead: &'a str,
    pub(crate) inner: &'a str,
}

/// Finds a single box with nothing but marks behind it.
pub(crate) fn boxed(text: &str) -> Option<Boxed<'_>> {
    let (lead, rest) = text.split_once("\\boxed{")?;
    let (inner, behind) = rest.split_once('}')?;
    let plain = !inner.contains(['{', '\\']) && !inner.trim().is_empty();
    // a word behind the box may take it back
    let last = !behind.contains(char::is_alphanumeric);
    let math = |c: char| c.is_whitespace() || matches!(c, '$' | '(' | '[' | '\\' | '*');
    (plain && last).then(|| Boxed { lead: lead.trim_end_matches(math), inner: inner.trim() })
}

#[cfg(test)]
mod tests {
    use super::boxed;

    #[test]
    fn the_last_word_is_the_box() {
        let found = boxed("The answer is $\\boxed{42}$.").unwrap();
        assert_eq!((found.lead, found.inner), ("The answer is", "42"));
        for text in [
            "\\boxed{42} and \\boxed{43}",
            "\\boxed{42}? No, 43.",
            "\\boxed{}",
            "\\boxed{\\frac{1}{2}}",
            "42",
        ] {
            assert!(boxed(text).is_none(), "{text}");
        }
    }
}
