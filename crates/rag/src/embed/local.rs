//! Sentence encoders in this process.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use pumasi_core::model::Embedding;
use rayon::ThreadPool;
use rayon::prelude::*;

use crate::Result;
use crate::encoder::{Model, Reader, Settings, Tokens, Wanted, Weights, compute, read, threads};

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
    reader: Reader,
    pool: Arc<ThreadPool>,
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
        settings.check(&tokens)?;
        let bytes = read(&file)?;
        let model = Model::new(&settings, &mut Weights::new(&file, &bytes)?)?;
        let loaded = Self {
            model: Arc::new(model),
            reader: Reader::new("", &settings, tokens, [&bytes, &tokenizer]),
            pool: threads(0)?,
        };
        loaded.compute(&["knee".to_owned()], &Wanted::always())?;
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

    /// Computes the vectors of texts on the pool's threads.
    fn compute(&self, texts: &[String], wanted: &Wanted) -> Result<Vec<Embedding>> {
        let read = || texts.par_iter().map(|text| self.reader.read(text, wanted)).collect::<Result<_>>();
        let texts = self.reader.whole(self.pool.install(read)?);
        compute(&self.pool, &texts, BATCH_TOKENS, |batch| self.model.embed(batch, wanted))
    }
}

sentence_encoder!(LocalEmbedder);

impl fmt::Debug for LocalEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEmbedder")
            .field("reader", &self.reader)
            .field("dimensions", &self.reader.dimensions())
            .finish_non_exhaustive()
    }
}
