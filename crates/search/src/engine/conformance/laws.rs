//! The laws.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pumasi_core::filter::{Field, Filter};
use pumasi_core::time::{Clock, SystemClock, Timestamp};
use serde_json::json;

use super::sample::{CATEGORY, CREATED, LIKES, PACE, TAGS, document, filter, schema, text};
use super::{Broken, EngineHarness, Kept, Verdict, holds, same};
use crate::ErrorKind;
use crate::engine::Applied::{self, Done, Stale};
use crate::engine::{Change, MemoryEngine, SearchEngine};
use crate::page::{Cursor, CursorKey, Gap, Page, Total};
use crate::query::{Boost, Count, Fusion, Matching, Query, Rank, Sort};
use crate::schema::Document;

/// Time enough for any search of the laws.
pub(super) const TIME: Duration = Duration::from_mins(2);

/// Documents of the laws.
pub(super) const DOCUMENTS: usize = 240;

/// Random filter trees that law 1 compares, unless `PUMASI_SEARCH_TREES` says another number.
const TREES: usize = 60;

/// Fills an engine and the reference with the same documents, some of them changed and some deleted.
pub(super) async fn filled(
    harness: &dyn EngineHarness,
    seed: u64,
) -> Result<(Arc<dyn SearchEngine>, MemoryEngine), Broken> {
    let engine = harness.open().await;
    let reference = MemoryEngine::new(schema());
    let mut random = fastrand::Rng::with_seed(seed);
    let mut changes = Vec::new();
    for number in 0..DOCUMENTS {
        let id = format!("문서-{number:03}");
        changes.push(Change::upsert(document(&mut random, &id), 1).with_at(Timestamp::from_micros(1_000)));
    }
    both(&*engine, &reference, &changes).await?;
    let again: Vec<Change> = (0..DOCUMENTS)
        .step_by(7)
        .map(|number| {
            let id = format!("문서-{number:03}");
            let change = if number % 2 == 0 {
                Change::delete(id, 2)
            } else {
                Change::upsert(document(&mut random, &id), 2)
            };
            change.with_at(Timestamp::from_micros(2_000))
        })
        .collect();
    both(&*engine, &reference, &again).await?;
    Ok((engine, reference))
}

pub(super) async fn both(
    engine: &dyn SearchEngine,
    reference: &MemoryEngine,
    changes: &[Change],
) -> Result<(), Broken> {
    for result in engine.apply(changes).await? {
        same!(result?, Applied::Done, "what became of a new change");
    }
    reference.apply(changes).await?;
    Ok(())
}

pub(super) fn ids(page: &Page) -> BTreeSet<&str> {
    page.hits.iter().map(|hit| hit.id.as_str()).collect()
}

async fn agree(engine: &dyn SearchEngine, reference: &MemoryEngine, query: &Query) -> Result<(), Broken> {
    let query = query.clone().with_limit(DOCUMENTS).with_count(Count::Exact);
    let wanted = reference.search(&query, TIME).await?;
    let page = engine.search(&query, TIME).await?;
    if page.gaps.iter().any(|gap| matches!(gap, Gap::Typos | Gap::Prefixes)) {
        return Ok(());
    }
    let (text, filter) = (&query.text, query.filter.canonical());
    same!(ids(&page), ids(&wanted), "the documents of {text:?} ({:?}) where {filter}", query.matching);
    same!(page.total, wanted.total, "how many documents match {text:?} where {filter}");
    same!(page.facets, wanted.facets, "the facets of {text:?} where {filter}");
    Ok(())
}

