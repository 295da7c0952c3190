//! Folding: the form in which names and labels are compared when they do not match exactly.

use unicode_normalization::UnicodeNormalization;

/// Folds width, composition, case and accents, and leaves out everything but letters, digits and signs that tell labels apart.
///
/// `userName`, `user_name`, `User Name` and `ｕｓｅｒ－ｎａｍｅ` fold to the same text; `C`, `C++` and `C#` do not, nor do
/// `1` and `-1`. Between digits a point, a slash, a colon or a comma stays, and any other separator counts as one: `1.1`, `1/1`,
/// `1_1` and `11` are four names, and `top_10_2026` and `top-10-2026` one.
pub(crate) fn fold(text: &str) -> Box<str> {
    if text.is_ascii() {
        return fold_chars(text.chars());
    }
    // Without their accents, since models leave them out as people do; Hangul is put together again.
    fold_chars(text.nfkd().filter(|c| !matches!(c, '\u{300}'..='\u{36f}')).nfc())
}

fn fold_chars(chars: impl Iterator<Item = char>) -> Box<str> {
    let mut out = String::new();
    let mut minus = false;
    // What stands between two digits, of which `1.1` and `11` differ.
    let mut gap = None;
    for c in chars {
        if c.is_alphanumeric() {
            if c.is_ascii_digit() {
                if minus && out.is_empty() {
                    out.push('-');
                }
                out.extend(gap);
            }
            (minus, gap) = (false, None);
            if c.is_ascii() { out.push(c.to_ascii_lowercase()) } else { out.extend(c.to_lowercase()) }
        } else {
            minus |= matches!(c, '-' | '\u{2212}');
            if is_mark(c) {
                out.push(c);
                gap = None;
            } else if out.ends_with(|last: char| last.is_ascii_digit()) {
                gap = Some(match (gap, c) {
                    (Some(known @ ('.' | '/' | ':' | ',')), _) => known,
                    (_, '.' | '/' | ':' | ',') => c,
                    (_, '\u{2044}') => '/',
                    _ => '_',
                });
            }
        }
    }
    if out.contains(',') { without_thousands(&out) } else { out }.into_boxed_str()
}

/// Leaves out the commas that group a number by thousands: `1,000` is `1000`, and `1,0` is not `10`.
fn without_thousands(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Digits in the group before, if that began a number or goes on with one.
    let mut group = 0;
    for (at, part) in text.split(',').enumerate() {
        let head = part.bytes().take_while(u8::is_ascii_digit).count();
        let joins = at > 0 && head == 3 && (1..=3).contains(&group);
        if at > 0 && !joins {
            out.push(',');
        }
        out.push_str(part);
        group = part.bytes().rev().take_while(u8::is_ascii_digit).count();
    }
    out
}

/// A mark that tells one label from another, unlike spaces, quotes and separators; arrows that lead to a label are none.
fn is_mark(c: char) -> bool {
    match c {
        '→' | '⇒' | '\u{2212}' | '∙' => false,
        '+' | '#' | '%' | '$' | '€' | '£' | '<' | '>' | '=' | '±' | '★' | '☆' => true,
        // arrows and operators, `≤` among them
        c => matches!(c, '\u{2190}'..='\u{22ff}'),
    }
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
        assert_eq!(fold("\u{2212} 1"), fold("-1"));
    }

    #[test]
    fn keeps_separators_between_digits() {
        let names = ["11", "1.1", "1/1", "1:1", "1,1", "1 1"].map(fold);
        for (at, name) in names.iter().enumerate() {
            assert!(!names.iter().take(at).any(|other| other == name), "{name}");
        }
        assert_eq!(fold("1,000"), fold("1000"));
        assert_ne!(fold("1,0"), fold("10"));
        assert_eq!(fold("18-24"), fold("18 ~ 24"));
        assert_eq!(fold("½"), fold("1/2"));
        assert_eq!(fold("v 1."), fold("V1"));
        assert_eq!(fold("top_10_2026"), fold("top-10-2026"));
    }
}
