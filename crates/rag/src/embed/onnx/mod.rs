//! Sentence encoders by ONNX Runtime.

mod runtime;

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{Outlet, Tensor};
use pumasi_core::model::Embedding;

pub use runtime::OnnxRuntime;

use crate::encoder::{Pooling, Reader, Settings, Text, Tokens, Wanted, batches, damaged, in_order, read};
use crate::{Error, ErrorKind, Result};

/// About how many tokens are computed at once.
const BATCH_TOKENS: usize = 1024;

/// The names under which exporters give the last state of each token.
const STATES: [&str; 2] = ["last_hidden_state", "token_embeddings"];

/// Embeds by a sentence encoder of the BERT or XLM-RoBERTa family in [ONNX Runtime](OnnxRuntime), where its speed is wanted.
///
/// [`load`](Self::load) reads the folder that [`LocalEmbedder`](https://docs.rs/pumasi-rag/latest/pumasi_rag/embed/struct.LocalEmbedder.html)
/// reads, with `model.onnx` or `onnx/model.onnx` (and what stands beside it under names that begin so) in place of the safetensors:
/// `input_ids`, `attention_mask` and, where the file wants them, `token_type_ids` go in, and the last state of each token comes out.
///
/// Nothing is fetched. Texts are sorted by length and computed in batches on ONNX Runtime's threads, as many as the machine has; calls
/// wait for one another. A call whose future is dropped stops within a batch. A text that is longer than the encoder reads is cut as the
/// reference does, and a warning is logged: cut documents by [`tokens`](Self::tokens) and [`max_tokens`](Self::max_tokens), and none is.
///
/// ```no_run
/// # async fn example() -> pumasi_rag::Result<()> {
/// use pumasi_core::model::Embedder;
/// use pumasi_rag::embed::{OnnxEmbedder, OnnxRuntime};
///
/// // or `OnnxRuntime::from_env()`, by ORT_DYLIB_PATH
/// let runtime = OnnxRuntime::load("/usr/lib/libonnxruntime.so")?;
/// let embedder = OnnxEmbedder::load(&runtime, "weights/all-MiniLM-L6-v2")?;
/// let vectors = embedder.embed(&["How long should my knee rest?"]).await?;
/// assert_eq!(vectors[0].len(), embedder.dimensions());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OnnxEmbedder {
    graph: Arc<Graph>,
    /// ONNX Runtime's sessions compute one call at a time.
    session: Arc<Mutex<Session>>,
    reader: Reader,
}

impl OnnxEmbedder {
    /// Reads the model in a folder, and tries it. It takes some tenths of a second, and blocks.
    ///
    /// The embedder's name is made of all that its vectors depend on, and is another one than that of the same weights elsewhere.
    ///
    /// # Errors
    ///
    /// `NotFound` for a file that is missing, `Storage` for one that cannot be read, `InvalidInput` for one that is damaged, or does
    /// not go with the others, `Unsupported` for another kind of model, `Protocol` for a model that makes no vectors.
    pub fn load(runtime: &OnnxRuntime, folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let settings = Settings::read(folder)?;
        let (tokens, tokenizer) = Tokens::read(&settings.folder)?;
        settings.check(&tokens)?;
        let file = model_file(&settings.folder, folder);
        let files = [weights(&file)?, tokenizer];
        let session = session(runtime, &file, None)?;
        let graph = Arc::new(Graph::of(&session, runtime, file, &settings)?);
        let reader = Reader::new("onnx-", &settings, tokens, files.each_ref().map(Vec::as_slice));
        let loaded = Self { graph, session: Arc::new(Mutex::new(session)), reader };
        loaded.compute(&["knee".to_owned()], &Wanted::always())?;
        Ok(loaded)
    }

    /// Sets how many threads compute; as many as the machine has, unless told otherwise. The model is read again.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load).
    pub fn with_threads(mut self, count: NonZeroUsize) -> Result<Self> {
        let session = session(&self.graph.runtime, &self.graph.file, Some(count))?;
        self.session = Arc::new(Mutex::new(session));
        Ok(self)
    }

    fn compute(&self, texts: &[String], wanted: &Wanted) -> Result<Vec<Embedding>> {
        let read = texts.iter().map(|text| self.reader.read(text, wanted)).collect::<Result<_>>()?;
        let texts = self.reader.whole(read);
        let batches = batches(&texts, BATCH_TOKENS);
        let of = |batch: &Vec<usize>| {
            wanted.check()?;
            let batch: Vec<&Text> = batch.iter().filter_map(|at| texts.get(*at)).collect();
            let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            self.graph.embed(&mut session, &batch)
        };
        let computed = batches.iter().map(of).collect::<Result<_>>()?;
        Ok(in_order(batches, computed))
    }
}

/// Finds the file: where exporters put it, beside the transformer's settings or those of all.
fn model_file(transformer: &Path, folder: &Path) -> PathBuf {
    let places = [transformer, folder].map(|place| [place.join("model.onnx"), place.join("onnx/model.onnx")]);
    let [[first, ..], ..] = &places;
    places.iter().flatten().find(|place| place.is_file()).unwrap_or(first).clone()
}

