//! How well and how fast the embedded engine finds, on a folder in BEIR's form (Thakur and others, "BEIR", NeurIPS 2021).
//!
//! ```sh
//! cargo run --release -p benches --features search --bin search_eval -- FOLDER [--baseline] [--split NAME] [--dictionary FOLDER]
//! ```
//!
//! FOLDER holds `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`) and `qrels/test.tsv`; titles may be
//! missing. It prints one JSON object: nDCG@10 with linear gains, recall@100 and MRR@10, each the mean over the judged queries;
//! milliseconds of a query for 100 hits, one at a time; and the index's size. `--baseline` adds BM25 of the same terms, title and
//! text as one, counted in memory by core's own index with Lucene's constants (k1 1.2, b 0.75; Lucene 9.5 itself, given these terms,
//! scores the same) and with those that Anserini has made customary (0.9, 0.4). `--dictionary` (a compiled mecab-ko-dic, or `find`)
//! takes Korean words apart by it. Nothing else is written but an index in a temporary folder.

use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use benches::beir::{self, Quality, judgements, lines, member, milliseconds};
use pumasi_core::text::{Analyzer, Bm25, Bm25Index, Dictionary};
use pumasi_search::{
    Change, Count, Document, Query, Schema, SearchEngine, TantivyEngine, TantivyOptions, TextField,
};
use serde_json::{Value, json};

/// Documents that are committed together.
const BATCH: usize = 20_000;

/// Hits of a query.
const DEPTH: usize = 100;

/// The longest query that the engine takes, in bytes; of a longer one it is asked the beginning.
const LONGEST: usize = 16_384;

const TITLE: TextField = TextField::new("title");
const TEXT: TextField = TextField::new("text");

struct Arguments {
    folder: PathBuf,
    split: String,
    baseline: bool,
    analyzer: Analyzer,
}

/// The constants of the baselines, each with its name.
const BASELINES: [(&str, Bm25); 2] =
    [("lucene", Bm25 { k1: 1.2, b: 0.75 }), ("anserini", Bm25 { k1: 0.9, b: 0.4 })];

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let usage = "usage: search_eval FOLDER [--baseline] [--split NAME] [--dictionary FOLDER|find]";
    let mut rest = std::env::args().skip(1);
    let (mut folder, mut split, mut baseline, mut analyzer) =
        (None, "test".to_owned(), false, Analyzer::default());
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--baseline" => baseline = true,
            "--split" => split = rest.next().ok_or(usage)?,
            "--dictionary" => {
                let place = rest.next().ok_or(usage)?;
                let dictionary = if place == "find" { Dictionary::find()? } else { Dictionary::open(place)? };
                analyzer = analyzer.with_morphology(dictionary);
            }
            other if !other.starts_with('-') && folder.is_none() => folder = Some(PathBuf::from(other)),
            _ => return Err(usage.into()),
        }
    }
    Ok(Arguments { folder: folder.ok_or(usage)?, split, baseline, analyzer })
}

async fn measure(arguments: &Arguments) -> Result<Value, Box<dyn Error>> {
    let folder = &arguments.folder;
    let judged = judgements(&folder.join("qrels").join(format!("{}.tsv", arguments.split)))?;
    let index = tempfile::tempdir()?;
    let schema =
        Schema::new("beir").with_text(TITLE).with_text(TEXT).with_analyzer(arguments.analyzer.clone());
    let options = TantivyOptions::default().with_threads(2).with_memory_bytes(512 << 20);
    let engine = TantivyEngine::open_with(schema, index.path(), options)?;
    let baselines = BASELINES.iter().filter(|_| arguments.baseline);
    let mut baselines: Vec<_> = baselines
        .map(|(name, bm25)| {
            (*name, Bm25Index::new(arguments.analyzer.clone()).with_bm25(*bm25), Quality::default())
        })
        .collect();
    let started = Instant::now();
    let mut names: Vec<String> = Vec::new();
    let mut batch: Vec<Change> = Vec::with_capacity(BATCH);
    for document in lines(&folder.join("corpus.jsonl"))? {
        let document = document?;
        let (title, text) = (member(&document, "title"), member(&document, "text"));
        for (_, baseline, _) in &mut baselines {
            baseline.add(names.len(), &format!("{title}\n{text}"));
        }
        // ids of a data set may be longer than ours
        let id = format!("{:09}", names.len());
        batch.push(Change::upsert(Document::new(id, json!({"title": title, "text": text})), 1));
        names.push(member(&document, "_id"));
        if batch.len() == BATCH {
            commit(&engine, &mut batch).await?;
        }
    }
    commit(&engine, &mut batch).await?;
    let indexed = started.elapsed();
    let (mut quality, mut times) = (Quality::default(), Vec::new());
    for line in lines(&folder.join("queries.jsonl"))? {
        let line = line?;
        let Some(judged) = judged.get(&member(&line, "_id")) else { continue };
        let mut text = member(&line, "text");
        text.truncate(text.floor_char_boundary(LONGEST));
        let query = Query::words(text.as_str()).with_limit(DEPTH).with_count(Count::None);
        let asked = Instant::now();
        let page = engine.search(&query, Duration::from_secs(60)).await?;
        times.push(asked.elapsed());
        let name =
            |id: &str| id.parse::<usize>().ok().and_then(|place| names.get(place)).map_or("", String::as_str);
        quality.add(&page.ids().into_iter().map(name).collect::<Vec<_>>(), judged);
        for (_, baseline, quality) in &mut baselines {
            let hits = baseline.search(&text, DEPTH);
            let ranking: Vec<&str> =
                hits.iter().filter_map(|hit| names.get(hit.id)).map(String::as_str).collect();
            quality.add(&ranking, judged);
        }
    }
    times.sort_unstable();
    let mut out = json!({
        "folder": beir::name(folder),
        "documents": names.len(),
        "queries": quality.queries,
        "quality": quality.json(),
        "query_ms": {"p50": milliseconds(&times, 500), "p99": milliseconds(&times, 990)},
        "index": {"bytes": engine.size_bytes()?, "seconds": (indexed.as_secs_f64() * 10.0).round() / 10.0},
    });
    for (name, _, quality) in &baselines {
        out[format!("bm25_same_terms_{name}")] = quality.json();
    }
    Ok(out)
}

async fn commit(engine: &TantivyEngine, batch: &mut Vec<Change>) -> Result<(), Box<dyn Error>> {
    for result in engine.apply(batch).await? {
        result?;
    }
    batch.clear();
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured = runtime.block_on(measure(&arguments))?;
    writeln!(std::io::stdout().lock(), "{measured:#}")?;
    Ok(())
}
