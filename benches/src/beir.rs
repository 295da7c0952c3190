//! Folders in BEIR's form (Thakur and others, "BEIR", NeurIPS 2021), and the measures of what is found in them.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

/// For each query the documents that were judged, and how relevant they are.
pub type Judgements = BTreeMap<String, HashMap<String, f64>>;

/// Reads a file of JSON lines, one at a time.
pub fn lines(
    path: &Path,
) -> Result<impl Iterator<Item = Result<Value, Box<dyn Error>>> + use<>, Box<dyn Error>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let lines = BufReader::with_capacity(1 << 20, file)
        .lines()
        .filter(|line| !line.as_ref().is_ok_and(|line| line.trim().is_empty()));
    Ok(lines.map(|line| Ok(serde_json::from_str(&line?)?)))
}

/// Reads a member that may be a string, a number, or missing.
pub fn member(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

/// Reads judgements in BEIR's or TREC's form; queries without a relevant document are left out.
///
/// # Errors
///
/// If the file cannot be read, or no query is left.
pub fn judgements(path: &Path) -> Result<Judgements, Box<dyn Error>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut all = Judgements::new();
    for line in BufReader::new(file).lines() {
        let line = line?;
        // TREC's form has four columns, and spaces between them as often as tabs; the header has no number.
        let is_tabbed = line.contains('\t');
        let columns: Vec<&str> = if is_tabbed {
            line.split('\t').map(str::trim).collect()
        } else {
            line.split_whitespace().collect()
        };
        let (query, document, score) = match columns.as_slice() {
            [query, document, score] | [query, _, document, score] => (query, document, score.parse::<f64>()),
            _ => continue,
        };
        if let Ok(score) = score {
            all.entry((*query).to_owned()).or_default().insert((*document).to_owned(), score);
        }
    }
    all.retain(|_, documents| documents.values().any(|score| *score > 0.0));
    if all.is_empty() {
        return Err(format!("{}: no query has a relevant document", path.display()).into());
    }
    Ok(all)
}

/// Returns the name of a folder, wherever it was called from.
pub fn name(folder: &Path) -> Option<String> {
    let whole = folder.canonicalize().ok()?;
    Some(whole.file_name()?.to_string_lossy().into_owned())
}

/// How well queries were answered: sums over them.
#[derive(Default)]
pub struct Quality {
    ndcg: f64,
    recall: f64,
    mrr: f64,
    /// How many queries were answered.
    pub queries: usize,
}

impl Quality {
    /// Adds the ranking of one query, best first.
    pub fn add(&mut self, ranking: &[&str], judged: &HashMap<String, f64>) {
        let gain =
            |rank: usize, score: f64| score / f64::from(u32::try_from(rank + 2).unwrap_or(u32::MAX)).log2();
        let mut ideal: Vec<f64> = judged.values().copied().filter(|score| *score > 0.0).collect();
        let relevant = ideal.len();
        ideal.sort_by(|a, b| b.total_cmp(a));
        let best: f64 = ideal.iter().take(10).enumerate().map(|(rank, score)| gain(rank, *score)).sum();
        let score = |id: &&str| judged.get(*id).copied().unwrap_or(0.0).max(0.0);
        let got: f64 = ranking.iter().take(10).enumerate().map(|(rank, id)| gain(rank, score(id))).sum();
        let found = ranking.iter().take(100).filter(|id| score(id) > 0.0).count();
        let first = ranking.iter().take(10).position(|id| score(id) > 0.0);
        self.ndcg += got / best;
        self.recall += ratio(found, relevant);
        self.mrr += first.map_or(0.0, |rank| ratio(1, rank + 1));
        self.queries += 1;
    }

    /// Writes the means: nDCG@10 with linear gains, recall@100 and MRR@10.
    pub fn json(&self) -> Value {
        let mean = |sum: f64| (sum / ratio(self.queries.max(1), 1) * 1e4).round() / 1e4;
        json!({"ndcg_at_10": mean(self.ndcg), "recall_at_100": mean(self.recall), "mrr_at_10": mean(self.mrr)})
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    f64::from(u32::try_from(part).unwrap_or(u32::MAX)) / f64::from(u32::try_from(whole).unwrap_or(u32::MAX))
}

/// Returns a quantile of sorted times, in milliseconds with three decimals.
pub fn milliseconds(times: &[Duration], per_mille: usize) -> f64 {
    let at = (times.len() * per_mille / 1_000).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, |time| (time.as_secs_f64() * 1e6).round() / 1e3)
}
