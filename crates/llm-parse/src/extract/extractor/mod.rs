//! [`Extractor`]: a typed question to a model.

mod builder;
mod long;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use pumasi_core::model::ChatModel;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use builder::Builder;

use super::engine::Engine;
use super::ledger::Ledger;
use super::merge::MergeParts;
use super::sighting::{Observer, Sighting, Tell};
use super::{
    Chunking, Extract, ExtractError, ExtractErrorKind, Extraction, Result, empty_source, total_cost,
    total_usage,
};

/// What happens to list items that stay wrong after they were asked for again.
///
/// What stays wrong outside of every list fails the extraction in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unresolved {
    /// They are left out, and stand in [`Extraction::rejected`].
    #[default]
    DropItems,
    /// The extraction fails.
    Fail,
}

/// Extracts a `T` from texts by asking a language model.
///
/// 1. The prompt fences the text off as data (see the module's page) and asks in the strongest form that the model takes:
///    a JSON Schema as the response format, a tool call, "some JSON object", or plain text. A server that refuses a form is
///    asked in the next one, and not bothered with it again.
/// 2. The answer is repaired and read locally ([`parse`](crate::parse) in salvage mode); most damage costs no further call.
/// 3. What is still wrong (places off the schema, quotes that are not in the text, rules of validators, another language)
///    is asked for again by place, with what was expected and what came: never the whole answer, unless nothing of it could
///    be read. The answers go back to their places and everything is checked again. An answer that came before ends this.
/// 4. What stays wrong is left out (list items) or fails the extraction, by [`Unresolved`].
/// 5. Asking again can fail itself. If that may pass (rate limit, timeout, a server that is away), the extraction fails with
///    that error and its retry class: good items are not settled at the price of those that were to be mended. If every
///    further run would meet it (a spent budget, the context window, a refusal), step 4 follows, and
///    [`Extraction::incomplete`] has the reason.
///
/// Cloning is cheap and shares everything.
///
/// ```
/// use pumasi_core::model::{Reply, ScriptedModel, Usage};
/// use pumasi_llm_parse::extract::{Extract as _, Extractor, Grounding};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Serialize, Deserialize, JsonSchema)]
/// struct Step {
///     /// What is done.
///     title: String,
///     /// Where the text says so.
///     #[schemars(extend("x-quote" = true))]
///     quote: String,
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// // a scripted model, in place of `OpenAiCompatible`
/// let answer = r#"{"items": [{"title": "달리기", "quote": "매일 30분씩 달렸어요"}]}"#;
/// let model = ScriptedModel::new([Reply::text(answer).with_usage(Usage::new(300, 25))]);
///
/// let extractor = Extractor::<Vec<Step>>::builder(model)
///     .with_instructions("Extract what the writer did, step by step.")
///     .with_grounding(Grounding::Require)
///     .build()?;
/// let source = "작년 여름부터 매일 30분씩 달렸어요.";
/// let found = extractor.extract(source).await?;
/// assert_eq!(found.value[0].title, "달리기");
/// assert_eq!(found.grounding.quotes[0].span.text(source), Some("매일 30분씩 달렸어요"));
/// assert_eq!(found.usage.total_tokens(), 325);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Extractor<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    engine: Engine<T>,
    max_source_bytes: usize,
    long: Option<Long<T>>,
}

/// How long sources are dealt with.
struct Long<T> {
    chunking: Chunking,
    merge: MergeParts<T>,
    concurrency: NonZeroUsize,
}

impl<T: DeserializeOwned + JsonSchema> Extractor<T> {
    /// Begins an extractor that asks `model`; pass an `Arc<dyn ChatModel>` to share one.
    pub fn builder(model: impl ChatModel + 'static) -> Builder<T> {
        Builder::new(Arc::new(model))
    }
}

