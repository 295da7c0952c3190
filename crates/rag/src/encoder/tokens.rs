//! The encoder's own tokenizer.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokenizers::{Encoding, PostProcessor as _, Tokenizer, TruncationDirection};

use super::settings::{damaged, read};
use crate::chunk::CountTokens;
use crate::{Error, ErrorKind, Result};

/// The tokens of a text or a pair, with those that are added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    pub(crate) ids: Vec<u32>,
    /// Which text of a pair each is of, as the architecture numbers them.
    pub(crate) types: Vec<u32>,
}

/// A tokenizer that neither pads nor cuts by itself.
pub(crate) struct Tokens {
    tokenizer: Tokenizer,
    /// The token that stands for words which are not known.
    unknown: Option<u32>,
    /// How many tokens are added to those of a text.
    added: usize,
}

impl Tokens {
    /// Reads `tokenizer.json`, and returns its bytes as well.
    pub(crate) fn read(folder: &Path) -> Result<(Self, Vec<u8>)> {
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
    pub(crate) fn vocabulary(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// How many tokens are added to those of a text.
    pub(crate) fn added(&self) -> usize {
        self.added
    }

    pub(crate) fn encode(&self, text: &str) -> Result<Encoding> {
        let wrong = |error| {
            let error: tokenizers::Error = error;
            Error::new(ErrorKind::InvalidInput, "the encoder's tokenizer cannot read a text")
                .with_source(error)
        };
        self.tokenizer.encode_fast(text, false).map_err(wrong)
    }

    /// Puts the tokens around a text or a pair that the architecture wants there.
    fn framed(&self, first: Encoding, second: Option<Encoding>) -> Result<Encoding> {
        self.tokenizer.post_process(first, second, true).map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "the encoder's tokenizer cannot frame a text")
                .with_source(error)
        })
    }

    /// Returns the tokens of a text, at most `max` with those that are added, and tells whether any were cut off.
    pub(crate) fn of(&self, text: &str, max: usize) -> Result<(Text, bool)> {
        let mut encoding = self.encode(text)?;
        let room = max.saturating_sub(self.added);
        let cut = encoding.len() > room;
        encoding.truncate(room, 0, TruncationDirection::Right);
        Ok((self.framed(encoding, None)?.into(), cut))
    }

    fn count(&self, text: &str, counted: impl Fn(u32) -> bool) -> usize {
        // a token has a byte at least
        let count = |encoding: Encoding| encoding.get_ids().iter().filter(|id| counted(**id)).count();
        self.encode(text).map_or(text.len(), count)
    }
}

impl From<Encoding> for Text {
    fn from(encoding: Encoding) -> Self {
        Self { ids: encoding.get_ids().to_vec(), types: encoding.get_type_ids().to_vec() }
    }
}

/// What only pairs need.
#[cfg(feature = "local")]
impl Tokens {
    /// Tells how many tokens are added to those of a pair; `None` if the tokenizer does not read pairs.
    pub(crate) fn added_to_pairs(&self) -> Result<Option<usize>> {
        let count = |first, second| {
            let framed = self.framed(self.encode(first)?, Some(self.encode(second)?))?;
            Ok::<usize, Error>(framed.len())
        };
        let both = count("a", "a")?;
        let reads_both = count("a", "")? < both && count("", "a")? < both;
        let added = self.tokenizer.get_post_processor().map_or(0, |processor| processor.added_tokens(true));
        Ok(reads_both.then_some(added))
    }

    /// Returns the tokens of a pair, of which the tokenizer adds `added` and `max` are read, and tells whether any were cut off.
    ///
    /// Tokens are taken off the end of the longer one until the pair fits, as the reference does: off the second, unless the first takes
    /// more than half of the room.
    pub(crate) fn pair(
        &self,
        first: &Encoding,
        second: &str,
        added: usize,
        max: usize,
    ) -> Result<(Text, bool)> {
        let (mut first, mut second) = (first.clone(), self.encode(second)?);
        let room = max.saturating_sub(added);
        let cut = first.len() + second.len() > room;
        if cut {
            let shorter = first.len().min(second.len()).min(room / 2);
            let longer = room - shorter;
            let (of_first, of_second) =
                if first.len() <= second.len() { (shorter, longer) } else { (longer, shorter) };
            first.truncate(of_first, 0, TruncationDirection::Right);
            second.truncate(of_second, 0, TruncationDirection::Right);
        }
        Ok((self.framed(first, Some(second))?.into(), cut))
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("vocabulary", &self.vocabulary()).finish_non_exhaustive()
    }
}

/// Counts tokens as the embedder does that it is of, for chunkers and [gates](crate::retrieve::Gate).
///
/// The tokens that are added to each text are not counted, nor are the embedder's prefixes: its
/// `max_tokens` leaves room for them.
#[derive(Clone, Debug)]
pub struct EncoderTokens {
    pub(crate) name: Arc<str>,
    pub(crate) tokens: Arc<Tokens>,
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