/// Law 1: a query finds the documents that the reference finds, whatever its filter, its text and its signs.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_01_the_same_documents(harness: &dyn EngineHarness) -> Verdict {
    let seed = std::env::var("PUMASI_SEARCH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7);
    let trees = std::env::var("PUMASI_SEARCH_TREES").ok().and_then(|text| text.parse().ok()).unwrap_or(TREES);
    let (engine, reference) = filled(harness, seed).await?;
    let mut random = fastrand::Rng::with_seed(seed.wrapping_add(1));
    for round in 0..trees {
        let tree = filter(&mut random, 4);
        let query = Query::everything().with_filter(tree.clone());
        agree(&*engine, &reference, &query).await?;
        // what is true, what is false and what is unknown are all there is
        if round % 10 == 0 {
            let count = async |filter: Filter| -> Result<u64, Broken> {
                let query = Query::everything().with_filter(filter).with_count(Count::Exact).with_limit(0);
                match engine.search(&query, TIME).await?.total {
                    Total::Exact(count) => Ok(count),
                    other => Err(Broken::new(format!("an exact count was {other:?}"))),
                }
            };
            let parts = count(tree.clone()).await? + count(!tree.clone()).await?;
            let either = count(tree.clone().or(!tree.clone())).await?;
            same!(parts, either, "true and false of {}", tree.canonical());
        }
        let matching = if random.bool() { Matching::All } else { Matching::Any };
        let mut query = Query::new(text(&mut random)).with_matching(matching).with_facet(&CATEGORY, 3);
        if random.bool() {
            query = query.as_you_type();
        }
        if random.u8(0..4) == 0 {
            query = query.with_typos();
        }
        if random.bool() {
            query = query.with_filter(filter(&mut random, 1));
        }
        agree(&*engine, &reference, &query).await?;
    }
    Ok(Kept::Whole)
}

/// Law 2: what cannot be asked is refused, whatever the index holds.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_02_nothing_left_out_silently(harness: &dyn EngineHarness) -> Verdict {
    let engine = harness.open().await;
    let unknown: Field<i64> = Field::new("unknown");
    let elsewhere = Query::new("러닝").with_rank(Rank::sorted([Sort::descending(&LIKES)]));
    let cursor = Cursor::new(&schema(), &elsewhere, vec![crate::page::Key::Int(1)], "1", "");
    for query in [
        Query::everything().with_filter(unknown.eq(1)),
        Query::everything().with_filter(Field::<String>::new("title").eq("러닝")),
        Query::everything().with_rank(Rank::sorted([Sort::ascending(&unknown)])),
        Query::everything().with_facet_at(LIKES.path(), 5),
        Query::everything().with_limit(10_001),
        Query::new("가".repeat(6_000)),
        Query::new("다른 검색").after(cursor),
    ] {
        let kind = engine.search(&query, TIME).await.err().map(|error| error.kind());
        same!(kind, Some(ErrorKind::InvalidInput), "the refusal of {query:?}");
    }
    let page = engine.search(&Query::new("러닝").with_count(Count::Exact), TIME).await?;
    holds!(page.hits.is_empty() && page.next.is_none(), "an empty index found something");
    Ok(Kept::Whole)
}

/// Law 3: facets and totals are those of what matches, and totals are capped as asked.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_03_one_snapshot(harness: &dyn EngineHarness) -> Verdict {
    let (engine, reference) = filled(harness, 3).await?;
    let query = Query::new("러닝 running").with_facet(&CATEGORY, 100).with_facet(&TAGS, 2);
    agree(&*engine, &reference, &query).await?;
    let capped = engine.search(&query.clone().with_count(Count::UpTo(5)), TIME).await?;
    same!(capped.total, Total::AtLeast(5), "a capped total");
    let none = engine.search(&query.clone().with_count(Count::None), TIME).await?;
    same!(none.total, Total::Unknown, "a total that nobody asked for");
    Ok(Kept::Whole)
}

/// Law 4: what was applied is found at once, and is there after a restart.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_04_applied_is_durable(harness: &dyn EngineHarness) -> Verdict {
    let (engine, reference) = filled(harness, 4).await?;
    let before = engine.status().await?;
    same!(before.documents, reference.status().await?.documents, "how many documents there are");
    same!(before.applied, Some(Timestamp::from_micros(2_000)), "the newest moment that was applied");
    if let Some(known) = engine.search(&Query::new("러닝"), TIME).await?.known {
        same!(known, before.known(), "how many documents a page says that the index knows");
    }
    engine.prepare().await?;
    same!(engine.status().await?, before, "the status after it was prepared again");
    let Ok(engine) = harness.reopen(engine).await else {
        return Ok(Kept::Skipped("it keeps nothing over a restart"));
    };
    same!(engine.status().await?, before, "the status after a restart");
    agree(&*engine, &reference, &Query::everything().with_facet(&TAGS, 10)).await?;
    agree(&*engine, &reference, &Query::new("한강 러닝")).await?;
    let mut from = None;
    let mut stamps = Vec::new();
    loop {
        let next = engine.stamps(from.as_deref(), 50).await?;
        let Some(last) = next.last() else { break };
        from = Some(last.id.clone());
        stamps.extend(next);
    }
    same!(stamps, reference.stamps(None, usize::MAX).await?, "the versions after a restart");
    Ok(Kept::Whole)
}

