//! How a sentence encoder reads texts: its tokenizer, its limit, its prefixes and its name.

use std::fmt;
use std::sync::Arc;

use super::{EncoderTokens, Settings, Text, Tokens, Wanted};
use crate::Result;
use crate::chunk::CountTokens as _;
use crate::document::Fingerprint;

/// What sentence encoders have in common, whatever computes them.
#[derive(Clone)]
pub(crate) struct Reader {
    tokens: Arc<Tokens>,
    /// With the tokens that are added to a text.
    max_tokens: usize,
    dimensions: usize,
    /// The name without prefixes.
    weights: Arc<str>,
    name: Arc<str>,
    passage_prefix: Arc<str>,
    query_prefix: Arc<str>,
    queries: bool,
}

impl Reader {
    /// Reads by these tokens; the name is made of `runtime` and of all that vectors depend on.
    pub(crate) fn new(runtime: &str, settings: &Settings, tokens: Tokens, files: [&[u8]; 2]) -> Self {
        let Settings { family, layers, hidden, pooling, max_tokens, epsilon, .. } = settings;
        let rest = format!("1 {pooling:?} {max_tokens} {epsilon}");
        let [weights, tokenizer] = files;
        let fingerprint = Fingerprint::of([weights, tokenizer, rest.as_bytes()]).to_string();
        let fingerprint = fingerprint.get(..12).unwrap_or_default();
        let name: Arc<str> = format!("{runtime}{family}-{layers}x{hidden}@{fingerprint}").into();
        Self {
            tokens: Arc::new(tokens),
            max_tokens: settings.max_tokens,
            dimensions: settings.hidden,
            weights: Arc::clone(&name),
            name,
            passage_prefix: "".into(),
            query_prefix: "".into(),
            queries: false,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How many numbers a vector has.
    pub(crate) fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub(crate) fn with_prefixes(mut self, passage: &str, query: &str) -> Self {
        let fingerprint = Fingerprint::of([passage.as_bytes(), query.as_bytes()]).to_string();
        let told = !passage.is_empty() || !query.is_empty();
        let told = if told { fingerprint.get(..8).unwrap_or_default() } else { "" };
        let plus = if told.is_empty() { "" } else { "+" };
        self.name = format!("{}{plus}{told}", self.weights).into();
        (self.passage_prefix, self.query_prefix) = (passage.into(), query.into());
        self
    }

    pub(crate) fn for_queries(&self) -> Self {
        Self { queries: true, ..self.clone() }
    }

    pub(crate) fn tokens(&self) -> EncoderTokens {
        EncoderTokens { name: Arc::clone(&self.weights), tokens: Arc::clone(&self.tokens) }
    }

    /// How many tokens of a text are read, without those that are added to each, and with room for the longer prefix.
    pub(crate) fn max_tokens(&self) -> usize {
        let tokens = self.tokens();
        let prefix = |prefix: &str| if prefix.is_empty() { 0 } else { tokens.count(prefix) + 1 };
        let prefix = prefix(&self.passage_prefix).max(prefix(&self.query_prefix));
        self.max_tokens.saturating_sub(self.tokens.added() + prefix)
    }

    /// Puts the prefix before a text.
    pub(crate) fn prefixed(&self, text: &str) -> String {
        let prefix = if self.queries { &self.query_prefix } else { &self.passage_prefix };
        format!("{prefix}{text}")
    }

    /// Returns a text's tokens, and whether any were cut off.
    pub(crate) fn read(&self, text: &str, wanted: &Wanted) -> Result<(Text, bool)> {
        wanted.check()?;
        self.tokens.of(text, self.max_tokens)
    }

    /// Parts tokens from the signs that some were cut off, and warns of those.
    pub(crate) fn whole(&self, read: Vec<(Text, bool)>) -> Vec<Text> {
        let cut = read.iter().filter(|(_, cut)| *cut).count();
        if cut > 0 {
            tracing::warn!(
                texts = cut,
                max_tokens = self.max_tokens,
                "texts were longer than the encoder reads"
            );
        }
        read.into_iter().map(|(text, _)| text).collect()
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("name", &self.name)
            .field("max_tokens", &self.max_tokens)
            .finish_non_exhaustive()
    }
}
