//! How well the analyzer and BM25 find, on public test sets: nDCG@10, recall@10 and recall@100.
//!
//! `PUMASI_DATA=folder cargo run --release -p benches --bin retrieval`, where the folder holds
//!
//! - `scifact/{corpus.jsonl, queries.jsonl, qrels/test.tsv}`: SciFact in BEIR's form (CC BY 4.0, ODC-By);
//! - `korquad/KorQuAD_v1.0_dev.json`: the development set of KorQuAD 1.0, unmodified (CC BY-ND 2.0 KR).
//!
//! Neither is part of this repository. Without the variable the program says so and ends.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use pumasi_core::text::{Analyzer, Bm25, Bm25Index};
use serde_json::Value;

struct Set {
    name: &'static str,
    documents: Vec<(String, String)>,
    queries: Vec<(String, BTreeSet<String>)>,
    reference: &'static str,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let Some(folder) = std::env::var_os("PUMASI_DATA") else {
        writeln!(out, "PUMASI_DATA is not set: nothing measured")?;
        return Ok(());
    };
    let folder = Path::new(&folder);
    let analyzer = Analyzer::default();
    for set in [scifact(folder)?, korquad(folder)?] {
        let bytes: usize = set.documents.iter().map(|(_, text)| text.len()).sum();
        let started = Instant::now();
        let mut terms = 0_usize;
        for (_, text) in &set.documents {
            analyzer.for_each(text, |_| terms += 1);
        }
        let took = started.elapsed();
        writeln!(
            out,
            "{}: {} documents, {} queries; analysed {:.1} MB/s, {terms} terms; reference {}",
            set.name,
            set.documents.len(),
            set.queries.len(),
            per_second(bytes, took),
            set.reference,
        )?;
        for bm25 in [Bm25 { k1: 0.9, b: 0.4 }, Bm25 { k1: 1.2, b: 0.75 }, Bm25 { k1: 1.5, b: 0.75 }] {
            let mut index = Bm25Index::new(analyzer.clone()).with_bm25(bm25);
            let started = Instant::now();
            for (id, text) in &set.documents {
                index.add(id.as_str(), text);
            }
            let indexed = started.elapsed();
            let started = Instant::now();
            let (mut gain, mut at_10, mut at_100) = (0.0, 0.0, 0.0);
            for (query, relevant) in &set.queries {
                let found: Vec<_> = index.search(query, 100).into_iter().map(|hit| hit.id).collect();
                gain += ndcg(&found, relevant, 10);
                at_10 += recall(&found, relevant, 10);
                at_100 += recall(&found, relevant, 100);
            }
            let queries = float(set.queries.len());
            writeln!(
                out,
                "  k1 {:.1} b {:.2}: nDCG@10 {:.4}  recall@10 {:.4}  recall@100 {:.4}  (indexed {:.1} MB/s, {:.2} ms a query)",
                bm25.k1,
                bm25.b,
                gain / queries,
                at_10 / queries,
                at_100 / queries,
                per_second(bytes, indexed),
                started.elapsed().as_secs_f64() * 1e3 / queries,
            )?;
        }
    }
    Ok(())
}

fn scifact(folder: &Path) -> Result<Set, Box<dyn Error>> {
    let folder = folder.join("scifact");
    let lines = |name: &str| -> Result<Vec<Value>, Box<dyn Error>> {
        let text = std::fs::read_to_string(folder.join(name))?;
        Ok(text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
    };
    let text =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let documents = lines("corpus.jsonl")?
        .iter()
        .map(|line| (text(line, "_id"), format!("{} {}", text(line, "title"), text(line, "text"))))
        .collect();
    let mut judged: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in std::fs::read_to_string(folder.join("qrels/test.tsv"))?.lines().skip(1) {
        if let [query, document, score] = line.split('\t').collect::<Vec<_>>().as_slice()
            && *score != "0"
        {
            judged.entry((*query).to_owned()).or_default().insert((*document).to_owned());
        }
    }
    let queries = lines("queries.jsonl")?
        .iter()
        .filter_map(|line| Some((text(line, "text"), judged.get(&text(line, "_id"))?.clone())))
        .collect();
    Ok(Set { name: "SciFact", documents, queries, reference: "BM25 .679 (Lucene, published), .683 (Porter)" })
}

fn korquad(folder: &Path) -> Result<Set, Box<dyn Error>> {
    let text = std::fs::read_to_string(folder.join("korquad/KorQuAD_v1.0_dev.json"))?;
    let root: Value = serde_json::from_str(&text)?;
    let list =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    // a few paragraphs stand twice: the same text is one document
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    let mut queries = Vec::new();
    for paragraph in list(&root, "data").iter().flat_map(|article| list(article, "paragraphs")) {
        let context = paragraph.get("context").and_then(Value::as_str).unwrap_or_default().to_owned();
        let next = ids.len().to_string();
        let id = ids.entry(context).or_insert(next).clone();
        for question in list(&paragraph, "qas") {
            let question = question.get("question").and_then(Value::as_str).unwrap_or_default().to_owned();
            queries.push((question, BTreeSet::from([id.clone()])));
        }
    }
    let documents = ids.into_iter().map(|(text, id)| (id, text)).collect();
    Ok(Set {
        name: "KorQuAD 1.0 dev",
        documents,
        queries,
        reference: "words .839, bigrams .945, stem + bigrams .952 (questions share words with their paragraph)",
    })
}

/// Normalised discounted cumulative gain with binary judgements (Järvelin and Kekäläinen, 2002).
fn ndcg(found: &[&str], relevant: &BTreeSet<String>, depth: usize) -> f64 {
    let discount = |rank: usize| 1.0 / float(rank + 2).log2();
    let gain: f64 = found
        .iter()
        .take(depth)
        .enumerate()
        .filter(|(_, id)| relevant.contains(**id))
        .map(|(rank, _)| discount(rank))
        .sum();
    let ideal: f64 = (0..relevant.len().min(depth)).map(discount).sum();
    gain / ideal
}

fn recall(found: &[&str], relevant: &BTreeSet<String>, depth: usize) -> f64 {
    let hits = found.iter().take(depth).filter(|id| relevant.contains(**id)).count();
    float(hits) / float(relevant.len())
}

fn per_second(bytes: usize, took: std::time::Duration) -> f64 {
    float(bytes) / 1e6 / took.as_secs_f64()
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
