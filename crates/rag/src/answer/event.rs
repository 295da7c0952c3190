//! What an answer is made of, in the order of its making.

use std::fmt;

use pumasi_core::model::Usage;
use pumasi_core::text::Span;
use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind};

/// A passage that an answer may rest on.
///
/// `Debug` shows where it stands, never what it says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Source {
    /// The number by which the answer cites it, from 1: the most relevant first.
    pub number: u32,
    /// The id of its document.
    pub document: String,
    /// Its place for a reader: title and headings.
    pub place: String,
    /// Where a reader finds the document.
    pub uri: Option<String>,
    /// Where the text stands in the document, in bytes.
    pub span: Span,
    /// What the model was given of it: whole sentences.
    pub text: String,
    /// How well it matches the question, as ranked; comparable within one answer.
    pub score: f32,
}

impl Source {
    /// Makes a source of a whole text, for answers that were recorded elsewhere.
    pub fn new(
        number: u32,
        document: impl Into<String>,
        place: impl Into<String>,
        text: impl Into<String>,
    ) -> Self {
        let text = text.into();
        let span = Span::new(0, text.len());
        Self { number, document: document.into(), place: place.into(), uri: None, span, text, score: 1.0 }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("number", &self.number)
            .field("document", &self.document)
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

/// What a sentence says that its sources do not bear out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Doubt {
    /// It names a number, or a number of another thing.
    Number,
    /// It names somebody or something.
    Name,
    /// It denies what they say, or says what they deny.
    Negation,
    /// It says the opposite: less for more, before for after.
    Opposite,
    /// It says word for word what they say of some case only, and leaves the case out.
    Condition,
    /// It says something of which they have no words.
    Words,
    /// It cites nothing, and none of the sources has its numbers.
    NoSource,
}

/// Whether a sentence follows from its sources, as far as its words and numbers can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// A source says so in the same words.
    Quoted,
    /// A source has its numbers, names, negations and most of its words.
    Supported,
    /// The sources are in another language: numbers and names agree, words cannot be compared.
    Unchecked,
    /// It does not: to be marked as such, or left out.
    Unsupported(Doubt),
}

impl Verdict {
    /// Tells whether the sentence is to be marked.
    pub const fn is_unsupported(self) -> bool {
        matches!(self, Self::Unsupported(_))
    }
}

/// A part of a source that bears a sentence out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evidence {
    /// The [number](Source::number) of the source.
    pub source: u32,
    /// Where it stands in the source's document, in bytes.
    pub span: Span,
}

/// A sentence of the answer that cites sources, and whether they say so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Citation {
    /// Where the sentence stands in the answer, with its marks, in bytes of all deltas joined.
    pub span: Span,
    /// The numbers of the sources that it cites; empty for a sentence that names numbers which no source has.
    pub sources: Vec<u32>,
    /// Whether they bear it out.
    pub verdict: Verdict,
    /// Which parts of them do, best first.
    pub evidence: Vec<Evidence>,
}

/// How an answer came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// A model answered from the sources.
    Answered,
    /// There is no model, or it [could not be reached](Summary::unreachable): the text is sentences of the sources, and says so.
    Extracted,
    /// The knowledge does not speak of the question: the text says so.
    NotFound,
}

/// What is known of an answer at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Summary {
    /// How it came about.
    pub outcome: Outcome,
    /// How many sentences it has.
    pub sentences: u32,
    /// How many of them cite a source.
    pub cited: u32,
    /// How many are [unsupported](Verdict::is_unsupported).
    pub unsupported: u32,
    /// The limit of tokens, or a filter of the model's server, cut it off.
    pub is_cut_off: bool,
    /// It was answered before and comes from the cache.
    pub is_cached: bool,
    /// The model that answered, if one did.
    pub model: Option<String>,
    /// Why the model did not answer, where the [sources did in its place](super::AssistantBuilder::extract_when_unreachable).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<ErrorKind>,
}

/// Why an answer broke off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong.
    pub kind: ErrorKind,
    /// What was tried; without anybody's texts.
    pub message: String,
    /// Whether the same question may be asked again.
    pub is_retryable: bool,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            message: error.message().to_owned(),
            is_retryable: error.retry().is_retryable(),
        }
    }
}

/// A part of an answer.
///
/// A stream of them is: one `Retrieved`; `Delta`s and, each after the deltas of its sentence, `Citation`s; perhaps `Usage`; then one
/// `Done` or one `Error`, which is the last. An error before anything was found is alone.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnswerEvent {
    /// What was found, before the first word of the answer.
    Retrieved {
        /// The sources, most relevant first; empty if nothing is relevant.
        sources: Vec<Source>,
        /// The [version](crate::Store::version) of the knowledge.
        version: u64,
    },
    /// The next piece of the answer. Citations in it are marks `[1]` with numbers of sources; marks of no source are left out.
    Delta {
        /// The piece.
        text: String,
    },
    /// A sentence that has been given whole, and what its sources say of it.
    Citation(Citation),
    /// The tokens that the model used, where its server tells.
    Usage(Usage),
    /// The answer is whole.
    Done(Summary),
    /// The answer broke off.
    Error(Failure),
}

impl AnswerEvent {
    /// Names the event as SSE and JSON do: `retrieved`, `delta`, `citation`, `usage`, `done`, `error`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Retrieved { .. } => "retrieved",
            Self::Delta { .. } => "delta",
            Self::Citation(_) => "citation",
            Self::Usage(_) => "usage",
            Self::Done(_) => "done",
            Self::Error(_) => "error",
        }
    }

    /// Tells whether it is the last one.
    pub const fn is_last(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Error(_))
    }
}

impl fmt::Debug for AnswerEvent {
    /// Shows sizes and verdicts, never what was said.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retrieved { sources, version } => f
                .debug_struct("Retrieved")
                .field("sources", &sources.len())
                .field("version", version)
                .finish(),
            Self::Delta { text } => f.debug_struct("Delta").field("bytes", &text.len()).finish(),
            Self::Citation(citation) => citation.fmt(f),
            Self::Usage(usage) => usage.fmt(f),
            Self::Done(summary) => summary.fmt(f),
            Self::Error(failure) => failure.fmt(f),
        }
    }
}

/// A whole answer: its events, gathered.
///
/// `Debug` shows sizes and verdicts, never what was said.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The text, with the marks of its citations.
    pub text: String,
    /// What was found.
    pub sources: Vec<Source>,
    /// The sentences that cite.
    pub citations: Vec<Citation>,
    /// The tokens that the model used, where known.
    pub usage: Option<Usage>,
    /// How it came about.
    pub summary: Summary,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("bytes", &self.text.len())
            .field("sources", &self.sources)
            .field("citations", &self.citations)
            .field("summary", &self.summary)
            .finish_non_exhaustive()
    }
}
