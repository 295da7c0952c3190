//! Embeddings.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value};
use tracing::Instrument;

use super::answer::{usage, whole_number};
use super::failure::Call;
use super::observe::Observation;
use super::transport::Transport;
use super::tries::sum;
use super::wire::{Settings, embedding_body};
use crate::model::{Embedder, Embedding, Usage};
use crate::{ErrorKind, Result};

/// The most bytes of text in one call. Servers count tokens (OpenAI: 300,000 a call), and a token is seldom less than a byte.
const BATCH_BYTES: usize = 256 << 10;

/// How many calls of one batch are under way at once.
const AT_ONCE: usize = 4;

const OPERATION: &str = "embedding";

/// An [`Embedder`] served by an OpenAI-compatible server; made by
/// [`build_embedder`](super::OpenAiBuilder::build_embedder).
///
/// Batches are cut to what the server takes in one call, by count and by size, and put together again in order. Vectors
/// are checked (count, dimensions, finite numbers) and scaled to length one. The empty text is sent as one space.
///
/// ```no_run
/// use std::num::NonZeroUsize;
/// use pumasi_core::model::{Embedder, OpenAiCompatible};
///
/// # async fn embed() -> Result<(), Box<dyn std::error::Error>> {
/// let embedder = OpenAiCompatible::openai("text-embedding-3-small", std::env::var("OPENAI_API_KEY")?)
///     .build_embedder(NonZeroUsize::new(1536).ok_or("not zero")?)?;
/// let vectors = embedder.embed(&["달리기", "running"]).await?;
/// assert_eq!(vectors[0].len(), 1536);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OpenAiEmbedder {
    model: String,
    dimensions: usize,
    parameters: Map<String, Value>,
    shortened: bool,
    transport: Arc<Transport>,
}

/// One call, written and weighed.
struct Batch {
    body: Bytes,
    count: usize,
    tokens: u64,
}

impl OpenAiEmbedder {
    pub(super) fn new(
        model: String,
        dimensions: usize,
        parameters: Map<String, Value>,
        shortened: bool,
        transport: Transport,
    ) -> Self {
        Self { model, dimensions, parameters, shortened, transport: Arc::new(transport) }
    }

    fn prepare(&self, texts: &[&str]) -> Batch {
        let settings = Settings {
            dialect: self.transport.dialect,
            model: &self.model,
            parameters: &self.parameters,
            stream_usage: false,
        };
        let body = embedding_body(settings, texts, self.shortened.then_some(self.dimensions));
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        let tokens = u64::try_from(bytes.div_ceil(3)).unwrap_or(u64::MAX);
        Batch { body: Bytes::from(body.to_string()), count: texts.len(), tokens }
    }

    async fn batch(&self, Batch { body, count, tokens }: Batch) -> Result<(Vec<Embedding>, Usage)> {
        let call = self.transport.call(OPERATION, &body);
        let attempt = || {
            let body = body.clone();
            async move {
                let reservation = self.transport.reserve(tokens).await?;
                let response = self.transport.send(call, body).await?;
                let answer = self.transport.json(call, response).await?;
                let used = usage(answer.get("usage"));
                if let Some(reservation) = reservation {
                    reservation.reconcile(used.map_or(tokens, |used| used.total_tokens()));
                }
                let vectors =
                    self.read(call, &answer, count).map_err(|error| error.with_known_usage(used))?;
                Ok((vectors, used.unwrap_or_default()))
            }
        };
        let ((vectors, mut usage), spent) =
            self.transport.try_within(self.transport.timeout, attempt).await?;
        usage += spent.unwrap_or_default();
        Ok((vectors, usage))
    }

    /// Reads the vectors of an answer, restoring their order.
    fn read(&self, call: Call<'_>, answer: &Value, count: usize) -> Result<Vec<Embedding>> {
        let wrong = |what: &str| call.error(ErrorKind::Protocol, what);
        let data =
            answer.get("data").and_then(Value::as_array).ok_or_else(|| wrong("gave no list of vectors"))?;
        if data.len() != count {
            return Err(wrong(&format!("gave {} vectors for {count} texts", data.len())));
        }
        let mut vectors: Vec<Option<Embedding>> = vec![None; count];
        for (position, item) in data.iter().enumerate() {
            let index = match item.get("index") {
                None | Some(Value::Null) => Some(position),
                Some(index) => whole_number(index).and_then(|index| usize::try_from(index).ok()),
            };
            let slot = index.and_then(|index| vectors.get_mut(index)).filter(|slot| slot.is_none());
            let slot =
                slot.ok_or_else(|| wrong("gave a vector with an index that is taken or out of range"))?;
            *slot = Some(self.vector(call, item.get("embedding"))?);
        }
        vectors.into_iter().collect::<Option<_>>().ok_or_else(|| wrong("left out a vector"))
    }

