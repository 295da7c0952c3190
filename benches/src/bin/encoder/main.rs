//! A local sentence encoder beside a plain loop over the same weights with candle's own layers, one text after another, as JSON.
//!
//! ```sh
//! cargo run --release -p benches --features encoder --bin encoder -- "$(scripts/minilm)" FOLDER [TEXTS]
//! ```
//!
//! FOLDER holds `corpus.jsonl` in BEIR's form. Two sets of TEXTS (200 unless told otherwise) are embedded by both, in turns, three
//! times, and the median counts: documents, which mostly fill the 256 tokens that the encoder reads, and their titles. Vectors are checked
//! to be the same. Times are the clock's: both may use every thread.

mod naive;

use std::error::Error;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use benches::beir::{lines, member};
use pumasi_core::model::Embedder;
use pumasi_rag::embed::LocalEmbedder;
use serde_json::{Value, json};

use self::naive::Naive;

const ROUNDS: usize = 3;

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

async fn compare(embedder: &LocalEmbedder, naive: &Naive, texts: &[String]) -> Result<Value, Box<dyn Error>> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (mut ours, mut theirs, mut worst) = (Vec::new(), Vec::new(), 1.0_f32);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let vectors = embedder.embed(&texts).await?;
        ours.push(started.elapsed());
        let started = Instant::now();
        let plain = texts.iter().map(|text| naive.embed(text)).collect::<Result<Vec<Vec<f32>>, _>>()?;
        theirs.push(started.elapsed());
        let cosines = vectors.iter().zip(&plain).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum());
        worst = cosines.fold(worst, f32::min);
    }
    if worst < 0.9999 {
        return Err(format!("the vectors differ: a cosine of {worst}").into());
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    let rate = |seconds: f64| (texts.len() as f64 / seconds * 10.0).round() / 10.0;
    Ok(json!({
        "texts": texts.len(),
        "texts_per_second": rate(ours),
        "plain_loop_texts_per_second": rate(theirs),
        "times_as_fast": (theirs / ours * 100.0).round() / 100.0,
        "cosine_at_least": worst,
    }))
}

async fn measure(weights: &Path, folder: &Path, count: usize) -> Result<Value, Box<dyn Error>> {
    let (mut documents, mut titles) = (Vec::new(), Vec::new());
    for line in lines(&folder.join("corpus.jsonl"))?.take(count) {
        let line = line?;
        documents.push(format!("{} {}", member(&line, "title"), member(&line, "text")));
        titles.push(member(&line, "title"));
    }
    let (embedder, naive) = (LocalEmbedder::load(weights)?, Naive::load(weights)?);
    Ok(json!({
        "embedder": embedder.name(),
        "threads": std::thread::available_parallelism()?.get(),
        "documents": compare(&embedder, &naive, &documents).await?,
        "titles": compare(&embedder, &naive, &titles).await?,
    }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: encoder WEIGHTS FOLDER [TEXTS]";
    let mut rest = std::env::args().skip(1);
    let (weights, folder) = (rest.next().ok_or(usage)?, rest.next().ok_or(usage)?);
    let count = rest.next().map(|count| count.parse()).transpose()?.unwrap_or(200);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured = runtime.block_on(measure(&PathBuf::from(weights), &PathBuf::from(folder), count))?;
    writeln!(std::io::stdout().lock(), "{measured:#}")?;
    Ok(())
}
