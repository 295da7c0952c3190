//! Sentence encoders in this process.

mod kernels;
mod model;
mod settings;
mod tokens;

use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use pumasi_core::model::{Embedder, Embedding};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

pub use tokens::EncoderTokens;

use self::model::Model;
use self::settings::{Settings, damaged, read};
use self::tokens::Tokens;
use crate::document::Fingerprint;
use crate::{Error, ErrorKind, Result};

/// About how many tokens are computed at once by a thread.
const BATCH_TOKENS: usize = 512;

/// Embeds by a sentence encoder of the BERT or XLM-RoBERTa family in this process, on [`candle`](https://docs.rs/candle-core).
///
/// [`load`](Self::load) reads a folder as the transformers and sentence-transformers libraries write it:
///
/// | file | |
/// |---|---|
/// | `config.json` | the architecture: `bert`, `xlm-roberta`, `roberta`, `camembert` |
/// | `tokenizer.json` | the tokenizer; its padding and its limit are not used |
/// | `model.safetensors` | the weights, of 32 or 16 bits |
/// | `modules.json` and what it names | pooling (mean or first token; mean where it is not there). Dense layers are not supported |
/// | `sentence_bert_config.json`, else `tokenizer_config.json` | how many tokens are read at most |
///
/// Nothing is fetched. Texts are sorted by length and computed without padding, on as many threads as the machine has, none of them
/// the runtime's; a call whose future is dropped stops within a layer. A text that is longer than the encoder reads is cut as the
/// reference does, and a warning is logged: cut documents by [`tokens`](Self::tokens) and [`max_tokens`](Self::max_tokens), and none is.
///
/// ```no_run
/// # async fn example() -> pumasi_rag::Result<()> {
/// use pumasi_core::model::Embedder;
/// use pumasi_rag::StructureChunker;
/// use pumasi_rag::embed::LocalEmbedder;
/// use pumasi_rag::retrieve::Gate;
///
/// let embedder = LocalEmbedder::load("weights/all-MiniLM-L6-v2")?;
/// let chunker = StructureChunker::counting(embedder.tokens()).with_max_tokens(embedder.max_tokens());
/// // all-MiniLM-L6-v2 cannot read Korean: ingest and retriever should know
/// let gate = Gate::new(embedder.tokens());
/// assert!(!gate.can_read("무릎은 얼마나 쉬어야 하나요?"));
/// let vectors = embedder.embed(&["How long should my knee rest?"]).await?;
/// assert_eq!(vectors[0].len(), embedder.dimensions());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LocalEmbedder {
    model: Arc<Model>,
    tokens: Arc<Tokens>,
    pool: Arc<ThreadPool>,
    dimensions: usize,
    /// With the tokens that are added to a text.
    max_tokens: usize,
    /// The name without prefixes.
    weights: Arc<str>,
    name: Arc<str>,
    passage_prefix: Arc<str>,
    query_prefix: Arc<str>,
    queries: bool,
}

