//! How well and how fast passages are retrieved, on a folder in BEIR's form (Thakur and others, "BEIR", NeurIPS 2021).
//!
//! ```sh
//! cargo run --release -p benches --features rag --bin rag_eval -- FOLDER [--store memory|sqlite|postgres|qdrant] [--mode hybrid|dense|lexical]
//!     [--fusion min-max|rrf] [--dense-weight W] [--max-tokens N] [--split NAME] [--embedder WEIGHTS] [--beside memory|sqlite|postgres|qdrant]
//! ```
//!
//! FOLDER holds `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and `qrels/test.tsv`; titles may be
//! missing. It prints a JSON object for each mode (hybrid, or those that are named; `--mode` may be repeated, and the knowledge is built
//! once): nDCG@10 with linear gains, recall@100 and MRR@10, each the mean over the judged queries, of
//! documents in the order of their best passage; milliseconds for 8 passages, the embedding of the question included; and how long
//! the knowledge took to build, and its size on the disk. Vectors are the hashing embedder's, which know no more than words do:
//! they count a fifth, unless said otherwise. WEIGHTS is a folder for `LocalEmbedder` (feature `encoder`): its vectors count as the
//! retriever has it by default, and what it cannot read is left to the words. Passages are cut at N estimated tokens, 512 unless said
//! otherwise; with a number that no document reaches, each is one, and the encoder reads its beginning, as published figures have it.
//!
//! `--beside` keeps the knowledge in another store too, and counts the questions whose ten best passages are the same in both, in the
//! same order (`same_top_10`) and with scores of the same bits (`same_scores`). PostgreSQL is the one of `PUMASI_POSTGRES_URL`, Qdrant that
//! of `PUMASI_QDRANT_URL`; a schema or a collection is made there, and dropped.

use std::collections::HashSet;
use std::error::Error;
use std::io::Write as _;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::beir::{self, Judgements, Quality, judgements, lines, member, milliseconds};
use benches::knowledge::Place;
use pumasi_core::model::{Embedder, HashingEmbedder};
use pumasi_rag::retrieve::{Gate, Mode};
use pumasi_rag::{Document, Fusion, Ingest, Question, Retriever, Space, Store, StructureChunker};
use serde_json::{Value, json};

/// Documents that are put together.
const BATCH: usize = 1_000;

/// Passages that documents are ranked by.
const DEPTH: NonZeroUsize = match NonZeroUsize::new(300) {
    Some(depth) => depth,
    None => NonZeroUsize::MIN,
};

const TEN: NonZeroUsize = match NonZeroUsize::new(10) {
    Some(ten) => ten,
    None => NonZeroUsize::MIN,
};

/// How much the hashing embedder's ranking counts.
const DENSE_WEIGHT: f32 = 0.2;

const USAGE: &str = "usage: rag_eval FOLDER [--store memory|sqlite|postgres|qdrant] [--mode hybrid|dense|lexical] [--fusion min-max|rrf] \
                     [--dense-weight W] [--max-tokens N] [--split NAME] [--embedder WEIGHTS] [--beside memory|sqlite|postgres|qdrant]";

