//! Notices an answer that repeats itself without end.

/// The bytes at the end of an answer that are looked at.
const WINDOW: usize = 4096;
/// How many bytes must be periodic.
const MIN_BYTES: usize = 512;
/// How often the repeated piece must stand there in a row.
const MIN_TIMES: usize = 8;

/// Watches an answer as it grows, in time linear in its length.
#[derive(Debug, Default)]
pub(crate) struct Repetition {
    checked: usize,
}

impl Repetition {
    /// Tells whether `text`, which only grows between calls, has begun to repeat itself without end.
    pub(crate) fn watch(&mut self, text: &str) -> bool {
        if text.len() < self.checked + WINDOW / 4 {
            return false;
        }
        self.checked = text.len();
        loops(text)
    }
}

/// Tells whether `text` ends in one piece that stands there again and again.
///
/// Measured by the smallest period of every suffix of the last 4 kB, which is the prefix function of the reversed text
/// (Knuth, Morris and Pratt, 1977).
pub(crate) fn loops(text: &str) -> bool {
    let text = text.trim_end().as_bytes();
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
            return true;
        }
    }
    false
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

    #[test]
    fn watching_notices_a_loop_soon_after_it_begins() {
        let mut watch = Repetition::default();
        let mut text = String::from("{\"tasks\": [");
        let mut noticed = None;
        for n in 0..2000 {
            text.push_str("\"달리기\", ");
            if watch.watch(&text) {
                noticed = Some(n);
                break;
            }
        }
        assert!(noticed.is_some_and(|n| n < 200), "{noticed:?}");
    }
}
