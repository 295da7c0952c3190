//! The encoder's own tokenizer.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokenizers::{Encoding, PostProcessor as _, Tokenizer, TruncationDirection};

use super::settings::{damaged, read};
use crate::chunk::CountTokens;
use crate::{Error, ErrorKind, Result};

/// A tokenizer that neither pads nor cuts by itself.
pub(super) struct Tokens {
    tokenizer: Tokenizer,
    /// The token that stands for words which are not known.
    unknown: Option<u32>,
    /// How many tokens are added to those of a text.
    added: usize,
}

impl Tokens {
    /// Reads `tokenizer.json`, and returns its bytes as well.
    pub(super) fn read(folder: &Path) -> Result<(Self, Vec<u8>)> {
        let file = folder.join("tokenizer.json");
        let bytes = read(&file)?;
        let parsed: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|error| damaged(&file, error))?;
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| damaged(&file, error))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| damaged(&file, error))?;
        let model = parsed.get("model");
        let unknown = model.and_then(|model| {
            let id = model.get("unk_id").and_then(serde_json::Value::as_u64);
            let word = model.get("unk_token").and_then(|word| word.as_str());
            id.and_then(|id| u32::try_from(id).ok()).or_else(|| tokenizer.token_to_id(word?))
        });
        let added = tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(false));
        Ok((Self { tokenizer, unknown, added }, bytes))
    }

    /// How many tokens there are.
    pub(super) fn vocabulary(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// How many tokens are added to those of a text.
    pub(super) fn added(&self) -> usize {
        self.added
    }

    fn encode(&self, text: &str) -> Result<Encoding> {
        let wrong = |error| {
            let error: tokenizers::Error = error;
            Error::new(ErrorKind::InvalidInput, "the encoder's tokenizer cannot read a text")
                .with_source(error)
        };
        self.tokenizer.encode_fast(text, false).map_err(wrong)
    }

    /// Returns the tokens of a text, at most `max` with those that are added, and tells whether any were cut off.
    pub(super) fn of(&self, text: &str, max: usize) -> Result<(Vec<u32>, bool)> {
        let mut encoding = self.encode(text)?;
        let room = max.saturating_sub(self.added);
        let cut = encoding.len() > room;
        encoding.truncate(room, 0, TruncationDirection::Right);
        let whole = self.tokenizer.post_process(encoding, None, true).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the encoder's tokenizer cannot frame a text")
                .with_source(error)
        })?;
        Ok((whole.get_ids().to_vec(), cut))
    }

    fn count(&self, text: &str, counted: impl Fn(u32) -> bool) -> usize {
        // a token has a byte at least
        let count = |encoding: Encoding| encoding.get_ids().iter().filter(|id| counted(**id)).count();
        self.encode(text).map_or(text.len(), count)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("vocabulary", &self.vocabulary()).finish_non_exhaustive()
    }
}

/// Counts tokens as a [`LocalEmbedder`](super::LocalEmbedder) does, for chunkers and [gates](crate::retrieve::Gate).
///
/// The tokens that are added to each text are not counted, nor are the embedder's prefixes: its
/// [`max_tokens`](super::LocalEmbedder::max_tokens) leaves room for them.
#[derive(Clone, Debug)]
pub struct EncoderTokens {
    pub(super) name: Arc<str>,
    pub(super) tokens: Arc<Tokens>,
}

impl CountTokens for EncoderTokens {
    fn name(&self) -> &str {
        &self.name
    }

    fn count(&self, text: &str) -> usize {
        self.tokens.count(text, |_| true)
    }

    fn count_unknown(&self, text: &str) -> usize {
        self.tokens.count(text, |id| Some(id) == self.tokens.unknown)
    }
}
