//! What services and their parts say, in Korean: one table for all.
//!
//! A line of `korean.txt` is English as it is said, with `{}` where something changing stands; the line under it, which is indented, is
//! the Korean. There `{0}` is the first of what changes, and `{0|을|를}` the same with the particle that fits its last syllable. What
//! changes is looked up in the table as well.

use std::collections::HashMap;
use std::sync::LazyLock;

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("korean.txt")));

/// How deep what changes in a text may be made of what changes in it.
const DEEPEST: usize = 4;

struct Table {
    /// Texts without anything that changes.
    whole: HashMap<&'static str, &'static str>,
    /// The others, by their pieces; the first that fits counts.
    pieced: Vec<(Vec<&'static str>, &'static str)>,
}

impl Table {
    fn read(text: &'static str) -> Self {
        let (mut whole, mut pieced) = (HashMap::new(), Vec::new());
        let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        while let (Some(english), Some(korean)) = (lines.next(), lines.next()) {
            let pieces: Vec<_> = english.split("{}").collect();
            if pieces.len() == 1 {
                whole.insert(english, korean.trim_start());
            } else {
                pieced.push((pieces, korean.trim_start()));
            }
        }
        Self { whole, pieced }
    }

    fn find(&self, english: &str, deep: usize) -> Option<String> {
        if let Some(korean) = self.whole.get(english) {
            return Some((*korean).to_owned());
        }
        if deep == DEEPEST {
            return None;
        }
        self.pieced.iter().find_map(|(pieces, korean)| {
            let changing = between(pieces, english)?;
            let said = |text: &&str| self.find(text, deep + 1).unwrap_or_else(|| (*text).to_owned());
            Some(filled(korean, &changing.iter().map(said).collect::<Vec<_>>()))
        })
    }
}

/// What stands between the pieces in a text that is made of them.
fn between<'t>(pieces: &[&str], text: &'t str) -> Option<Vec<&'t str>> {
    let (first, rest) = pieces.split_first()?;
    let mut text = text.strip_prefix(first)?;
    let mut found = Vec::with_capacity(rest.len());
    for (place, piece) in rest.iter().enumerate() {
        let (inside, behind) =
            if place + 1 == rest.len() { (text.strip_suffix(piece)?, "") } else { text.split_once(piece)? };
        if inside.is_empty() {
            return None;
        }
        found.push(inside);
        text = behind;
    }
    Some(found)
}

/// Writes what changes where it belongs.
fn filled(korean: &str, changing: &[String]) -> String {
    let mut said = String::new();
    for (place, piece) in korean.split('{').enumerate() {
        let Some((hole, behind)) = piece.split_once('}').filter(|_| place > 0) else {
            said.push_str(piece);
            continue;
        };
        let mut parts = hole.split('|');
        let number = parts.next().and_then(|number| number.parse::<usize>().ok());
        let word = number.and_then(|number| changing.get(number)).map_or("", String::as_str);
        said.push_str(word);
        if let (Some(closed), Some(open)) = (parts.next(), parts.next()) {
            match ends_closed(word) {
                Some(true) => said.push_str(closed),
                Some(false) => said.push_str(open),
                None => said.extend([closed, "(", open, ")"]),
            }
        }
        said.push_str(behind);
    }
    said
}

/// Whether the last syllable of a word ends with a consonant; `None` where that cannot be told.
fn ends_closed(word: &str) -> Option<bool> {
    let last = word.trim_end_matches(|letter: char| !letter.is_alphanumeric()).chars().next_back()?;
    match last {
        '가'..='힣' => Some(!(u32::from(last) - u32::from('가')).is_multiple_of(28)),
        // As they are read: 영, 일, 삼, 육, 칠, 팔.
        '0' | '1' | '3' | '6' | '7' | '8' => Some(true),
        '2' | '4' | '5' | '9' => Some(false),
        _ => None,
    }
}

/// What is said in English, in Korean.
pub(super) fn of(english: &str) -> Option<String> {
    TABLE.find(english, 0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_text_of_the_table_is_korean_and_says_no_more() {
        let lines: Vec<_> = include_str!("korean.txt")
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        let mut known = HashSet::new();
        for pair in lines.chunks(2) {
            let [english, korean] = pair else { panic!("{pair:?} stands alone") };
            assert!(!english.starts_with(' ') && korean.starts_with("  "), "{english}: {korean}");
            assert!(known.insert(english), "{english} stands twice");
            assert!(!english.chars().any(|letter| ('가'..='힣').contains(&letter)), "{english}");
            assert!(korean.chars().any(|letter| ('가'..='힣').contains(&letter)), "{korean}");
            let holes = english.matches("{}").count();
            // What says nothing to people, as an identifier, may be left out.
            let said =
                korean.split('{').skip(1).map(|hole| hole.chars().next().unwrap().to_digit(10).unwrap());
            assert!(
                said.max().is_none_or(|last| (last as usize) < holes),
                "{korean} says more than {english}"
            );
            let filled = of(&english.replace("{}", "x")).unwrap();
            assert!(!filled.contains('{'), "{filled}");
        }
    }

    #[test]
    fn a_text_is_found_by_its_pieces_and_the_first_that_fits_counts() {
        let table = Table::read(
            "no {} at {}\n  {1}에는 {0|이|가} 없음\nno {}\n  {0|은|는} 안 됨\nrain\n  비\ncloud\n  구름",
        );
        let said = |english| table.find(english, 0).unwrap();
        assert_eq!(said("no rain"), "비는 안 됨");
        assert_eq!(said("no cloud at home"), "home에는 구름이 없음");
        assert_eq!(said("no x-1"), "x-1은 안 됨");
        assert_eq!(said("no home"), "home은(는) 안 됨");
        for unknown in ["", "no ", "yes rain", "rainy"] {
            assert_eq!(table.find(unknown, 0), None, "{unknown}");
        }
    }

    #[test]
    fn a_text_of_itself_ends() {
        let table = Table::read("no {}\n  {0} 아님");
        assert!(table.find(&"no ".repeat(1_000), 0).is_some());
    }
}
