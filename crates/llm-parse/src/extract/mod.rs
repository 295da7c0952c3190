//! Typed values out of texts, through a model: ask, parse, ground, validate, and ask again only for what failed.
//!
//! [`Extract`] is the seam: whoever turns a source into a `T` implements it, be it a language model or a set of rules
//! that needs no network. [`Extraction`] carries the value and how it came about: the spans of its quotes, every call
//! with its tokens and cost, and what was left out. A failure is an [`ExtractError`], which keeps the same ledger, so
//! that tokens that were paid for are never lost from the books.
//!
//! # Metrics
//!
//! Through the `metrics` facade, of every [`Extractor`]:
//!
//! | name | kind | labels |
//! |---|---|---|
//! | `pumasi_extractions_total` | counter | `outcome`: `ok`, or the [kind](ExtractErrorKind::as_str) of the error |
//! | `pumasi_extract_seconds` | histogram, re-asks included | |
//! | `pumasi_extract_calls_total` | counter | `mode`, `outcome`: `answered`, or why there was no answer |
//! | `pumasi_extract_call_seconds` | histogram | `mode` |
//! | `pumasi_extract_answers_total` | counter: what answers were worth | `outcome`: `accepted` whole, `partial`, or why nothing was taken (`off_schema`, `truncated`, …) |
//! | `pumasi_extract_tokens_total` | counter, estimates included | `direction`: `prompt`, `answer` |
//! | `pumasi_extract_cache_total` | counter | `outcome`: `hit`, `miss`, `damaged`, `error`, `not_stored` |
//!
//! The parse rate is the growth of `pumasi_extract_answers_total{outcome="accepted"}` over that of all outcomes: how often the first
//! answer, or that to a re-ask, needs nothing more. Beside it, that of `pumasi_extractions_total{outcome="ok"}` is what re-asks made
//! of it. What calls cost is told by [`OpenAiCompatible`](pumasi_core::model::ChatModel).

mod batch;
mod budget;
mod cache;
mod chunk;
mod engine;
mod error;
mod extraction;
mod extractor;
mod fence;
mod form;
mod grounding;
mod language;
mod ledger;
mod marks;
mod merge;
mod origins;
mod pointer;
mod prompt;
mod quotes;
mod read;
mod refusal;
mod repetition;
mod sighting;
mod tokens;
mod validate;

use std::sync::Arc;

use async_trait::async_trait;

pub use batch::{Batch, BatchItem, BatchReport, ItemOutcome, Journal, Progress};
pub use budget::Budget;
pub use chunk::Chunking;
pub use error::{ExtractError, ExtractErrorKind, Failure, Result};
pub use extraction::{AskMode, Attempt, AttemptKind, AttemptOutcome, Extraction};
pub(crate) use extraction::{lasts, total_cost, total_usage};
pub use extractor::{Builder, Extractor, Unresolved};
pub use grounding::{Grounded, Grounding, Missing, MissingQuote, Quote, QuoteFit, SourceSpan, Support};
pub use language::AnswerLanguage;
pub use merge::Merge;
pub use origins::Origins;
pub(crate) use pointer::join;
pub use prompt::PromptLanguage;
pub use sighting::Sighting;
pub use tokens::TokenMeter;
pub use validate::{Checked, Violation};

/// Names the wording of the prompts: it changes whenever a word of them does.
pub const PROMPT_VERSION: &str = "extract-2";

/// Turns a source text into a typed value.
///
/// What every implementation guarantees:
///
/// 1. **Ledger.** Every call that was made stands in the attempts, on success and on failure, with its tokens.
/// 2. **Spans.** The spans of [`Extraction::grounding`] are places in the `source` that was passed in.
/// 3. **Data.** The source is data: what it says is never followed as an instruction.
/// 4. **Cancellation.** Dropping the future stops the work; nothing goes on in the background.
/// 5. **Completeness.** A value lacks nothing for a reason that may pass: that is an error, with its retry class. What was
///    left out for another reason stands in [`Extraction::rejected`], and [`Extraction::incomplete`] tells whether it
///    could not be asked about to the end; caches, journals and pipelines keep only what is [final](Extraction::is_final).
/// 6. **Silence.** Neither the source nor the answer reaches a log, a metric, an error or a `Debug` of an error.
///
/// ```
/// use async_trait::async_trait;
/// use pumasi_llm_parse::extract::{AskMode, Attempt, AttemptKind, Extract, Extraction, Result};
///
/// struct CountWords;
///
/// #[async_trait]
/// impl Extract<usize> for CountWords {
///     fn version(&self) -> &str {
///         "count-words-1"
///     }
///
///     async fn extract(&self, source: &str) -> Result<Extraction<usize>> {
///         let attempt = Attempt::new(AttemptKind::Rules, AskMode::Text, "rules");
///         Ok(Extraction::new(source.split_whitespace().count(), self.version()).with_attempts(vec![attempt]))
///     }
/// }
/// ```
#[async_trait]
pub trait Extract<T>: Send + Sync {
    /// Names the prompt or the rule set, and its version: results of one version may be compared and cached.
    fn version(&self) -> &str;

    /// Extracts a value from `source`.
    ///
    /// # Errors
    ///
    /// Those of [`ExtractErrorKind`], each with what was tried and used by then.
    async fn extract(&self, source: &str) -> Result<Extraction<T>>;
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<T: Send, E: Extract<T> + ?Sized> Extract<T> for $pointer {
            fn version(&self) -> &str {
                (**self).version()
            }

            async fn extract(&self, source: &str) -> Result<Extraction<T>> {
                (**self).extract(source).await
            }
        }
    )+};
}

forward!(&E, Box<E>, Arc<E>);

/// What every [`Extract`] can do beside.
#[async_trait]
pub trait ExtractExt<T>: Extract<T> {
    /// Extracts a value from bytes that may be no text.
    ///
    /// A byte order mark at the beginning is skipped, so spans count from after it.
    ///
    /// # Errors
    ///
    /// `NotText` if the bytes are not UTF-8; `EmptySource` if they hold nothing but white space; otherwise those of
    /// [`extract`](Extract::extract).
    async fn extract_bytes(&self, source: &[u8]) -> Result<Extraction<T>> {
        let source = source.strip_prefix(b"\xef\xbb\xbf").unwrap_or(source);
        match std::str::from_utf8(source) {
            Ok(text) if text.trim().is_empty() => Err(empty_source()),
            Ok(text) => self.extract(text).await,
            Err(error) => Err(ExtractError::new(
                ExtractErrorKind::NotText,
                format!("the source is not UTF-8 from byte {} on", error.valid_up_to()),
            )),
        }
    }
}

impl<T, E: Extract<T> + ?Sized> ExtractExt<T> for E {}

pub(crate) fn empty_source() -> ExtractError {
    ExtractError::new(ExtractErrorKind::EmptySource, "the source has nothing but white space")
}

/// Writes bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        text
    })
}
