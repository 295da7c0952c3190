//! Words that say "nothing".

/// How surely a word means "no value".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// `None`, `null`, `N/A`, 없음, an empty text.
    Sure,
    /// `unknown`, `-`, 미정: said of a value that exists but is not known, too.
    Maybe,
}

/// Longest word of the lists below, in bytes; longer texts need no look.
pub(crate) const MAX_LEN: usize = 24;

pub(crate) fn read(text: &str) -> Option<Nothing> {
    if begins_otherwise(text) {
        return None;
    }
    let text = text.trim();
    if text.len() > MAX_LEN || begins_otherwise(text) {
        return None;
    }
    let word = text.trim_matches(['.', '(', ')', '<', '>', '[', ']', '"', '\'', '`', '*']).trim();
    // Only letters outside ASCII that have no case are in the lists.
    let mut lower = [0; MAX_LEN];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    match std::str::from_utf8(lower).ok()? {
        ""
        | "null"
        | "none"
        | "nil"
        | "n/a"
        | "na"
        | "n.a"
        | "undefined"
        | "nan"
        | "not applicable"
        | "not available"
        | "not specified"
        | "not provided"
        | "not mentioned"
        | "not given"
        | "not stated"
        | "unspecified"
        | "없음"
        | "없다"
        | "없습니다"
        | "없어요"
        | "해당 없음"
        | "해당없음"
        | "해당 사항 없음"
        | "해당사항 없음"
        | "해당사항없음"
        | "정보 없음"
        | "정보없음"
        | "언급 없음"
        | "명시되지 않음"
        | "널" => Some(Nothing::Sure),
        "-" | "--" | "—" | "–" | "?" | "unknown" | "tbd" | "tba" | "미정" | "미상" | "알 수 없음"
        | "알수없음" | "불명" | "모름" | "미기재" => Some(Nothing::Maybe),
        _ => None,
    }
}

/// Tells whether a text begins with a letter or digit with which no word of the lists begins.
#[inline]
fn begins_otherwise(text: &str) -> bool {
    match text.chars().next() {
        Some(c) if c.is_ascii() => {
            c.is_ascii_alphanumeric() && !matches!(c.to_ascii_lowercase(), 'n' | 'u' | 't')
        }
        Some(c @ '가'..='힣') => {
            !matches!(c, '없' | '해' | '정' | '언' | '명' | '널' | '미' | '알' | '불' | '모')
        }
        _ => false,
    }
}

/// A text that stands where a value should have been filled in: `<name>`, `...`.
pub(crate) fn is_placeholder(text: &str) -> bool {
    // Most texts start with another letter, in Latin or in Hangul.
    if matches!(text.as_bytes(), [b'a'..=b'r' | b't'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | 0xea..=0xed, ..]) {
        return false;
    }
    let text = text.trim();
    if text.len() > 64 || !matches!(text.as_bytes().first(), Some(b'<' | b'{' | b'$' | b'.' | b's' | 0xe2)) {
        return false;
    }
    if matches!(text, "..." | "…" | "string" | "<string>") {
        return true;
    }
    let inner = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    let inner = inner.or_else(|| text.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")));
    let inner = inner.or_else(|| text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')));
    inner.is_some_and(|name| {
        name.chars().count() >= 2
            && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '))
            && name.starts_with(char::is_alphabetic)
    })
}

#[cfg(test)]
mod tests {
    use super::{Nothing, is_placeholder, read};

    #[test]
    fn knows_null_words_in_korean_and_english() {
        for text in ["None", "null", "nil", "N/A", "n/a", "없음", "해당 없음", "", " NONE. "] {
            assert_eq!(read(text), Some(Nothing::Sure), "{text}");
        }
        for text in ["해당사항 없음", "정보 없음", "언급 없음", "명시되지 않음", "널"] {
            assert_eq!(read(text), Some(Nothing::Sure), "{text}");
        }
        for text in ["-", "unknown", "미정", "알 수 없음", "불명", "모름"] {
            assert_eq!(read(text), Some(Nothing::Maybe), "{text}");
        }
        for text in ["Nona", "none-zero", "Null Island", "없음을 알림", "nothing", "010-1"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn knows_placeholders() {
        for text in ["<name>", "...", "string", "{{title}}", "${title}"] {
            assert!(is_placeholder(text), "{text}");
        }
        for text in ["Nam", "a < b > c", "<3", "strings", "", "<b>bold</b>"] {
            assert!(!is_placeholder(text), "{text}");
        }
    }
}