#[async_trait]
impl<T: DeserializeOwned + Send + Sync + 'static> Extract<T> for Extractor<T> {
    fn version(&self) -> &str {
        &self.inner.engine.version
    }

    async fn extract(&self, source: &str) -> Result<Extraction<T>> {
        self.run(source, None).await
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Extractor<T> {
    /// Extracts a value, and tells what is seen of the answer while the model writes it.
    ///
    /// Only the first answer about a source (or about each part of a long one) is watched, not what is asked again. A tool
    /// call arrives in one piece and shows nothing before. An answer that begins to repeat itself without end is cut short.
    ///
    /// ```
    /// use pumasi_core::model::{Reply, ScriptedModel};
    /// use pumasi_llm_parse::extract::{Extractor, Sighting};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let model = ScriptedModel::new([Reply::chunks(["{\"items\": [\"달리", "기\", ", "\"수영\"]}"])]);
    /// let extractor = Extractor::<Vec<String>>::builder(model).with_instructions("Extract the sports.").build()?;
    /// let mut seen = Vec::new();
    /// let found = extractor
    ///     .extract_watched("달리기와 수영을 했다.", &mut |sighting| {
    ///         if let Sighting::Part { path, value, .. } = sighting {
    ///             seen.push((path, value));
    ///         }
    ///     })
    ///     .await?;
    /// assert_eq!(seen[0], ("/0".to_owned(), "달리기".into()));
    /// assert_eq!(found.value, ["달리기", "수영"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`extract`](Extract::extract).
    pub async fn extract_watched(
        &self,
        source: &str,
        on_sight: &mut (dyn FnMut(Sighting) + Send),
    ) -> Result<Extraction<T>> {
        let observer = Observer::new(on_sight);
        self.run(source, Some(&observer)).await
    }

    async fn run(&self, source: &str, observer: Option<&dyn Tell>) -> Result<Extraction<T>> {
        let engine = &self.inner.engine;
        let ledger = Ledger::new(engine.budget, engine.price, Arc::clone(&engine.clock));
        let result = match self.inner.checked(source) {
            Ok(()) => self.inner.part_or_parts(&long::Session { ledger: &ledger, observer }, source).await,
            Err(error) => Err(error),
        };
        let attempts = ledger.attempts();
        let outcome = match &result {
            Ok(_) => "ok",
            Err(error) => error.kind().as_str(),
        };
        metrics::counter!("pumasi_extractions_total", "outcome" => outcome).increment(1);
        metrics::histogram!("pumasi_extract_seconds").record(ledger.elapsed().as_secs_f64());
        tracing::debug!(
            version = %engine.version,
            outcome,
            source_bytes = source.len(),
            attempts = attempts.len(),
            tokens = total_usage(&attempts).total_tokens(),
            micro_usd = total_cost(&attempts).map(pumasi_core::model::Cost::as_micros),
            "extracted"
        );
        match result {
            Ok(part) => {
                let mut found = Extraction::new(part.value, engine.version.clone())
                    .with_grounding(part.grounding)
                    .with_rejected(part.rejected)
                    .with_confidence(part.confidence)
                    .with_attempts(attempts);
                (found.incomplete, found.origins) = (part.incomplete, part.origins);
                Ok(found)
            }
            Err(error) => Err(error.with_attempts(attempts)),
        }
    }
}

impl<T> Inner<T> {
    fn checked(&self, source: &str) -> Result<()> {
        if source.len() > self.max_source_bytes {
            return Err(ExtractError::new(
                ExtractErrorKind::SourceTooLarge,
                format!("a source of {} bytes is above the limit of {}", source.len(), self.max_source_bytes),
            ));
        }
        if source.trim().is_empty() { Err(empty_source()) } else { Ok(()) }
    }
}

impl<T> Clone for Extractor<T> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<T> fmt::Debug for Extractor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = &self.inner.engine;
        f.debug_struct("Extractor")
            .field("version", &engine.version)
            .field("model", &engine.model.name())
            .field("modes", &engine.modes)
            .field("grounding", &engine.grounding)
            .field("budget", &engine.budget)
            .finish_non_exhaustive()
    }
}
