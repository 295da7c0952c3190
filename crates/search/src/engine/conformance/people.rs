//! What people try who have not read how it works: odd texts, ends of scales, cursors from elsewhere, documents that nobody expects.

use std::collections::BTreeMap;

use pumasi_core::filter::Filter;
use serde_json::json;

use super::laws::{DOCUMENTS, TIME, both, filled, ids};
use super::odd::{filters, odd_documents, ranks, refused_changes, texts};
use super::sample::{CATEGORY, CREATED, LIKES, OPEN, PACE, TAGS, schema};
use super::{Broken, EngineHarness, Kept, Verdict, holds, same};
use crate::engine::{Applied, Change, MemoryEngine, SearchEngine};
use crate::page::{Cursor, CursorKey, Gap, Key, Page, Total};
use crate::query::{Boost, Count, MAX_LIMIT, Matching, Query, Rank, Sort};
use crate::schema::Document;
use crate::{ErrorKind, Result};

/// The engine and the reference answer alike, or refuse alike; what an engine says that it cannot do is left to it.
async fn alike(
    engine: &dyn SearchEngine,
    reference: &MemoryEngine,
    query: &Query,
) -> std::result::Result<(), Broken> {
    let (wanted, page) = (reference.search(query, TIME).await, engine.search(query, TIME).await);
    // a law's failure has to say which of its own texts it was
    let asked: String = query.text.chars().take(40).collect();
    let what = format!("{asked:?} ({} bytes) by {query:?}", query.text.len());
    let (wanted, page) = match (wanted, page) {
        (_, Err(error)) if error.kind() == ErrorKind::Unsupported => return Ok(()),
        (Ok(wanted), Ok(page)) => (wanted, page),
        (Err(wanted), Err(error)) => {
            same!(error.kind(), wanted.kind(), "the refusal of {what}, which said {error}");
            return Ok(());
        }
        (Ok(_), Err(error)) => return Err(Broken::new(format!("{what} was refused: {error}"))),
        (Err(error), Ok(_)) => {
            return Err(Broken::new(format!("{what} was answered: the reference says {error}")));
        }
    };
    if page.gaps.iter().any(|gap| matches!(gap, Gap::Typos | Gap::Prefixes)) {
        return Ok(());
    }
    let cut = |page: &Page| page.gaps.contains(&Gap::Terms);
    same!(cut(&page), cut(&wanted), "whether it is told that {what} was cut");
    same!(page.total, wanted.total, "how many documents match {what}");
    same!(page.facets, wanted.facets, "the facets of {what}");
    if query.limit >= DOCUMENTS || !query.rank.needs_scores() {
        same!(ids(&page), ids(&wanted), "the documents of {what}");
    }
    Ok(())
}

/// Law 10: whatever people ask, the engine finds what the reference finds, or refuses what the reference refuses.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_10_whatever_people_ask(harness: &dyn EngineHarness) -> Verdict {
    let (engine, reference) = filled(harness, 21).await?;
    let engine = &*engine;
    let all = |query: Query| query.with_limit(DOCUMENTS).with_count(Count::Exact);
    for text in texts() {
        let query = all(Query::new(text.as_str()));
        let ways = [
            query.clone(),
            query.clone().with_matching(Matching::All).with_highlight().with_explain(),
            query.clone().as_you_type().with_typos(),
            Query { verbatim: true, ..query.clone() },
            query
                .with_filter(OPEN.eq(true))
                .with_facet(&TAGS, 3)
                .with_rank(Rank::sorted([Sort::descending(&LIKES)])),
        ];
        // the long ones take their time
        let ways = ways.into_iter().take(if text.len() > 1_000 { 2 } else { 5 });
        for query in ways {
            alike(engine, &reference, &query).await?;
        }
    }
    for filter in filters() {
        alike(engine, &reference, &all(Query::everything().with_filter(filter.clone()))).await?;
        alike(engine, &reference, &all(Query::new("러닝 한강").with_filter(filter.clone()))).await?;
        alike(engine, &reference, &all(Query::new("러닝").with_boost(Boost::new(filter, 1.0)))).await?;
    }
    for rank in ranks() {
        for text in ["", "러닝 한강", "the"] {
            alike(engine, &reference, &all(Query::new(text).with_rank(rank.clone()))).await?;
        }
    }
    for weight in [-1.0, 0.0, f32::MIN_POSITIVE, f32::MAX, f32::INFINITY, f32::NAN] {
        let boost = || Boost::new(LIKES.at_least(0), weight);
        alike(engine, &reference, &all(Query::new("러닝").with_boost(boost()).with_boost(boost()))).await?;
    }
    for limit in [0, 1, MAX_LIMIT, MAX_LIMIT + 1, usize::MAX] {
        alike(engine, &reference, &Query::new("러닝").with_limit(limit)).await?;
        alike(
            engine,
            &reference,
            &Query::everything().with_facet(&TAGS, limit).with_facet(&TAGS, 1).with_limit(0),
        )
        .await?;
    }
    for count in [Count::UpTo(0), Count::UpTo(1), Count::UpTo(u64::MAX), Count::None] {
        alike(engine, &reference, &Query::new("러닝").with_count(count).with_limit(DOCUMENTS)).await?;
    }
    cursors(engine, &reference).await?;
    Ok(Kept::Whole)
}

