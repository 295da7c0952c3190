//! When two questions are the same one.

use pumasi_core::text::normalize;
use sha2::{Digest, Sha256};

/// Names what is asked, whatever its letters look like: width, case, Unicode form, spaces and punctuation do not count.
///
/// Between Hangul spaces do not count at all, because people set them as they like. Words do count, particles and
/// function words too: "can I run" and "can I not run" are two questions.
pub(crate) fn key(words: &str) -> String {
    let normal = normalize(words);
    let is_hangul = |letter: char| ('가'..='힣').contains(&letter);
    let spaced: Vec<&str> = normal
        .as_str()
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let mut plain = String::new();
    for word in spaced {
        let between_hangul = plain.ends_with(is_hangul) && word.starts_with(is_hangul);
        if !plain.is_empty() && !between_hangul {
            plain.push(' ');
        }
        plain.push_str(word);
    }
    // A question of signs alone is its own.
    let named = if plain.is_empty() { normal.as_str() } else { &plain };
    format!("{:x}", Sha256::digest(named.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn the_same_question_has_one_key_however_it_is_typed() {
        for (one, other) in [
            ("하프 마라톤은 어떻게 준비하나요?", "하프마라톤은  어떻게 준비하나요"),
            (
                "하프 마라톤은 어떻게 준비하나요?",
                "\u{1112}\u{1161}\u{1111}\u{1173} 마라톤은 어떻게 준비하나요!?",
            ),
            ("How do I start running?", "  how do i START running ?? "),
            ("How do I start running?", "Ｈｏｗ do I start running？"),
        ] {
            assert_eq!(key(one), key(other), "{one} {other}");
        }
    }

    #[test]
    fn another_question_has_another_key() {
        for (one, other) in [
            ("Can I run today?", "Can I not run today?"),
            ("now here", "nowhere"),
            ("10km 달려도 되나요", "1 0km 달려도 되나요"),
            ("달려도 되나요", "달려도 안 되나요"),
            ("?", "!"),
        ] {
            assert_ne!(key(one), key(other), "{one} {other}");
        }
    }
}
