//! How many tokens a text has, before it is sent.

use std::fmt;
use std::sync::Arc;

use pumasi_core::model::ChatRequest;

/// Counts the tokens of a text: an estimate that errs on the high side, or a tokenizer's exact count.
///
/// The estimate goes by script, because byte-pair tokenizers do: a run of Latin letters costs a token per three letters,
/// digits one per two, a Hangul syllable or another wide letter a token and a half, other letters outside ASCII one and a
/// half, symbols outside ASCII (emoji) three, ASCII punctuation one, white space a token per four. For prose this stays
/// at or above what `cl100k_base` and `o200k_base` count (checked by a test where the feature `tokens` is on).
///
/// ```
/// use pumasi_llm_parse::extract::TokenCounter;
///
/// let counter = TokenCounter::estimate();
/// assert!(counter.count("I ran every day.") >= 5);
/// assert!(counter.count("매일 달렸습니다.") >= 6);
/// let words = TokenCounter::new(|text| text.split_whitespace().count() as u64);
/// assert_eq!(words.count("매일 달렸습니다."), 2);
/// ```
#[derive(Clone)]
pub struct TokenCounter {
    count: Option<Arc<dyn Fn(&str) -> u64 + Send + Sync>>,
}

impl TokenCounter {
    /// Makes a counter that estimates.
    pub const fn estimate() -> Self {
        Self { count: None }
    }

    /// Makes a counter from a function, such as a tokenizer's.
    pub fn new(count: impl Fn(&str) -> u64 + Send + Sync + 'static) -> Self {
        Self { count: Some(Arc::new(count)) }
    }

    /// Counts the tokens of `text`.
    pub fn count(&self, text: &str) -> u64 {
        self.count.as_ref().map_or_else(|| estimate(text), |count| count(text))
    }

    /// Counts the tokens of everything in a request, with the few that frame each message.
    pub(crate) fn count_request(&self, request: &ChatRequest) -> u64 {
        // OpenAI's cookbook on counting tokens gives three a message and three for the answer's beginning; four is safe
        const FRAME: u64 = 4;
        let mut tokens = FRAME;
        for message in &request.messages {
            tokens += FRAME + self.count(&message.content);
            for call in &message.tool_calls {
                tokens += FRAME + self.count(&call.name) + self.count(&call.arguments);
            }
        }
        for tool in &request.tools {
            tokens += FRAME + self.count(&tool.description) + self.count(&tool.parameters.to_string());
        }
        if let pumasi_core::model::ResponseFormat::JsonSchema { schema, .. } = &request.response_format {
            tokens += FRAME + self.count(&schema.to_string());
        }
        tokens
    }
}

impl Default for TokenCounter {
    fn default() -> Self {
        Self::estimate()
    }
}

impl fmt::Debug for TokenCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.count.is_some() { "TokenCounter(custom)" } else { "TokenCounter(estimate)" })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Letters,
    Digits,
    Space,
    Single,
}

fn estimate(text: &str) -> u64 {
    let mut halves: u64 = 0;
    let mut run = (Run::Single, 0_u64);
    let close = |(kind, length): (Run, u64)| match kind {
        Run::Letters => 2 * length.div_ceil(3),
        Run::Digits => 2 * length.div_ceil(2),
        // a single blank joins the word that follows it
        Run::Space => 2 * (length / 4) + u64::from(length > 1),
        Run::Single => 0,
    };
    for c in text.chars() {
        let kind = match c {
            'a'..='z' | 'A'..='Z' => Run::Letters,
            '0'..='9' => Run::Digits,
            ' ' | '\t' | '\r' | '\n' => Run::Space,
            _ => Run::Single,
        };
        if kind == Run::Single {
            halves += match c {
                _ if c.is_ascii() => 2,
                _ if c.is_alphanumeric() => 3,
                _ => 6,
            };
        }
        if kind == run.0 {
            run.1 += 1;
        } else {
            halves += close(run);
            run = (kind, 1);
        }
    }
    (halves + close(run)).div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_grows_with_the_text_and_is_zero_for_nothing() {
        assert_eq!(estimate(""), 0);
        let mut last = 0;
        for text in ["a", "abcd", "abcd 1234", "abcd 1234 가나", "abcd 1234 가나 👟"] {
            assert!(estimate(text) > last, "{text}");
            last = estimate(text);
        }
    }
}
