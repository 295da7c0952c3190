//! Folding: the form in which names and labels are compared when they do not match exactly.

use unicode_normalization::UnicodeNormalization;

/// Folds width, composition, case and accents, and leaves out everything but letters, digits and signs that tell labels apart.
///
/// `userName`, `user_name`, `User Name` and `ｕｓｅｒ－ｎａｍｅ` fold to the same text; `C`, `C++` and `C#` do not, nor do
/// `1` and `-1`.
pub(crate) fn fold(text: &str) -> Box<str> {
    if text.is_ascii() {
        return fold_chars(text.chars());
    }
    // Without their accents, since models leave them out as people do; Hangul is put together again.
    fold_chars(text.nfkd().filter(|c| !matches!(c, '\u{300}'..='\u{36f}')).nfc())
}

fn fold_chars(chars: impl Iterator<Item = char>) -> Box<str> {
    let mut out = String::new();
    let mut pending_minus = false;
    for c in chars {
        if c.is_alphanumeric() {
            if pending_minus && c.is_ascii_digit() && out.is_empty() {
                out.push('-');
            }
            pending_minus = false;
            if c.is_ascii() { out.push(c.to_ascii_lowercase()) } else { out.extend(c.to_lowercase()) }
        } else {
            pending_minus = c == '-';
            // Marks that distinguish one label from another, unlike spaces, quotes and separators.
            if matches!(c, '+' | '#' | '%' | '$' | '€' | '£' | '<' | '>' | '=' | '≤' | '≥' | '★' | '☆')
            {
                out.push(c);
            }
        }
    }
    out.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn folds_case_width_and_separators() {
        for text in ["userName", "user_name", "User Name", "user-name", "ｕｓｅｒ＿ｎａｍｅ", "\"user.name\""]
        {
            assert_eq!(&*fold(text), "username", "{text}");
        }
    }

    #[test]
    fn composes_hangul() {
        assert_eq!(fold("\u{1100}\u{1173}\u{11bc}\u{110c}\u{1165}\u{11bc}"), fold("긍정"));
    }

    #[test]
    fn keeps_marks_that_tell_labels_apart() {
        assert_ne!(fold("C++"), fold("C"));
        assert_ne!(fold("C#"), fold("C"));
        assert_ne!(fold("-1"), fold("1"));
    }
}