struct Arguments {
    folder: PathBuf,
    weights: Option<PathBuf>,
    store: String,
    modes: Vec<Mode>,
    fusion: Fusion,
    max_tokens: usize,
    split: String,
    beside: Option<String>,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut rest = std::env::args().skip(1);
    let (mut folder, mut split, mut store) = (None, "test".to_owned(), "memory".to_owned());
    let (mut modes, mut rrf, mut weight, mut max_tokens) = (Vec::new(), false, None, 512);
    let (mut weights, mut beside) = (None, None);
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or(USAGE);
        match argument.as_str() {
            "--store" => store = value()?,
            "--split" => split = value()?,
            "--beside" => beside = Some(value()?),
            "--embedder" => weights = Some(PathBuf::from(value()?)),
            "--mode" => modes.push(serde_json::from_value(Value::String(value()?))?),
            "--fusion" => rrf = value()? == "rrf",
            "--dense-weight" => weight = Some(value()?.parse::<f32>()?),
            "--max-tokens" => max_tokens = value()?.parse()?,
            other if !other.starts_with('-') && folder.is_none() => folder = Some(PathBuf::from(other)),
            _ => return Err(USAGE.into()),
        }
    }
    if modes.is_empty() {
        modes.push(Mode::Hybrid);
    }
    let usual = if weights.is_some() { Fusion::default().dense_weight() } else { DENSE_WEIGHT };
    let dense_weight = weight.unwrap_or(usual);
    let fusion = if rrf { Fusion::Rrf { k: 60.0, dense_weight } } else { Fusion::MinMax { dense_weight } };
    Ok(Arguments { folder: folder.ok_or(USAGE)?, weights, store, modes, fusion, max_tokens, split, beside })
}

/// Who makes vectors, and what notices what it cannot read.
struct Vectors {
    embedder: Arc<dyn Embedder>,
    gate: Option<Gate>,
}

impl Vectors {
    #[cfg(feature = "encoder")]
    fn of(weights: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        let Some(weights) = weights else { return Ok(Self::hashing()) };
        let embedder = pumasi_rag::embed::LocalEmbedder::load(weights)?;
        let gate = Gate::new(embedder.tokens());
        Ok(Self { embedder: Arc::new(embedder), gate: Some(gate) })
    }

    #[cfg(not(feature = "encoder"))]
    fn of(weights: Option<&Path>) -> Result<Self, Box<dyn Error>> {
        if weights.is_some() {
            Err("--embedder needs the feature encoder".into())
        } else {
            Ok(Self::hashing())
        }
    }

    fn hashing() -> Self {
        Self { embedder: Arc::new(HashingEmbedder::new()), gate: None }
    }

    fn retriever(&self, store: &Arc<dyn Store>, mode: Mode, fusion: Fusion) -> Retriever {
        let retriever = Retriever::new(Arc::clone(store), Arc::clone(&self.embedder));
        let retriever = retriever.with_mode(mode).with_fusion(fusion);
        match &self.gate {
            Some(gate) => retriever.with_gate(gate.clone()),
            None => retriever,
        }
    }
}

/// Puts the corpus into a store; tells how long it took, and how many documents were refused.
async fn build(
    arguments: &Arguments,
    store: &Arc<dyn Store>,
    vectors: &Vectors,
) -> Result<(Duration, usize), Box<dyn Error>> {
    let chunker = StructureChunker::new().with_max_tokens(arguments.max_tokens);
    let mut ingest = Ingest::new(Arc::clone(store), Arc::clone(&vectors.embedder)).with_chunker(chunker);
    if let Some(gate) = &vectors.gate {
        ingest = ingest.with_gate(gate.clone());
    }
    let (started, mut rejected) = (Instant::now(), 0);
    let mut batch = Vec::with_capacity(BATCH);
    let mut documents = lines(&arguments.folder.join("corpus.jsonl"))?.peekable();
    while let Some(line) = documents.next() {
        let line = line?;
        let (title, text) = (member(&line, "title"), member(&line, "text"));
        // A heading over nothing is no passage: what has a title alone says no more than that.
        let text = if text.trim().is_empty() { title.clone() } else { text };
        batch.push(Document::new(member(&line, "_id"), text).with_title(title));
        if batch.len() == BATCH || documents.peek().is_none() {
            let report = ingest.run(std::mem::take(&mut batch)).await?;
            for refused in report.rejected {
                rejected += 1;
                eprintln!("a document is left out: {}", refused.error);
            }
        }
    }
    Ok((started.elapsed(), rejected))
}