impl LocalEmbedder {
    /// Reads the weights in a folder, and tries them. It takes some tenths of a second, and blocks.
    ///
    /// The embedder's name is made of all that its vectors depend on: other weights, another tokenizer or another pooling
    /// have another name, and the folder's does not matter.
    ///
    /// # Errors
    ///
    /// `NotFound` for a file that is missing, `Storage` for one that cannot be read, `InvalidInput` for one that is damaged, or does
    /// not go with the others, `Unsupported` for another kind of model, `Protocol` for weights that make no vectors.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let settings = Settings::read(folder)?;
        let (tokens, tokenizer) = Tokens::read(&settings.folder)?;
        let file = settings.folder.join("model.safetensors");
        let config = settings.folder.join("config.json");
        if tokens.vocabulary() > settings.vocabulary {
            return Err(damaged(&config, "the tokenizer has more tokens than the model"));
        }
        if settings.max_tokens <= tokens.added() {
            return Err(damaged(&config, "the model has no room for a token"));
        }
        let bytes = read(&file)?;
        let model = Model::new(&settings, &file, &bytes)?;
        let Settings { family, layers, hidden, pooling, max_tokens, epsilon, .. } = &settings;
        let rest = format!("1 {pooling:?} {max_tokens} {epsilon}");
        let fingerprint =
            Fingerprint::of([bytes.as_slice(), tokenizer.as_slice(), rest.as_bytes()]).to_string();
        let weights: Arc<str> =
            format!("{family}-{layers}x{hidden}@{}", fingerprint.get(..12).unwrap_or_default()).into();
        let loaded = Self {
            model: Arc::new(model),
            tokens: Arc::new(tokens),
            pool: threads(0)?,
            dimensions: settings.hidden,
            max_tokens: settings.max_tokens,
            name: Arc::clone(&weights),
            weights,
            passage_prefix: "".into(),
            query_prefix: "".into(),
            queries: false,
        };
        loaded.compute(&["knee".to_owned()], &|| true)?;
        Ok(loaded)
    }

    /// Sets how many threads compute; as many as the machine has, unless told otherwise.
    ///
    /// # Errors
    ///
    /// `Unavailable` where the system gives no more threads.
    pub fn with_threads(mut self, count: NonZeroUsize) -> Result<Self> {
        self.pool = threads(count.get())?;
        Ok(self)
    }

    /// Sets what is put before passages and before questions, for encoders that were trained so (`passage: ` and `query: `). The name
    /// changes with it.
    #[must_use]
    pub fn with_prefixes(mut self, passage: &str, query: &str) -> Self {
        let fingerprint = Fingerprint::of([passage.as_bytes(), query.as_bytes()]).to_string();
        let told = !passage.is_empty() || !query.is_empty();
        let told = if told { fingerprint.get(..8).unwrap_or_default() } else { "" };
        let plus = if told.is_empty() { "" } else { "+" };
        self.name = format!("{}{plus}{told}", self.weights).into();
        (self.passage_prefix, self.query_prefix) = (passage.into(), query.into());
        self
    }

    /// Returns the same encoder for questions: what a [`Retriever`](crate::Retriever) is given where there are
    /// [prefixes](Self::with_prefixes). Its name is the same; a [cache](pumasi_core::model::CachedEmbedder) must not be.
    #[must_use]
    pub fn for_queries(&self) -> Self {
        Self { queries: true, ..self.clone() }
    }

    /// Returns the encoder's own tokenizer, for chunkers and gates.
    pub fn tokens(&self) -> EncoderTokens {
        EncoderTokens { name: Arc::clone(&self.weights), tokens: Arc::clone(&self.tokens) }
    }

    /// Tells how many tokens of a text are read, as [`tokens`](Self::tokens) counts them: without those that are added to each, and
    /// with room for the longer prefix.
    pub fn max_tokens(&self) -> usize {
        use crate::chunk::CountTokens as _;

        let tokens = self.tokens();
        let prefix = |prefix: &str| if prefix.is_empty() { 0 } else { tokens.count(prefix) + 1 };
        let prefix = prefix(&self.passage_prefix).max(prefix(&self.query_prefix));
        self.max_tokens.saturating_sub(self.tokens.added() + prefix)
    }

    /// Computes the vectors of texts on the pool's threads.
    fn compute(&self, texts: &[String], wanted: &(impl Fn() -> bool + Sync)) -> Result<Vec<Embedding>> {
        let read = |text: &String| self.tokens.of(text, self.max_tokens);
        let read = || texts.par_iter().map(read).collect::<Result<Vec<(Vec<u32>, bool)>>>();
        let read = self.pool.install(read)?;
        let cut = read.iter().filter(|(_, cut)| *cut).count();
        if cut > 0 {
            tracing::warn!(
                texts = cut,
                max_tokens = self.max_tokens,
                "texts were longer than the encoder reads"
            );
        }
        let mut order: Vec<(usize, &[u32])> =
            read.iter().map(|(ids, _)| ids.as_slice()).enumerate().collect();
        order.sort_by_key(|(_, ids)| std::cmp::Reverse(ids.len()));
        let mut batches: Vec<&[(usize, &[u32])]> = Vec::new();
        let mut rest = order.as_slice();
        while !rest.is_empty() {
            let mut tokens = 0;
            let fitting = rest.iter().take_while(|(_, ids)| {
                tokens += ids.len();
                tokens <= BATCH_TOKENS
            });
            let (batch, later) = rest.split_at(fitting.count().max(1));
            batches.push(batch);
            rest = later;
        }
        let batch = |batch: &&[(usize, &[u32])]| {
            let ids: Vec<&[u32]> = batch.iter().map(|(_, ids)| *ids).collect();
            self.model.embed(&ids, wanted)
        };
        let vectors = || batches.par_iter().map(batch).collect::<Result<Vec<Vec<Embedding>>>>();
        let vectors = self.pool.install(vectors)?;
        let mut placed: Vec<(usize, Embedding)> =
            order.iter().map(|(at, _)| *at).zip(vectors.into_iter().flatten()).collect();
        placed.sort_unstable_by_key(|(at, _)| *at);
        Ok(placed.into_iter().map(|(_, vector)| vector).collect())
    }
}

fn threads(count: usize) -> Result<Arc<ThreadPool>> {
    let pool =
        ThreadPoolBuilder::new().num_threads(count).thread_name(|at| format!("pumasi-encoder-{at}")).build();
    let none = |error| Error::new(ErrorKind::Unavailable, "no threads for the encoder").with_source(error);
    pool.map(Arc::new).map_err(none)
}

impl fmt::Debug for LocalEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEmbedder")
            .field("name", &self.name)
            .field("dimensions", &self.dimensions)
            .field("max_tokens", &self.max_tokens)
            .finish_non_exhaustive()
    }
}

/// Says so when whoever asked is gone.
struct Asked(Arc<AtomicBool>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[async_trait]
impl Embedder for LocalEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    fn dimensions(&self) -> usize {
        self.dimensions
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Embedding>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let prefix = if self.queries { &self.query_prefix } else { &self.passage_prefix };
        let texts: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
        let asked = Asked(Arc::new(AtomicBool::new(true)));
        let (embedder, wanted) = (self.clone(), Arc::clone(&asked.0));
        let compute = move || embedder.compute(&texts, &|| wanted.load(Ordering::Relaxed));
        let wrong = |error| Error::new(ErrorKind::Other, "the encoder broke off").with_source(error);
        tokio::task::spawn_blocking(compute).await.map_err(wrong)?
    }
}
