//! Whether the embedder can read a text.

use std::sync::Arc;

use crate::chunk::CountTokens;

/// Notices texts that the embedder cannot read, by what its own tokenizer makes of them.
///
/// A sentence encoder without Korean in its vocabulary still answers vectors for Korean, and they say nothing: all-MiniLM-L6-v2 breaks
/// Korean into 1.3 pieces a character and unknown words, and equal-weight fusion with it drags BM25 from an nDCG@10 of .95 to .34.
/// With a gate, a [`Retriever`](crate::Retriever) goes by words alone for questions that the embedder cannot read, and an
/// [`Ingest`](crate::Ingest) keeps chunks that it cannot read without a vector.
///
/// A text cannot be read where more than a tenth of its words are unknown to the tokenizer, or where half of its letters are of other
/// scripts than Latin and take more than 0.8 tokens each. That is meant for encoders with a vocabulary of some tens of thousands
/// (WordPiece, SentencePiece). Tokenizers of bytes, as OpenAI's models have, take a token for a Korean character and can read it all the
/// same: those need no gate.
///
/// ```
/// use pumasi_rag::chunk::CountTokens;
/// use pumasi_rag::retrieve::Gate;
///
/// /// A vocabulary of English words; anything else is spelled.
/// #[derive(Debug)]
/// struct English;
///
/// impl CountTokens for English {
///     fn name(&self) -> &str {
///         "english"
///     }
///
///     fn count(&self, text: &str) -> usize {
///         let pieces = |word: &str| if word.is_ascii() { 1 } else { word.chars().count() * 4 / 3 };
///         text.split_whitespace().map(pieces).sum()
///     }
/// }
///
/// let gate = Gate::new(English);
/// assert!(gate.can_read("How long should my knee rest?"));
/// assert!(!gate.can_read("무릎은 얼마나 쉬어야 하나요?"));
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    counter: Arc<dyn CountTokens>,
}

/// More tokens than this for a letter of another script than Latin: it is being spelled.
const TOKENS_PER_LETTER: f64 = 0.8;
/// A larger share of unknown words than this cannot be read over.
const UNKNOWN: f64 = 0.1;

impl Gate {
    /// Makes a gate by the embedder's own tokenizer.
    pub fn new(counter: impl CountTokens + 'static) -> Self {
        Self { counter: Arc::new(counter) }
    }

    /// Names what it counts by.
    pub(crate) fn name(&self) -> &str {
        self.counter.name()
    }

    /// Tells whether the embedder can read a text. A text without letters can be read.
    pub fn can_read(&self, text: &str) -> bool {
        let other = |c: char| c.is_alphabetic() && !is_latin(c);
        let (mut letters, mut others) = (0_u32, 0_u32);
        for c in text.chars().filter(|c| c.is_alphabetic()) {
            letters += 1;
            others += u32::from(!is_latin(c));
        }
        if letters == 0 {
            return true;
        }
        let words = u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX);
        let unknown = u32::try_from(self.counter.count_unknown(text)).unwrap_or(u32::MAX);
        if f64::from(unknown) > UNKNOWN * f64::from(words) {
            return false;
        }
        if others * 2 < letters {
            return true;
        }
        let foreign: Vec<&str> = text.split(|c: char| !other(c)).filter(|word| !word.is_empty()).collect();
        let tokens = u32::try_from(self.counter.count(&foreign.join(" "))).unwrap_or(u32::MAX);
        f64::from(tokens) <= TOKENS_PER_LETTER * f64::from(others)
    }
}

/// Tells whether a letter is of the scripts that every vocabulary spells its words in.
fn is_latin(c: char) -> bool {
    matches!(c, 'a'..='z' | 'A'..='Z' | '\u{AA}'..='\u{24F}')
}