/// Law 5: a change whose version is not above the known one does nothing, deletes included, in whatever order they come.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_05_versions_decide(harness: &dyn EngineHarness) -> Verdict {
    let engine = harness.open().await;
    let put =
        |version: u64| Change::upsert(Document::new("a", json!({"title": format!("판{version}")})), version);
    let one = async |change: Change| -> Result<Applied, Broken> {
        let mut results = engine.apply(&[change]).await?;
        Ok(results.pop().ok_or_else(|| Broken::new("a change had no result"))??)
    };
    same!(one(put(5)).await?, Applied::Done, "a first version");
    same!(one(put(5)).await?, Applied::Stale, "the same version again");
    same!(one(put(4)).await?, Applied::Stale, "an older version");
    same!(one(Change::delete("a", 4)).await?, Applied::Stale, "an older delete");
    same!(one(Change::delete("a", 7)).await?, Applied::Done, "a newer delete");
    same!(one(put(6)).await?, Applied::Stale, "an upsert from before the delete");
    holds!(
        engine.search(&Query::everything(), TIME).await?.hits.is_empty(),
        "an older upsert brought a document back"
    );
    same!(one(put(8)).await?, Applied::Done, "a newer upsert");
    same!(one(Change::delete("never", 3)).await?, Applied::Done, "the delete of what was never there");
    let never = Change::upsert(Document::new("never", json!({})), 2);
    same!(one(never).await?, Applied::Stale, "an upsert that comes after its delete");
    // and within one batch
    let results = engine.apply(&[put(10), put(9), Change::delete("a", 11), put(11), put(12)]).await?;
    let results: Vec<Applied> = results.into_iter().collect::<Result<_, _>>()?;
    same!(results, vec![Done, Stale, Done, Stale, Done], "what became of changes in one batch");
    let page = engine.search(&Query::everything(), TIME).await?;
    same!(page.ids(), vec!["a"], "what is there in the end");
    same!(
        page.hits.first().map(|hit| (hit.version, (*hit.source).clone())),
        Some((12, json!({"title": "판12"}))),
        "the last version"
    );
    let at = |change: Change, micros: i64| change.with_at(Timestamp::from_micros(micros));
    same!(one(at(put(20), 5_000)).await?, Applied::Done, "a newer upsert");
    same!(one(at(put(19), 9_000)).await?, Applied::Stale, "an older one that was made later");
    same!(
        engine.status().await?.applied,
        Some(Timestamp::from_micros(5_000)),
        "the newest moment that was applied, after a stale change"
    );
    let other = |version: u64| Change::upsert(Document::new("b", json!({"title": "다른 글"})), version);
    let results = engine.apply(&[at(put(18), 9_000), at(other(1), 6_000)]).await?;
    let results: Vec<Applied> = results.into_iter().collect::<Result<_, _>>()?;
    same!(results, vec![Stale, Done], "a stale change beside a new one");
    let ahead = SystemClock.now().saturating_add(Duration::from_hours(24 * 365));
    for (change, what) in [
        (None, "a stale change beside a new one"),
        (Some(other(2)), "a change without a moment in place of what bore it"),
        (Some(at(other(3), 4_000)), "a change of an earlier moment"),
        (Some(other(4).with_at(ahead)), "a change from the future"),
    ] {
        if let Some(change) = change {
            same!(one(change).await?, Applied::Done, "{what}");
        }
        let applied = engine.status().await?.applied;
        same!(
            applied,
            Some(Timestamp::from_micros(6_000)),
            "the newest moment that was applied, after {what}"
        );
    }
    Ok(Kept::Whole)
}

