//! The laws, one function each.

use std::sync::Arc;

use pumasi_core::conformance::same;
use pumasi_core::filter::{Field, Filter};
use pumasi_core::model::HashingEmbedder;
use pumasi_core::text::{Analyzer, SparseVector};
use serde_json::{Map, json};

use super::{Broken, Kept, StoreHarness, Verdict, space};
use crate::store::sample::{entry, entry_with};
use crate::store::{Entry, Found, StoreQuery, everything};
use crate::{Document, ErrorKind, MemoryStore, Space, Store, Tenant};

const LEVEL: Field<i64> = Field::new("level");

fn dimensions() -> usize {
    space().dimensions
}

/// Words that the laws' texts are made of: Korean and English, frequent and rare.
const WORDS: [&str; 24] = [
    "달리기를",
    "무릎이",
    "통증은",
    "마라톤",
    "하프마라톤을",
    "준비합니다",
    "쉽니다",
    "물을",
    "마십니다",
    "신발",
    "러닝화를",
    "호흡",
    "run",
    "running",
    "knee",
    "pain",
    "shoes",
    "water",
    "pace",
    "10km를",
    "recovery",
    "천천히",
    "아침마다",
    "the",
];

/// Makes a text of lines from a number, the same each time.
fn text(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap_or_default()
    };
    let lines = 1 + next(3);
    let mut text = String::new();
    for line in 0..lines {
        if line > 0 {
            text.push('\n');
        }
        for word in 0..=next(7) {
            if word > 0 {
                text.push(' ');
            }
            // the product of two makes some words frequent
            let at = next(WORDS.len()) * next(WORDS.len()) / WORDS.len();
            text.push_str(WORDS.get(at).copied().unwrap_or("달리기"));
        }
    }
    text
}

fn document(number: u64) -> Entry {
    let mut metadata = Map::new();
    metadata.insert("level".to_owned(), json!(number % 100));
    metadata.insert("tags".to_owned(), json!(["러닝", format!("t{}", number % 3)]));
    entry_with(&format!("문서-{number}"), &text(number + 1), dimensions(), metadata)
}

fn query(text: &str, depth: usize) -> StoreQuery {
    let dimensions = std::num::NonZeroUsize::new(dimensions()).unwrap_or(std::num::NonZeroUsize::MIN);
    let embedding = HashingEmbedder::with_dimensions(dimensions).embed_one(text);
    let terms = SparseVector::counts(text, &Analyzer::default());
    StoreQuery::new(depth).with_embedding(embedding).with_terms(terms)
}

/// Compares what two stores found: the same chunks in the same order, but for ties in the last bits.
fn agree(got: &Found, expected: &Found, what: &str) -> Result<(), Broken> {
    for (leg, got, expected) in
        [("dense", &got.dense, &expected.dense), ("lexical", &got.lexical, &expected.lexical)]
    {
        same!(got.len(), expected.len(), "{what}: how many are in the {leg} ranking");
        for (rank, (got, expected)) in got.iter().zip(expected).enumerate() {
            let near = (got.score - expected.score).abs() <= 1e-5 * expected.score.abs().max(1.0);
            if !near || (got.id != expected.id && leg == "lexical") {
                return Err(Broken::new(format!(
                    "{what}: place {rank} of the {leg} ranking is {got:?}, not {expected:?}"
                )));
            }
        }
    }
    Ok(())
}

