//! Full-width and half-width forms: the `<wide>` and `<narrow>` decompositions of UnicodeData.txt (Unicode 17), one step.
//!
//! Other compatibility forms (`①`, `㎞`, `Ⅳ`) are left alone: they are different characters, not other widths.

/// What U+FF61..=U+FF9F stand for.
const KATAKANA: [char; 63] = [
    '。', '「', '」', '、', '・', 'ヲ', 'ァ', 'ィ', 'ゥ', 'ェ', 'ォ', 'ャ', 'ュ', 'ョ', 'ッ', 'ー', 'ア',
    'イ', 'ウ', 'エ', 'オ', 'カ', 'キ', 'ク', 'ケ', 'コ', 'サ', 'シ', 'ス', 'セ', 'ソ', 'タ', 'チ', 'ツ',
    'テ', 'ト', 'ナ', 'ニ', 'ヌ', 'ネ', 'ノ', 'ハ', 'ヒ', 'フ', 'ヘ', 'ホ', 'マ', 'ミ', 'ム', 'メ', 'モ',
    'ヤ', 'ユ', 'ヨ', 'ラ', 'リ', 'ル', 'レ', 'ロ', 'ワ', 'ン', '\u{3099}', '\u{309A}',
];

/// What U+FFE0..=U+FFE6 and U+FFE8..=U+FFEE stand for.
const SIGNS: [char; 7] = ['¢', '£', '¬', '¯', '¦', '¥', '₩'];
const SHAPES: [char; 7] = ['│', '←', '↑', '→', '↓', '■', '○'];

/// Returns the character of usual width that `c` is another width of, or `c`.
pub(super) fn usual(c: char) -> char {
    let code = u32::from(c);
    let at = |table: &[char], first: u32| {
        usize::try_from(code - first).ok().and_then(|index| table.get(index)).copied().unwrap_or(c)
    };
    match code {
        0x3000 => ' ',
        0xFF01..=0xFF5E => char::from_u32(code - 0xFEE0).unwrap_or(c),
        0xFF5F => '\u{2985}',
        0xFF60 => '\u{2986}',
        0xFF61..=0xFF9F => at(&KATAKANA, 0xFF61),
        0xFFA0 => '\u{3164}',
        0xFFA1..=0xFFBE => char::from_u32(code - 0xFFA1 + 0x3131).unwrap_or(c),
        0xFFC2..=0xFFC7 => char::from_u32(code - 0xFFC2 + 0x314F).unwrap_or(c),
        0xFFCA..=0xFFCF => char::from_u32(code - 0xFFCA + 0x3155).unwrap_or(c),
        0xFFD2..=0xFFD7 => char::from_u32(code - 0xFFD2 + 0x315B).unwrap_or(c),
        0xFFDA..=0xFFDC => char::from_u32(code - 0xFFDA + 0x3161).unwrap_or(c),
        0xFFE0..=0xFFE6 => at(&SIGNS, 0xFFE0),
        0xFFE8..=0xFFEE => at(&SHAPES, 0xFFE8),
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use unicode_normalization::UnicodeNormalization;

    use super::*;

    #[test]
    fn agrees_with_compatibility_decomposition_on_the_whole_block() {
        let mut checked = 0;
        for c in ('\u{FF00}'..='\u{FFEF}').chain(['\u{3000}']) {
            let ours: String = usual(c).nfkd().collect();
            let theirs: String = c.nfkd().collect();
            assert_eq!(ours, theirs, "U+{:04X}", u32::from(c));
            checked += usize::from(usual(c) != c);
        }
        assert_eq!(checked, 226, "the 225 that UnicodeData.txt has in this block, and the wide space");
    }
}