async fn measure(arguments: &Arguments) -> Result<Vec<Value>, Box<dyn Error>> {
    let folder = &arguments.folder;
    let judged = judgements(&folder.join("qrels").join(format!("{}.tsv", arguments.split)))?;
    let vectors = Vectors::of(arguments.weights.as_deref())?;
    let folder_of_run = tempfile::tempdir()?;
    let space = Space::of(&vectors.embedder);
    let place = Place::new(&arguments.store, folder_of_run.path()).await?;
    let opened = place.open(space.clone()).await?;
    let store = Arc::clone(&opened.store);
    let (built, rejected) = build(arguments, &store, &vectors).await?;
    let mut beside = None;
    if let Some(name) = &arguments.beside {
        let folder = folder_of_run.path().join("beside");
        std::fs::create_dir(&folder)?;
        let place = Place::new(name, &folder).await?;
        let other = place.open(space).await?.store;
        build(arguments, &other, &vectors).await?;
        beside = Some((other, place));
    }
    let counts = store.count(&pumasi_core::filter::Filter::And(Vec::new())).await?;
    let bytes = opened.bytes().await?;
    let mut measured = Vec::new();
    for mode in &arguments.modes {
        let retriever = vectors.retriever(&store, *mode, arguments.fusion);
        let other = beside.as_ref().map(|(other, _)| vectors.retriever(other, *mode, arguments.fusion));
        let asked = ask(&retriever, other.as_ref(), folder, &judged).await?;
        let mut row = json!({
            "folder": beir::name(folder),
            "store": store.name(),
            "mode": mode,
            "embedder": store.space().embedder,
            "documents": counts.documents,
            "rejected": rejected,
            "chunks": counts.chunks,
            "queries": asked.quality.queries,
            "quality": asked.quality.json(),
            "query_ms": {"p50": milliseconds(&asked.times, 500), "p99": milliseconds(&asked.times, 990)},
            "index": {"bytes": bytes, "seconds": (built.as_secs_f64() * 10.0).round() / 10.0},
        });
        if let Some(name) = &arguments.beside {
            let (same, scores) = (asked.same_top_10, asked.same_scores);
            row["beside"] = json!({"store": name, "same_top_10": same, "same_scores": scores});
        }
        measured.push(row);
    }
    if let Some((_, place)) = beside {
        place.clear().await?;
    }
    place.clear().await?;
    Ok(measured)
}

/// What came of the questions.
#[derive(Default)]
struct Asked {
    quality: Quality,
    times: Vec<Duration>,
    same_top_10: usize,
    same_scores: usize,
}

/// Asks every question that is judged.
async fn ask(
    retriever: &Retriever,
    other: Option<&Retriever>,
    folder: &Path,
    judged: &Judgements,
) -> Result<Asked, Box<dyn Error>> {
    let mut result = Asked::default();
    for line in lines(&folder.join("queries.jsonl"))? {
        let line = line?;
        let Some(judged) = judged.get(&member(&line, "_id")) else { continue };
        let question = Question::new(member(&line, "text"));
        let asked = Instant::now();
        retriever.retrieve(&question).await?;
        result.times.push(asked.elapsed());
        if let Some(other) = other {
            let ten = question.clone().with_limit(TEN);
            let (here, there) = (retriever.retrieve(&ten).await?.hits, other.retrieve(&ten).await?.hits);
            let both = here.iter().zip(&there);
            if here.len() == there.len() && both.clone().all(|(a, b)| a.passage.id == b.passage.id) {
                result.same_top_10 += 1;
                let same = both.into_iter().all(|(a, b)| a.score.to_bits() == b.score.to_bits());
                result.same_scores += usize::from(same);
            }
        }
        let found = retriever.retrieve(&question.with_limit(DEPTH)).await?;
        let mut seen = HashSet::new();
        let ids = found.hits.iter().map(|hit| hit.passage.document.id.as_str());
        result.quality.add(&ids.filter(|id| seen.insert(*id)).collect::<Vec<_>>(), judged);
    }
    result.times.sort_unstable();
    Ok(result)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for measured in runtime.block_on(measure(&arguments))? {
        writeln!(std::io::stdout().lock(), "{measured:#}")?;
    }
    Ok(())
}
