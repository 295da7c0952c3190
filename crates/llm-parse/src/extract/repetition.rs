//! Notices an answer that repeats itself without end.

use serde_json::Value;

/// The bytes at the end of an answer that are looked at.
const WINDOW: usize = 4096;
/// How many bytes must be periodic.
const MIN_BYTES: usize = 512;
/// How often the repeated piece must stand there in a row.
const MIN_TIMES: usize = 8;
/// How many bytes of equal short values are let pass while an answer is being written: a value for each day of a year.
const PATIENCE: usize = 12 << 10;
/// The longest text, in bytes, that counts as a short value.
const SHORT: usize = 32;

/// Watches an answer as it grows, in time linear in its length.
#[derive(Debug, Default)]
pub(crate) struct Repetition {
    checked: usize,
}

impl Repetition {
    /// Tells whether `text`, which only grows between calls, has begun to repeat itself without end.
    ///
    /// Equal short values (`false, false, …`) may be an answer that is yet to end; a text that is said again and again is none.
    pub(crate) fn watch(&mut self, text: &str) -> bool {
        if text.len() < self.checked + WINDOW / 4 {
            return false;
        }
        self.checked = text.len();
        let text = text.trim_end();
        let Some(period) = period(text.as_bytes()) else { return false };
        let unit = text.get(text.len().saturating_sub(period)..).unwrap_or_default();
        !is_data(unit) || periodic_bytes(text.as_bytes(), period) >= PATIENCE
    }
}

/// Tells whether `unit`, begun at one of its commas, is a row of list items without a long text.
fn is_data(unit: &str) -> bool {
    let is_row = |(head, tail): (&str, &str)| {
        serde_json::from_str::<Vec<Value>>(&format!("[{tail}{head}]"))
            .is_ok_and(|row| row.iter().all(is_short))
    };
    unit.match_indices(',')
        .filter_map(|(at, comma)| Some((unit.get(..at)?, unit.get(at + comma.len()..)?)))
        .any(is_row)
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => text.len() <= SHORT,
        Value::Array(items) => items.iter().all(is_short),
        Value::Object(map) => map.values().all(is_short),
    }
}

/// Counts the bytes at the end of `text`, up to [`PATIENCE`], that repeat with this period.
fn periodic_bytes(text: &[u8], period: usize) -> usize {
    let from_end = || text.iter().rev();
    let same = from_end().zip(from_end().skip(period)).take(PATIENCE).take_while(|(one, other)| one == other);
    same.count() + period
}

/// Tells whether `text` ends in one piece that stands there again and again.
pub(crate) fn loops(text: &str) -> bool {
    period(text.trim_end().as_bytes()).is_some()
}

/// Finds the length of the piece that stands at the end of `text` again and again.
///
/// Measured by the smallest period of every suffix of the last 4 kB, which is the prefix function of the reversed text
/// (Knuth, Morris and Pratt, 1977).
fn period(text: &[u8]) -> Option<usize> {
    let tail: Vec<u8> = text.iter().rev().take(WINDOW).copied().collect();
    // rules, indents and padding are one byte over and over: as much of them is needed as of the window
    let mut border = vec![0_usize; tail.len()];
    let mut length = 0;
    for at in 1..tail.len() {
        let Some(&byte) = tail.get(at) else { break };
        while length > 0 && tail.get(length) != Some(&byte) {
            length = border.get(length - 1).copied().unwrap_or(0);
        }
        if tail.get(length) == Some(&byte) {
            length += 1;
        }
        if let Some(slot) = border.get_mut(at) {
            *slot = length;
        }
        let suffix = at + 1;
        let period = suffix - length;
        if suffix >= MIN_BYTES && period * MIN_TIMES <= suffix && (period > 1 || suffix == WINDOW) {
            return Some(period);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_over_and_over_is_a_loop_in_both_languages() {
        for unit in
            ["매일 달립니다. ", "I run every day. ", "{\"title\": \"run\", \"order\": 1}, ", "\n", "ha"]
        {
            let text = format!("{{\"tasks\": [\"{}", unit.repeat(5000 / unit.len()));
            assert_eq!(loops(&text), unit != "\n", "{unit:?}");
        }
    }

    #[test]
    fn a_long_answer_that_counts_on_is_no_loop() {
        let text: String = (0..400)
            .fold(String::new(), |text, n| text + &format!("{{\"title\": \"step {n}\", \"order\": {n}}}, "));
        assert!(!loops(&text));
        assert!(!loops("짧은 답"));
        assert!(!loops(&"-".repeat(80)));
        assert!(!loops(&"ok ".repeat(20)));
    }

    /// After how many `unit`s a watched answer is given up.
    fn noticed(unit: &str) -> Option<usize> {
        let mut watch = Repetition::default();
        let mut text = String::from("{\"tasks\": [");
        (0..5000).find(|_| {
            text.push_str(unit);
            watch.watch(&text)
        })
    }

    #[test]
    fn watching_notices_a_loop_soon_after_it_begins() {
        for unit in
            ["매일 아침 달립니다. ", "I run every day. ", "\"매일 아침 30분씩 달리고 나서 물을 마신다\", "]
        {
            let noticed = noticed(unit);
            assert!(noticed.is_some_and(|n| n < 200), "{unit}: {noticed:?}");
        }
    }

    #[test]
    fn equal_short_values_have_the_room_of_a_year_and_no_more() {
        for unit in [
            "false,",
            "\n      false,",
            "0, ",
            "[0, 1],",
            "\"맑음\", ",
            "\"달리기\", ",
            "{\"done\": false, \"note\": null}, ",
            "{\"mood\":\"ok\",\"score\":1},",
        ] {
            let noticed = noticed(unit);
            assert!(noticed.is_some_and(|n| n > 365), "{unit}: {noticed:?}");
            let text = unit.repeat(noticed.unwrap_or_default());
            assert!(loops(&text) && text.len() < 14_000, "{unit}: {}", text.len());
        }
    }
}