/// Cursors of another query, of another index, and of nobody.
async fn cursors(engine: &dyn SearchEngine, reference: &MemoryEngine) -> std::result::Result<(), Broken> {
    let key = CursorKey::new("a secret of the laws")?;
    let by_likes = Query::new("").with_rank(Rank::sorted([Sort::descending(&LIKES)])).with_limit(5);
    let page = engine.search(&by_likes, TIME).await?;
    let cursor = page.next.ok_or_else(|| Broken::new("a walk ended after its first page"))?;
    let sealed = key.seal(&cursor);
    let part = |range: std::ops::Range<usize>| sealed.get(range).unwrap_or_default().to_owned();
    let garbled = ["", "a", "=", "%00"].map(str::to_owned).into_iter();
    let garbled = garbled.chain([
        part(1..sealed.len()),
        part(0..sealed.len() - 1),
        sealed.to_lowercase(),
        sealed.repeat(3),
    ]);
    for garbled in garbled {
        same!(
            key.open(&garbled).err().map(|error| error.kind()),
            Some(ErrorKind::InvalidInput),
            "the refusal of a garbled cursor"
        );
    }
    for other in [
        by_likes.clone().with_filter(OPEN.eq(true)),
        by_likes.clone().with_rank(Rank::sorted([Sort::ascending(&LIKES)])),
        by_likes.clone().with_rank(Rank::Text),
        Query { text: "러닝".to_owned(), ..by_likes.clone() },
    ] {
        alike(engine, reference, &other.after(cursor.clone())).await?;
    }
    // of an index where the field is of another kind, and of a place that no document stands at
    let id = "문서-001".to_owned();
    for keys in [
        Key::Text("열".to_owned()),
        Key::Text("\0".to_owned()),
        Key::Float(0),
        Key::Bool(true),
        Key::Int(i64::MIN),
        Key::Int(4),
        Key::Missing,
    ] {
        alike(
            engine,
            reference,
            &by_likes.clone().after(Cursor::new(&schema(), &by_likes, vec![keys], &id, "elsewhere")),
        )
        .await?;
    }
    let by_pace = by_likes.clone().with_rank(Rank::sorted([Sort::descending(&PACE)]));
    for float in [f64::NAN, f64::INFINITY, f64::MIN, 5e-324] {
        let at = Cursor::new(&schema(), &by_pace, vec![Key::Float(float.to_bits())], &id, "");
        alike(engine, reference, &by_pace.clone().after(at)).await?;
    }
    for odd in ["", "\0", "zzz", "'", "🏃"] {
        alike(
            engine,
            reference,
            &by_likes.clone().after(Cursor::new(&schema(), &by_likes, vec![Key::Int(1)], odd, "")),
        )
        .await?;
    }
    let by_text = Query::new("러닝").with_count(Count::None).with_limit(DOCUMENTS);
    for at in [
        Key::Float(f64::NAN.to_bits()),
        Key::Float(f64::INFINITY.to_bits()),
        Key::Int(1),
        Key::Missing,
        Key::Float(1_f64.to_bits()),
    ] {
        let at = by_text.clone().after(Cursor::new(&schema(), &by_text, vec![at], "none", "elsewhere"));
        let kinds = (
            reference.search(&at, TIME).await.err().map(|error| error.kind()),
            engine.search(&at, TIME).await.err().map(|error| error.kind()),
        );
        same!(kinds.1, kinds.0, "the refusal of a place in an order by scores");
    }
    Ok(())
}