/// Law 6: each change of a batch has its own result.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_06_one_bad_change_spoils_nothing(harness: &dyn EngineHarness) -> Verdict {
    let engine = harness.open().await;
    let put = |id: &str, likes: serde_json::Value| {
        Change::upsert(Document::new(id, json!({"stats": {"likes": likes}})), 1)
    };
    let results = engine
        .apply(&[
            put("a", json!(1)),
            put("b", json!("많이")),
            put("", json!(1)),
            put("c", json!(2)),
            Change::delete("d", u64::MAX),
        ])
        .await?;
    let kinds: Vec<Option<ErrorKind>> =
        results.iter().map(|result| result.as_ref().err().map(crate::Error::kind)).collect();
    let bad = Some(ErrorKind::InvalidInput);
    same!(kinds, vec![None, bad, bad, None, bad], "the results of a batch with bad changes");
    let page = engine.search(&Query::everything().with_rank(Rank::sorted([])), TIME).await?;
    same!(page.ids(), vec!["a", "c"], "what a batch with bad changes left");
    holds!(engine.apply(&[]).await?.is_empty(), "a batch of nothing had results");
    // one that may be too large for an index is refused alone, if it is
    let syllable = |number: u32| char::from_u32(0xAC00 + number % 11_172).unwrap_or('가');
    let words = (0..120_000_u32).map(|n| [syllable(n * 7_919), syllable(n * 13 + n / 11_172), ' ']);
    let large = json!({"text": {"body": words.flatten().collect::<String>()}});
    let large = Change::upsert(Document::new("large", large), 1);
    let results = engine.apply(&[put("e", json!(1)), large, put("f", json!(2))]).await?;
    let kinds: Vec<Option<ErrorKind>> =
        results.iter().map(|result| result.as_ref().err().map(crate::Error::kind)).collect();
    let alone = kinds.get(1).is_some_and(|kind| matches!(kind, None | Some(ErrorKind::InvalidInput)));
    holds!(kinds.len() == 3 && alone, "a large document made of its batch {kinds:?}");
    same!((kinds.first(), kinds.last()), (Some(&None), Some(&None)), "those beside a large document");
    Ok(Kept::Whole)
}

/// Law 7: a walk that is sorted by fields misses and repeats nothing of what is not changed meanwhile; on one engine, after a
/// restart, and from the reference to this engine and back.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_07_walks_miss_and_repeat_nothing(harness: &dyn EngineHarness) -> Verdict {
    let (mut engine, reference) = filled(harness, 11).await?;
    let key = CursorKey::new("a secret of the laws")?;
    let mut random = fastrand::Rng::with_seed(12);
    let orders = [
        vec![],
        vec![Sort::descending(&LIKES)],
        vec![Sort::ascending(&CATEGORY), Sort::descending(&PACE)],
        vec![Sort::descending(&CATEGORY), Sort::ascending(&CREATED), Sort::ascending(&LIKES)],
        vec![Sort::ascending_at(&pumasi_core::filter::FieldPath::from_static("open"))],
        vec![Sort::descending(&PACE)],
    ];
    for (round, sorts) in orders.into_iter().enumerate() {
        for text in ["", "러닝 running the"] {
            let query = Query::new(text).with_rank(Rank::sorted(sorts.clone()));
            let whole = query.clone().with_limit(DOCUMENTS);
            let wanted = reference.search(&whole, TIME).await?;
            same!(
                engine.search(&whole, TIME).await?.ids(),
                wanted.ids(),
                "the order by {sorts:?} of {text:?}"
            );
            let mut walked: Vec<String> = Vec::new();
            let mut after: Option<Cursor> = None;
            loop {
                let mut next = query.clone().with_limit(random.usize(1..40));
                next.after = after.take();
                // every third page comes from the other engine
                let page = match random.u8(0..3) {
                    0 => reference.search(&next, TIME).await?,
                    _ => engine.search(&next, TIME).await?,
                };
                walked.extend(page.hits.iter().map(|hit| hit.id.clone()));
                // somebody writes meanwhile, in front of the walk and behind it
                let noise = Document::new(
                    format!("noise-{}", random.u8(..)),
                    json!({"category": "run", "pace": 4.5}),
                );
                let noise = [Change::upsert(noise, u64::from(random.u32(..)))];
                if round == 0 && text.is_empty() {
                    engine.apply(&noise).await?;
                    reference.apply(&noise).await?;
                }
                match page.next {
                    Some(cursor) => after = Some(key.open(&key.seal(&cursor))?),
                    None => break,
                }
            }
            walked.retain(|id| !id.starts_with("noise"));
            let untouched: Vec<&str> =
                wanted.ids().into_iter().filter(|id| !id.starts_with("noise")).collect();
            same!(walked, untouched, "a walk by {sorts:?} through {text:?}");
        }
        if round == 2 {
            engine = harness.reopen(engine).await.unwrap_or_else(|same| same);
        }
    }
    // by score, on this engine alone
    let query = Query::new("러닝 running 한강").with_limit(7);
    let whole = engine.search(&query.clone().with_limit(DOCUMENTS), TIME).await?;
    let mut walked: Vec<String> = Vec::new();
    let mut page = engine.search(&query, TIME).await?;
    loop {
        walked.extend(page.hits.iter().map(|hit| hit.id.clone()));
        let Some(cursor) = page.next else { break };
        page = engine.search(&query.clone().after(cursor), TIME).await?;
    }
    same!(walked, whole.ids(), "a walk by score");
    Ok(Kept::Whole)
}

