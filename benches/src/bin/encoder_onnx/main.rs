//! A local sentence encoder by ONNX Runtime beside the same model in Python's ONNX Runtime, with as many threads, and beside the encoder
//! on candle, as JSON.
//!
//! ```sh
//! pip install onnxruntime tokenizers numpy
//! cargo run --release -p benches --features onnx --bin encoder_onnx -- "$(scripts/minilm --onnx)" "$(scripts/onnxruntime)" FOLDER [TEXTS]
//! ```
//!
//! FOLDER holds `corpus.jsonl` in BEIR's form. Two sets of TEXTS (200 unless told otherwise) are embedded by all three, in turns, five
//! times, and medians count: documents, which mostly fill the 256 tokens that the encoder reads, and their titles. Python sorts by length,
//! as we do, and is asked with batches of 1, 8 and 32 texts; its best median counts. `PYTHON` names another interpreter than `python3`. Vectors
//! are checked to be the same. Times are the clock's; what Python's process needs to hand its vectors over is not counted.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use benches::beir::{lines, member};
use pumasi_core::model::Embedder;
use pumasi_rag::embed::{LocalEmbedder, OnnxEmbedder, OnnxRuntime};
use serde_json::{Value, json};

const ROUNDS: usize = 5;
const PEER_BATCHES: [usize; 3] = [1, 8, 32];

/// How long it took, and the vectors.
type Embedded = (Duration, Vec<Vec<f32>>);

/// A Python process that embeds when it is asked.
struct Peer {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    fn start(weights: &Path, threads: NonZeroUsize) -> Result<(Self, Value), Box<dyn Error>> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/encoder_onnx/peer.py");
        let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        let mut child = Command::new(python)
            .arg(script)
            .arg(weights)
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let asks = child.stdin.take().ok_or("no way to ask")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no way to hear")?);
        let mut peer = Self { child, asks, answers };
        let version = peer.hear()?;
        Ok((peer, version))
    }

    fn hear(&mut self) -> Result<Value, Box<dyn Error>> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("Python's process ended; it needs onnxruntime, tokenizers and numpy".into());
        }
        Ok(serde_json::from_str(&line)?)
    }

    fn embed(&mut self, texts: &[&str], batch: usize) -> Result<Embedded, Box<dyn Error>> {
        writeln!(self.asks, "{}", json!({"texts": texts, "batch": batch}))?;
        self.asks.flush()?;
        let answer = self.hear()?;
        let seconds = answer["seconds"].as_f64().ok_or("no seconds")?;
        Ok((Duration::from_secs_f64(seconds), serde_json::from_value(answer["vectors"].clone())?))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

fn least_cosine(ours: &[Vec<f32>], theirs: &[Vec<f32>]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let cosine = |(a, b): (&Vec<f32>, &Vec<f32>)| dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
    ours.iter().zip(theirs).map(cosine).fold(1.0, f64::min)
}

async fn compare(
    onnx: &OnnxEmbedder,
    candle: &LocalEmbedder,
    peer: &mut Peer,
    texts: &[String],
) -> Result<Value, Box<dyn Error>> {
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (mut ours, mut candles) = (Vec::new(), Vec::new());
    let mut theirs = [const { Vec::new() }; PEER_BATCHES.len()];
    let (mut to_python, mut to_candle) = (1.0_f64, 1.0_f64);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let vectors = onnx.embed(&texts).await?;
        ours.push(started.elapsed());
        for (times, batch) in theirs.iter_mut().zip(PEER_BATCHES) {
            let (took, peers) = peer.embed(&texts, batch)?;
            times.push(took);
            to_python = to_python.min(least_cosine(&vectors, &peers));
        }
        let started = Instant::now();
        let plain = candle.embed(&texts).await?;
        candles.push(started.elapsed());
        to_candle = to_candle.min(least_cosine(&vectors, &plain));
    }
    if to_python < 0.99999 || to_candle < 0.99999 {
        return Err(format!("the vectors differ: cosines of {to_python} and {to_candle}").into());
    }
    let (ours, candles) = (median(&mut ours), median(&mut candles));
    let theirs = theirs.map(|mut times| median(&mut times));
    let best = theirs.into_iter().fold(f64::INFINITY, f64::min);
    let rate = |seconds: f64| (texts.len() as f64 / seconds * 10.0).round() / 10.0;
    let ratio = |other: f64| (other / ours * 100.0).round() / 100.0;
    let by_batch: serde_json::Map<String, Value> =
        PEER_BATCHES.iter().zip(theirs).map(|(batch, took)| (batch.to_string(), json!(rate(took)))).collect();
    Ok(json!({
        "texts": texts.len(),
        "texts_per_second": rate(ours),
        "python_texts_per_second": rate(best),
        "python_by_batch": by_batch,
        "beside_python": ratio(best),
        "candle_texts_per_second": rate(candles),
        "beside_candle": ratio(candles),
        "cosine_to_python_at_least": to_python,
        "cosine_to_candle_at_least": to_candle,
    }))
}

async fn measure(
    weights: &Path,
    library: &Path,
    folder: &Path,
    count: usize,
) -> Result<Value, Box<dyn Error>> {
    let (mut documents, mut titles) = (Vec::new(), Vec::new());
    for line in lines(&folder.join("corpus.jsonl"))?.take(count) {
        let line = line?;
        documents.push(format!("{} {}", member(&line, "title"), member(&line, "text")));
        titles.push(member(&line, "title"));
    }
    let threads = std::thread::available_parallelism()?;
    let onnx = OnnxEmbedder::load(&OnnxRuntime::load(library)?, weights)?.with_threads(threads)?;
    let candle = LocalEmbedder::load(weights)?.with_threads(threads)?;
    let (mut peer, version) = Peer::start(weights, threads)?;
    Ok(json!({
        "embedder": onnx.name(),
        "threads": threads.get(),
        "python": version,
        "documents": compare(&onnx, &candle, &mut peer, &documents).await?,
        "titles": compare(&onnx, &candle, &mut peer, &titles).await?,
    }))
}

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: encoder_onnx WEIGHTS LIBRARY FOLDER [TEXTS]";
    let mut rest = std::env::args().skip(1);
    let mut next = || rest.next().map(PathBuf::from).ok_or(usage);
    let (weights, library, folder) = (next()?, next()?, next()?);
    let count = rest.next().map(|count| count.parse()).transpose()?.unwrap_or(200);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let measured = runtime.block_on(measure(&weights, &library, &folder, count))?;
    writeln!(std::io::stdout().lock(), "{measured:#}")?;
    Ok(())
}
