//! Passages in the order in which a cross-encoder finds that they answer.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rayon::ThreadPool;
use rayon::prelude::*;

use super::Reranker;
use crate::chunk::readable;
use crate::document::Fingerprint;
use crate::encoder::{
    Head, Model, Settings, Text, Tokens, Wanted, Weights, apart, compute, damaged, read, threads,
};
use crate::store::Passage;
use crate::{Error, ErrorKind, Result};

/// About how many tokens are computed at once by a thread.
const BATCH_TOKENS: usize = 512;

/// Scores passages by a cross-encoder in this process, on [`candle`](https://docs.rs/candle-core): a model of the BERT or XLM-RoBERTa
/// family that reads question and passage together, such as ms-marco-MiniLM-L6-v2 or bge-reranker.
///
/// [`load`](Self::load) reads a folder as the transformers library writes it:
///
/// | file | |
/// |---|---|
/// | `config.json` | the architecture: `bert`, `xlm-roberta`, `roberta`, `camembert` |
/// | `tokenizer.json` | the tokenizer; its padding and its limit are not used |
/// | `model.safetensors` | the weights, of 32 or 16 bits, with a classification head of one label |
/// | `sentence_bert_config.json`, else `tokenizer_config.json` | how many tokens of a pair are read at most |
///
/// Nothing is fetched. A passage is read under its title and headings, as it was embedded; a pair that is longer than the model reads
/// loses the passage's end. Of a question that takes more than half of that room, the reference takes tokens as well, and so does this.
/// Scores are the model's own (logits): the higher, the better a passage answers; the probability is their logistic function.
///
/// Pairs are sorted by length and computed without padding, on as many threads as the machine has, none of them the runtime's; a call
/// whose future is dropped, or whose [time](Self::with_timeout) is over, stops within a layer.
///
/// ```no_run
/// # async fn example(retriever: pumasi_rag::Retriever) -> pumasi_rag::Result<()> {
/// use pumasi_rag::Question;
/// use pumasi_rag::retrieve::CrossEncoder;
///
/// let retriever = retriever.with_reranker(CrossEncoder::load("weights/ms-marco-MiniLM-L6-v2")?);
/// let found = retriever.retrieve(&Question::new("How long should my knee rest?")).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CrossEncoder {
    model: Arc<Model>,
    head: Arc<Head>,
    tokens: Arc<Tokens>,
    pool: Arc<ThreadPool>,
    name: Arc<str>,
    /// With the tokens that are added to a pair.
    max_tokens: usize,
    /// How many those are.
    added: usize,
    timeout: Duration,
}

impl CrossEncoder {
    /// Reads the weights in a folder, and tries them. It takes some tenths of a second, and blocks. A call may take ten seconds.
    ///
    /// # Errors
    ///
    /// `NotFound` for a file that is missing, `Storage` for one that cannot be read, `InvalidInput` for one that is damaged, does not
    /// go with the others, or has no classification head, `Unsupported` for another kind of model or a head of several labels,
    /// `Protocol` for weights that make no scores.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let settings = Settings::read_alone(folder.as_ref())?;
        let (tokens, tokenizer) = Tokens::read(&settings.folder)?;
        settings.check(&tokens)?;
        let added = tokens.added_to_pairs()?.ok_or_else(|| {
            damaged(
                &settings.folder.join("tokenizer.json"),
                "it does not put the two texts of a pair together",
            )
        })?;
        // a token of each text at least
        if settings.max_tokens < added + 2 {
            return Err(damaged(&settings.folder.join("config.json"), "the model has no room for a pair"));
        }
        let file = settings.folder.join("model.safetensors");
        let bytes = read(&file)?;
        let mut weights = Weights::new(&file, &bytes)?;
        let model = Model::new(&settings, &mut weights)?;
        let head = Head::new(&settings, &mut weights)?;
        let fingerprint = Fingerprint::of([bytes.as_slice(), tokenizer.as_slice()]).to_string();
        let fingerprint = fingerprint.get(..12).unwrap_or_default();
        let Settings { family, layers, hidden, max_tokens, .. } = settings;
        let loaded = Self {
            model: Arc::new(model),
            head: Arc::new(head),
            tokens: Arc::new(tokens),
            pool: threads(0)?,
            name: format!("cross-{family}-{layers}x{hidden}@{fingerprint}").into(),
            max_tokens,
            added,
            timeout: Duration::from_secs(10),
        };
        loaded.compute("knee", &["knee".to_owned()], &Wanted::always())?;
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

    /// Sets how long a call may take; ten seconds unless set.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns a score for each text, in their order; the higher, the better it answers.
    ///
    /// # Errors
    ///
    /// `Timeout` where it takes too long, `Protocol` for a score that is no number, `InvalidInput` for a text that the tokenizer cannot
    /// read.
    pub async fn scores(&self, question: &str, texts: &[&str]) -> Result<Vec<f32>> {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        self.scored(question, texts).await
    }

    async fn scored(&self, question: &str, texts: Vec<String>) -> Result<Vec<f32>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let (model, question, count) = (self.clone(), question.to_owned(), texts.len());
        let computed = apart(move |wanted| model.compute(&question, &texts, wanted));
        let late = |_| {
            let message = format!("{} took longer than {:?} for {count} passages", self.name, self.timeout);
            Error::new(ErrorKind::Timeout, message)
        };
        tokio::time::timeout(self.timeout, computed).await.map_err(late)?
    }

    /// Computes scores on the pool's threads.
    fn compute(&self, question: &str, texts: &[String], wanted: &Wanted) -> Result<Vec<f32>> {
        let question = self.tokens.encode(question)?;
        let pair = |text: &String| {
            wanted.check()?;
            self.tokens.pair(&question, text, self.added, self.max_tokens)
        };
        let read = || texts.par_iter().map(pair).collect::<Result<Vec<(Text, bool)>>>();
        let read = self.pool.install(read)?;
        let cut = read.iter().filter(|(_, cut)| *cut).count();
        if cut > 0 {
            tracing::debug!(
                pairs = cut,
                max_tokens = self.max_tokens,
                "pairs were longer than the cross-encoder reads"
            );
        }
        let pairs: Vec<Text> = read.into_iter().map(|(pair, _)| pair).collect();
        compute(&self.pool, &pairs, BATCH_TOKENS, |batch| {
            self.head.scores(self.model.first_states(batch, wanted)?)
        })
    }
}

impl fmt::Debug for CrossEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrossEncoder")
            .field("name", &self.name)
            .field("max_tokens", &self.max_tokens)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What is read of a passage: its text under its title and headings, without the id that a reader sees where there is no title.
fn in_context(passage: &Passage) -> String {
    let title = Some(passage.document.title.as_str()).filter(|title| !title.is_empty());
    let mut names: Vec<&str> = title.into_iter().chain(passage.headings.iter().map(String::as_str)).collect();
    names.dedup();
    readable(&names.join(" > "), &passage.text)
}

#[async_trait]
impl Reranker for CrossEncoder {
    fn name(&self) -> &str {
        &self.name
    }

    async fn rerank(&self, question: &str, passages: &[Passage]) -> Result<Vec<f32>> {
        self.scored(question, passages.iter().map(in_context).collect()).await
    }
}
