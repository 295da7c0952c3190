//! Tells by script whether a value is written in the language it was asked for in.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::marks::{Leaf, Marks};

/// The language that the free texts of a value shall be written in, as far as scripts tell languages apart.
///
/// Quotes are in the source's language, and names and labels of an enumeration in the schema's: neither is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnswerLanguage {
    /// Korean: mostly Hangul; Latin names and terms among it are usual.
    Korean,
    /// English: Latin letters.
    English,
    /// Japanese: Kana and Han.
    Japanese,
    /// Chinese: Han without Kana.
    Chinese,
}

impl AnswerLanguage {
    pub(crate) const fn expected(self) -> &'static str {
        match self {
            Self::Korean => "text in Korean (한국어)",
            Self::English => "text in English",
            Self::Japanese => "text in Japanese (日本語)",
            Self::Chinese => "text in Chinese (中文)",
        }
    }

    /// Tells whether letters counted like this are another language.
    fn differs(self, letters: Letters) -> bool {
        let all = letters.all();
        // fewer letters are as likely a name, an abbreviation or a unit
        if all < 8 {
            return false;
        }
        let share = |count: usize| count * 100 / all;
        match self {
            Self::Korean => share(letters.hangul) < 20,
            Self::English => share(letters.latin) < 60,
            Self::Japanese => share(letters.kana + letters.han) < 20 || share(letters.hangul) > 50,
            Self::Chinese => share(letters.han) < 20 || share(letters.kana) > 20,
        }
    }

    /// Returns the pointers of the free texts that are written in another language.
    ///
    /// One text among several may be a title or a name in its own language; so the texts are weighed together first.
    pub(crate) fn strays(self, marks: &Marks, value: &Value) -> Vec<String> {
        let mut total = Letters::default();
        let mut strays = Vec::new();
        for (path, leaf) in marks.strings(value) {
            let Leaf::Free(text) = leaf else { continue };
            let letters = Letters::of(text);
            total.add(letters);
            if self.differs(letters) {
                strays.push(path);
            }
        }
        if self.differs(total) { strays } else { Vec::new() }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Letters {
    hangul: usize,
    kana: usize,
    han: usize,
    latin: usize,
    other: usize,
}

impl Letters {
    fn of(text: &str) -> Self {
        let mut letters = Self::default();
        for c in text.chars().filter(|c| c.is_alphabetic()) {
            match c {
                '\u{1100}'..='\u{11ff}'
                | '\u{3130}'..='\u{318f}'
                | '\u{a960}'..='\u{a97f}'
                | '\u{ac00}'..='\u{d7ff}' => letters.hangul += 1,
                '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{ff66}'..='\u{ff9f}' => {
                    letters.kana += 1;
                }
                '\u{3400}'..='\u{4dbf}'
                | '\u{4e00}'..='\u{9fff}'
                | '\u{f900}'..='\u{faff}'
                | '\u{20000}'..='\u{3ffff}' => letters.han += 1,
                'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{ff21}'..='\u{ff5a}' => letters.latin += 1,
                _ => letters.other += 1,
            }
        }
        letters
    }

    fn add(&mut self, other: Self) {
        self.hangul += other.hangul;
        self.kana += other.kana;
        self.han += other.han;
        self.latin += other.latin;
        self.other += other.other;
    }

    const fn all(self) -> usize {
        self.hangul + self.kana + self.han + self.latin + self.other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn strays(language: AnswerLanguage, value: &Value) -> Vec<String> {
        let marks = Marks::new(&json!({"type": "array", "items": {"type": "object", "properties": {
            "title": {"type": "string"},
            "quote": {"type": "string", "x-quote": true},
            "level": {"enum": ["easy", "hard", "extraordinarily hard"]},
        }}}));
        language.strays(&marks, value)
    }

    #[test]
    fn free_texts_in_another_language_are_named() {
        let english = json!([{"title": "Run for thirty minutes every day", "quote": "매일 30분 달렸다", "level": "extraordinarily hard"}]);
        assert_eq!(strays(AnswerLanguage::Korean, &english), ["/0/title"]);
        assert!(strays(AnswerLanguage::English, &english).is_empty());
        let korean = json!([{"title": "매일 삼십 분씩 달리기", "quote": "I ran every single day"}]);
        assert_eq!(strays(AnswerLanguage::English, &korean), ["/0/title"]);
        assert!(strays(AnswerLanguage::Korean, &korean).is_empty());
        let chinese = json!([{"title": "每天坚持跑步三十分钟"}]);
        assert_eq!(strays(AnswerLanguage::Korean, &chinese), ["/0/title"]);
        assert_eq!(
            strays(AnswerLanguage::Japanese, &json!([{"title": "매일 삼십 분씩 달리기"}])),
            ["/0/title"]
        );
    }

    #[test]
    fn a_name_in_its_own_language_is_no_stray() {
        let mixed = json!([{"title": "PostgreSQL Performance Tuning 책 읽기"}, {"title": "쿼리 계획을 살펴보고 색인을 추가하기"}]);
        assert!(strays(AnswerLanguage::Korean, &mixed).is_empty());
        assert!(strays(AnswerLanguage::Korean, &json!([{"title": "SQLite"}])).is_empty());
    }
}