/// Law 11: whatever people write is found as the reference finds it, or refused alone; writers who write the same documents at once
/// leave the newest version of each.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_11_whatever_people_write(harness: &dyn EngineHarness) -> Verdict {
    let engine = harness.open().await;
    let engine = &*engine;
    let reference = MemoryEngine::new(schema());
    let refused = refused_changes();
    let documents = odd_documents();
    let mut changes: Vec<Change> = Vec::new();
    for (document, bad) in documents.iter().zip(refused.iter().cycle()) {
        changes.push(Change::upsert(document.clone(), 2));
        changes.push(bad.clone());
        // twice in a batch, an older one behind it, and one that is not there
        changes.push(Change::upsert(document.clone(), 2));
        changes.push(Change::delete(document.id(), 1));
        changes.push(Change::delete(format!("없는-{}", document.id()), 7));
    }
    changes.extend(refused.iter().cloned());
    let kinds = |results: Vec<Result<Applied>>| -> Vec<std::result::Result<Applied, ErrorKind>> {
        results.into_iter().map(|result| result.map_err(|error| error.kind())).collect()
    };
    let (told, wanted) = (kinds(engine.apply(&changes).await?), kinds(reference.apply(&changes).await?));
    for (number, (told, wanted)) in told.iter().zip(&wanted).enumerate() {
        same!(told, wanted, "what became of change {number}");
    }
    same!(told.len(), wanted.len(), "how many results there are");
    for text in [
        "",
        "러닝",
        "\"러닝 마지막\"",
        "\"낱말39998 낱말39999\"",
        "낱말39999",
        "🏃",
        "the",
        "ㄹㄴㅋㄹ",
        "ㅋㅋㅋ",
        "été",
        "각",
        "가가가",
        "\"끝\"",
        "북극 OR 남극",
    ] {
        let all = Query::new(text)
            .with_limit(DOCUMENTS)
            .with_count(Count::Exact)
            .with_facet(&TAGS, 5)
            .with_facet(&CATEGORY, 50);
        for query in
            [all.clone(), all.clone().with_matching(Matching::All).with_highlight(), all.as_you_type()]
        {
            alike(engine, &reference, &query).await?;
        }
    }
    for filter in filters() {
        alike(engine, &reference, &Query::everything().with_filter(filter).with_limit(DOCUMENTS)).await?;
    }
    for sort in [
        Sort::ascending(&PACE),
        Sort::descending(&LIKES),
        Sort::ascending(&CREATED),
        Sort::descending(&CATEGORY),
    ] {
        let query = Query::everything().with_rank(Rank::sorted([sort])).with_limit(DOCUMENTS);
        let wanted = reference.search(&query, TIME).await?;
        same!(
            engine.search(&query, TIME).await?.ids(),
            wanted.ids(),
            "the order of odd documents by {:?}",
            query.rank
        );
    }
    for hit in engine.search(&Query::everything().with_limit(DOCUMENTS), TIME).await?.hits {
        let written = documents.iter().find(|document| document.id() == hit.id).map(Document::source);
        holds!(written == Some(&*hit.source), "{} came back as another document", hit.id);
    }
    two_writers(engine).await?;
    Ok(Kept::Whole)
}

/// Two who write the same documents at once, in different orders, each in batches.
async fn two_writers(engine: &dyn SearchEngine) -> std::result::Result<(), Broken> {
    let writer = async |seed: u64| -> std::result::Result<BTreeMap<String, u64>, Broken> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut newest = BTreeMap::new();
        for _ in 0..12 {
            let batch: Vec<Change> = (0..20)
                .map(|_| {
                    // each writes versions of its own
                    let version = random.u64(1..1_000) * 2 + seed % 2;
                    let id = format!("both-{:02}", random.u8(0..30));
                    let most = newest.entry(id.clone()).or_insert(version);
                    *most = (*most).max(version);
                    Change::upsert(Document::new(id, json!({"stats": {"likes": version}})), version)
                })
                .collect();
            // a batch that failed as a whole is applied again
            let mut tries = 0;
            let results = loop {
                match engine.apply(&batch).await {
                    Ok(results) => break results,
                    Err(error) if tries == 5 => return Err(error.into()),
                    Err(_) => tries += 1,
                }
            };
            for result in results {
                result?;
            }
        }
        Ok(newest)
    };
    let (one, other) = tokio::join!(writer(31), writer(32));
    let mut newest = one?;
    for (id, version) in other? {
        let most = newest.entry(id).or_insert(version);
        *most = (*most).max(version);
    }
    let query = Query::everything().with_limit(DOCUMENTS).with_rank(Rank::sorted([]));
    let page = engine.search(&query, TIME).await?;
    let found: BTreeMap<String, u64> = page
        .hits
        .iter()
        .filter(|hit| hit.id.starts_with("both-"))
        .map(|hit| {
            (
                hit.id.clone(),
                hit.source.get("stats").and_then(|stats| stats.get("likes")?.as_u64()).unwrap_or_default(),
            )
        })
        .collect();
    same!(found, newest, "what two writers left");
    Ok(())
}

/// Law 12: a field with a hundred thousand values is counted exactly.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_12_many_values(harness: &dyn EngineHarness) -> Verdict {
    let engine = harness.open().await;
    let reference = MemoryEngine::new(schema());
    let (documents, each) = (250, 400);
    let changes: Vec<Change> = (0..documents)
        .map(|number| {
            let mut tags: Vec<String> = (0..each).map(|tag| format!("t{:06}", number * each + tag)).collect();
            tags.push(format!("x{}", number % 7));
            Change::upsert(Document::new(format!("{number:04}"), json!({"tags": tags})), 1)
        })
        .collect();
    for batch in changes.chunks(50) {
        both(&*engine, &reference, batch).await?;
    }
    for limit in [1, 10, 5_000, MAX_LIMIT] {
        for filter in [Filter::everything(), TAGS.contains("x3")] {
            let query = Query::everything()
                .with_filter(filter)
                .with_facet(&TAGS, limit)
                .with_limit(3)
                .with_rank(Rank::sorted([]));
            alike(&*engine, &reference, &query).await?;
        }
    }
    let last = format!("t{:06}", documents * each - 1);
    let page = engine
        .search(&Query::everything().with_filter(TAGS.contains(last)).with_count(Count::Exact), TIME)
        .await?;
    same!(page.total, Total::Exact(1), "how many documents have the last of the values");
    Ok(Kept::Whole)
}