/// Law 8: no time is enough for nothing.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_08_time_is_kept(harness: &dyn EngineHarness) -> Verdict {
    let (engine, _) = filled(harness, 8).await?;
    let kind = engine.search(&Query::new("러닝"), Duration::ZERO).await.err().map(|error| error.kind());
    same!(kind, Some(ErrorKind::Timeout), "a search without time");
    let started = std::time::Instant::now();
    for _ in 0..20 {
        // given up at some point of its life
        let search = Query::new("러닝 running");
        let _ = tokio::time::timeout(Duration::from_micros(200), engine.search(&search, TIME)).await;
    }
    holds!(started.elapsed() < TIME, "calls that were given up went on for long");
    holds!(
        !engine.search(&Query::new("러닝"), TIME).await?.hits.is_empty(),
        "nothing was found after calls were given up"
    );
    Ok(Kept::Whole)
}

/// Law 9: scores fall, explanations add up to them, popularity, time and boosts count, and highlights hold what matches.
///
/// # Errors
/// [`Broken`] if it does not hold, or a call failed.
pub async fn law_09_scores_are_explained(harness: &dyn EngineHarness) -> Verdict {
    let engine = harness.open().await;
    let put = |id: &str, title: &str, likes: i64, created: &str| {
        Change::upsert(
            Document::new(id, json!({"title": title, "stats": {"likes": likes}, "created_at": created})),
            1,
        )
    };
    engine
        .apply(&[
            put("old", "한강 러닝크루", 0, "2026-01-01T00:00:00Z"),
            put("new", "한강 러닝크루", 0, "2026-11-01T00:00:00Z"),
            put("liked", "한강 러닝크루", 1_000, "2026-01-01T00:00:00Z"),
            put("other", "수영 모임", 9_000, "2026-11-01T00:00:00Z"),
        ])
        .await?;
    let query = Query::new("러닝크루에서").with_explain().with_highlight();
    let week = Duration::from_hours(7 * 24);
    let now: Timestamp = "2026-11-08T00:00:00Z".parse()?;
    let weighted = Fusion::weighted().with_popularity(&LIKES, 0.1).with_decay(&CREATED, 0.5, week, now);
    let light = Fusion::weighted().with_text(0.2).with_popularity(&LIKES, 0.1);
    let ranks = [
        (Rank::Text, vec!["liked", "new", "old"]),
        (Rank::Fused(light), vec!["liked", "new", "old"]),
        (Rank::Fused(Fusion::rrf().with_popularity(&LIKES, 1.0)), vec!["liked", "new", "old"]),
        (Rank::Fused(weighted), vec!["liked", "new", "old"]),
        (
            Rank::Fused(Fusion::rrf().with_text(0.0).with_decay(&CREATED, 1.0, week, now)),
            vec!["new", "liked", "old"],
        ),
    ];
    for (rank, wanted) in ranks {
        let page = engine.search(&query.clone().with_rank(rank), TIME).await?;
        same!(page.ids(), wanted, "the order");
        let unexplained = page.gaps.contains(&Gap::Explanations);
        for pair in page.hits.windows(2) {
            if let [a, b] = pair {
                holds!(
                    a.score.partial_cmp(&b.score).is_some_and(std::cmp::Ordering::is_ge),
                    "scores do not fall"
                );
            }
        }
        for hit in &page.hits {
            let score = hit.score.unwrap_or_default();
            let explained = hit.explanation.as_ref().map_or(0.0, |explanation| explanation.value);
            holds!(
                unexplained || (score - explained).abs() < 1e-4 * score.abs().max(0.1),
                "a score of {score} is explained as {explained}"
            );
            let html: Vec<String> = hit.highlights.iter().map(crate::Highlight::to_html).collect();
            same!(html, vec!["한강 <mark>러닝크루</mark>".to_owned()], "the highlights");
        }
    }
    let boosted = query.with_boost(Boost::new(LIKES.eq(0), 50.0));
    let page = engine.search(&boosted, TIME).await?;
    same!(page.ids(), vec!["new", "old", "liked"], "the order with a boost");
    Ok(Kept::Whole)
}