/// Reads the file and those that hold large models' weights beside it, for the fingerprint.
fn weights(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = read(file)?;
    for beside in ["model.onnx_data", "model.onnx.data"] {
        match read(&file.with_file_name(beside)) {
            Ok(more) => bytes.extend(more),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// How a graph is fed, and what is taken of it.
struct Graph {
    runtime: OnnxRuntime,
    file: PathBuf,
    has_types: bool,
    /// The output that holds a state of each token.
    output: String,
    hidden: usize,
    pooling: Pooling,
    padding: i64,
}

impl Graph {
    fn of(session: &Session, runtime: &OnnxRuntime, file: PathBuf, settings: &Settings) -> Result<Self> {
        let wants: Vec<&str> = session.inputs().iter().map(Outlet::name).collect();
        let known = ["input_ids", "attention_mask", "token_type_ids"];
        if let Some(other) = wants.iter().find(|name| !known.contains(name)) {
            return Err(unsupported(&file, format_args!("an input `{other}`")));
        }
        if !wants.contains(&"input_ids") || !wants.contains(&"attention_mask") {
            return Err(unsupported(&file, "a graph without `input_ids` and `attention_mask`"));
        }
        let has_types = wants.contains(&"token_type_ids");
        let outputs: Vec<&str> = session.outputs().iter().map(Outlet::name).collect();
        let output = STATES.iter().find(|name| outputs.contains(name)).copied().or(outputs.first().copied());
        let output = output.ok_or_else(|| damaged(&file, "it has no output"))?.to_owned();
        let Settings { hidden, pooling, padding, .. } = *settings;
        Ok(Self { runtime: runtime.clone(), file, has_types, output, hidden, pooling, padding })
    }

    /// Returns the vectors of texts, of length one.
    fn embed(&self, session: &mut Session, texts: &[&Text]) -> Result<Vec<Embedding>> {
        let length = texts.iter().map(|text| text.ids.len()).max().unwrap_or_default();
        if length == 0 {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "the encoder's tokenizer makes no token of a text",
            ));
        }
        let padded = |of: &dyn Fn(&Text) -> Vec<i64>, with: i64| {
            let row = |text: &&Text| {
                let mut row = of(text);
                row.resize(length, with);
                row
            };
            let numbers: Vec<i64> = texts.iter().flat_map(row).collect();
            Tensor::from_array(([texts.len(), length], numbers)).map_err(failed)
        };
        let wide = |numbers: &[u32]| numbers.iter().map(|number| i64::from(*number)).collect();
        let mut inputs = vec![
            ("input_ids", padded(&|text| wide(&text.ids), self.padding)?),
            ("attention_mask", padded(&|text| vec![1; text.ids.len()], 0)?),
        ];
        if self.has_types {
            inputs.push(("token_type_ids", padded(&|text| wide(&text.types), 0)?));
        }
        let outputs = session.run(inputs).map_err(failed)?;
        let states = outputs.get(&self.output).ok_or_else(|| self.shaped(&[]))?;
        let (shape, numbers) = states.try_extract_tensor::<f32>().map_err(failed)?;
        let wanted = [texts.len(), length, self.hidden].map(|size| i64::try_from(size).unwrap_or(i64::MAX));
        if shape[..] != wanted {
            return Err(self.shaped(shape));
        }
        let rows = numbers.chunks_exact(length * self.hidden);
        texts
            .iter()
            .zip(rows)
            .map(|(text, rows)| self.pooling.of(rows, text.ids.len(), self.hidden))
            .collect()
    }

    fn shaped(&self, shape: &[i64]) -> Error {
        let (output, hidden) = (&self.output, self.hidden);
        damaged(
            &self.file,
            format_args!(
                "`{output}` is {shape:?}, where a state of {hidden} numbers for each token is wanted"
            ),
        )
    }
}

fn session(runtime: &OnnxRuntime, file: &Path, threads: Option<NonZeroUsize>) -> Result<Session> {
    let threads = threads.or(std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let mut builder = Session::builder(&runtime.environment)
        .map_err(failed)?
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(|error| failed(error.into()))?
        .with_intra_threads(threads)
        .map_err(|error| failed(error.into()))?;
    builder
        .commit_from_file(file)
        .map_err(|error| damaged(file, "ONNX Runtime does not take it").with_source(error))
}

fn unsupported(file: &Path, what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{}: {what} is not supported", file.display()))
}

fn failed(error: ort::Error) -> Error {
    Error::new(ErrorKind::Other, "ONNX Runtime failed").with_source(error)
}

sentence_encoder!(OnnxEmbedder);

impl fmt::Debug for OnnxEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxEmbedder")
            .field("reader", &self.reader)
            .field("runtime", &self.graph.runtime)
            .field("dimensions", &self.graph.hidden)
            .finish_non_exhaustive()
    }
}