    fn vector(&self, call: Call<'_>, numbers: Option<&Value>) -> Result<Embedding> {
        let wrong = |what: &str| call.error(ErrorKind::Protocol, what);
        let numbers =
            numbers.and_then(Value::as_array).ok_or_else(|| wrong("gave a vector that is no list"))?;
        if numbers.len() != self.dimensions {
            return Err(wrong(&format!(
                "gave a vector of {} dimensions where {} are expected",
                numbers.len(),
                self.dimensions
            )));
        }
        let numbers: Option<Vec<f64>> = numbers.iter().map(Value::as_f64).collect();
        let numbers = numbers.ok_or_else(|| wrong("gave a vector with something that is no number"))?;
        let length = numbers.iter().map(|x| x * x).sum::<f64>().sqrt();
        if !length.is_finite() || length <= f64::MIN_POSITIVE {
            return Err(wrong("gave a vector without a direction"));
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "numbers of a vector of length one are within f32"
        )]
        let scaled = numbers.into_iter().map(|x| (x / length) as f32).collect();
        Ok(scaled)
    }
}

impl fmt::Debug for OpenAiEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiEmbedder")
            .field("model", &self.model)
            .field("dimensions", &self.dimensions)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Embedder for OpenAiEmbedder {
    fn name(&self) -> &str {
        &self.model
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let observation = Observation::begin("embeddings", &self.model, &self.transport);
        let count = self.transport.dialect.max_embedding_batch();
        let batches: Vec<Batch> =
            batches(texts, count).into_iter().map(|texts| self.prepare(texts)).collect();
        let mut calls = stream::iter(batches).map(|batch| self.batch(batch)).buffered(AT_ONCE);
        let joined = async {
            let (mut all, mut total) = (Vec::new(), Usage::default());
            while let Some(batch) = calls.next().await {
                // what was served before is paid for, too
                let (some, usage) = batch.map_err(|error| {
                    let known = (total != Usage::default()).then_some(total);
                    let used = sum(error.usage(), known);
                    error.with_known_usage(used)
                })?;
                all.extend(some);
                total += usage;
            }
            Ok((all, total))
        };
        match joined.instrument(observation.span()).await {
            Ok((vectors, usage)) => {
                observation.succeed(None, Some(usage));
                Ok(vectors)
            }
            Err(error) => {
                observation.fail(&error);
                Err(error)
            }
        }
    }
}

/// Cuts texts into batches of at most `count` texts and [`BATCH_BYTES`]; a longer text is a batch of its own.
fn batches<'t, 's>(texts: &'t [&'s str], count: usize) -> Vec<&'t [&'s str]> {
    let mut batches = Vec::new();
    let mut rest = texts;
    while !rest.is_empty() {
        let mut bytes = 0_usize;
        let fitting = rest.iter().take(count).take_while(|text| {
            bytes = bytes.saturating_add(text.len());
            bytes <= BATCH_BYTES
        });
        let (batch, tail) = rest.split_at(fitting.count().max(1));
        batches.push(batch);
        rest = tail;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_keep_to_both_limits_and_lose_nothing() {
        let long = "가".repeat(BATCH_BYTES / 3 + 1);
        let texts = ["a", "b", "c", &long, "d", "e"];
        let cut = batches(&texts, 2);
        assert_eq!(cut.iter().map(|batch| batch.len()).collect::<Vec<_>>(), [2, 1, 1, 2]);
        assert_eq!(cut.concat(), texts);
        assert_eq!(batches(&["x".repeat(BATCH_BYTES * 2).as_str(), "y"], 9).len(), 2);
        assert!(batches(&[], 3).is_empty());
    }
}
