//! How long a text is for a model.

use std::fmt;
use std::sync::Arc;

/// Counts tokens, as the embedder does that reads the chunks.
///
/// With the feature `tokens`, [`TokenCounter`](pumasi_core::model::TokenCounter) counts as OpenAI's embedders do.
pub trait CountTokens: fmt::Debug + Send + Sync {
    /// Names the tokenizer.
    fn name(&self) -> &str;

    /// Counts the tokens of a text.
    fn count(&self, text: &str) -> usize;

    /// Counts the words of a text that the tokenizer does not know; none, for tokenizers that can spell everything.
    fn count_unknown(&self, _text: &str) -> usize {
        0
    }
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<T: CountTokens + ?Sized> CountTokens for $pointer {
            fn name(&self) -> &str {
                (**self).name()
            }

            fn count(&self, text: &str) -> usize {
                (**self).count(text)
            }

            fn count_unknown(&self, text: &str) -> usize {
                (**self).count_unknown(text)
            }
        }
    )+};
}

forward!(&T, Box<T>, Arc<T>);

#[cfg(feature = "tokens")]
impl CountTokens for pumasi_core::model::TokenCounter {
    fn name(&self) -> &str {
        match self.encoding() {
            pumasi_core::model::Encoding::O200k => "o200k",
            pumasi_core::model::Encoding::Cl100k => "cl100k",
            _ => "tiktoken",
        }
    }

    fn count(&self, text: &str) -> usize {
        Self::count(self, text)
    }
}

/// Estimates tokens where no tokenizer is at hand: a character of Korean, Chinese or Japanese is one, and so are a sign and each
/// begun four letters of another word.
///
/// On Korean and English prose that is near what `cl100k_base` counts (from 20 % under to 40 % over); it is no bound. Count with the
/// embedder's own tokenizer where it reads no more than it is given.
#[derive(Clone, Copy, Debug, Default)]
pub struct EstimatedTokens;

impl CountTokens for EstimatedTokens {
    fn name(&self) -> &'static str {
        "estimated-1"
    }

    fn count(&self, text: &str) -> usize {
        let (mut tokens, mut letters) = (0, 0_usize);
        for c in text.chars() {
            if c.is_alphanumeric() && !is_wide(c) {
                letters += 1;
                continue;
            }
            tokens += letters.div_ceil(4) + usize::from(!c.is_whitespace());
            letters = 0;
        }
        tokens + letters.div_ceil(4)
    }
}

/// Tells whether a character is a syllable or a word by itself.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{11FF}' | '\u{3040}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7FF}' | '\u{F900}'..='\u{FAFF}' | '\u{20000}'..='\u{3FFFF}')
}
