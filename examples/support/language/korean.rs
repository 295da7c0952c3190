//! What services and their parts say, in Korean: one table for all.
//!
//! A line of `korean.txt` is English as it is said, with `{}` where something changing stands; the line under it, which is indented, is
//! the Korean. There `{0}` is the first of what changes, and `{0|을|를}` the same with the particle that fits its last syllable. What
//! changes is looked up in the table as well, but for `{=0}`: a name or a value that somebody sent, which stays as it is.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::LazyLock;

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("korean.txt")));

/// How deep what changes in a text may be made of what changes in it.
const DEEPEST: usize = 4;

struct Table {
    /// Texts without anything that changes.
    whole: HashMap<&'static str, &'static str>,
    /// The others, by their pieces, from the most specific on; the first that fits counts.
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
        // What a text begins with says most of what it is: what follows may be a text of its own.
        pieced.sort_by_key(|(pieces, _): &(Vec<&str>, _)| {
            let literal: usize = pieces.iter().map(|piece| piece.len()).sum();
            Reverse((pieces.first().map_or(0, |piece| piece.len()), literal))
        });
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
            Some(filled(korean, &changing, |text| self.find(text, deep + 1)))
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

/// Writes what changes where it belongs, as `say` says it.
fn filled(korean: &str, changing: &[&str], say: impl Fn(&str) -> Option<String>) -> String {
    let mut said = String::new();
    for (place, piece) in korean.split('{').enumerate() {
        let Some((hole, behind)) = piece.split_once('}').filter(|_| place > 0) else {
            said.push_str(piece);
            continue;
        };
        let mut parts = hole.split('|');
        let which = parts.next().unwrap_or_default();
        let number = which.trim_start_matches('=').parse::<usize>().ok();
        let word = number.and_then(|number| changing.get(number)).copied().unwrap_or_default();
        let known = if which.starts_with('=') { None } else { say(word) };
        let word = known.as_deref().unwrap_or(word);
        said.push_str(word);
        if let (Some(closed), Some(open)) = (parts.next(), parts.next()) {
            match ends_closed(without_remark(word)) {
                Some(true) => said.push_str(closed),
                Some(false) => said.push_str(open),
                None => said.extend([closed, "(", open, ")"]),
            }
        }
        said.push_str(behind);
    }
    said
}

/// A word without what stands behind it in parentheses.
fn without_remark(word: &str) -> &str {
    let word = word.trim_end();
    match word.strip_suffix(')').and_then(|inside| inside.rsplit_once('(')) {
        Some((before, _)) if !before.trim().is_empty() => before.trim_end(),
        _ => word,
    }
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
            let said = korean
                .split('{')
                .skip(1)
                .map(|hole| hole.trim_start_matches('=').chars().next().unwrap().to_digit(10).unwrap());
            assert!(
                said.max().is_none_or(|last| (last as usize) < holes),
                "{korean} says more than {english}"
            );
            let found = of(&english.replace("{}", "x")).unwrap();
            assert_eq!(
                found,
                filled(korean.trim_start(), &vec!["x"; holes], |_| None),
                "{english} is told as another"
            );
            assert!(!found.contains("{0") && !found.contains("{="), "{found}");
        }
    }

    #[test]
    fn a_text_is_found_by_its_pieces_and_the_most_specific_that_fits_counts() {
        let table = Table::read(
            "no {}\n  {0|은|는} 안 됨\nno {} at {}\n  {1}에는 {0|이|가} 없음\nrain\n  비\ncloud\n  구름",
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
    fn what_somebody_sent_stays_as_it_is() {
        for (english, korean) in [
            (
                "the answer shipping_address is refused: an e-mail address has an @",
                "받을 곳 거절: 전자우편 주소에는 @가 있어야 합니다",
            ),
            (
                "the name of a crew is a line of 1 to 50 characters",
                "크루의 이름은 한 줄로 1자에서 50자까지입니다",
            ),
            (
                "Failed to deserialize the JSON body into the target type: order: unknown field `order`, expected `page` or \
                 `row` at line 1 column 9",
                "본문에 맞지 않는 것이 있습니다: order: `order` 항목은 없습니다. 있는 것: `page` 또는 `row` (1번째 줄 9번째 글자)",
            ),
            (
                "Failed to deserialize query string: zz: unknown field `zz`, expected one of `q`, `after`, `limit`",
                "주소의 매개변수를 읽을 수 없습니다: zz: `zz` 항목은 없습니다. 있는 것: `q`, `after`, `limit`",
            ),
            (
                "Failed to deserialize query string: typing: provided string was not `true` or `false`",
                "주소의 매개변수를 읽을 수 없습니다: typing: true나 false가 아닙니다",
            ),
            (
                "there is no such answer; it is kept for a few minutes",
                "찾으시는 답(몇 분 동안만 남아 있습니다)이 없습니다",
            ),
            (
                "the answer was cut off, and the same answer came again",
                "답이 도중에 끊겼습니다. 다시 물어도 같은 답이 왔습니다",
            ),
            (
                "the filter at \"\" does not have exactly one operator",
                "조건이 맞지 않습니다 (연산자는 하나여야 합니다)",
            ),
            ("this takes the role tutor", "튜터 역할이 있어야 할 수 있는 일입니다"),
        ] {
            assert_eq!(of(english).as_deref(), Some(korean));
        }
    }

    #[test]
    fn a_text_of_itself_ends() {
        let table = Table::read("no {}\n  {0} 아님");
        assert!(table.find(&"no ".repeat(1_000), 0).is_some());
    }
}
