//! People's text within Slack's markup.

use std::borrow::Cow;

/// Writes a text so that Slack shows it as it is: `&`, `<` and `>` as `&amp;`, `&lt;` and `&gt;`.
///
/// These three are all that Slack's *Formatting message text* has escaped. Without it a text could hold a link that says
/// something else than where it leads, or `<!channel>`, which wakes everybody.
///
/// ```
/// use pumasi_core::slack::{escape, unescape};
///
/// assert_eq!(escape("R&D <!channel> 안녕"), "R&amp;D &lt;!channel&gt; 안녕");
/// assert_eq!(unescape(&escape("a < b && b > c")), "a < b && b > c");
/// ```
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            letter => escaped.push(letter),
        }
    }
    Cow::Owned(escaped)
}

/// Reads a text as Slack sends it: `&amp;`, `&lt;` and `&gt;` become what they stand for.
pub fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    // `&amp;` comes last: `&amp;lt;` is `&lt;`, written by a person.
    Cow::Owned(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_three_characters_are_escaped() {
        assert_eq!(escape("*굵게* _x_ `y` \"z\" 'w'"), "*굵게* _x_ `y` \"z\" 'w'");
        assert_eq!(escape("<https://a.example|b>"), "&lt;https://a.example|b&gt;");
        assert_eq!(unescape("&amp;lt;"), "&lt;");
        assert_eq!(unescape("&quot;"), "&quot;");
    }

    proptest! {
        #[test]
        fn what_was_escaped_is_read_back_as_it_was(text in "[&<>a-z;가-힣 ltgamp]{0,40}") {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(['<', '>']));
            prop_assert_eq!(unescape(&escaped), text.as_str());
        }
    }
}
