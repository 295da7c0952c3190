//! How many tokens a text has, before it is sent.

use std::fmt;
use std::sync::Arc;

use pumasi_core::model::{ChatRequest, ResponseFormat};

/// Tells how many tokens a text has: by an estimate that errs on the high side, or exactly by a tokenizer.
///
/// The estimate goes by script, because byte-pair tokenizers do: a run of Latin letters costs a token per three letters,
/// digits one per two, a Hangul syllable or another letter outside ASCII a token and a half, symbols outside ASCII (emoji)
/// three, ASCII punctuation one, further white space one per four. For prose this stays at or above what `cl100k_base` and
/// `o200k_base` count (a test checks it where the feature `tokens` is on).
///
/// ```
/// use pumasi_llm_parse::extract::TokenMeter;
///
/// let meter = TokenMeter::estimate();
/// assert!(meter.count("I ran every day.") >= 5);
/// assert!(meter.count("매일 달렸습니다.") >= 6);
/// let words = TokenMeter::new(|text| text.split_whitespace().count() as u64);
/// assert_eq!(words.count("매일 달렸습니다."), 2);
/// ```
#[derive(Clone)]
pub struct TokenMeter {
    how: How,
}

#[derive(Clone)]
enum How {
    Estimate,
    #[cfg(feature = "tokens")]
    Tokenizer(pumasi_core::model::TokenCounter),
    Custom(Arc<dyn Fn(&str) -> u64 + Send + Sync>),
}

impl TokenMeter {
    /// Makes a meter that estimates.
    pub const fn estimate() -> Self {
        Self { how: How::Estimate }
    }

    /// Makes a meter from a function, such as a tokenizer's.
    pub fn new(count: impl Fn(&str) -> u64 + Send + Sync + 'static) -> Self {
        Self { how: How::Custom(Arc::new(count)) }
    }

    /// Makes the meter for the model of this name: its tokenizer with the feature `tokens`, otherwise the estimate.
    pub fn for_model(model: &str) -> Self {
        #[cfg(feature = "tokens")]
        let how = How::Tokenizer(pumasi_core::model::TokenCounter::for_model(model));
        #[cfg(not(feature = "tokens"))]
        let how = {
            let _ = model;
            How::Estimate
        };
        Self { how }
    }

    /// Counts the tokens of `text`.
    pub fn count(&self, text: &str) -> u64 {
        match &self.how {
            How::Estimate => estimate(text),
            #[cfg(feature = "tokens")]
            How::Tokenizer(counter) => u64::try_from(counter.count(text)).unwrap_or(u64::MAX),
            How::Custom(count) => count(text),
        }
    }

    /// Counts the tokens of everything in a request, with the few that frame each message.
    pub(crate) fn count_request(&self, request: &ChatRequest) -> u64 {
        // OpenAI's cookbook on counting tokens gives three a message and three for the answer's beginning; four is safe
        const FRAME: u64 = 4;
        #[cfg(feature = "tokens")]
        if let How::Tokenizer(counter) = &self.how {
            return u64::try_from(counter.count_request(request)).unwrap_or(u64::MAX);
        }
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
        if let ResponseFormat::JsonSchema { schema, .. } = &request.response_format {
            tokens += FRAME + self.count(&schema.to_string());
        }
        tokens
    }
}

impl Default for TokenMeter {
    fn default() -> Self {
        Self::estimate()
    }
}

impl fmt::Debug for TokenMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.how {
            How::Estimate => "TokenMeter(estimate)",
            #[cfg(feature = "tokens")]
            How::Tokenizer(_) => "TokenMeter(tokenizer)",
            How::Custom(_) => "TokenMeter(custom)",
        })
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

    #[cfg(feature = "tokens")]
    #[test]
    fn the_estimate_is_not_below_the_tokenizers_for_prose() {
        use pumasi_core::model::{Encoding, TokenCounter};
        let texts = [
            "매일 아침 여섯 시에 일어나서 30분씩 달렸습니다. 처음에는 힘들었지만 석 달 뒤에는 10km를 뛸 수 있게 되었어요!",
            "리액트를 독학으로 배우려면 공식 문서부터 읽고, 작은 프로젝트를 세 개 만들어 보세요. 그다음 Next.js를 추천합니다 😊",
            "I woke up at six every morning and ran for thirty minutes; after three months I could run 10 km without a break.",
            "1. Read the docs\n2. Build three small projects (a to-do list, a blog, a chat)\n3. Deploy them to https://example.com/demo",
            "{\"type\":\"object\",\"properties\":{\"title\":{\"type\":\"string\"},\"order\":{\"type\":\"integer\"}},\"required\":[\"title\"]}",
        ];
        for encoding in [Encoding::Cl100k, Encoding::O200k] {
            let counter = TokenCounter::new(encoding);
            for text in texts {
                let (estimate, exact) = (estimate(text), counter.count(text) as u64);
                assert!(estimate >= exact, "{encoding:?}: {estimate} < {exact} for {text}");
                assert!(estimate <= exact * 3, "{encoding:?}: {estimate} is far above {exact} for {text}");
            }
        }
    }
}