/// Old chunks or new ones, never some of each: while a document is replaced again and again, and others are beside it.
///
/// # Errors
///
/// Where the store does otherwise.
pub async fn law_01_a_document_is_replaced_whole(harness: &dyn StoreHarness) -> Verdict {
    let store = harness.open().await;
    let version = |n: usize| {
        let text = format!("판 번호{n} 달리기를 천천히 한다\n판 번호{n} 무릎이 아프면 쉰다");
        entry("계획", &text, dimensions())
    };
    store.put(vec![version(0), document(1)]).await?;
    let writer = {
        let store = Arc::clone(&store);
        async move {
            for n in 1..20 {
                store.put(vec![version(n)]).await?;
            }
            Ok::<_, crate::Error>(())
        }
    };
    let reader = async {
        for _ in 0..60 {
            let found = store.search(&query("판 달리기를 무릎이 아프면", 50)).await?;
            let ids: Vec<_> = found.lexical.iter().map(|scored| scored.id).collect();
            let mut seen = std::collections::HashSet::new();
            if !ids.iter().all(|id| seen.insert(*id)) {
                return Err(Broken::new("a chunk was found twice"));
            }
            let passages = store.get(&ids).await?;
            let mine = passages.iter().filter(|passage| passage.document.id == "계획");
            let prints: std::collections::HashSet<_> =
                mine.map(|passage| passage.document.fingerprint).collect();
            if prints.len() > 1 {
                return Err(Broken::new("chunks of two versions of a document were found together"));
            }
            let counts = store.count(&everything()).await?;
            let expected = version(0).chunks.len() as u64 + document(1).chunks.len() as u64;
            same!((counts.documents, counts.chunks), (2, expected), "documents and chunks");
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    let (written, read) = tokio::join!(writer, reader);
    written?;
    read?;
    same!(store.remove(&["계획", "nothing"]).await?, 1, "documents that were removed");
    let found = store.search(&query("판 번호19 무릎이", 50)).await?;
    let left = store.get(&found.lexical.iter().map(|scored| scored.id).collect::<Vec<_>>()).await?;
    if left.iter().any(|passage| passage.document.id == "계획") {
        return Err(Broken::new("a removed document was found"));
    }
    Ok(Kept::Whole)
}

/// What was put is there after a restart, and found as before.
///
/// # Errors
///
/// Where the store does otherwise.
pub async fn law_02_what_is_put_is_durable(harness: &dyn StoreHarness) -> Verdict {
    let store = harness.open().await;
    for first in (0..40).step_by(10) {
        store.put((first..first + 10).map(document).collect()).await?;
    }
    store
        .put((0..5).map(|n| entry(&format!("문서-{n}"), "새 판입니다 짧게", dimensions())).collect())
        .await?;
    store.remove(&["문서-7"]).await?;
    let asked = query("달리기를 running 무릎이", 30);
    let (before, version) = (store.search(&asked).await?, store.version().await?);
    let Ok(store) = harness.reopen(store).await else {
        return Ok(Kept::Skipped("what it holds is gone with the process"));
    };
    same!(store.version().await?, version, "the version");
    agree(&store.search(&asked).await?, &before, "after a restart")?;
    same!(store.count(&everything()).await?.documents, 39, "documents");
    store.put(vec![document(100)]).await?;
    same!(store.count(&everything()).await?.documents, 40, "documents after one more");
    Ok(Kept::Whole)
}

/// Two tenants may have documents of the same id, and neither sees, counts or weighs by the other's.
///
/// # Errors
///
/// Where the store does otherwise.
pub async fn law_03_tenants_are_apart(harness: &dyn StoreHarness) -> Verdict {
    let store = harness.open().await;
    let other = store.for_tenant(Tenant::new("다른 모임")?);
    store.put((0..20).map(document).collect()).await?;
    let alone = store.search(&query("달리기를 무릎이", 40)).await?;
    let version = store.version().await?;
    other.put((0..60).map(|n| entry(&format!("문서-{n}"), &text(n + 500), dimensions())).collect()).await?;
    let beside = store.search(&query("달리기를 무릎이", 40)).await?;
    agree(&beside, &alone, "beside another tenant")?;
    same!(beside.term_weights, alone.term_weights, "weights beside another tenant");
    same!(store.version().await?, version, "the version after another tenant's change");
    same!(other.count(&everything()).await?.documents, 60, "the other's documents");
    same!(store.remove_where(&everything()).await?, 20, "documents that were removed");
    same!(other.count(&everything()).await?.documents, 60, "the other's documents after that");
    let chunk = other.search(&query("달리기를", 1)).await?.dense.first().map(|scored| scored.id);
    if !store.get(&chunk.into_iter().collect::<Vec<_>>()).await?.is_empty() {
        return Err(Broken::new("a chunk of another tenant could be read"));
    }
    let third = store.for_tenant(Tenant::new("nobody")?);
    same!(third.search(&query("달리기를", 9)).await?.dense.len(), 0, "chunks of a tenant that put nothing");
    same!(third.version().await?, 0, "the version of a tenant that put nothing");
    Ok(Kept::Whole)
}

/// A filter that one in a hundred documents matches still returns as many as are wanted, and the right ones.
///
/// # Errors
///
/// Where the store does otherwise.
pub async fn law_04_filters_come_first(harness: &dyn StoreHarness) -> Verdict {
    let (store, reference) = both(harness, 1_200).await?;
    let filters = [
        LEVEL.eq(7),
        LEVEL.at_most(50).and(Field::<Vec<String>>::new("tags").contains("t1")),
        !LEVEL.at_least(99),
        LEVEL.is_in([1, 2]).or(!LEVEL.exists()),
        Field::<String>::new("missing").eq("x"),
    ];
    for filter in filters {
        let asked = query("무릎이 running 물을", 10).with_filter(filter.clone());
        let (got, expected) = (store.search(&asked).await?, reference.search(&asked).await?);
        let hits =
            got.dense.iter().filter(|hit| expected.dense.iter().any(|other| other.id == hit.id)).count();
        same!(got.dense.len(), expected.dense.len(), "how many are near and match {filter:?}");
        if hits * 100 < expected.dense.len() * 95 {
            return Err(Broken::new(format!("only {hits} of the nearest were found for {filter:?}")));
        }
        agree(
            &Found { dense: Vec::new(), ..got },
            &Found { dense: Vec::new(), ..expected },
            &format!("{filter:?}"),
        )?;
        same!(store.count(&filter).await?, reference.count(&filter).await?, "what matches {filter:?}");
    }
    same!(
        store.remove_where(&LEVEL.eq(7)).await?,
        reference.remove_where(&LEVEL.eq(7)).await?,
        "documents that were removed"
    );
    same!(store.count(&everything()).await?, reference.count(&everything()).await?, "what is left");
    let broken = Filter::Eq { field: pumasi_core::filter::FieldPath::new(""), value: 1.into() };
    same!(
        store.count(&broken).await.map_err(|error| error.kind()),
        Err(ErrorKind::InvalidInput),
        "a filter on no field"
    );
    Ok(Kept::Whole)
}

/// Opens the store and the reference with the same documents, put and changed in the same way.
async fn both(harness: &dyn StoreHarness, documents: u64) -> Result<(Arc<dyn Store>, MemoryStore), Broken> {
    let store = harness.open().await;
    let reference = MemoryStore::new(space(), Tenant::single());
    for first in (0..documents).step_by(100) {
        let batch: Vec<Entry> = (first..documents.min(first + 100)).map(document).collect();
        store.put(batch.clone()).await?;
        reference.put(batch).await?;
    }
    Ok((store, reference))
}

/// The reference and the store rank alike: after puts, replacements and removals, for frequent and rare words.
///
/// # Errors
///
/// Where the store does otherwise.
pub async fn law_05_the_same_ranking(harness: &dyn StoreHarness) -> Verdict {
    let (store, reference) = both(harness, 300).await?;
    let check = async |what: &str| -> Result<(), Broken> {
        for asked in ["달리기를", "knee pain", "하프마라톤을 천천히 준비합니다 the", "없는낱말", "the"]
        {
            let asked = query(asked, 10);
            let (got, expected) = (store.search(&asked).await?, reference.search(&asked).await?);
            agree(&got, &expected, what)?;
            same!(got.term_weights, expected.term_weights, "{what}: weights of the terms");
        }
        Ok(())
    };
    check("as put").await?;
    for first in (0..300).step_by(30) {
        let changed: Vec<Entry> =
            (first..first + 20).map(|n| entry(&format!("문서-{n}"), &text(n + 900), dimensions())).collect();
        store.put(changed.clone()).await?;
        reference.put(changed).await?;
    }
    check("after replacements").await?;
    let names: Vec<String> = (0..250).map(|n| format!("문서-{n}")).collect();
    let ids: Vec<&str> = names.iter().map(String::as_str).collect();
    same!(store.remove(&ids).await?, reference.remove(&ids).await?, "documents that were removed");
    check("after removals").await?;
    let (got, expected) = (store.scan("", 20).await?, reference.scan("", 20).await?);
    same!(got, expected, "the first documents of a scan");
    let last = expected.last().map(|record| record.id.clone()).unwrap_or_default();
    same!(store.scan(&last, 100).await?, reference.scan(&last, 100).await?, "the rest of a scan");
    Ok(Kept::Whole)
}

/// Both rankings, and the version, are of one moment, while documents come and go.
///
/// # Errors
///
/// Where the store does otherwise.
pub async fn law_06_one_snapshot(harness: &dyn StoreHarness) -> Verdict {
    let store = harness.open().await;
    let pair = |n: usize| vec![entry("하나", &format!("달리기를 n{n}"), dimensions())];
    store.put(pair(0)).await?;
    let writer = async {
        for n in 1..30 {
            store.put(pair(n)).await?;
            tokio::task::yield_now().await;
        }
        Ok::<_, crate::Error>(())
    };
    let reader = async {
        let mut last = 0;
        for _ in 0..60 {
            let found = store.search(&query("달리기를", 5)).await?;
            let ids = |ranking: &[crate::store::Scored]| ranking.iter().map(|hit| hit.id).collect::<Vec<_>>();
            same!(ids(&found.dense), ids(&found.lexical), "the one chunk in both rankings");
            if found.version < last {
                return Err(Broken::new("the version went back"));
            }
            last = found.version;
            let entries = store.entries(&["하나"]).await?;
            same!(entries.iter().flatten().count(), 1, "the one document, read while it is replaced");
            tokio::task::yield_now().await;
        }
        Ok(())
    };
    let (written, read) = tokio::join!(writer, reader);
    written?;
    read?;
    Ok(Kept::Whole)
}

/// Vectors of another space, and entries that contradict themselves, are refused before anything is written.
///
/// # Errors
///
/// Where the store does otherwise.
#[expect(clippy::indexing_slicing, reason = "entries that the law has made itself")]
pub async fn law_07_spaces_are_not_mixed(harness: &dyn StoreHarness) -> Verdict {
    let store = harness.open().await;
    let mut broken = vec![entry("a", "달리기를 한다", dimensions() + 1)];
    for change in [
        |entry: &mut Entry| entry.chunks[0].embedding[0] = f32::NAN,
        |entry: &mut Entry| entry.chunks[0].section = 9,
        |entry: &mut Entry| entry.chunks[0].span.end += 100,
        |entry: &mut Entry| entry.chunks[0].terms.reverse(),
        |entry: &mut Entry| entry.chunks[0].terms[0].1 = 0,
        |entry: &mut Entry| entry.chunks.push(entry.chunks[0].clone()),
        |entry: &mut Entry| entry.record.id.clear(),
        |entry: &mut Entry| entry.record.id.push('\0'),
        |entry: &mut Entry| {
            let deep = (0..=Document::MAX_METADATA_DEPTH).fold(json!(1), |within, _| json!([within]));
            entry.record.metadata.insert("deep".to_owned(), deep);
        },
        |entry: &mut Entry| entry.sections[0].text.push('x'),
    ] as [fn(&mut Entry); 10]
    {
        let mut one = entry("a", "무릎이 아프면 쉽니다 천천히", dimensions());
        change(&mut one);
        broken.push(one);
    }
    for (at, one) in broken.into_iter().enumerate() {
        let result = store.put(vec![document(1), one]).await.map_err(|error| error.kind());
        same!(result, Err(ErrorKind::InvalidInput), "putting the broken entry {at}");
    }
    same!(store.count(&everything()).await?.documents, 0, "documents after refusals");
    same!(store.version().await?, 0, "the version after refusals");
    let short = StoreQuery::new(5).with_embedding(vec![1.0; 3]);
    same!(
        store.search(&short).await.map_err(|error| error.kind()).err(),
        Some(ErrorKind::InvalidInput),
        "a search by a short vector"
    );
    let other = Space { embedder: "another".to_owned(), ..space() };
    same!(other.check_held(store.space()).is_err(), true, "another embedder's space");
    Ok(Kept::Whole)
}

/// Putting the same again changes nothing that a search can see.
///
/// # Errors
///
/// Where the store does otherwise.
pub async fn law_08_putting_the_same_changes_nothing(harness: &dyn StoreHarness) -> Verdict {
    let (store, _) = both(harness, 100).await?;
    let asked = query("무릎이 통증은 run", 30);
    let (before, counts) = (store.search(&asked).await?, store.count(&everything()).await?);
    for _ in 0..3 {
        store.put((0..100).map(document).collect()).await?;
        store.put(vec![document(3), document(3)]).await?;
        store.put(Vec::new()).await?;
    }
    agree(&store.search(&asked).await?, &before, "after putting the same")?;
    same!(store.count(&everything()).await?, counts, "what is there");
    Ok(Kept::Whole)
}

/// Entries, fingerprints and passages come back as they were put, in the order that was asked for.
///
/// # Errors
///
/// Where the store does otherwise.
pub async fn law_09_entries_come_back_as_they_were_put(harness: &dyn StoreHarness) -> Verdict {
    let store = harness.open().await;
    let empty = entry("빈 문서", "", dimensions());
    let mut deep = entry("깊은 문서", "달리기를 합니다", dimensions());
    let nested = (0..Document::MAX_METADATA_DEPTH).fold(json!(1), |within, _| json!([within]));
    deep.record.metadata.insert("deep".to_owned(), nested);
    let entries: Vec<Entry> = (0..30).map(document).chain([empty, deep]).collect();
    store.put(entries.clone()).await?;
    let ids: Vec<&str> =
        entries.iter().rev().map(|entry| entry.record.id.as_str()).chain(["nothing"]).collect();
    let mut expected: Vec<Option<Entry>> = entries.iter().rev().cloned().map(Some).collect();
    expected.push(None);
    let got = store.entries(&ids).await?;
    if got != expected {
        return Err(Broken::new("entries came back otherwise than they were put"));
    }
    let prints = expected.iter().map(|entry| entry.as_ref().map(|entry| entry.record.fingerprint));
    same!(store.fingerprints(&ids).await?, prints.collect::<Vec<_>>(), "fingerprints");
    for entry in &entries {
        let chunks: Vec<_> = entry.chunks.iter().map(|chunk| chunk.id).rev().collect();
        let passages = store.get(&chunks).await?;
        let record = Arc::new(entry.record.clone());
        let expected: Vec<_> =
            entry.chunks.iter().rev().filter_map(|chunk| entry.passage(chunk, &record)).collect();
        if passages != expected {
            return Err(Broken::new("passages came back otherwise than they were put"));
        }
    }
    let long = "x".repeat(Document::MAX_ID_BYTES + 1);
    let impossible = ["문서-1\0", "", &long];
    same!(store.entries(&impossible).await?.iter().flatten().count(), 0, "entries of ids that cannot be");
    same!(store.fingerprints(&impossible).await?, vec![None; 3], "fingerprints of ids that cannot be");
    same!(store.remove(&impossible).await?, 0, "documents removed by ids that cannot be");
    let ids =
        |records: Vec<crate::DocumentRecord>| records.into_iter().map(|record| record.id).collect::<Vec<_>>();
    let after = ids(store.scan("문서-1", 99).await?);
    same!(ids(store.scan("문서-1\0", 99).await?), after, "a scan after an id that cannot be");
    Ok(Kept::Whole)
}
