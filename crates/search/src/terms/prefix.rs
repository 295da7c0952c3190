//! What words begin with: letters, or for Korean the keys of the keyboard and the initial consonants.

use pumasi_core::text::normalize;

/// The longest beginning that is kept, in characters.
const LONGEST: usize = 64;

/// Initial consonants by number (Unicode Standard, 3.12), as letters of their own.
const INITIALS: [char; 19] = [
    'ㄱ', 'ㄲ', 'ㄴ', 'ㄷ', 'ㄸ', 'ㄹ', 'ㅁ', 'ㅂ', 'ㅃ', 'ㅅ', 'ㅆ', 'ㅇ', 'ㅈ', 'ㅉ', 'ㅊ', 'ㅋ', 'ㅌ',
    'ㅍ', 'ㅎ',
];

/// Vowels by number, as the keys that are pressed for them.
const VOWELS: [&str; 21] = [
    "ㅏ", "ㅐ", "ㅑ", "ㅒ", "ㅓ", "ㅔ", "ㅕ", "ㅖ", "ㅗ", "ㅗㅏ", "ㅗㅐ", "ㅗㅣ", "ㅛ", "ㅜ", "ㅜㅓ", "ㅜㅔ",
    "ㅜㅣ", "ㅠ", "ㅡ", "ㅡㅣ", "ㅣ",
];

/// Final consonants by number, as the keys that are pressed for them.
const FINALS: [&str; 28] = [
    "", "ㄱ", "ㄲ", "ㄱㅅ", "ㄴ", "ㄴㅈ", "ㄴㅎ", "ㄷ", "ㄹ", "ㄹㄱ", "ㄹㅁ", "ㄹㅂ", "ㄹㅅ", "ㄹㅌ", "ㄹㅍ",
    "ㄹㅎ", "ㅁ", "ㅂ", "ㅂㅅ", "ㅅ", "ㅆ", "ㅇ", "ㅈ", "ㅊ", "ㅋ", "ㅌ", "ㅍ", "ㅎ",
];

/// Returns the keys of what somebody has typed of a word: `러닝ㅋ` is `ㄹㅓㄴㅣㅇㅋ`, `Mara` is `mara`.
pub(crate) fn key(typed: &str) -> String {
    keys(normalize(typed).as_str().chars().filter(|c| c.is_alphanumeric()))
}

/// Returns the beginnings that a text's words are found by: their keys and, of Korean ones, their initial consonants.
pub(crate) fn words(text: &str) -> Vec<String> {
    let normal = normalize(text);
    let mut out = Vec::new();
    for word in normal.as_str().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
        // a Korean word behind a foreign one is found by its own beginning too: 전자 in LG전자
        let mut before = None;
        for (at, c) in word.char_indices() {
            let hangul = syllable(c).is_some();
            if before.is_some_and(|was| was == hangul) {
                continue;
            }
            before = Some(hangul);
            let rest = word.get(at..).unwrap_or_default();
            out.push(keys(rest.chars()));
            if hangul {
                out.push(initials(rest));
            }
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}

fn keys(chars: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    for c in chars.take(LONGEST) {
        match syllable(c) {
            Some((initial, vowel, last)) => {
                out.extend(INITIALS.get(initial));
                out.push_str(VOWELS.get(vowel).copied().unwrap_or_default());
                out.push_str(FINALS.get(last).copied().unwrap_or_default());
            }
            None => out.push_str(pressed(c, &mut [0; 4])),
        }
    }
    out
}

/// Takes a letter that two keys are pressed for apart; it stands alone while a syllable is being typed. Letters of the kind that
/// joins into syllables (Unicode's block Hangul Jamo) are those of the keyboard where they have joined nothing.
fn pressed(c: char, buffer: &mut [u8; 4]) -> &str {
    let number = |first: char| u32::from(c).wrapping_sub(u32::from(first)) as usize;
    if let Some(initial) = INITIALS.get(number('\u{1100}')) {
        return initial.encode_utf8(buffer);
    }
    let vowel = VOWELS.get(number('ㅏ')).or_else(|| VOWELS.get(number('\u{1161}')));
    // The first of the finals is none.
    if let Some(keys) = vowel.or_else(|| FINALS.get(number('\u{11A7}')).filter(|keys| !keys.is_empty())) {
        return keys;
    }
    match c {
        'ㄳ' => "ㄱㅅ",
        'ㄵ' => "ㄴㅈ",
        'ㄶ' => "ㄴㅎ",
        'ㄺ' => "ㄹㄱ",
        'ㄻ' => "ㄹㅁ",
        'ㄼ' => "ㄹㅂ",
        'ㄽ' => "ㄹㅅ",
        'ㄾ' => "ㄹㅌ",
        'ㄿ' => "ㄹㅍ",
        'ㅀ' => "ㄹㅎ",
        'ㅄ' => "ㅂㅅ",
        _ => c.encode_utf8(buffer),
    }
}

fn initials(word: &str) -> String {
    word.chars()
        .map_while(syllable)
        .take(LONGEST)
        .filter_map(|(initial, _, _)| INITIALS.get(initial))
        .collect()
}

/// Takes a syllable apart (Unicode Standard, 3.12): the numbers of its initial consonant, vowel and final consonant.
fn syllable(c: char) -> Option<(usize, usize, usize)> {
    let number = u32::from(c).checked_sub(0xAC00).filter(|number| *number < 11_172)? as usize;
    Some((number / 588, number % 588 / 28, number % 28))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(typed: &str, text: &str) -> bool {
        let typed = key(typed);
        words(text).iter().any(|word| word.starts_with(&typed))
    }

    #[test]
    fn korean_words_are_found_while_they_are_typed() {
        for typed in ["ㄹㄴㅋㄹ", "ㄹㄴ", "러", "런", "러니", "러닝", "러닝ㅋ", "러닝크", "러닝크루"]
        {
            assert!(finds(typed, "한강 러닝크루에서"), "{typed}");
        }
        assert!(!finds("ㄹㄱ", "한강 러닝크루"));
        assert!(!finds("닝크", "러닝크루"));
        let joining = ["\u{1105}\u{1102}\u{110F}\u{1105}", "\u{1105}\u{1165}\u{1102}", "러닝\u{110F}"];
        for typed in joining {
            assert!(finds(typed, "한강 러닝크루에서"), "{typed}");
        }
        assert!(finds("고", "과일") && finds("달", "닭") && finds("ㄳ", "ㄱㅅ"));
    }

    #[test]
    fn foreign_words_are_found_by_their_letters() {
        assert!(
            finds("MARA", "Marathon")
                && finds("전", "LG전자")
                && finds("ㅈㅈ", "LG전자")
                && finds("lg전", "LG전자")
        );
        assert!(!finds("athon", "Marathon"));
    }
}
