//! Keeps what looks like a credential out of recordings.

const REDACTED: &str = "[redacted]";

/// What credentials of the usual services begin with, and how long the rest must be to count as one.
const PREFIXES: [(&str, usize); 12] = [
    ("sk-", 16),
    ("AIza", 30),
    ("gsk_", 16),
    ("hf_", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("xapp-", 10),
    ("ghp_", 20),
    ("github_pat_", 20),
    ("AKIA", 16),
    ("eyJ", 40),
    ("Bearer ", 8),
];

/// Replaces what looks like a key or a bearer token, in one pass.
pub(in crate::model) fn scrub(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_word = false;
    while let Some(next) = rest.chars().next() {
        let secret = if in_word { None } else { secret_length(rest) };
        let (taken, tail) = rest.split_at(secret.unwrap_or(next.len_utf8()));
        out.push_str(if secret.is_some() { REDACTED } else { taken });
        // the letter of an escape in JSON is no part of the word behind it
        let escape = next == '\\' && tail.starts_with(['n', 't', 'r', 'b', 'f']);
        in_word = secret.is_some() || next.is_ascii_alphanumeric();
        rest = tail;
        if escape && let Some((letter, behind)) = tail.split_at_checked(1) {
            out.push_str(letter);
            (rest, in_word) = (behind, false);
        }
    }
    out
}

/// Tells how many bytes the secret has that `text` begins with.
fn secret_length(text: &str) -> Option<usize> {
    PREFIXES.iter().find_map(|(prefix, least)| {
        let body = text.strip_prefix(prefix)?;
        let length = body.bytes().take_while(|byte| is_secret_byte(*byte)).count();
        (length >= *least).then_some(prefix.len() + length)
    })
}

fn is_secret_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'+' | b'/' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_replaced_and_prose_stays() {
        let text = "키는 sk-proj-abcdefghij0123456789 이고, Authorization: Bearer abcdefgh12345678. 다른 말은 그대로";
        assert_eq!(scrub(text), "키는 [redacted] 이고, Authorization: [redacted] 다른 말은 그대로");
        let escaped = r#"{"a":"\nsk-live-abcdefghij0123456789","b":"x\tghp_abcdefghij0123456789abcd"}"#;
        assert_eq!(scrub(escaped), r#"{"a":"\n[redacted]","b":"x\t[redacted]"}"#);
        for plain in ["task-sk-1 done", "ask-me-anything-about-running-shoes", "Bearer of news", "sk-i", ""] {
            assert_eq!(scrub(plain), plain);
        }
    }
}
