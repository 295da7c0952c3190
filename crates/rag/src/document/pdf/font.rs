//! What a font's codes mean, and how wide they are.

use std::collections::HashMap;

use encoding_rs::{EUC_KR, UTF_16BE};
use lopdf::{Dictionary, Document, Encoding, Error, Object};

/// The most that a font's map of letters unfolds to, in bytes.
const MAX_MAP: usize = 4 << 20;
/// The widest that a code says it is, in thousandths of the font's size.
const MAX_WIDTH: f32 = 10_000.0;

/// How the bytes of a string become letters.
enum Letters<'a> {
    /// As the font says itself, or as its kind of encoding is defined.
    Told(Encoding<'a>),
    /// By one of the predefined encodings for Korean and other wide letters.
    Wide(&'static encoding_rs::Encoding),
    Unknown,
}

pub(super) struct Font<'a> {
    letters: Letters<'a>,
    widths: HashMap<u32, f32>,
    usual: f32,
    /// Codes are of two bytes.
    wide: bool,
}

/// Looks at a number, whatever it is written as.
pub(super) fn number(object: &Object) -> Option<f32> {
    object.as_float().ok().filter(|number| number.is_finite())
}

impl<'a> Font<'a> {
    /// Reads a font. What cannot be read of it is as if it were not there, but for what is too much.
    pub(super) fn read(dictionary: &'a Dictionary, file: &'a Document) -> Result<Self, Error> {
        let wide = dictionary
            .get_deref(b"Subtype", file)
            .and_then(|kind| kind.as_name())
            .is_ok_and(|kind| kind == b"Type0");
        let named = dictionary.get_deref(b"Encoding", file).and_then(|encoding| encoding.as_name());
        let named = named.map(String::from_utf8_lossy).unwrap_or_default();
        let letters = if dictionary.has(b"ToUnicode") || !wide {
            match dictionary.get_font_encoding_with_limit(file, MAX_MAP) {
                Ok(encoding) => Letters::Told(encoding),
                Err(error @ Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. })) => {
                    return Err(error);
                }
                Err(_) => Letters::Unknown,
            }
        } else if named.starts_with("Uni") && (named.contains("UCS2") || named.contains("UTF16")) {
            Letters::Wide(UTF_16BE)
        } else if named.starts_with("KSC") && !named.contains("Johab") {
            Letters::Wide(EUC_KR)
        } else {
            Letters::Unknown
        };
        let mut font = Self { letters, widths: HashMap::new(), usual: 500.0, wide };
        if wide {
            font.usual = 1_000.0;
            let descendants =
                dictionary.get_deref(b"DescendantFonts", file).and_then(|fonts| fonts.as_array());
            let first = descendants.ok().and_then(|fonts| file.dereference(fonts.first()?).ok());
            if let Some(descendant) = first.and_then(|(_, font)| font.as_dict().ok()) {
                font.read_wide(descendant, file);
            }
        } else {
            font.read_narrow(dictionary, file);
        }
        Ok(font)
    }

    fn set(&mut self, code: u32, width: Option<f32>) {
        if let Some(width) = width {
            self.widths.insert(code, width.clamp(-MAX_WIDTH, MAX_WIDTH));
        }
    }

    fn read_narrow(&mut self, dictionary: &Dictionary, file: &Document) {
        let first = dictionary.get_deref(b"FirstChar", file).ok().and_then(|first| first.as_i64().ok());
        let first = first.and_then(|first| u32::try_from(first).ok()).unwrap_or_default();
        let Ok(widths) = dictionary.get_deref(b"Widths", file).and_then(|widths| widths.as_array()) else {
            return;
        };
        for (code, width) in (first..=255).zip(widths) {
            let width = file.dereference(width).ok().and_then(|(_, width)| number(width));
            self.set(code, width);
        }
    }

    /// Reads the widths of a wide font: `first [w w w]` and `first last w`.
    fn read_wide(&mut self, descendant: &Dictionary, file: &Document) {
        if let Some(usual) = descendant.get_deref(b"DW", file).ok().and_then(number) {
            self.usual = usual.clamp(-MAX_WIDTH, MAX_WIDTH);
        }
        let Ok(widths) = descendant.get_deref(b"W", file).and_then(|widths| widths.as_array()) else {
            return;
        };
        let code =
            |object: &Object| object.as_i64().ok().and_then(|code| u16::try_from(code).ok()).map(u32::from);
        let mut rest =
            widths.iter().filter_map(|object| file.dereference(object).ok()).map(|(_, object)| object);
        while let (Some(first), Some(next)) = (rest.next().and_then(code), rest.next()) {
            if let Ok(list) = next.as_array() {
                for (code, width) in (first..=0xFFFF).zip(list) {
                    self.set(code, number(width));
                }
            } else if let (Some(last), Some(width)) = (code(next), rest.next().and_then(number)) {
                // a long run of one width is the usual one
                if last.saturating_sub(first) > 4_096 {
                    self.usual = width.clamp(-MAX_WIDTH, MAX_WIDTH);
                } else {
                    (first..=last).for_each(|code| self.set(code, Some(width)));
                }
            }
        }
    }

    /// Returns the letters of a string; a code without one is U+FFFD.
    pub(super) fn text(&self, bytes: &[u8]) -> String {
        match &self.letters {
            Letters::Told(encoding) => {
                let mut text = String::new();
                let told = encoding.write_to_string(bytes, &mut text);
                if told.is_err() { String::from('\u{FFFD}') } else { text }
            }
            Letters::Wide(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
            Letters::Unknown => "\u{FFFD}".repeat(bytes.len().div_ceil(if self.wide { 2 } else { 1 })),
        }
    }

    /// Returns how far a string goes, in thousandths of the font's size, with its count of codes, and of spaces of one byte.
    pub(super) fn width(&self, bytes: &[u8]) -> (f32, usize, usize) {
        let of = |code: u32| self.widths.get(&code).copied().unwrap_or(self.usual);
        if self.wide {
            let codes = bytes.as_chunks::<2>().0;
            let width = codes.iter().map(|code| of(u32::from(u16::from_be_bytes(*code)))).sum();
            return (width, codes.len(), 0);
        }
        let width = bytes.iter().map(|code| of(u32::from(*code))).sum();
        (width, bytes.len(), bytes.split(|byte| *byte == b' ').count() - 1)
    }
}
